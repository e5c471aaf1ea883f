#include "data/packing.h"

#include <stdlib.h>
#include <string.h>

/* The state of packing: sequences in sorted order, segments and rows as they are laid down. */
typedef struct {
    const slao_sequence *sequences;
    const int64_t *sorted; /* indices of sequences, by their ids */
    const uint64_t *names;
    slao_segment *segments;
    slao_span *spans;
    int32_t *ids;
    uint64_t *noise_keys;
    int64_t n_segments, n_rows;
    slao_packed *packed;
} packing;

static int64_t input_count(const slao_sequence *sequence) {
    return sequence->count - 1;
}

static int compare_sequences(const void *left, const void *right, void *context) {
    const slao_sequence *sequences = context;
    int64_t i = *(const int64_t *)left, j = *(const int64_t *)right;
    const slao_sequence *a = &sequences[i], *b = &sequences[j];
    int64_t shorter = input_count(a) < input_count(b) ? input_count(a) : input_count(b);
    for (int64_t k = 0; k < shorter; k++) {
        if (a->ids[k] != b->ids[k])
            return a->ids[k] < b->ids[k] ? -1 : 1;
    }
    if (input_count(a) != input_count(b))
        return input_count(a) < input_count(b) ? -1 : 1;
    return i < j ? -1 : i > j;
}

/* Tokens that two sequences have in common from their beginning on. */
static int64_t common(const slao_sequence *a, const slao_sequence *b) {
    int64_t k = 0;
    while (k < input_count(a) && k < input_count(b) && a->ids[k] == b->ids[k])
        k++;
    return k;
}

static int64_t add_segment(packing *p, int64_t parent, const slao_sequence *sequence, int64_t from,
                           int64_t to, uint64_t name) {
    int64_t index = p->n_segments++;
    p->segments[index] = (slao_segment){
        .parent = parent,
        .parent_count = parent < 0 ? 0 : p->segments[parent].count,
        .slot = p->n_rows,
        .count = to - from,
        .position = from,
    };
    p->spans[index] = (slao_span){.segment = index, .from = 0, .count = to - from};
    for (int64_t k = from; k < to; k++, p->n_rows++) {
        p->ids[p->n_rows] = sequence->ids[k];
        if (p->noise_keys)
            p->noise_keys[p->n_rows] = name + (uint64_t)k;
    }
    return index;
}

/* Lays down the tree of sorted sequences first .. last, which agree on their first `depth` tokens,
 * under the segment `parent`: what more they have in common, then each group that goes on with the
 * same token. */
static void add_tree(packing *p, int64_t first, int64_t last, int64_t depth, int64_t parent) {
    const slao_sequence *shortest = &p->sequences[p->sorted[first]];
    /* Sorted: what the first and the last have in common, all have. */
    int64_t agreed = common(shortest, &p->sequences[p->sorted[last]]);
    if (agreed > depth)
        parent = add_segment(p, parent, shortest, depth, agreed, 0);
    while (first <= last && input_count(&p->sequences[p->sorted[first]]) == agreed)
        p->packed->leaves[p->sorted[first++]] = parent;
    while (first <= last) {
        int32_t next = p->sequences[p->sorted[first]].ids[agreed];
        int64_t end = first;
        while (end < last && p->sequences[p->sorted[end + 1]].ids[agreed] == next)
            end++;
        add_tree(p, first, end, agreed, parent);
        first = end + 1;
    }
}

/* The row of token `position` of the sequence whose input ends in the segment `leaf`. */
static int64_t row_of(const packing *p, int64_t leaf, int64_t position) {
    while (p->segments[leaf].position > position)
        leaf = p->segments[leaf].parent;
    return p->segments[leaf].slot + position - p->segments[leaf].position;
}

static slao_status add_answers(packing *p, slao_arena *arena) {
    slao_packed *packed = p->packed;
    int64_t n_answers = 0;
    for (int64_t i = 0; i < packed->n_sequences; i++) {
        packed->first_answer[i] = n_answers;
        n_answers += p->sequences[i].count - p->sequences[i].answer_start;
    }
    packed->first_answer[packed->n_sequences] = n_answers;
    int64_t *rows;
    int32_t *ids;
    SLAO_TRY(slao_arena_take(arena, &rows, (size_t)n_answers, sizeof *rows));
    SLAO_TRY(slao_arena_take(arena, &ids, (size_t)n_answers, sizeof *ids));
    for (int64_t i = 0; i < packed->n_sequences; i++) {
        const slao_sequence *sequence = &p->sequences[i];
        for (int64_t k = sequence->answer_start; k < sequence->count; k++) {
            int64_t at = packed->first_answer[i] + k - sequence->answer_start;
            rows[at] = row_of(p, packed->leaves[i], k - 1);
            ids[at] = sequence->ids[k];
        }
    }
    packed->batch.n_answers = n_answers;
    packed->batch.answer_rows = rows;
    packed->batch.answer_ids = ids;
    return SLAO_OK;
}

slao_status slao_pack(slao_packed *packed, const slao_sequence *sequences, int64_t n_sequences,
                      slao_sharing sharing, const uint64_t *names, slao_arena *arena) {
    SLAO_INVARIANT(n_sequences > 0 && (!names || sharing == SLAO_SHARE_NOTHING));
    *packed = (slao_packed){.n_sequences = n_sequences};
    int64_t most_rows = 0, *sorted;
    for (int64_t i = 0; i < n_sequences; i++) {
        SLAO_INVARIANT(sequences[i].answer_start >= 1 &&
                       sequences[i].answer_start < sequences[i].count);
        most_rows += input_count(&sequences[i]);
    }
    packing p = {.sequences = sequences, .names = names, .packed = packed};
    size_t most_segments = (size_t)(2 * n_sequences); /* nodes of a tree with so many leaves */
    SLAO_TRY(slao_arena_take(arena, &sorted, (size_t)n_sequences, sizeof *sorted));
    SLAO_TRY(slao_arena_take(arena, &packed->leaves, (size_t)n_sequences, sizeof *packed->leaves));
    SLAO_TRY(slao_arena_take(arena, &packed->first_answer, (size_t)n_sequences + 1,
                             sizeof *packed->first_answer));
    SLAO_TRY(slao_arena_take(arena, &p.segments, most_segments, sizeof *p.segments));
    SLAO_TRY(slao_arena_take(arena, &p.spans, most_segments, sizeof *p.spans));
    SLAO_TRY(slao_arena_take(arena, &p.ids, (size_t)most_rows, sizeof *p.ids));
    if (names)
        SLAO_TRY(slao_arena_take(arena, &p.noise_keys, (size_t)most_rows, sizeof *p.noise_keys));
    p.sorted = sorted;
    for (int64_t i = 0; i < n_sequences; i++)
        sorted[i] = i;
    if (sharing == SLAO_SHARE_PREFIXES) {
        qsort_r(sorted, (size_t)n_sequences, sizeof *sorted, compare_sequences,
                (void *)(uintptr_t)sequences);
        add_tree(&p, 0, n_sequences - 1, 0, -1);
    } else {
        for (int64_t i = 0; i < n_sequences; i++)
            packed->leaves[i] = add_segment(&p, -1, &sequences[i], 0, input_count(&sequences[i]),
                                            names ? names[i] : 0);
    }
    packed->batch = (slao_batch){
        .n_rows = p.n_rows,
        .ids = p.ids,
        .n_segments = p.n_segments,
        .segments = p.segments,
        .n_spans = p.n_segments,
        .spans = p.spans,
        .noise_keys = p.noise_keys,
    };
    return add_answers(&p, arena);
}
