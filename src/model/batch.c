#include "model/batch.h"

#include <stdlib.h>

/* Gives every row that predicts an answer its number among those, the others -1. */
static int64_t number_answering(int64_t *numbers, const slao_batch *batch) {
    for (int64_t row = 0; row < batch->n_rows; row++)
        numbers[row] = -1;
    for (int64_t i = 0; i < batch->n_answers; i++)
        numbers[batch->answer_rows[i]] = 0;
    int64_t count = 0;
    for (int64_t row = 0; row < batch->n_rows; row++) {
        if (numbers[row] == 0)
            numbers[row] = count++;
    }
    return count;
}

slao_status slao_batch_answering(slao_batch *answering, int64_t **rows, const slao_batch *batch,
                                 slao_arena *arena) {
    int64_t *numbers, *answer_rows;
    uint64_t *noise_keys;
    slao_span *spans;
    SLAO_TRY(slao_arena_take(arena, &numbers, (size_t)batch->n_rows, sizeof *numbers));
    int64_t n_rows = number_answering(numbers, batch), n_spans = 0;
    SLAO_TRY(slao_arena_take(arena, rows, (size_t)n_rows, sizeof **rows));
    SLAO_TRY(slao_arena_take(arena, &noise_keys, (size_t)n_rows, sizeof *noise_keys));
    SLAO_TRY(slao_arena_take(arena, &spans, (size_t)n_rows, sizeof *spans));
    SLAO_TRY(slao_arena_take(arena, &answer_rows, (size_t)batch->n_answers, sizeof *answer_rows));
    int64_t row = 0;
    for (int64_t s = 0; s < batch->n_spans; s++) {
        slao_span *open = NULL; /* ends with the row before this one */
        for (int64_t i = 0; i < batch->spans[s].count; i++, row++) {
            if (numbers[row] < 0) {
                open = NULL;
                continue;
            }
            if (!open) {
                open = &spans[n_spans++];
                *open = (slao_span){batch->spans[s].segment, batch->spans[s].from + i, 0};
            }
            open->count++;
            (*rows)[numbers[row]] = row;
            if (batch->noise_keys)
                noise_keys[numbers[row]] = batch->noise_keys[row];
        }
    }
    for (int64_t i = 0; i < batch->n_answers; i++)
        answer_rows[i] = numbers[batch->answer_rows[i]];
    *answering = *batch;
    answering->n_rows = n_rows;
    answering->ids = NULL;
    answering->n_spans = n_spans;
    answering->spans = spans;
    answering->answer_rows = answer_rows;
    answering->noise_keys = batch->noise_keys ? noise_keys : NULL;
    return SLAO_OK;
}

slao_status slao_cache_take(slao_cache *cache, const slao_model_config *config, int64_t slots,
                            slao_arena *arena) {
    *cache = (slao_cache){.slots = slots, .width = config->kv_heads * config->head_dim};
    size_t count = (size_t)(config->layers * slots), size = (size_t)cache->width * sizeof(float);
    SLAO_TRY(slao_arena_take(arena, &cache->keys, count, size));
    return slao_arena_take(arena, &cache->values, count, size);
}

slao_status slao_cache_new(slao_cache **cache, const slao_model_config *config, int64_t slots) {
    SLAO_TRY(slao_allocate(cache, 1, sizeof **cache));
    int64_t width = config->kv_heads * config->head_dim;
    **cache = (slao_cache){.slots = slots, .width = width};
    size_t count = (size_t)(config->layers * slots);
    slao_status status = slao_allocate(&(*cache)->keys, count, (size_t)width * sizeof(float));
    if (status == SLAO_OK)
        status = slao_allocate(&(*cache)->values, count, (size_t)width * sizeof(float));
    if (status != SLAO_OK) {
        slao_cache_free(*cache);
        *cache = NULL;
    }
    return status;
}

void slao_cache_free(slao_cache *cache) {
    if (!cache)
        return;
    free(cache->keys);
    free(cache->values);
    free(cache);
}
