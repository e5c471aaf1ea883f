#include "model/transformer.h"

#include "base/memory.h"
#include "base/random.h"
#include "linalg/matrix.h"
#include "linalg/vec.h"
#include "model/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the backward needs of one layer. Widths: hidden; q = heads x head_dim; kv = kv_heads x
 * head_dim. `upper` rows: see upper_batch. */
typedef struct {
    float *input;      /* rows x hidden: the residual stream before the layer */
    float *input_rms;  /* rows: 1 / rms of it */
    float *queries;    /* upper x q, rotated */
    float *lse;        /* upper x heads */
    float *attended;   /* upper x q */
    float *middle;     /* upper x hidden: the residual stream after attention */
    float *middle_rms; /* upper */
    float *gate_up;    /* upper x 2 intermediate */
} kept_layer;

struct slao_pass {
    const slao_model *model;
    slao_arena *arena;
    const slao_batch *batch; /* of the last forward */
    slao_batch answering;    /* the rows of it that predict answers, in order */
    int64_t *answering_rows; /* which rows they are */
    bool training;
    kept_layer *layers;
    slao_cache kept_cache; /* keys and values of a training batch */
    float *stream;         /* the residual stream: rows x hidden; at last the answering rows only */
    float *final_rms;      /* n_answers */
    float *answers;        /* n_answers x hidden: normed stream at the answer rows */
    float *d_answers;      /* their gradient, once slao_loss has been asked for it */
    float *cosines, *sines; /* rows x head_dim / 2 */
};

slao_status slao_pass_new(slao_pass **pass, const slao_model *model) {
    SLAO_TRY(slao_allocate(pass, 1, sizeof **pass));
    (*pass)->model = model;
    slao_status status = slao_arena_new(&(*pass)->arena);
    if (status != SLAO_OK) {
        slao_pass_free(*pass);
        *pass = NULL;
    }
    return status;
}

void slao_pass_free(slao_pass *pass) {
    if (!pass)
        return;
    slao_arena_free(pass->arena);
    free(pass);
}

size_t slao_pass_bytes(const slao_pass *pass) {
    return slao_arena_bytes(pass->arena);
}

static slao_status take(slao_pass *pass, float **values, int64_t rows, int64_t width) {
    return slao_arena_take(pass->arena, values, (size_t)rows, (size_t)width * sizeof **values);
}

/* ---- The rows of a layer ---- */

static bool is_last(const slao_pass *pass, int64_t layer) {
    return layer == pass->model->config.layers - 1;
}

/* The rows that a layer computes above its keys and values: of the last layer only those that
 * predict answers, since nothing else is read of it. */
static const slao_batch *upper_batch(const slao_pass *pass, int64_t layer) {
    return is_last(pass, layer) ? &pass->answering : pass->batch;
}

/* The rows on which a module runs. The last layer's queries are computed with its keys and values,
 * in one product, for all rows. */
static const slao_batch *batch_of(const slao_pass *pass, int64_t layer, slao_module module) {
    return module < SLAO_O_PROJ ? pass->batch : upper_batch(pass, layer);
}

/* y (upper rows of the layer x width) = the same rows of x. In place is allowed. */
static void pick_upper(const slao_pass *pass, int64_t layer, float *y, slao_matrix x,
                       int64_t width) {
    for (int64_t i = 0; i < upper_batch(pass, layer)->n_rows; i++) {
        int64_t row = is_last(pass, layer) ? pass->answering_rows[i] : i;
        memmove(y + i * width, x.values + row * x.stride, (size_t)width * sizeof *y);
    }
}

/* The answering rows of y = the rows of x, one after another. */
static void spread_answering(const slao_pass *pass, slao_matrix_out y, const float *x,
                             int64_t width) {
    for (int64_t i = 0; i < pass->answering.n_rows; i++)
        memcpy(y.values + pass->answering_rows[i] * y.stride, x + i * width,
               (size_t)width * sizeof *x);
}

