#include "model/micro_batches.h"

#include "base/memory.h"
#include "model/pass_parts.h"

#include <string.h>

/* How a batch is divided: into the trunk, part 0, and micro-batches from 1 on. */
typedef struct {
    const slao_batch *whole;
    slao_segment *segments; /* with their slots in the cache that all parts share: the trunk's
                               come first, then those of the micro-batch that is computed */
    int64_t *parts;         /* of each segment */
    int64_t n_parts, slots;
    int64_t *row_parts, *rows; /* of each row of the whole: its part, and its row in that */
} division;

/* Parts of the segments: 0 for those that another one goes on from. The micro-batches get about
 * equally many rows, for products of few rows are slow. */
static void assign_parts(division *d, int64_t most_rows) {
    const slao_batch *whole = d->whole;
    int64_t leaf_rows = 0;
    for (int64_t s = 0; s < whole->n_segments; s++)
        d->parts[s] = -1;
    for (int64_t s = 0; s < whole->n_segments; s++) {
        if (whole->segments[s].parent >= 0)
            d->parts[whole->segments[s].parent] = 0;
    }
    for (int64_t s = 0; s < whole->n_segments; s++)
        leaf_rows += d->parts[s] ? whole->segments[s].count : 0;
    int64_t micro_batches = (leaf_rows + most_rows - 1) / most_rows, rows = 0;
    d->n_parts = 1;
    for (int64_t s = 0; s < whole->n_segments; s++) {
        if (d->parts[s] == 0)
            continue;
        int64_t count = whole->segments[s].count;
        if (d->n_parts == 1 || rows + count > most_rows || rows * micro_batches >= leaf_rows) {
            d->n_parts++;
            rows = 0;
        }
        d->parts[s] = d->n_parts - 1;
        rows += count;
    }
}

/* Slots of the segments and rows within the parts, in the order of the whole. */
static void lay_out(division *d, int64_t *part_rows) {
    const slao_batch *whole = d->whole;
    int64_t trunk_rows = 0, row = 0;
    for (int64_t s = 0; s < whole->n_segments; s++)
        trunk_rows += d->parts[s] == 0 ? whole->segments[s].count : 0;
    d->slots = trunk_rows;
    for (int64_t i = 0; i < whole->n_spans; i++) {
        const slao_span *span = &whole->spans[i];
        int64_t part = d->parts[span->segment];
        slao_segment *segment = &d->segments[span->segment];
        SLAO_INVARIANT(span->from == 0 && span->count == segment->count && segment->slot == row);
        segment->slot = (part ? trunk_rows : 0) + part_rows[part];
        for (int64_t k = 0; k < span->count; k++, row++) {
            d->row_parts[row] = part;
            d->rows[row] = part_rows[part]++;
        }
        int64_t end = segment->slot + segment->count;
        d->slots = end > d->slots ? end : d->slots;
    }
}

static slao_status divide(division *d, const slao_batch *batch, int64_t most_rows,
                          slao_arena *arena) {
    size_t n_segments = (size_t)batch->n_segments, n_rows = (size_t)batch->n_rows;
    int64_t *part_rows;
    *d = (division){.whole = batch};
    SLAO_TRY(slao_arena_take(arena, &d->segments, n_segments, sizeof *d->segments));
    SLAO_TRY(slao_arena_take(arena, &d->parts, n_segments, sizeof *d->parts));
    SLAO_TRY(slao_arena_take(arena, &d->row_parts, n_rows, sizeof *d->row_parts));
    SLAO_TRY(slao_arena_take(arena, &d->rows, n_rows, sizeof *d->rows));
    assign_parts(d, most_rows);
    SLAO_TRY(slao_arena_take(arena, &part_rows, (size_t)d->n_parts, sizeof *part_rows));
    for (int64_t i = 0; i < d->n_parts; i++)
        part_rows[i] = 0;
    for (size_t s = 0; s < n_segments; s++)
        d->segments[s] = batch->segments[s];
    lay_out(d, part_rows);
    return SLAO_OK;
}

/* A part as a batch of its own; answers[i] is the place of its answer i in the whole. */
typedef struct {
    slao_batch batch;
    int64_t *answers;
    double *losses; /* of its answers */
} part;

