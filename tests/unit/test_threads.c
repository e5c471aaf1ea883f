/* linalg/threads: pieces of work that threads take one after another. */
#include "test.h"

#include "base/log.h"
#include "base/random.h"
#include "linalg/matrix.h"
#include "linalg/threads.h"

#include <stdatomic.h>

enum { MOST = 64 };

typedef struct {
    atomic_int strands[MOST], outputs[MOST]; /* in use */
    atomic_int computed[MOST], most_ahead;
    int64_t held[MOST];       /* by outputs: the piece, plus 1 */
    _Atomic int64_t gathered; /* pieces so far */
    int64_t fails;            /* the piece that does; -1: none */
    bool uneven;              /* some pieces take longer */
} bench;

static void spend(double seconds) {
    double end = slao_seconds() + seconds;
    while (slao_seconds() < end)
        ;
}

static slao_status compute(void *context, int strand, int output, int64_t i) {
    bench *b = context;
    int ahead = (int)(i - atomic_load(&b->gathered));
    assert_int_equal(atomic_fetch_add(&b->strands[strand], 1), 0);
    assert_int_equal(atomic_fetch_add(&b->outputs[output], 1), 0);
    atomic_fetch_add(&b->computed[i], 1);
    int most = atomic_load(&b->most_ahead);
    while (ahead > most && !atomic_compare_exchange_weak(&b->most_ahead, &most, ahead))
        ;
    spend(b->uneven && i % 3 == 0 ? 0.004 : 0.0005);
    b->held[output] = i + 1;
    atomic_fetch_sub(&b->strands[strand], 1);
    return i == b->fails ? slao_fail(SLAO_BAD_INPUT, "piece %lld", (long long)i) : SLAO_OK;
}

static void gather(void *context, int output, int64_t i) {
    bench *b = context;
    assert_int_equal(i, b->gathered);
    assert_int_equal(b->held[output], i + 1);
    b->gathered++;
    b->held[output] = 0;
    atomic_fetch_sub(&b->outputs[output], 1);
}

static void test_pieces_are_gathered_in_order(void **state) {
    (void)state;
    static const struct {
        int threads, strands, outputs;
        int64_t from, to;
    } cases[] = {{1, 1, 1, 0, 5},  {2, 2, 2, 0, 20}, {2, 2, 4, 3, 24}, {4, 3, 3, 0, 20},
                 {4, 4, 8, 0, 40}, {8, 8, 16, 1, 9}, {3, 3, 6, 7, 7}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench b = {.gathered = cases[k].from, .fails = -1, .uneven = true};
        assert_ok(slao_threads_set(cases[k].threads));
        assert_ok(slao_pieces_run(&(slao_pieces){.compute = compute,
                                                 .gather = gather,
                                                 .context = &b,
                                                 .from = cases[k].from,
                                                 .to = cases[k].to,
                                                 .strands = cases[k].strands,
                                                 .outputs = cases[k].outputs}));
        assert_int_equal(b.gathered, cases[k].to);
        for (int64_t i = 0; i < MOST; i++)
            assert_int_equal(b.computed[i], i >= cases[k].from && i < cases[k].to);
        assert_true(b.most_ahead < cases[k].outputs);
    }
    assert_ok(slao_threads_set(1));
}

static void test_a_failure_ends_it(void **state) {
    (void)state;
    assert_ok(slao_threads_set(3));
    for (int64_t fails = 0; fails < 30; fails += 7) {
        bench b = {.fails = fails};
        int n = 0;
        assert_fails(slao_pieces_run(&(slao_pieces){.compute = compute,
                                                    .gather = gather,
                                                    .context = &b,
                                                    .to = 40,
                                                    .strands = 3,
                                                    .outputs = 5}),
                     SLAO_BAD_INPUT, "piece");
        assert_true(b.gathered <= fails); /* nothing that comes after it */
        for (int i = 0; i < 40; i++)
            n += b.computed[i];
        assert_true(n <= fails + 5);
    }
    assert_ok(slao_threads_set(1));
}

/* A product within the last piece, once others have none left: m x n x k. */
enum { M = 90, N = 200, K = 110, PIECES = 3 };
typedef struct {
    float a[M * K], b[N * K], wanted[M * N], c[M * N];
} operands;

static slao_status multiply_with_help(void *context, int strand, int output, int64_t i) {
    operands *x = context;
    (void)strand, (void)output;
    if (i < PIECES - 1)
        return SLAO_OK;
    double end = slao_seconds() + 10;
    while (slao_helpers_for(2 * M * N * K) < PIECES - 1 && slao_seconds() < end)
        ;
    assert_int_equal(slao_helpers_for(2 * M * N * K), PIECES - 1);
    assert_int_equal(slao_helpers_for(10), 0);
    slao_multiply_transposed((slao_matrix_out){x->c, N}, (slao_matrix){x->a, K},
                             (slao_matrix){x->b, K}, M, N, K, 1, 0);
    return SLAO_OK;
}

static void gather_nothing(void *context, int output, int64_t i) {
    (void)context, (void)output, (void)i;
}

static void test_help_changes_no_bit(void **state) {
    (void)state;
    static operands x;
    slao_random random = slao_random_stream(1, "operands", "", 0);
    for (int i = 0; i < M * K; i++)
        x.a[i] = (float)slao_random_normal(&random);
    for (int i = 0; i < N * K; i++)
        x.b[i] = (float)slao_random_normal(&random);
    slao_multiply_transposed((slao_matrix_out){x.wanted, N}, (slao_matrix){x.a, K},
                             (slao_matrix){x.b, K}, M, N, K, 1, 0);
    for (int strands = 1; strands <= PIECES; strands++) {
        memset(x.c, 0, sizeof x.c);
        assert_ok(slao_threads_set(PIECES));
        assert_ok(slao_pieces_run(&(slao_pieces){.compute = multiply_with_help,
                                                 .gather = gather_nothing,
                                                 .context = &x,
                                                 .to = PIECES,
                                                 .strands = strands,
                                                 .outputs = strands}));
        assert_memory_equal(x.c, x.wanted, sizeof x.c);
        assert_int_equal(slao_helpers_for(2 * M * N * K), 0);
    }
    assert_ok(slao_threads_set(1));
}

static void test_threads_at_work_are_not_woken(void **state) {
    (void)state;
    assert_ok(slao_threads_set(2));
    assert_int_equal(slao_threads_for(1000000000), 2);
    assert_int_equal(slao_threads_for(10), 1);
#pragma omp parallel num_threads(2)
    assert_int_equal(slao_threads_for(1000000000), 1);
    assert_ok(slao_threads_set(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_gathered_in_order),
        cmocka_unit_test(test_a_failure_ends_it),
        cmocka_unit_test(test_help_changes_no_bit),
        cmocka_unit_test(test_threads_at_work_are_not_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