/* ---- Linear modules with their low-rank pairs ---- */

static const slao_low_rank_list *pairs_of(const slao_low_ranks *pairs, int64_t layer,
                                          slao_module module) {
    static const slao_low_rank_list none = {0, NULL};
    return pairs && pairs->lists ? &pairs->lists[layer * SLAO_N_MODULES + module] : &none;
}

static bool is_trained(const slao_low_rank_list *list) {
    for (int64_t i = 0; i < list->count; i++) {
        if (list->pairs[i].grad_a)
            return true;
    }
    return false;
}

/* y (rows x width) *= the dropout mask of a site. The mask is named by the noise seed, the token,
 * the layer and the module: forward and backward draw the same. */
static void drop(const slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                 slao_module module, double dropout, float *y, int64_t width) {
    const slao_batch *batch = batch_of(pass, layer, module);
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
    int64_t rows = batch_of(pass, layer, module)->n_rows;
    if (!*scratch)
        SLAO_TRY(take(pass, scratch, rows, d_in));
    for (int64_t row = 0; row < rows; row++)
        memcpy(*scratch + row * d_in, x.values + row * x.stride, (size_t)d_in * sizeof(float));
    drop(pass, pairs, layer, module, (double)pair->dropout, *scratch, d_in);
    *seen = (slao_matrix){*scratch, d_in};
    return SLAO_OK;
}

