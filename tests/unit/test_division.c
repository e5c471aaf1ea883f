/* model/division: every row of a batch is in one part, in a place that its chain of ancestors
 * finds, and the parts are as large as they may be, alike, and largest first. */
#include "test.h"

#include "base/random.h"
#include "model/division.h"

enum { MOST_SEGMENTS = 40, MOST_ROWS = MOST_SEGMENTS * 12 };

/* A batch of a random tree, as slao_pack lays it out: spans in the order of segments. */
typedef struct {
    slao_segment segments[MOST_SEGMENTS];
    slao_span spans[MOST_SEGMENTS];
    int32_t ids[MOST_ROWS], answer_ids[2 * MOST_ROWS]; /* a row has two answers at most */
    int64_t answer_rows[2 * MOST_ROWS];
    uint64_t noise_keys[MOST_ROWS];
    slao_batch batch;
} tree;

static void grow(tree *t, slao_random *random, int64_t n_segments) {
    int64_t rows = 0, answers = 0;
    for (int64_t s = 0; s < n_segments; s++) {
        int64_t count = 1 + (int64_t)slao_random_below(random, 12), parent = -1;
        if (s && slao_random_below(random, 4))
            parent = (int64_t)slao_random_below(random, (uint64_t)(s < 5 ? s : 5));
        t->segments[s] =
            (slao_segment){parent, parent < 0 ? 0 : t->segments[parent].count, rows, count, 0};
        t->spans[s] = (slao_span){s, 0, count};
        for (int64_t i = 0; i < count; i++, rows++) {
            t->ids[rows] = (int32_t)rows;
            t->noise_keys[rows] = (uint64_t)rows + 7;
            for (uint64_t k = slao_random_below(random, 3); k > 0; k--, answers++) {
                t->answer_rows[answers] = rows;
                t->answer_ids[answers] = (int32_t)answers;
            }
        }
    }
    t->batch = (slao_batch){.n_rows = rows,
                            .ids = t->ids,
                            .n_segments = n_segments,
                            .segments = t->segments,
                            .n_spans = n_segments,
                            .spans = t->spans,
                            .n_answers = answers,
                            .answer_rows = t->answer_rows,
                            .answer_ids = t->answer_ids,
                            .noise_keys = t->noise_keys};
}

/* Counts a part's rows and answers in `seen`; all it holds is what the whole holds. */
static void check_part(const tree *t, const slao_part *part, int64_t trunk_rows, bool is_trunk,
                       int seen_rows[], int seen_answers[]) {
    int64_t row = 0;
    for (int64_t i = 0; i < part->batch.n_spans; i++) {
        const slao_span *span = &part->batch.spans[i];
        const slao_segment *segment = &part->batch.segments[span->segment],
                           *whole = &t->segments[span->segment];
        assert_int_equal(span->from, 0);
        assert_int_equal(span->count, whole->count);
        assert_int_equal(segment->slot, row + (is_trunk ? 0 : trunk_rows));
        assert_int_equal(segment->parent, whole->parent);
        if (segment->parent >= 0 && !is_trunk)
            assert_true(part->batch.segments[segment->parent].slot < trunk_rows);
        for (int64_t k = 0; k < span->count; k++, row++) {
            assert_int_equal(part->batch.ids[row], whole->slot + k);
            assert_int_equal(part->batch.noise_keys[row], whole->slot + k + 7);
            seen_rows[whole->slot + k]++;
        }
    }
    assert_int_equal(row, part->batch.n_rows);
    for (int64_t i = 0; i < part->batch.n_answers; i++) {
        int64_t answer = part->answers[i];
        assert_int_equal(part->batch.answer_ids[i], answer);
        assert_int_equal(part->batch.ids[part->batch.answer_rows[i]], t->answer_rows[answer]);
        seen_answers[answer]++;
    }
}

