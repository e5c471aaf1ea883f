#include "model/activations.h"

/* Values of a row: in one layer all that the backward needs but keys and values; and what passes
 * from layer to layer beside what one of them is computed in, going up and coming down. */
static double kept_by_layer(const slao_model_config *config) {
    double queries = (double)(config->heads * config->head_dim);
    return (double)(2 * config->hidden + 2 * config->intermediate) + 2 * queries;
}
static double going_up(const slao_model_config *config) {
    double attention = (double)((config->heads + 2 * config->kv_heads) * config->head_dim),
           mlp = (double)config->intermediate;
    return (double)(2 * config->hidden + config->head_dim) + (attention > mlp ? attention : mlp);
}
static double coming_down(const slao_model_config *config) {
    return (double)(4 * config->hidden + 2 * config->intermediate + config->head_dim);
}
static double cached_by_layer(const slao_model_config *config) {
    return (double)(2 * config->kv_heads * config->head_dim);
}

/* Of logits there are some rows at a time (slao_loss). */
static double logits(const slao_model_config *config) {
    enum { ROWS = 64 };
    return (double)ROWS * (double)config->vocabulary;
}

double slao_activations_of_cache(const slao_model_config *config, int64_t slots) {
    return sizeof(float) * (double)slots * (double)config->layers * cached_by_layer(config);
}

bool slao_activations_recomputed(const slao_model_config *config, slao_checkpointing checkpointing,
                                 int64_t rows) {
    const double most_bytes = 0x1p30;
    double all = sizeof(float) * (double)rows * (double)config->layers *
                 (kept_by_layer(config) + cached_by_layer(config));
    return checkpointing == SLAO_CHECKPOINTING_AUTO ? all > most_bytes
                                                    : checkpointing == SLAO_CHECKPOINTING_ON;
}

/* Of one pass, without keys and values. */
static double kept(const slao_model_config *config, slao_checkpointing checkpointing,
                   int64_t rows) {
    double layers = (double)config->layers, of_row = coming_down(config);
    if (slao_activations_recomputed(config, checkpointing, rows))
        of_row += layers * (double)config->hidden + kept_by_layer(config);
    else
        of_row += layers * kept_by_layer(config);
    return sizeof(float) * (of_row * (double)rows + logits(config));
}

double slao_activations_of_training(const slao_model_config *config,
                                    slao_checkpointing checkpointing, int64_t rows) {
    return kept(config, checkpointing, rows) + slao_activations_of_cache(config, rows);
}

/* Of one part, in a strand with so many slots: with gradients of keys and values of one layer. */
static double part(const slao_model_config *config, slao_checkpointing checkpointing, int64_t rows,
                   int64_t slots) {
    return kept(config, checkpointing, rows) +
           sizeof(float) * (double)slots * cached_by_layer(config);
}

double slao_activations_of_micro_batch(const slao_model_config *config,
                                       slao_checkpointing checkpointing,
                                       const slao_micro_batch_shape *shape) {
    return part(config, checkpointing, shape->long_rows, shape->trunk + shape->long_rows);
}

double slao_activations_beside(const slao_model_config *config, slao_checkpointing checkpointing,
                               const slao_micro_batch_shape *shape) {
    int64_t slots = shape->trunk + shape->rows, long_slots = shape->trunk + shape->long_rows;
    return part(config, checkpointing, shape->trunk, long_slots) +
           slao_activations_of_cache(config, long_slots + (shape->outputs + 1) * shape->trunk) +
           (double)(shape->strands - 1) * (part(config, checkpointing, shape->rows, slots) +
                                           slao_activations_of_cache(config, slots));
}

double slao_activations_of_reading(const slao_model_config *config, int64_t rows) {
    return sizeof(float) *
           ((kept_by_layer(config) + going_up(config)) * (double)rows + 2 * logits(config));
}
