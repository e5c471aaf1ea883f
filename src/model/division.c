#include "model/division.h"

#include <stdlib.h>

/* A leaf, or a micro-batch while leaves are dealt out. */
typedef struct {
    int64_t index, rows;
} sized;

typedef struct {
    const slao_batch *whole;
    int64_t n_parts;
    int64_t *parts;            /* of each segment; 0: the trunk */
    slao_segment *segments;    /* with their slots */
    int64_t *row_parts, *rows; /* of each row of the whole: its part, and its row in that */
} layout;

static int largest_first(const void *a, const void *b) {
    const sized *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The least even number of micro-batches that so many rows could do with. */
static int64_t least_number(int64_t leaves, int64_t rows, int64_t most_rows) {
    int64_t even = 2 * ((rows + 2 * most_rows - 1) / (2 * most_rows));
    return even < leaves ? even : leaves;
}

/* Each leaf, largest first, to the micro-batch that has the fewest rows so far. Says whether that
 * leaves none with too many. */
static bool deal(layout *l, const sized *leaves, int64_t n_leaves, sized *micro_batches,
                 int64_t n_micro_batches, int64_t most_rows) {
    bool fits = true;
    for (int64_t i = 0; i < n_micro_batches; i++)
        micro_batches[i] = (sized){i + 1, 0};
    for (int64_t i = 0; i < n_leaves; i++) {
        sized *to = micro_batches;
        for (int64_t k = 1; k < n_micro_batches; k++)
            to = micro_batches[k].rows < to->rows ? &micro_batches[k] : to;
        fits = fits && (to->rows == 0 || to->rows + leaves[i].rows <= most_rows);
        to->rows += leaves[i].rows;
        l->parts[leaves[i].index] = to->index;
    }
    return fits;
}

/* Exchanges leaves of two micro-batches where that brings their rows together. */
static void even_out(layout *l, const sized *leaves, int64_t n_leaves, sized *micro_batches) {
    enum { ROUNDS = 8 }; /* seldom more than two change anything */
    bool changed = true;
    for (int round = 0; changed && round < ROUNDS; round++) {
        changed = false;
        for (int64_t i = 0; i < n_leaves; i++) {
            for (int64_t k = i + 1; k < n_leaves; k++) {
                int64_t *larger = &l->parts[leaves[i].index], *smaller = &l->parts[leaves[k].index];
                sized *from = &micro_batches[*larger - 1], *to = &micro_batches[*smaller - 1];
                int64_t change = leaves[i].rows - leaves[k].rows;
                if (change <= 0 || change >= from->rows - to->rows)
                    continue;
                from->rows -= change;
                to->rows += change;
                int64_t part = *larger;
                *larger = *smaller;
                *smaller = part;
                changed = true;
            }
        }
    }
}

/* Parts of the segments. */
static slao_status assign(layout *l, int64_t most_rows, slao_arena *arena) {
    const slao_batch *whole = l->whole;
    size_t n_segments = (size_t)whole->n_segments;
    sized *leaves, *micro_batches;
    int64_t n_leaves = 0, rows = 0, *numbers;
    SLAO_TRY(slao_arena_take(arena, &leaves, n_segments, sizeof *leaves));
    SLAO_TRY(slao_arena_take(arena, &micro_batches, n_segments, sizeof *micro_batches));
    SLAO_TRY(slao_arena_take(arena, &numbers, n_segments + 1, sizeof *numbers));
    for (int64_t s = 0; s < whole->n_segments; s++)
        l->parts[s] = -1;
    for (int64_t s = 0; s < whole->n_segments; s++) {
        if (whole->segments[s].parent >= 0)
            l->parts[whole->segments[s].parent] = 0;
    }
    for (int64_t s = 0; s < whole->n_segments; s++) {
        if (l->parts[s] == 0)
            continue;
        leaves[n_leaves++] = (sized){s, whole->segments[s].count};
        rows += whole->segments[s].count;
    }
    qsort(leaves, (size_t)n_leaves, sizeof *leaves, largest_first);
    int64_t n = least_number(n_leaves, rows, most_rows);
    while (!deal(l, leaves, n_leaves, micro_batches, n, most_rows))
        n = n + 2 < n_leaves ? n + 2 : n_leaves; /* of one leaf each, all fit */
    even_out(l, leaves, n_leaves, micro_batches);
    qsort(micro_batches, (size_t)n, sizeof *micro_batches, largest_first);
    numbers[0] = 0;
    for (int64_t i = 0; i < n; i++)
        numbers[micro_batches[i].index] = i + 1;
    for (int64_t s = 0; s < whole->n_segments; s++)
        l->parts[s] = numbers[l->parts[s]];
    l->n_parts = n + 1;
    return SLAO_OK;
}

/* Slots of the segments and rows within the parts, in the order of the whole. */
static slao_status lay_out(layout *l, slao_arena *arena) {
    const slao_batch *whole = l->whole;
    int64_t trunk_rows = 0, row = 0, *part_rows;
    SLAO_TRY(slao_arena_take(arena, &part_rows, (size_t)l->n_parts, sizeof *part_rows));
    for (int64_t i = 0; i < l->n_parts; i++)
        part_rows[i] = 0;
    for (int64_t s = 0; s < whole->n_segments; s++) {
        l->segments[s] = whole->segments[s];
        trunk_rows += l->parts[s] == 0 ? whole->segments[s].count : 0;
    }
    for (int64_t i = 0; i < whole->n_spans; i++) {
        const slao_span *span = &whole->spans[i];
        int64_t part = l->parts[span->segment];
        slao_segment *segment = &l->segments[span->segment];
        SLAO_INVARIANT(span->from == 0 && span->count == segment->count && segment->slot == row);
        segment->slot = (part ? trunk_rows : 0) + part_rows[part];
        for (int64_t k = 0; k < span->count; k++, row++) {
            l->row_parts[row] = part;
            l->rows[row] = part_rows[part]++;
        }
    }
    return SLAO_OK;
}

static slao_status cut(slao_part *part, const layout *l, int64_t index, slao_arena *arena) {
    const slao_batch *whole = l->whole;
    int64_t n_rows = 0, n_spans = 0, n_answers = 0;
    for (int64_t row = 0; row < whole->n_rows; row++)
        n_rows += l->row_parts[row] == index;
    for (int64_t i = 0; i < whole->n_spans; i++)
        n_spans += l->parts[whole->spans[i].segment] == index;
    for (int64_t i = 0; i < whole->n_answers; i++)
        n_answers += l->row_parts[whole->answer_rows[i]] == index;
    int32_t *ids, *answer_ids;
    uint64_t *noise_keys = NULL;
    slao_span *spans;
    int64_t *answer_rows;
    SLAO_TRY(slao_arena_take(arena, &ids, (size_t)n_rows, sizeof *ids));
    SLAO_TRY(slao_arena_take(arena, &spans, (size_t)n_spans, sizeof *spans));
    SLAO_TRY(slao_arena_take(arena, &answer_rows, (size_t)n_answers, sizeof *answer_rows));
    SLAO_TRY(slao_arena_take(arena, &answer_ids, (size_t)n_answers, sizeof *answer_ids));
    SLAO_TRY(slao_arena_take(arena, &part->answers, (size_t)n_answers, sizeof *part->answers));
    SLAO_TRY(slao_arena_take(arena, &part->losses, (size_t)n_answers, sizeof *part->losses));
    if (whole->noise_keys)
        SLAO_TRY(slao_arena_take(arena, &noise_keys, (size_t)n_rows, sizeof *noise_keys));
    for (int64_t row = 0; row < whole->n_rows; row++) {
        if (l->row_parts[row] != index)
            continue;
        ids[l->rows[row]] = whole->ids[row];
        if (noise_keys)
            noise_keys[l->rows[row]] = whole->noise_keys[row];
    }
    for (int64_t i = 0, n = 0; i < whole->n_spans; i++) {
        if (l->parts[whole->spans[i].segment] == index)
            spans[n++] = whole->spans[i];
    }
    for (int64_t i = 0, n = 0; i < whole->n_answers; i++) {
        int64_t row = whole->answer_rows[i];
        if (l->row_parts[row] != index)
            continue;
        answer_rows[n] = l->rows[row];
        answer_ids[n] = whole->answer_ids[i];
        part->answers[n++] = i;
    }
    part->batch = (slao_batch){.n_rows = n_rows,
                               .ids = ids,
                               .n_segments = whole->n_segments,
                               .segments = l->segments,
                               .n_spans = n_spans,
                               .spans = spans,
                               .n_answers = n_answers,
                               .answer_rows = answer_rows,
                               .answer_ids = answer_ids,
                               .noise_keys = noise_keys};
    return SLAO_OK;
}

slao_status slao_divide(slao_division *division, const slao_batch *batch, int64_t most_rows,
                        slao_arena *arena) {
    size_t n_segments = (size_t)batch->n_segments, n_rows = (size_t)batch->n_rows;
    layout l = {.whole = batch};
    SLAO_TRY(slao_arena_take(arena, &l.segments, n_segments, sizeof *l.segments));
    SLAO_TRY(slao_arena_take(arena, &l.parts, n_segments, sizeof *l.parts));
    SLAO_TRY(slao_arena_take(arena, &l.row_parts, n_rows, sizeof *l.row_parts));
    SLAO_TRY(slao_arena_take(arena, &l.rows, n_rows, sizeof *l.rows));
    SLAO_TRY(assign(&l, most_rows, arena));
    SLAO_TRY(lay_out(&l, arena));
    division->n_micro_batches = l.n_parts - 1;
    SLAO_TRY(slao_arena_take(arena, &division->micro_batches, (size_t)division->n_micro_batches,
                             sizeof *division->micro_batches));
    SLAO_TRY(cut(&division->trunk, &l, 0, arena));
    for (int64_t i = 0; i < division->n_micro_batches; i++)
        SLAO_TRY(cut(&division->micro_batches[i], &l, i + 1, arena));
    return SLAO_OK;
}
