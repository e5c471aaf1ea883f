#include "model/transformer.h"

#include "base/profile.h"
#include "linalg/threads.h"
#include "linalg/vec.h"
#include "model/activations.h"
#include "model/attention.h"
#include "model/pass_parts.h"
#include "model/rope.h"

#include <math.h>
#include <string.h>

/* ---- Forward ---- */

static slao_status rope_tables(slao_pass *pass) {
    int64_t half = pass->model->config.head_dim / 2;
    SLAO_TRY(slao_pass_take(pass, &pass->cosines, pass->batch->n_rows, half));
    SLAO_TRY(slao_pass_take(pass, &pass->sines, pass->batch->n_rows, half));
    slao_rope_tables(pass->cosines, pass->sines, pass->batch, pass->model->rope_frequencies, half);
    return SLAO_OK;
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
                                     slao_cache *cache, slao_kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    const slao_layer *layer = &pass->model->layers[index];
    int64_t rows = pass->batch->n_rows, hidden = config->hidden;
    int64_t q_width = config->heads * config->head_dim,
            kv_width = config->kv_heads * config->head_dim;
    int64_t stride = q_width + 2 * kv_width;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *normed, *qkv, *attended = kept->attended;
    SLAO_TRY(slao_pass_take(pass, &normed, rows, hidden));
    SLAO_TRY(slao_pass_take(pass, &qkv, rows, stride));
    if (!attended)
        SLAO_TRY(slao_pass_take(pass, &attended, slao_pass_upper(pass, index)->n_rows, q_width));
    slao_pass_norm(pass, rows, normed, pass->stream, layer->input_norm, kept->input_rms);
    slao_matrix x = {normed, hidden};
    slao_pass_forward_product(pass, index, SLAO_Q_PROJ, x, (slao_matrix_out){qkv, stride}, rows, 0);
    for (int64_t row = 0; layer->qkv_bias && row < rows; row++)
        slao_vec()->add(qkv + row * stride, layer->qkv_bias, (size_t)stride);
    float *k = qkv + q_width, *v = k + kv_width;
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_Q_PROJ, x, (slao_matrix_out){qkv, stride}));
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_K_PROJ, x, (slao_matrix_out){k, stride}));
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_V_PROJ, x, (slao_matrix_out){v, stride}));
    slao_pass_rotate(pass, (slao_matrix_out){qkv, stride}, config->heads + config->kv_heads, 1);
    fill_cache(pass, cache, index, qkv, q_width, stride);
    const slao_batch *upper = slao_pass_upper(pass, index);
    slao_pass_pick_upper(pass, index, kept->queries, (slao_matrix){qkv, stride}, q_width);
    if (slao_pass_is_last(pass, index))
        slao_pass_pick_upper(pass, index, pass->stream, (slao_matrix){pass->stream, hidden},
                             hidden);
    const float *keys = cache->keys + index * cache->slots * kv_width;
    const float *values = cache->values + index * cache->slots * kv_width;
    SLAO_TRY(slao_attention(config, slao_model_window(config, index), upper, kept->queries, keys,
                            values, attended, kept->lse, pass->arena));
    x = (slao_matrix){attended, q_width};
    slao_matrix_out out = {pass->stream, hidden};
    slao_pass_forward_product(pass, index, SLAO_O_PROJ, x, out, upper->n_rows, 1);
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_O_PROJ, x, out));
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* kept->gate_up, out of the residual stream after attention */
static slao_status gate_up_forward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                                   slao_kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = slao_pass_upper(pass, index)->n_rows, hidden = config->hidden,
            width = config->intermediate;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *normed;
    SLAO_TRY(slao_pass_take(pass, &normed, rows, hidden));
    slao_pass_norm(pass, rows, normed, pass->stream, pass->model->layers[index].post_norm,
                   kept->middle_rms);
    slao_matrix x = {normed, hidden};
    slao_pass_forward_product(pass, index, SLAO_GATE_PROJ, x,
                              (slao_matrix_out){kept->gate_up, 2 * width}, rows, 0);
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_GATE_PROJ, x,
                            (slao_matrix_out){kept->gate_up, 2 * width}));
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_UP_PROJ, x,
                            (slao_matrix_out){kept->gate_up + width, 2 * width}));
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

static slao_status mlp_forward(slao_pass *pass, int64_t index, const slao_low_ranks *pairs,
                               slao_kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = slao_pass_upper(pass, index)->n_rows, hidden = config->hidden,
            width = config->intermediate;
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *product;
    SLAO_TRY(gate_up_forward(pass, index, pairs, kept));
    SLAO_TRY(slao_pass_take(pass, &product, rows, width));
    slao_pass_swiglu(pass, rows, product, kept->gate_up);
    slao_matrix x = {product, width};
    slao_matrix_out out = {pass->stream, hidden};
    slao_pass_forward_product(pass, index, SLAO_DOWN_PROJ, x, out, rows, 1);
    SLAO_TRY(slao_pairs_add(pass, pairs, index, SLAO_DOWN_PROJ, x, out));
    slao_arena_return(pass->arena, mark);
    return SLAO_OK;
}

