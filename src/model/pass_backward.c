#include "base/profile.h"
#include "linalg/threads.h"
#include "linalg/vec.h"
#include "model/attention.h"
#include "model/pass_parts.h"

#include <string.h>

/* The lowest module that is trained: nothing below it is asked for. Layer -1 if none is. */
typedef struct {
    int64_t layer;
    slao_module module;
} floor_site;

static floor_site lowest_trained(const slao_low_ranks *pairs, int64_t layers) {
    for (int64_t layer = 0; layer < layers; layer++) {
        for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
            if (slao_pairs_trained(slao_pairs_of(pairs, layer, module)))
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
#pragma omp parallel for num_threads(slao_threads_for(8 * rows * width))
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
    const slao_kept_layer *kept = &pass->layers[index];
    int64_t rows = slao_pass_upper(pass, index)->n_rows, hidden = config->hidden,
            width = config->intermediate;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *product, *d_product, *normed;
    SLAO_TRY(slao_pass_take(pass, &product, rows, width));
    SLAO_TRY(slao_pass_take(pass, &d_product, rows, width));
    SLAO_TRY(slao_pass_take(pass, &normed, rows, hidden));
    slao_matrix dy = {d_stream, hidden};
    slao_matrix_out d_x = {d_product, width};
    slao_pass_backward_product(pass, index, SLAO_DOWN_PROJ, dy, d_x, rows);
    if (slao_pairs_of(pairs, index, SLAO_DOWN_PROJ)->count) {
        slao_pass_swiglu(pass, rows, product, kept->gate_up);
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_DOWN_PROJ,
                                     (slao_matrix){product, width}, dy, &d_x));
    }
    if (stop != SLAO_DOWN_PROJ) {
#pragma omp parallel for num_threads(slao_threads_for(20 * rows * width))
        for (int64_t row = 0; row < rows; row++) {
            float *gate = kept->gate_up + 2 * row * width;
            slao_vec()->swiglu_backward(gate, gate + width, d_product + row * width, (size_t)width);
        }
        slao_pass_norm_again(pass, rows, normed, kept->middle, layer->post_norm, kept->middle_rms);
        slao_matrix x = {normed, hidden};
        slao_matrix d_gate = {kept->gate_up, 2 * width}, d_up = {kept->gate_up + width, 2 * width};
        float *d_normed;
        SLAO_TRY(slao_pass_take(pass, &d_normed, rows, hidden));
        d_x = (slao_matrix_out){d_normed, hidden};
        slao_pass_backward_product(pass, index, SLAO_GATE_PROJ, d_gate, d_x, rows);
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_GATE_PROJ, x, d_gate, &d_x));
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_UP_PROJ, x, d_up, &d_x));
        norm_rows_backward(pass, rows, d_stream, d_normed, kept->middle, layer->post_norm,
                           kept->middle_rms);
    }
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* Where attention's backward of a part of a batch adds the gradients of a layer's keys and values:
 * all slots of the cache, those of the trunk with what was added to them before. */
static slao_status take_d_slots(slao_pass *pass, int64_t index, slao_matrix_out *d_keys,
                                slao_matrix_out *d_values) {
    const slao_cache *d_trunk = pass->d_trunk;
    int64_t width = d_trunk->width, from = index * d_trunk->slots * width;
    size_t before = (size_t)(d_trunk->slots * width), all = (size_t)(pass->cache->slots * width);
    d_keys->stride = d_values->stride = width;
    SLAO_TRY(slao_pass_take(pass, &d_keys->values, pass->cache->slots, width));
    SLAO_TRY(slao_pass_take(pass, &d_values->values, pass->cache->slots, width));
    memcpy(d_keys->values, d_trunk->keys + from, before * sizeof(float));
    memcpy(d_values->values, d_trunk->values + from, before * sizeof(float));
    memset(d_keys->values + before, 0, (all - before) * sizeof(float));
    memset(d_values->values + before, 0, (all - before) * sizeof(float));
    return SLAO_OK;
}

/* From there to the rows of the part, and to the trunk. */
static void give_d_slots(const slao_pass *pass, int64_t index, slao_matrix_out d_keys,
                         slao_matrix_out d_values, slao_matrix_out d_k, slao_matrix_out d_v) {
    const slao_batch *batch = pass->batch;
    slao_cache *d_trunk = pass->d_trunk;
    int64_t width = d_trunk->width, to = index * d_trunk->slots * width, row = 0;
    size_t bytes = (size_t)width * sizeof(float);
    for (int64_t s = 0; s < batch->n_spans; s++) {
        const slao_span *span = &batch->spans[s];
        int64_t slot = batch->segments[span->segment].slot + span->from;
        for (int64_t i = 0; i < span->count; i++, row++, slot++) {
            memcpy(d_k.values + row * d_k.stride, d_keys.values + slot * width, bytes);
            memcpy(d_v.values + row * d_v.stride, d_values.values + slot * width, bytes);
        }
    }
    memcpy(d_trunk->keys + to, d_keys.values, (size_t)d_trunk->slots * bytes);
    memcpy(d_trunk->values + to, d_values.values, (size_t)d_trunk->slots * bytes);
}

/* d_upper: the gradient of the residual stream after attention. d_stream becomes that of the
 * layer's input; the two are the same memory in all layers but the last. */