/* y += the pairs' part of the module */
static slao_status add_pairs(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                             slao_module module, slao_matrix x, slao_matrix_out y) {
    const slao_low_rank_list *list = pairs_of(pairs, layer, module);
    int64_t rows = batch_of(pass, layer, module)->n_rows, d_out, d_in;
    slao_module_shape(&pass->model->config, module, &d_out, &d_in);
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *scratch = NULL;
    for (int64_t i = 0; i < list->count; i++) {
        const slao_low_rank *pair = &list->pairs[i];
        slao_matrix seen;
        SLAO_TRY(dropped(pass, pairs, layer, module, pair, x, d_in, &scratch, &seen));
        float *u;
        SLAO_TRY(take(pass, &u, rows, pair->rank));
        slao_multiply_transposed((slao_matrix_out){u, pair->rank}, seen,
                                 (slao_matrix){pair->a, d_in}, rows, pair->rank, d_in, pair->scale,
                                 0);
        slao_multiply_transposed(y, (slao_matrix){u, pair->rank},
                                 (slao_matrix){pair->b, pair->rank}, rows, d_out, pair->rank, 1, 1);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* Gradients of a module's pairs, given x and dy; dx (NULL: not wanted) += what flows through the
 * pairs. */
static slao_status pairs_backward(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                                  slao_module module, slao_matrix x, slao_matrix dy,
                                  slao_matrix_out *dx) {
    const slao_low_rank_list *list = pairs_of(pairs, layer, module);
    int64_t rows = batch_of(pass, layer, module)->n_rows, d_out, d_in;
    slao_module_shape(&pass->model->config, module, &d_out, &d_in);
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *scratch = NULL;
    for (int64_t i = 0; i < list->count; i++) {
        const slao_low_rank *pair = &list->pairs[i];
        int64_t r = pair->rank;
        float *t; /* scale dy B: the gradient of A x~ */
        SLAO_TRY(take(pass, &t, rows, r));
        slao_multiply((slao_matrix_out){t, r}, dy, (slao_matrix){pair->b, r}, rows, r, d_out,
                      pair->scale, 0);
        if (pair->grad_a) {
            slao_matrix seen;
            SLAO_TRY(dropped(pass, pairs, layer, module, pair, x, d_in, &scratch, &seen));
            float *u;
            SLAO_TRY(take(pass, &u, rows, r));
            slao_multiply_transposed((slao_matrix_out){u, r}, seen, (slao_matrix){pair->a, d_in},
                                     rows, r, d_in, pair->scale, 0);
            slao_transposed_multiply((slao_matrix_out){pair->grad_b, r}, dy, (slao_matrix){u, r},
                                     d_out, r, rows, 1, 1);
            slao_transposed_multiply((slao_matrix_out){pair->grad_a, d_in}, (slao_matrix){t, r},
                                     seen, r, d_in, rows, 1, 1);
        }
        if (!dx)
            continue;
        slao_matrix_out through = *dx;
        bool masked = pair->dropout != 0;
        if (masked)
            SLAO_TRY(take(pass, &through.values, rows, d_in));
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

/* ---- Forward ---- */

static slao_status rope_tables(slao_pass *pass) {
    const slao_batch *batch = pass->batch;
    int64_t half = pass->model->config.head_dim / 2, row = 0;
    SLAO_TRY(take(pass, &pass->cosines, batch->n_rows, half));
    SLAO_TRY(take(pass, &pass->sines, batch->n_rows, half));
    for (int64_t s = 0; s < batch->n_spans; s++) {
        const slao_span *span = &batch->spans[s];
        int64_t position = batch->segments[span->segment].position + span->from;
        for (int64_t i = 0; i < span->count; i++, row++, position++) {
            for (int64_t j = 0; j < half; j++) {
                float angle =
                    (float)position * pass->model->rope_frequencies[j]; /* fp32, as the reference */
                pass->cosines[row * half + j] = cosf(angle);
                pass->sines[row * half + j] = sinf(angle);
            }
        }
    }
    return SLAO_OK;
}

/* Turns `heads` heads of each row of x by its position, or back. */
static void rotate(const slao_pass *pass, slao_matrix_out x, int64_t heads, float sign) {
    int64_t d = pass->model->config.head_dim;
    for (int64_t row = 0; row < pass->batch->n_rows; row++) {
        const float *cosine = pass->cosines + row * d / 2, *sine = pass->sines + row * d / 2;
        for (int64_t head = 0; head < heads; head++)
            slao_vec()->rotate(x.values + row * x.stride + head * d, cosine, sine, sign, (size_t)d);
    }
}

static void norm_rows(const slao_pass *pass, int64_t rows, float *y, const float *x,
                      const float *weight, float *rms) {
    int64_t width = pass->model->config.hidden;
    for (int64_t row = 0; row < rows; row++)
        rms[row] = slao_vec()->rms_norm(y + row * width, x + row * width, weight,
                                        (float)pass->model->config.rms_epsilon, (size_t)width);
}

/* The normed rows again, from what norm_rows returned. */
static void norm_rows_again(const slao_pass *pass, int64_t rows, float *y, const float *x,
                            const float *weight, const float *rms) {
    int64_t width = pass->model->config.hidden;
    for (int64_t row = 0; row < rows; row++)
        slao_vec()->rms_apply(y + row * width, x + row * width, weight, rms[row], (size_t)width);
}

/* Copies a layer's new keys and values, out of rows of [q | k | v], to their slots. */
static void fill_cache(const slao_pass *pass, slao_cache *cache, int64_t layer, const float *qkv,
                       int64_t q_width, int64_t stride) {
    const slao_batch *batch = pass->batch;
    int64_t row = 0;
    for (int64_t s = 0; s < batch->n_spans; s++) {
        const slao_span *span = &batch->spans[s];
        int64_t slot = layer * cache->slots + batch->segments[span->segment].slot + span->from;
        for (int64_t i = 0; i < span->count; i++, row++, slot++) {
            const float *k = qkv + row * stride + q_width;
            memcpy(cache->keys + slot * cache->width, k, (size_t)cache->width * sizeof *k);
            memcpy(cache->values + slot * cache->width, k + cache->width,
                   (size_t)cache->width * sizeof *k);
        }
    }
}

static slao_status attention_forward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                                     slao_cache *cache, kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    int64_t rows = pass->batch->n_rows, hidden = config->hidden;
    int64_t q_width = config->heads * config->head_dim,
            kv_width = config->kv_heads * config->head_dim;
    int64_t stride = q_width + 2 * kv_width;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *normed, *qkv;
    SLAO_TRY(take(pass, &normed, rows, hidden));
    SLAO_TRY(take(pass, &qkv, rows, stride));
    norm_rows(pass, rows, normed, pass->stream, layer->input_norm, kept->input_rms);
    slao_matrix x = {normed, hidden};
    slao_multiply_transposed((slao_matrix_out){qkv, stride}, x,
                             (slao_matrix){layer->weights[SLAO_Q_PROJ], hidden}, rows, stride,
                             hidden, 1, 0);
    float *k = qkv + q_width, *v = k + kv_width;
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_Q_PROJ, x, (slao_matrix_out){qkv, stride}));
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_K_PROJ, x, (slao_matrix_out){k, stride}));
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_V_PROJ, x, (slao_matrix_out){v, stride}));
    rotate(pass, (slao_matrix_out){qkv, stride}, config->heads + config->kv_heads, 1);
    fill_cache(pass, cache, index, qkv, q_width, stride);
    const slao_batch *upper = upper_batch(pass, index);
    pick_upper(pass, index, kept->queries, (slao_matrix){qkv, stride}, q_width);
    if (is_last(pass, index))
        pick_upper(pass, index, pass->stream, (slao_matrix){pass->stream, hidden}, hidden);
    const float *keys = cache->keys + index * cache->slots * kv_width;
    const float *values = cache->values + index * cache->slots * kv_width;
    SLAO_TRY(slao_attention(config, upper, kept->queries, keys, values, kept->attended, kept->lse,
                            pass->arena));
    x = (slao_matrix){kept->attended, q_width};
    slao_matrix_out out = {pass->stream, hidden};
    slao_multiply_transposed(out, x, (slao_matrix){layer->weights[SLAO_O_PROJ], q_width},
                             upper->n_rows, hidden, q_width, 1, 1);
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_O_PROJ, x, out));
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