/* No two leaves could be exchanged to bring the largest and the smallest micro-batch together. */
static void check_alike(const tree *t, const slao_division *division) {
    const slao_batch *largest = &division->micro_batches[0].batch,
                     *smallest = &division->micro_batches[division->n_micro_batches - 1].batch;
    int64_t gap = largest->n_rows - smallest->n_rows;
    for (int64_t i = 0; i < largest->n_spans; i++) {
        for (int64_t k = 0; k < smallest->n_spans; k++) {
            int64_t change = t->segments[largest->spans[i].segment].count -
                             t->segments[smallest->spans[k].segment].count;
            assert_true(change <= 0 || change >= gap);
        }
    }
}

static void check(const tree *t, int64_t most_rows, slao_arena *arena) {
    slao_division division;
    int seen_rows[MOST_ROWS] = {0}, seen_answers[2 * MOST_ROWS] = {0};
    bool has_child[MOST_SEGMENTS] = {false};
    slao_arena_return(arena, (slao_arena_mark){0});
    assert_ok(slao_divide(&division, &t->batch, most_rows, arena));
    int64_t n = division.n_micro_batches, trunk_rows = division.trunk.batch.n_rows, leaves = 0;
    check_part(t, &division.trunk, trunk_rows, true, seen_rows, seen_answers);
    for (int64_t i = 0; i < n; i++)
        check_part(t, &division.micro_batches[i], trunk_rows, false, seen_rows, seen_answers);
    for (int64_t row = 0; row < t->batch.n_rows; row++)
        assert_int_equal(seen_rows[row], 1);
    for (int64_t i = 0; i < t->batch.n_answers; i++)
        assert_int_equal(seen_answers[i], 1);
    for (int64_t s = 0; s < t->batch.n_segments; s++) {
        if (t->segments[s].parent >= 0)
            has_child[t->segments[s].parent] = true;
    }
    for (int64_t i = 0; i < division.trunk.batch.n_spans; i++)
        assert_true(has_child[division.trunk.batch.spans[i].segment]);
    for (int64_t s = 0; s < t->batch.n_segments; s++)
        leaves += !has_child[s];
    assert_true(n >= 1 && n <= leaves && (n % 2 == 0 || n == leaves));
    for (int64_t i = 0; i < n; i++) {
        const slao_batch *batch = &division.micro_batches[i].batch;
        assert_true(batch->n_spans == 1 || batch->n_rows <= most_rows);
        assert_true(i == 0 || batch->n_rows <= division.micro_batches[i - 1].batch.n_rows);
    }
    check_alike(t, &division);
}

static void test_random_trees(void **state) {
    (void)state;
    static tree t;
    slao_random random = slao_random_stream(1, "trees", "", 0);
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    for (int i = 0; i < 2000; i++) {
        grow(&t, &random, 1 + (int64_t)slao_random_below(&random, MOST_SEGMENTS));
        check(&t, 1 + (int64_t)slao_random_below(&random, 80), arena);
    }
    slao_arena_free(arena);
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        int64_t leaves, rows, most, micro_batches; /* rows: of each leaf */
    } cases[] = {{8, 10, 352, 2},  {8, 88, 352, 2},  {8, 89, 352, 4},
                 {1, 900, 352, 1}, {3, 300, 352, 3}, {8, 180, 352, 8}};
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static int32_t ids[2000];
        slao_segment segments[8];
        slao_span spans[8];
        slao_division division;
        int64_t n = cases[i].leaves, rows = cases[i].rows;
        for (int64_t s = 0; s < n; s++) {
            segments[s] = (slao_segment){-1, 0, s * rows, rows, 0};
            spans[s] = (slao_span){s, 0, rows};
        }
        slao_batch batch = {.n_rows = n * rows,
                            .ids = ids,
                            .n_segments = n,
                            .segments = segments,
                            .n_spans = n,
                            .spans = spans};
        assert_ok(slao_divide(&division, &batch, cases[i].most, arena));
        assert_int_equal(division.n_micro_batches, cases[i].micro_batches);
    }
    slao_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_trees),
                                       cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