/* All that a kept layer has, but its input; what attention gives only if asked for. */
static slao_status take_layer(slao_pass *pass, int64_t upper, bool attended,
                              slao_kept_layer *kept) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = pass->batch->n_rows, q_width = config->heads * config->head_dim;
    SLAO_TRY(slao_pass_take(pass, &kept->input_rms, rows, 1));
    SLAO_TRY(slao_pass_take(pass, &kept->queries, upper, q_width));
    SLAO_TRY(slao_pass_take(pass, &kept->lse, upper, config->heads));
    kept->attended = NULL;
    if (attended)
        SLAO_TRY(slao_pass_take(pass, &kept->attended, upper, q_width));
    SLAO_TRY(slao_pass_take(pass, &kept->middle, upper, config->hidden));
    SLAO_TRY(slao_pass_take(pass, &kept->middle_rms, upper, 1));
    return slao_pass_take(pass, &kept->gate_up, upper, 2 * config->intermediate);
}

static slao_status answers_forward(slao_pass *pass) {
    const slao_batch *batch = pass->batch;
    int64_t hidden = pass->model->config.hidden;
    SLAO_TRY(slao_pass_take(pass, &pass->answers, batch->n_answers, hidden));
    SLAO_TRY(slao_pass_take(pass, &pass->final_rms, batch->n_answers, 1));
    for (int64_t i = 0; i < batch->n_answers; i++)
        pass->final_rms[i] = slao_vec()->rms_norm(
            pass->answers + i * hidden, pass->stream + pass->answering.answer_rows[i] * hidden,
            pass->model->final_norm, (float)pass->model->config.rms_epsilon, (size_t)hidden);
    return SLAO_OK;
}

static slao_status check_ids(const slao_pass *pass, const int32_t *ids, int64_t count) {
    for (int64_t i = 0; ids && i < count; i++) {
        if (ids[i] < 0 || ids[i] >= pass->model->config.vocabulary)
            return slao_fail(
                SLAO_BAD_INPUT,
                "token id %d lies outside the model's vocabulary of %lld: the tokenizer "
                "beside the weights is another model's",
                (int)ids[i], (long long)pass->model->config.vocabulary);
    }
    return SLAO_OK;
}

static slao_status forward(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                           slao_cache *cache) {
    const slao_model_config *config = &pass->model->config;
    int64_t rows = batch->n_rows, hidden = config->hidden;
    slao_profile_mark profile = slao_profile_begin();
    SLAO_TRY(check_ids(pass, batch->ids, rows));
    SLAO_TRY(check_ids(pass, batch->answer_ids, batch->n_answers));
    SLAO_TRY(rope_tables(pass));
    SLAO_TRY(slao_batch_answering(&pass->answering, &pass->answering_rows, batch, pass->arena));
    SLAO_TRY(slao_pass_take(pass, &pass->stream, rows, hidden));
    for (int64_t row = 0; row < rows; row++)
        slao_model_embed(pass->model, batch->ids[row], pass->stream + row * hidden);
    slao_kept_layer *kept = pass->layers;
    bool shared = !pass->training || pass->recomputes; /* one, used by every layer in turn */
    if (shared)
        SLAO_TRY(take_layer(pass, rows, true, kept));
    for (int64_t i = 0; i < config->layers; i++) {
        int64_t upper = slao_pass_upper(pass, i)->n_rows;
        slao_kept_layer *layer = pass->training ? &kept[i] : kept;
        if (!shared)
            SLAO_TRY(take_layer(pass, upper,
                                slao_pairs_trained(slao_pairs_of(pairs, i, SLAO_O_PROJ)), layer));
        else
            *layer = *kept;
        if (pass->training) {
            SLAO_TRY(slao_pass_take(pass, &layer->input, rows, hidden));
            memcpy(layer->input, pass->stream, (size_t)(rows * hidden) * sizeof(float));
        }
        SLAO_TRY(attention_forward(pass, i, pairs, cache, layer));
        if (pass->training)
            memcpy(layer->middle, pass->stream, (size_t)(upper * hidden) * sizeof(float));
        SLAO_TRY(mlp_forward(pass, i, pairs, layer));
    }
    SLAO_TRY(answers_forward(pass));
    slao_profile_end(profile, "rows of the forward: norms, rotation, SwiGLU, copies", 0, 0, 0);
    return SLAO_OK;
}