static void swiglu_rows(const slao_pass *pass, int64_t rows, float *y, const float *gate_up) {
    int64_t width = pass->model->config.intermediate;
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + 2 * row * width;
        slao_vec()->swiglu(y + row * width, gate, gate + width, (size_t)width);
    }
}

static slao_status mlp_forward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                               kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    int64_t rows = upper_batch(pass, index)->n_rows, hidden = config->hidden,
            width = config->intermediate;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *normed, *product;
    SLAO_TRY(take(pass, &normed, rows, hidden));
    SLAO_TRY(take(pass, &product, rows, width));
    norm_rows(pass, rows, normed, pass->stream, layer->post_norm, kept->middle_rms);
    slao_matrix x = {normed, hidden};
    slao_multiply_transposed((slao_matrix_out){kept->gate_up, 2 * width}, x,
                             (slao_matrix){layer->weights[SLAO_GATE_PROJ], hidden}, rows, 2 * width,
                             hidden, 1, 0);
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_GATE_PROJ, x,
                       (slao_matrix_out){kept->gate_up, 2 * width}));
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_UP_PROJ, x,
                       (slao_matrix_out){kept->gate_up + width, 2 * width}));
    swiglu_rows(pass, rows, product, kept->gate_up);
    x = (slao_matrix){product, width};
    slao_matrix_out out = {pass->stream, hidden};
    slao_multiply_transposed(out, x, (slao_matrix){layer->weights[SLAO_DOWN_PROJ], width}, rows,
                             hidden, width, 1, 1);
    SLAO_TRY(add_pairs(pass, pairs, index, SLAO_DOWN_PROJ, x, out));
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