static slao_status cut(part *p, const division *d, int64_t index, slao_arena *arena) {
    const slao_batch *whole = d->whole;
    int64_t n_rows = 0, n_spans = 0, n_answers = 0;
    for (int64_t row = 0; row < whole->n_rows; row++)
        n_rows += d->row_parts[row] == index;
    for (int64_t i = 0; i < whole->n_spans; i++)
        n_spans += d->parts[whole->spans[i].segment] == index;
    for (int64_t i = 0; i < whole->n_answers; i++)
        n_answers += d->row_parts[whole->answer_rows[i]] == index;
    int32_t *ids, *answer_ids;
    uint64_t *noise_keys = NULL;
    slao_span *spans;
    int64_t *answer_rows;
    SLAO_TRY(slao_arena_take(arena, &ids, (size_t)n_rows, sizeof *ids));
    SLAO_TRY(slao_arena_take(arena, &spans, (size_t)n_spans, sizeof *spans));
    SLAO_TRY(slao_arena_take(arena, &answer_rows, (size_t)n_answers, sizeof *answer_rows));
    SLAO_TRY(slao_arena_take(arena, &answer_ids, (size_t)n_answers, sizeof *answer_ids));
    SLAO_TRY(slao_arena_take(arena, &p->answers, (size_t)n_answers, sizeof *p->answers));
    SLAO_TRY(slao_arena_take(arena, &p->losses, (size_t)n_answers, sizeof *p->losses));
    if (whole->noise_keys)
        SLAO_TRY(slao_arena_take(arena, &noise_keys, (size_t)n_rows, sizeof *noise_keys));
    for (int64_t row = 0; row < whole->n_rows; row++) {
        if (d->row_parts[row] != index)
            continue;
        ids[d->rows[row]] = whole->ids[row];
        if (noise_keys)
            noise_keys[d->rows[row]] = whole->noise_keys[row];
    }
    for (int64_t i = 0, n = 0; i < whole->n_spans; i++) {
        if (d->parts[whole->spans[i].segment] == index)
            spans[n++] = whole->spans[i];
    }
    for (int64_t i = 0, n = 0; i < whole->n_answers; i++) {
        int64_t row = whole->answer_rows[i];
        if (d->row_parts[row] != index)
            continue;
        answer_rows[n] = d->rows[row];
        answer_ids[n] = whole->answer_ids[i];
        p->answers[n++] = i;
    }
    p->batch = (slao_batch){.n_rows = n_rows,
                            .ids = ids,
                            .n_segments = whole->n_segments,
                            .segments = d->segments,
                            .n_spans = n_spans,
                            .spans = spans,
                            .n_answers = n_answers,
                            .answer_rows = answer_rows,
                            .answer_ids = answer_ids,
                            .noise_keys = noise_keys};
    return SLAO_OK;
}

static slao_status forward_and_loss(slao_pass *pass, part *p, const slao_low_ranks *pairs,
                                    slao_cache *cache, slao_cache *d_cache, double *losses,
                                    double gradient_scale) {
    SLAO_TRY(slao_forward_part(pass, &p->batch, pairs, cache, d_cache));
    SLAO_TRY(slao_loss(pass, p->losses, gradient_scale));
    for (int64_t i = 0; i < p->batch.n_answers; i++)
        losses[p->answers[i]] = p->losses[i];
    return SLAO_OK;
}

static slao_status in_parts(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                            int64_t most_rows, double *losses, double gradient_scale) {
    const slao_model_config *config = &pass->model->config;
    slao_arena *arena = pass->division;
    slao_arena_return(arena, (slao_arena_mark){0});
    division d;
    slao_cache cache, d_cache;
    part trunk;
    slao_pass *trunk_pass;
    SLAO_TRY(divide(&d, batch, most_rows, arena));
    SLAO_TRY(slao_cache_take(&cache, config, d.slots, arena));
    SLAO_TRY(slao_cache_take(&d_cache, config, d.slots, arena));
    size_t cached = (size_t)(config->layers * d.slots * d_cache.width) * sizeof(float);
    memset(d_cache.keys, 0, cached);
    memset(d_cache.values, 0, cached);
    SLAO_TRY(slao_pass_trunk(pass, &trunk_pass));
    SLAO_TRY(cut(&trunk, &d, 0, arena));
    SLAO_TRY(forward_and_loss(trunk_pass, &trunk, pairs, &cache, &d_cache, losses, gradient_scale));
    slao_arena_mark mark = slao_arena_here(arena);
    for (int64_t i = 1; i < d.n_parts; i++, slao_arena_return(arena, mark)) {
        part p;
        SLAO_TRY(cut(&p, &d, i, arena));
        SLAO_TRY(forward_and_loss(pass, &p, pairs, &cache, &d_cache, losses, gradient_scale));
        SLAO_TRY(slao_backward(pass, pairs));
    }
    return slao_backward(trunk_pass, pairs);
}

slao_status slao_gradients(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                           int64_t most_rows, double *losses, double gradient_scale) {
    if (most_rows && batch->n_rows > most_rows)
        return in_parts(pass, batch, pairs, most_rows, losses, gradient_scale);
    SLAO_TRY(slao_forward_training(pass, batch, pairs));
    SLAO_TRY(slao_loss(pass, losses, gradient_scale));
    return slao_backward(pass, pairs);
}
