#include "model/pass_parts.h"

#include "base/random.h"
#include "linalg/vec.h"

#include <string.h>

const slao_low_rank_list *slao_pairs_of(const slao_low_ranks *pairs, int64_t layer,
                                        slao_module module) {
    static const slao_low_rank_list none = {0, NULL};
    return pairs && pairs->lists ? &pairs->lists[layer * SLAO_N_MODULES + module] : &none;
}

bool slao_pairs_trained(const slao_low_rank_list *list) {
    for (int64_t i = 0; i < list->count; i++) {
        if (list->pairs[i].grad_a || list->pairs[i].grad_b || list->pairs[i].grad_scale)
            return true;
    }
    return false;
}

/* y (rows x width) *= the dropout mask of a site. The mask is named by the noise seed, the token,
 * the layer and the module: forward and backward draw the same. */
static void drop(const slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                 slao_module module, double dropout, float *y, int64_t width) {
    const slao_batch *batch = slao_pass_module_rows(pass, layer, module);
    float kept = (float)(1.0 / (1.0 - dropout));
    uint32_t limit = (uint32_t)(dropout * 0x1p32);
    for (int64_t row = 0; row < batch->n_rows; row++) {
        uint64_t site = batch->noise_keys[row] * UINT64_C(0x9E3779B97F4A7C15) +
                        (uint64_t)(layer * SLAO_N_MODULES + module);
        slao_random random = slao_random_stream(pairs->noise_seed, "dropout", "", site);
        for (int64_t i = 0; i < width; i++)
            y[row * width + i] *= slao_random_bits(&random) < limit ? 0 : kept;
    }
}

/* The input that a pair sees: x itself, or x under dropout in `scratch` (rows x d_in, taken when
 * first needed). */
static slao_status dropped(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                           slao_module module, const slao_low_rank *pair, slao_matrix x,
                           int64_t d_in, float **scratch, slao_matrix *seen) {
    *seen = x;
    if (!pass->training || pair->dropout == 0)
        return SLAO_OK;
    int64_t rows = slao_pass_module_rows(pass, layer, module)->n_rows;
    if (!*scratch)
        SLAO_TRY(slao_pass_take(pass, scratch, rows, d_in));
    for (int64_t row = 0; row < rows; row++)
        memcpy(*scratch + row * d_in, x.values + row * x.stride, (size_t)d_in * sizeof(float));
    drop(pass, pairs, layer, module, (double)pair->dropout, *scratch, d_in);
    *seen = (slao_matrix){*scratch, d_in};
    return SLAO_OK;
}

slao_status slao_pairs_add(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                           slao_module module, slao_matrix x, slao_matrix_out y) {
    const slao_low_rank_list *list = slao_pairs_of(pairs, layer, module);
    int64_t rows = slao_pass_module_rows(pass, layer, module)->n_rows, d_out, d_in;
    slao_module_shape(&pass->model->config, module, &d_out, &d_in);
    if (pass->observer)
        SLAO_TRY(pass->observer->see(pass->observer->context, layer, module, x, rows));
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *scratch = NULL;
    for (int64_t i = 0; i < list->count; i++) {
        const slao_low_rank *pair = &list->pairs[i];
        slao_matrix seen;
        SLAO_TRY(dropped(pass, pairs, layer, module, pair, x, d_in, &scratch, &seen));
        float *u;
        SLAO_TRY(slao_pass_take(pass, &u, rows, pair->rank));
        slao_multiply_transposed((slao_matrix_out){u, pair->rank}, seen,
                                 (slao_matrix){pair->a, d_in}, rows, pair->rank, d_in, pair->scale,
                                 0);
        slao_multiply_transposed(y, (slao_matrix){u, pair->rank},
                                 (slao_matrix){pair->b, pair->rank}, rows, d_out, pair->rank, 1, 1);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* *grad_scale += sum over rows of (dy B) . (A x~) */
static slao_status add_scale_gradient(slao_pass *pass, const slao_low_rank *pair, int64_t rows,
                                      int64_t d_out, int64_t d_in, slao_matrix seen,
                                      slao_matrix dy) {
    int64_t r = pair->rank;
    float *down, *up;
    SLAO_TRY(slao_pass_take(pass, &down, rows, r));
    SLAO_TRY(slao_pass_take(pass, &up, rows, r));
    slao_multiply_transposed((slao_matrix_out){down, r}, seen, (slao_matrix){pair->a, d_in}, rows,
                             r, d_in, 1, 0);
    slao_multiply((slao_matrix_out){up, r}, dy, (slao_matrix){pair->b, r}, rows, r, d_out, 1, 0);
    for (int64_t i = 0; i < rows * r; i++)
        *pair->grad_scale += (double)down[i] * (double)up[i];
    return SLAO_OK;
}

slao_status slao_pairs_backward(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                                slao_module module, slao_matrix x, slao_matrix dy,
                                slao_matrix_out *dx) {
    const slao_low_rank_list *list = slao_pairs_of(pairs, layer, module);
    int64_t rows = slao_pass_module_rows(pass, layer, module)->n_rows, d_out, d_in;
    slao_module_shape(&pass->model->config, module, &d_out, &d_in);
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *scratch = NULL;
    for (int64_t i = 0; i < list->count; i++) {
        const slao_low_rank *pair = &list->pairs[i];
        int64_t r = pair->rank;
        float *t = NULL; /* scale dy B: the gradient of A x~ */
        if (pair->grad_a || dx) {
            SLAO_TRY(slao_pass_take(pass, &t, rows, r));
            slao_multiply((slao_matrix_out){t, r}, dy, (slao_matrix){pair->b, r}, rows, r, d_out,
                          pair->scale, 0);
        }
        slao_matrix seen = x;
        if (pair->grad_a || pair->grad_b || pair->grad_scale)
            SLAO_TRY(dropped(pass, pairs, layer, module, pair, x, d_in, &scratch, &seen));
        if (pair->grad_scale)
            SLAO_TRY(add_scale_gradient(pass, pair, rows, d_out, d_in, seen, dy));
        if (pair->grad_b) {
            float *u;
            SLAO_TRY(slao_pass_take(pass, &u, rows, r));
            slao_multiply_transposed((slao_matrix_out){u, r}, seen, (slao_matrix){pair->a, d_in},
                                     rows, r, d_in, pair->scale, 0);
            slao_transposed_multiply((slao_matrix_out){pair->grad_b, r}, dy, (slao_matrix){u, r},
                                     d_out, r, rows, 1, 1);
        }
        if (pair->grad_a)
            slao_transposed_multiply((slao_matrix_out){pair->grad_a, d_in}, (slao_matrix){t, r},
                                     seen, r, d_in, rows, 1, 1);
        if (!dx)
            continue;
        slao_matrix_out through = *dx;
        bool masked = pair->dropout != 0;
        if (masked)
            SLAO_TRY(slao_pass_take(pass, &through.values, rows, d_in));
        if (masked)
            through.stride = d_in;
        slao_multiply(through, (slao_matrix){t, r}, (slao_matrix){pair->a, d_in}, rows, d_in, r, 1,
                      masked ? 0 : 1);
        if (masked) {
            drop(pass, pairs, layer, module, (double)pair->dropout, through.values, d_in);
            for (int64_t row = 0; row < rows; row++)
                slao_vec()->add(dx->values + row * dx->stride, through.values + row * d_in,
                                (size_t)d_in);
        }
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}