static slao_status take_layer(slao_pass *pass, int64_t upper, kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = pass->batch->n_rows, q_width = config->heads * config->head_dim;
    SLAO_TRY(take(pass, &kept->input, rows, config->hidden));
    SLAO_TRY(take(pass, &kept->input_rms, rows, 1));
    SLAO_TRY(take(pass, &kept->queries, upper, q_width));
    SLAO_TRY(take(pass, &kept->lse, upper, config->heads));
    SLAO_TRY(take(pass, &kept->attended, upper, q_width));
    SLAO_TRY(take(pass, &kept->middle, upper, config->hidden));
    SLAO_TRY(take(pass, &kept->middle_rms, upper, 1));
    return take(pass, &kept->gate_up, upper, 2 * config->intermediate);
}

static slao_status answers_forward(slao_pass *pass) {
    const slao_batch *batch = pass->batch;
    int64_t hidden = pass->model->config.hidden;
    SLAO_TRY(take(pass, &pass->answers, batch->n_answers, hidden));
    SLAO_TRY(take(pass, &pass->final_rms, batch->n_answers, 1));
    for (int64_t i = 0; i < batch->n_answers; i++)
        pass->final_rms[i] = slao_vec()->rms_norm(
            pass->answers + i * hidden, pass->stream + pass->answering.answer_rows[i] * hidden,
            pass->model->final_norm, (float)pass->model->config.rms_epsilon, (size_t)hidden);
    return SLAO_OK;
}

static slao_status check_ids(const slao_pass *pass, const int32_t *ids, int64_t count) {
    for (int64_t i = 0; ids && i < count; i++) {
        if (ids[i] < 0 || ids[i] >= pass->model->config.vocabulary)
            return slao_fail(SLAO_BAD_INPUT,
                             "token id %d lies outside the model's vocabulary of %lld", (int)ids[i],
                             (long long)pass->model->config.vocabulary);
    }
    return SLAO_OK;
}

static slao_status forward(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                           slao_cache *cache) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = batch->n_rows, hidden = config->hidden;
    SLAO_TRY(check_ids(pass, batch->ids, rows));
    SLAO_TRY(check_ids(pass, batch->answer_ids, batch->n_answers));
    SLAO_TRY(rope_tables(pass));
    SLAO_TRY(slao_batch_answering(&pass->answering, &pass->answering_rows, batch, pass->arena));
    SLAO_TRY(take(pass, &pass->stream, rows, hidden));
    for (int64_t row = 0; row < rows; row++)
        memcpy(pass->stream + row * hidden, pass->model->embedding + batch->ids[row] * hidden,
               (size_t)hidden * sizeof(float));
    kept_layer *kept = pass->layers;
    if (!pass->training)
        SLAO_TRY(take_layer(pass, rows, kept)); /* one, used by every layer in turn */
    for (int64_t i = 0; i < config->layers; i++) {
        int64_t upper = upper_batch(pass, i)->n_rows;
        if (pass->training) {
            SLAO_TRY(take_layer(pass, upper, &kept[i]));
            memcpy(kept[i].input, pass->stream, (size_t)(rows * hidden) * sizeof(float));
        }
        kept_layer *layer = pass->training ? &kept[i] : kept;
        SLAO_TRY(attention_forward(pass, i, pairs, cache, layer));
        if (pass->training)
            memcpy(layer->middle, pass->stream, (size_t)(upper * hidden) * sizeof(float));
        SLAO_TRY(mlp_forward(pass, i, pairs, layer));
    }
    return answers_forward(pass);
}

static slao_status begin(slao_pass *pass, const slao_batch *batch, bool training) {
    slao_arena_return(pass->arena, (slao_arena_mark){0});
    pass->batch = batch;
    pass->training = training;
    pass->d_answers = NULL;
    return slao_arena_take(pass->arena, &pass->layers,
                           training ? (size_t)pass->model->config.layers : 1, sizeof *pass->layers);
}

slao_status slao_forward(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                         slao_cache *cache) {
    SLAO_TRY(begin(pass, batch, false));
    return forward(pass, batch, pairs, cache);
}

