#include "learn/decoder.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct slao_decoder {
    slao_pass *pass;
    const slao_model_config *config;
    const slao_low_ranks *pairs;
    slao_cache *cache;
    int64_t next_slot, n_segments;
    slao_segment *segments; /* those of the batch that was read, then one per continuation */
    size_t capacity;
    slao_arena *arena; /* of one round */
};

slao_status slao_decoder_new(slao_decoder **decoder, slao_pass *pass,
                             const slao_model_config *config, const slao_low_ranks *pairs) {
    SLAO_TRY(slao_allocate(decoder, 1, sizeof **decoder));
    (*decoder)->pass = pass;
    (*decoder)->config = config;
    (*decoder)->pairs = pairs;
    slao_status status = slao_arena_new(&(*decoder)->arena);
    if (status != SLAO_OK) {
        slao_decoder_free(*decoder);
        *decoder = NULL;
    }
    return status;
}

void slao_decoder_free(slao_decoder *decoder) {
    if (!decoder)
        return;
    slao_cache_free(decoder->cache);
    slao_arena_free(decoder->arena);
    free(decoder->segments);
    free(decoder);
}

int32_t slao_argmax(const float *values, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        if (values[i] > values[best])
            best = i;
    }
    return (int32_t)best;
}

slao_status slao_decoder_read(slao_decoder *decoder, const slao_batch *batch, int64_t room) {
    int64_t slots = batch->n_rows + room;
    if (!decoder->cache || decoder->cache->slots < slots) {
        slao_cache_free(decoder->cache);
        SLAO_TRY(slao_cache_new(&decoder->cache, decoder->config, slots));
    }
    SLAO_TRY(slao_grow(&decoder->segments, &decoder->capacity, (size_t)batch->n_segments,
                       sizeof *decoder->segments));
    memcpy(decoder->segments, batch->segments,
           (size_t)batch->n_segments * sizeof *decoder->segments);
    decoder->n_segments = batch->n_segments;
    decoder->next_slot = batch->n_rows;
    return slao_forward(decoder->pass, batch, decoder->pairs, decoder->cache);
}

/* Gives a continuation its segment in the cache. */
static slao_status open_segment(slao_decoder *decoder, slao_continuation *continuation) {
    SLAO_INVARIANT(continuation->n_tokens > 0);
    SLAO_TRY(slao_grow(&decoder->segments, &decoder->capacity, (size_t)decoder->n_segments + 1,
                       sizeof *decoder->segments));
    const slao_segment *parent = &decoder->segments[continuation->row_segment];
    decoder->segments[decoder->n_segments] = (slao_segment){
        .parent = continuation->row_segment,
        .parent_count = continuation->row_count,
        .slot = decoder->next_slot,
        .position = parent->position + continuation->row_count,
    };
    continuation->segment = decoder->n_segments++;
    decoder->next_slot += continuation->max_tokens;
    SLAO_INVARIANT(decoder->next_slot <= decoder->cache->slots);
    return SLAO_OK;
}

/* Feeds what each live text holds that was not fed yet, and writes the likeliest next token of
 * each. */
static slao_status round_of(slao_decoder *decoder, slao_continuation **live, int64_t n_live) {
    slao_arena_return(decoder->arena, (slao_arena_mark){0});
    int64_t n_rows = 0, vocabulary = decoder->config->vocabulary;
    for (int64_t i = 0; i < n_live; i++)
        n_rows += live[i]->n_tokens - decoder->segments[live[i]->segment].count;
    int32_t *ids;
    slao_span *spans;
    int64_t *last_rows;
    float *logits;
    SLAO_TRY(slao_arena_take(decoder->arena, &ids, (size_t)n_rows, sizeof *ids));
    SLAO_TRY(slao_arena_take(decoder->arena, &spans, (size_t)n_live, sizeof *spans));
    SLAO_TRY(slao_arena_take(decoder->arena, &last_rows, (size_t)n_live, sizeof *last_rows));
    SLAO_TRY(slao_arena_take(decoder->arena, &logits, (size_t)n_live,
                             (size_t)vocabulary * sizeof *logits));
    int64_t row = 0;
    for (int64_t i = 0; i < n_live; i++) {
        slao_segment *segment = &decoder->segments[live[i]->segment];
        spans[i] = (slao_span){.segment = live[i]->segment, .from = segment->count};
        spans[i].count = live[i]->n_tokens - segment->count;
        memcpy(ids + row, live[i]->tokens + segment->count, (size_t)spans[i].count * sizeof *ids);
        row += spans[i].count;
        last_rows[i] = row - 1;
        segment->count = live[i]->n_tokens;
    }
    slao_batch batch = {
        .n_rows = n_rows,
        .ids = ids,
        .n_segments = decoder->n_segments,
        .segments = decoder->segments,
        .n_spans = n_live,
        .spans = spans,
        .n_answers = n_live,
        .answer_rows = last_rows,
    };
    SLAO_TRY(slao_forward(decoder->pass, &batch, decoder->pairs, decoder->cache));
    slao_logits(decoder->pass, 0, n_live, logits);
    for (int64_t i = 0; i < n_live; i++) {
        int32_t id = slao_argmax(logits + i * vocabulary, vocabulary);
        live[i]->ended = slao_model_ends_at(decoder->config, id);
        if (!live[i]->ended)
            live[i]->tokens[live[i]->n_tokens++] = id;
    }
    return SLAO_OK;
}

slao_status
slao_decoder_run(slao_decoder *decoder, slao_continuation *continuations, int64_t n_continuations,
                 slao_status (*stop)(const slao_continuation *continuation, bool *give_up)) {
    slao_continuation **live;
    SLAO_TRY(slao_allocate(&live, (size_t)n_continuations, sizeof *live));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < n_continuations && status == SLAO_OK; i++)
        status = open_segment(decoder, &continuations[i]);
    while (status == SLAO_OK) {
        int64_t n_live = 0;
        for (int64_t i = 0; i < n_continuations; i++) {
            if (!continuations[i].ended && continuations[i].n_tokens < continuations[i].max_tokens)
                live[n_live++] = &continuations[i];
        }
        if (n_live == 0)
            break;
        status = round_of(decoder, live, n_live);
        for (int64_t i = 0; i < n_live && status == SLAO_OK && stop; i++) {
            bool give_up = false;
            if (!live[i]->ended)
                status = stop(live[i], &give_up);
            live[i]->ended = live[i]->ended || give_up;
        }
    }
    free(live);
    return status;
}