static slao_status attention_backward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                                      float *d_upper, float *d_stream, slao_module stop) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    const slao_kept_layer *kept = &pass->layers[index];
    int64_t rows = pass->batch->n_rows, hidden = config->hidden;
    int64_t q_width = config->heads * config->head_dim,
            kv_width = config->kv_heads * config->head_dim;
    int64_t stride = q_width + 2 * kv_width;
    const slao_batch *upper = slao_pass_upper(pass, index);
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *d_attended, *d_qkv, *normed, *d_normed;
    SLAO_TRY(slao_pass_take(pass, &d_attended, upper->n_rows, q_width));
    SLAO_TRY(slao_pass_take(pass, &d_qkv, rows, stride));
    SLAO_TRY(slao_pass_take(pass, &normed, rows, hidden));
    SLAO_TRY(slao_pass_take(pass, &d_normed, rows, hidden));
    slao_matrix dy = {d_upper, hidden};
    slao_matrix_out d_x = {d_attended, q_width};
    slao_pass_backward_product(pass, index, SLAO_O_PROJ, dy, d_x, upper->n_rows);
    SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_O_PROJ,
                                 (slao_matrix){kept->attended, q_width}, dy, &d_x));
    if (stop != SLAO_O_PROJ) {
        const slao_cache *cache = pass->cache;
        int64_t cached = index * cache->slots * kv_width; /* where the layer begins in it */
        float *d_k = d_qkv + q_width, *d_v = d_k + kv_width;
        slao_matrix_out d_queries = {d_qkv, stride}, d_keys = {d_k, stride},
                        d_values = {d_v, stride};
        if (pass->d_trunk)
            SLAO_TRY(take_d_slots(pass, index, &d_keys, &d_values));
        if (slao_pass_is_last(pass, index)) {
            SLAO_TRY(slao_pass_take(pass, &d_queries.values, upper->n_rows, q_width));
            d_queries.stride = q_width;
        }
        memset(d_qkv, 0, (size_t)(rows * stride) * sizeof *d_qkv);
        SLAO_TRY(slao_attention_backward(config, slao_model_window(config, index), upper,
                                         kept->queries, cache->keys + cached,
                                         cache->values + cached, kept->lse, d_attended, d_queries,
                                         d_keys, d_values, pass->arena));
        if (pass->d_trunk)
            give_d_slots(pass, index, d_keys, d_values, (slao_matrix_out){d_k, stride},
                         (slao_matrix_out){d_v, stride});
        if (slao_pass_is_last(pass, index)) {
            slao_pass_spread_answering(pass, (slao_matrix_out){d_qkv, stride}, d_queries.values,
                                       q_width);
            memset(d_stream, 0, (size_t)(rows * hidden) * sizeof *d_stream);
            slao_pass_spread_answering(pass, (slao_matrix_out){d_stream, hidden}, d_upper, hidden);
        }
        slao_pass_rotate(pass, (slao_matrix_out){d_qkv, stride}, config->heads + config->kv_heads,
                         -1);
        slao_pass_norm_again(pass, rows, normed, kept->input, layer->input_norm, kept->input_rms);
        slao_matrix x = {normed, hidden};
        d_x = (slao_matrix_out){d_normed, hidden};
        slao_matrix_out *d_input = stop == SLAO_N_MODULES ? &d_x : NULL;
        if (d_input)
            slao_pass_backward_product(pass, index, SLAO_Q_PROJ, (slao_matrix){d_qkv, stride}, d_x,
                                       rows);
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_Q_PROJ, x,
                                     (slao_matrix){d_qkv, stride}, d_input));
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_K_PROJ, x, (slao_matrix){d_k, stride},
                                     d_input));
        SLAO_TRY(slao_pairs_backward(pass, pairs, index, SLAO_V_PROJ, x, (slao_matrix){d_v, stride},
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
    slao_profile_mark profile = slao_profile_begin();
    float *d_stream, *d_answering;
    SLAO_TRY(slao_pass_take(pass, &d_stream, pass->batch->n_rows, hidden));
    SLAO_TRY(slao_pass_take(pass, &d_answering, answering->n_rows, hidden));
    memset(d_answering, 0, (size_t)(answering->n_rows * hidden) * sizeof *d_answering);
    for (int64_t i = 0; i < answering->n_answers; i++) {
        int64_t row = answering->answer_rows[i];
        slao_vec()->rms_norm_backward(d_answering + row * hidden, pass->d_answers + i * hidden,
                                      pass->stream + row * hidden, pass->model->final_norm,
                                      pass->final_rms[i], (size_t)hidden);
    }
    for (int64_t i = layers - 1; i >= floor.layer; i--) {
        slao_module stop = i == floor.layer ? floor.module : SLAO_N_MODULES;
        float *d_upper = slao_pass_is_last(pass, i) ? d_answering : d_stream;
        if (pass->recomputes)
            SLAO_TRY(slao_pass_recompute(pass, i, pairs));
        SLAO_TRY(mlp_backward(pass, i, pairs, d_upper, stop));
        if (stop < SLAO_GATE_PROJ || stop == SLAO_N_MODULES)
            SLAO_TRY(attention_backward(pass, i, pairs, d_upper, d_stream, stop));
    }
    slao_profile_end(profile, "rows of the backward: norms, rotation, SwiGLU, copies", 0, 0, 0);
    return SLAO_OK;
}