slao_status slao_forward_training(slao_pass *pass, const slao_batch *batch,
                                  const slao_low_ranks *pairs) {
    SLAO_TRY(begin(pass, batch, true));
    const slao_model_config *config = &pass->model->config;
    slao_cache *cache = &pass->kept_cache;
    *cache = (slao_cache){.slots = batch->n_rows, .width = config->kv_heads * config->head_dim};
    SLAO_TRY(take(pass, &cache->keys, config->layers * cache->slots, cache->width));
    SLAO_TRY(take(pass, &cache->values, config->layers * cache->slots, cache->width));
    return forward(pass, batch, pairs, cache);
}

/* ---- Loss ---- */

slao_status slao_logits(slao_pass *pass, int64_t first, int64_t count, float *logits) {
    int64_t hidden = pass->model->config.hidden, vocabulary = pass->model->config.vocabulary;
    SLAO_INVARIANT(first >= 0 && first + count <= pass->batch->n_answers);
    slao_multiply_transposed((slao_matrix_out){logits, vocabulary},
                             (slao_matrix){pass->answers + first * hidden, hidden},
                             (slao_matrix){pass->model->head, hidden}, count, vocabulary, hidden, 1,
                             0);
    return SLAO_OK;
}

/* A row of logits becomes the gradient of scale * loss; the loss is returned. */
static double cross_entropy(float *logits, int64_t vocabulary, int32_t id, double scale) {
    const slao_vec_table *vec = slao_vec();
    float highest = vec->max(logits, (size_t)vocabulary);
    double of_id = (double)logits[id];
    double sum = (double)vec->exp_sum(logits, 1, highest, (size_t)vocabulary);
    vec->scale(logits, (float)(scale / sum), (size_t)vocabulary);
    logits[id] -= (float)scale;
    return (double)highest + log(sum) - of_id;
}