slao_status slao_pass_recompute(slao_pass *pass, int64_t layer, const slao_low_ranks *pairs) {
    slao_kept_layer *kept = &pass->layers[layer];
    size_t row = (size_t)pass->model->config.hidden * sizeof(float);
    const slao_observer *observer = pass->observer;
    pass->observer = NULL; /* it has seen this */
    memcpy(pass->stream, kept->input, (size_t)pass->batch->n_rows * row);
    slao_status status = attention_forward(pass, layer, pairs, pass->cache, kept);
    if (status == SLAO_OK) {
        memcpy(kept->middle, pass->stream, (size_t)slao_pass_upper(pass, layer)->n_rows * row);
        status = gate_up_forward(pass, layer, pairs, kept);
    }
    pass->observer = observer;
    return status;
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

static slao_status begin_training(slao_pass *pass, const slao_batch *batch, slao_cache *cache,
                                  slao_cache *d_trunk) {
    SLAO_TRY(begin(pass, batch, true));
    pass->cache = cache;
    pass->d_trunk = d_trunk;
    pass->recomputes =
        slao_activations_recomputed(&pass->model->config, pass->checkpointing, batch->n_rows);
    return SLAO_OK;
}

slao_status slao_forward_part(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                              slao_cache *cache, slao_cache *d_trunk) {
    SLAO_TRY(begin_training(pass, batch, cache, d_trunk));
    return forward(pass, batch, pairs, cache);
}

slao_status slao_forward_training(slao_pass *pass, const slao_batch *batch,
                                  const slao_low_ranks *pairs) {
    slao_cache *cache = &pass->own_cache;
    SLAO_TRY(begin_training(pass, batch, cache, NULL));
    SLAO_TRY(slao_cache_take(cache, &pass->model->config, batch->n_rows, pass->arena));
    return forward(pass, batch, pairs, cache);
}

/* ---- Loss ---- */

void slao_logits(slao_pass *pass, int64_t first, int64_t count, float *logits) {
    int64_t hidden = pass->model->config.hidden, vocabulary = pass->model->config.vocabulary;
    SLAO_INVARIANT(first >= 0 && first + count <= pass->batch->n_answers);
    slao_frozen head = slao_model_head(pass->model);
    slao_frozen_forward((slao_matrix_out){logits, vocabulary},
                        (slao_matrix){pass->answers + first * hidden, hidden}, &head, count,
                        vocabulary, hidden, 0, SLAO_PRECISION_FP32);
}

/* d_answers (count x hidden) = d_logits (count x vocabulary) head */
static void logits_backward(slao_pass *pass, int64_t count, const float *d_logits,
                            float *d_answers) {
    int64_t hidden = pass->model->config.hidden, vocabulary = pass->model->config.vocabulary;
    slao_frozen head = slao_model_head(pass->model);
    slao_frozen_backward((slao_matrix_out){d_answers, hidden}, (slao_matrix){d_logits, vocabulary},
                         &head, count, vocabulary, hidden, 0, SLAO_PRECISION_FP32);
}

/* A row of logits becomes the gradient of scale * loss; the loss is returned. */
static double cross_entropy(float *logits, int64_t vocabulary, int32_t id, double scale) {
    const slao_vec_table *vec = slao_vec();
    float highest = vec->max(logits, (size_t)vocabulary);
    double of_id = (double)logits[id];
    double sum = vec->exp_sum(logits, 1, highest, (size_t)vocabulary);
    vec->scale(logits, (float)(scale / sum), (size_t)vocabulary);
    logits[id] -= (float)scale;
    return (double)highest + log(sum) - of_id;
}

slao_status slao_loss(slao_pass *pass, double *losses, double gradient_scale) {
    enum { AT_A_TIME = 64 };
    slao_profile_mark profile = slao_profile_begin();
    const slao_batch *batch = pass->batch;
    int64_t hidden = pass->model->config.hidden, vocabulary = pass->model->config.vocabulary;
    SLAO_INVARIANT(batch->answer_ids);
    if (pass->training)
        SLAO_TRY(slao_pass_take(pass, &pass->d_answers, batch->n_answers, hidden));
    slao_arena_mark mark = slao_arena_here(pass->arena);
    float *logits;
    int64_t most = batch->n_answers < AT_A_TIME ? batch->n_answers : AT_A_TIME;
    SLAO_TRY(slao_pass_take(pass, &logits, most, vocabulary));
    for (int64_t first = 0; first < batch->n_answers; first += AT_A_TIME) {
        int64_t count = batch->n_answers - first < AT_A_TIME ? batch->n_answers - first : AT_A_TIME;
        slao_logits(pass, first, count, logits);
#pragma omp parallel for num_threads(slao_threads_for(10 * count * vocabulary))
        for (int64_t i = 0; i < count; i++)
            losses[first + i] = cross_entropy(logits + i * vocabulary, vocabulary,
                                              batch->answer_ids[first + i], gradient_scale);
        if (pass->training)
            logits_backward(pass, count, logits, pass->d_answers + first * hidden);
    }
    slao_arena_return(pass->arena, mark);
    slao_profile_end(profile, "loss, but its products", 0, 0, 0);
    return SLAO_OK;
}