slao_status slao_loss(slao_pass *pass, double *losses, double gradient_scale) {
    enum { AT_A_TIME = 64 };
    const slao_batch *batch = pass->batch;
    int64_t hidden = pass->model->config.hidden, vocabulary = pass->model->config.vocabulary;
    SLAO_INVARIANT(batch->answer_ids);
    if (pass->training)
        SLAO_TRY(take(pass, &pass->d_answers, batch->n_answers, hidden));
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *logits;
    SLAO_TRY(take(pass, &logits, AT_A_TIME, vocabulary));
    for (int64_t first = 0; first < batch->n_answers; first += AT_A_TIME) {
        int64_t count = batch->n_answers - first < AT_A_TIME ? batch->n_answers - first : AT_A_TIME;
        SLAO_TRY(slao_logits(pass, first, count, logits));
        for (int64_t i = 0; i < count; i++)
            losses[first + i] = cross_entropy(logits + i * vocabulary, vocabulary,
                                              batch->answer_ids[first + i], gradient_scale);
        if (pass->training)
            slao_multiply((slao_matrix_out){pass->d_answers + first * hidden, hidden},
                          (slao_matrix){logits, vocabulary},
                          (slao_matrix){pass->model->head, hidden}, count, hidden, vocabulary, 1,
                          0);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* ---- Backward ---- */

/* The lowest module that is trained: nothing below it is asked for. Layer -1 if none is. */
typedef struct {
    int64_t layer;
    slao_module module;
} floor_site;

static floor_site lowest_trained(const slao_low_ranks *pairs, int64_t layers) {
    for (int64_t layer = 0; layer < layers; layer++) {
        for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
            if (is_trained(pairs_of(pairs, layer, module)))
                return (floor_site){layer, module};
        }
    }
    return (floor_site){-1, SLAO_Q_PROJ};
}

/* d_stream (rows x hidden) += the gradient of a normed input, given that of the norm's output */
static void norm_rows_backward(const slao_pass *pass, int64_t rows, float *d_stream,
                               const float *d_normed, const float *x, const float *weight,
                               const float *rms) {
    int64_t width = pass->model->config.hidden;
    for (int64_t row = 0; row < rows; row++)
        slao_vec()->rms_norm_backward(d_stream + row * width, d_normed + row * width,
                                      x + row * width, weight, rms[row], (size_t)width);
}

/* d_stream: in, the gradient of the layer's output; out, that of the residual stream after
 * attention. `stop` at the module that nothing below is needed of (SLAO_N_MODULES: go through). */
static slao_status mlp_backward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                                float *d_stream, slao_module stop) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    const kept_layer *kept = &pass->layers[index];
    int64_t rows = upper_batch(pass, index)->n_rows, hidden = config->hidden,
            width = config->intermediate;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *product, *d_product, *normed;
    SLAO_TRY(take(pass, &product, rows, width));
    SLAO_TRY(take(pass, &d_product, rows, width));
    SLAO_TRY(take(pass, &normed, rows, hidden));
    slao_matrix dy = {d_stream, hidden};
    slao_matrix_out d_x = {d_product, width};
    slao_multiply(d_x, dy, (slao_matrix){layer->weights[SLAO_DOWN_PROJ], width}, rows, width,
                  hidden, 1, 0);
    if (pairs_of(pairs, index, SLAO_DOWN_PROJ)->count) {
        swiglu_rows(pass, rows, product, kept->gate_up);
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_DOWN_PROJ, (slao_matrix){product, width},
                                dy, &d_x));
    }
    if (stop != SLAO_DOWN_PROJ) {
        for (int64_t row = 0; row < rows; row++) {
            float *gate = kept->gate_up + 2 * row * width;
            slao_vec()->swiglu_backward(gate, gate + width, d_product + row * width, (size_t)width);
        }
        norm_rows_again(pass, rows, normed, kept->middle, layer->post_norm, kept->middle_rms);
        slao_matrix x = {normed, hidden};
        slao_matrix d_gate = {kept->gate_up, 2 * width}, d_up = {kept->gate_up + width, 2 * width};
        float *d_normed;
        SLAO_TRY(take(pass, &d_normed, rows, hidden));
        d_x = (slao_matrix_out){d_normed, hidden};
        slao_multiply(d_x, d_gate, (slao_matrix){layer->weights[SLAO_GATE_PROJ], hidden}, rows,
                      hidden, 2 * width, 1, 0);
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_GATE_PROJ, x, d_gate, &d_x));
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_UP_PROJ, x, d_up, &d_x));
        norm_rows_backward(pass, rows, d_stream, d_normed, kept->middle, layer->post_norm,
                           kept->middle_rms);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* d_upper: the gradient of the residual stream after attention. d_stream becomes that of the
 * layer's input; the two are the same memory in all layers but the last. */
static slao_status attention_backward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                                      float *d_upper, float *d_stream, slao_module stop) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    const kept_layer *kept = &pass->layers[index];
    int64_t rows = pass->batch->n_rows, hidden = config->hidden;
    int64_t q_width = config->heads * config->head_dim,
            kv_width = config->kv_heads * config->head_dim;
    int64_t stride = q_width + 2 * kv_width;
    const slao_batch *upper = upper_batch(pass, index);
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *d_attended, *d_qkv, *normed, *d_normed;
    SLAO_TRY(take(pass, &d_attended, upper->n_rows, q_width));
    SLAO_TRY(take(pass, &d_qkv, rows, stride));
    SLAO_TRY(take(pass, &normed, rows, hidden));
    SLAO_TRY(take(pass, &d_normed, rows, hidden));
    slao_matrix dy = {d_upper, hidden};
    slao_matrix_out d_x = {d_attended, q_width};
    slao_multiply(d_x, dy, (slao_matrix){layer->weights[SLAO_O_PROJ], q_width}, upper->n_rows,
                  q_width, hidden, 1, 0);
    SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_O_PROJ, (slao_matrix){kept->attended, q_width},
                            dy, &d_x));
    if (stop != SLAO_O_PROJ) {
        const slao_cache *cache = &pass->kept_cache;
        float *d_k = d_qkv + q_width, *d_v = d_k + kv_width;
        slao_matrix_out d_queries = {d_qkv, stride};
        if (is_last(pass, index)) {
            SLAO_TRY(take(pass, &d_queries.values, upper->n_rows, q_width));
            d_queries.stride = q_width;
        }
        memset(d_qkv, 0, (size_t)(rows * stride) * sizeof *d_qkv);
        SLAO_TRY(slao_attention_backward(
            config, upper, kept->queries, cache->keys + index * cache->slots * kv_width,
            cache->values + index * cache->slots * kv_width, kept->attended, kept->lse, d_attended,
            d_queries, (slao_matrix_out){d_k, stride}, (slao_matrix_out){d_v, stride},
            pass->arena));
        if (is_last(pass, index)) {
            spread_answering(pass, (slao_matrix_out){d_qkv, stride}, d_queries.values, q_width);
            memset(d_stream, 0, (size_t)(rows * hidden) * sizeof *d_stream);
            spread_answering(pass, (slao_matrix_out){d_stream, hidden}, d_upper, hidden);
        }
        rotate(pass, (slao_matrix_out){d_qkv, stride}, config->heads + config->kv_heads, -1);
        norm_rows_again(pass, rows, normed, kept->input, layer->input_norm, kept->input_rms);
        slao_matrix x = {normed, hidden};
        d_x = (slao_matrix_out){d_normed, hidden};
        slao_matrix_out *d_input = stop == SLAO_N_MODULES ? &d_x : NULL;
        if (d_input)
            slao_multiply(d_x, (slao_matrix){d_qkv, stride},
                          (slao_matrix){layer->weights[SLAO_Q_PROJ], hidden}, rows, hidden, stride,
                          1, 0);
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_Q_PROJ, x, (slao_matrix){d_qkv, stride},
                                d_input));
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_K_PROJ, x, (slao_matrix){d_k, stride},
                                d_input));
        SLAO_TRY(pairs_backward(pass, pairs, index, SLAO_V_PROJ, x, (slao_matrix){d_v, stride},
                                d_input));
        if (d_input)
            norm_rows_backward(pass, rows, d_stream, d_normed, kept->input, layer->input_norm,
                               kept->input_rms);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

slao_status slao_backward(slao_pass *pass, const slao_low_ranks *pairs) {
    SLAO_INVARIANT(pass->training && pass->d_answers);
    const slao_batch *answering = &pass->answering;
    int64_t hidden = pass->model->config.hidden, layers = pass->model->config.layers;
    floor_site floor = lowest_trained(pairs, layers);
    if (floor.layer < 0)
        return SLAO_OK;
    float *d_stream, *d_answering;
    SLAO_TRY(take(pass, &d_stream, pass->batch->n_rows, hidden));
    SLAO_TRY(take(pass, &d_answering, answering->n_rows, hidden));
    memset(d_answering, 0, (size_t)(answering->n_rows * hidden) * sizeof *d_answering);
    for (int64_t i = 0; i < answering->n_answers; i++) {
        int64_t row = answering->answer_rows[i];
        slao_vec()->rms_norm_backward(d_answering + row * hidden, pass->d_answers + i * hidden,
                                      pass->stream + row * hidden, pass->model->final_norm,
                                      pass->final_rms[i], (size_t)hidden);
    }
    for (int64_t i = layers - 1; i >= floor.layer; i--) {
        slao_module stop = i == floor.layer ? floor.module : SLAO_N_MODULES;
        float *d_upper = is_last(pass, i) ? d_answering : d_stream;
        SLAO_TRY(mlp_backward(pass, i, pairs, d_upper, stop));
        if (stop < SLAO_GATE_PROJ || stop == SLAO_N_MODULES)
            SLAO_TRY(attention_backward(pass, i, pairs, d_upper, d_stream, stop));
    }
    return SLAO_OK;
}
