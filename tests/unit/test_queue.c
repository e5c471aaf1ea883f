/* sweep/queue: which step runs next. */
#include "test.h"

#include "base/memory.h"
#include "base/random.h"
#include "sweep/queue.h"

static const int64_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

/* A step with the one parent `p`, or the two parents `p` and `p + 1`. */
#define ROOT(c)                                                                                    \
    { .cost = (c) }
#define CHILD(p, c)                                                                                \
    { .n_parents = 1, .parents = &numbers[p], .cost = (c) }
#define CHILD_OF_TWO(p, c)                                                                         \
    { .n_parents = 2, .parents = &numbers[p], .cost = (c) }

static void test_the_longest_chain_goes_first(void **state) {
    (void)state;
    const slao_graph_step steps[] = {
        ROOT(5),     /* 0: chain 5 */
        ROOT(1),     /* 1: chain 1 + 1 + 10 */
        ROOT(5),     /* 2: chain 5, behind 0 by index */
        CHILD(1, 1), /* 3: chain 11 */
        CHILD(3, 10) /* 4 */
    };
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 5));
    assert_int_equal(slao_queue_next(queue), 1);
    assert_int_equal(slao_queue_next(queue), 0);
    slao_queue_done(queue, 1);
    assert_int_equal(slao_queue_next(queue), 3);
    assert_int_equal(slao_queue_next(queue), 2);
    assert_int_equal(slao_queue_next(queue), -1);
    slao_queue_done(queue, 3);
    assert_int_equal(slao_queue_next(queue), 4);
    slao_queue_done(queue, 4);
    slao_queue_done(queue, 0);
    slao_queue_counts counts = slao_queue_count(queue);
    assert_int_equal(counts.done, 4);
    assert_int_equal(counts.running, 1);
    assert_near(counts.cost_done, 17, 1e-12);
    assert_near(counts.cost_left, 5, 1e-12);
    slao_queue_free(queue);
}

static void test_done_steps_are_not_run(void **state) {
    (void)state;
    slao_graph_step steps[] = {ROOT(1), CHILD(0, 1), CHILD_OF_TWO(0, 1), CHILD(2, 1)};
    steps[0].done = steps[2].done = true; /* 2 is done although its parent 1 was lost */
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 4));
    slao_queue_counts counts = slao_queue_count(queue);
    assert_int_equal(counts.done_before, 2);
    assert_int_equal(counts.ready, 2);
    assert_int_equal(slao_queue_next(queue), 1);
    assert_int_equal(slao_queue_next(queue), 3);
    slao_queue_done(queue, 1);
    assert_int_equal(slao_queue_next(queue), -1);
    slao_queue_free(queue);
}

static void test_a_failure_skips_descendants_only(void **state) {
    (void)state;
    const slao_graph_step steps[] = {
        ROOT(1),           ROOT(1),     CHILD_OF_TWO(0, 1), /* 2 needs 0 and 1 */
        CHILD(2, 1),       CHILD(0, 1),                     /* 4 needs 0 alone */
        CHILD_OF_TWO(2, 1)                                  /* 5 needs 2 and 3 */
    };
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 6));
    assert_int_equal(slao_queue_next(queue), 0);
    assert_int_equal(slao_queue_next(queue), 1);
    slao_queue_failed(queue, 1);
    slao_queue_counts counts = slao_queue_count(queue);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.skipped, 3);
    assert_near(counts.cost_left, 2, 1e-12);
    slao_queue_done(queue, 0);
    assert_int_equal(slao_queue_next(queue), 4);
    slao_queue_done(queue, 4);
    assert_int_equal(slao_queue_next(queue), -1);
    slao_queue_free(queue);
}

static void test_a_rank_stays_with_its_adapter(void **state) {
    (void)state;
    const slao_graph_step steps[] = {
        ROOT(9),      ROOT(1),        /* two fine-tunes: chains 19 and 11 */
        CHILD(0, 2),  CHILD(0, 1.9),  /* two evaluations of 0 */
        CHILD(0, 10),                 /* the next fine-tune after 0 */
        CHILD(1, 2),  CHILD(1, 10.1), /* an evaluation of 1, the next fine-tune after 1 */
    };
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 7));
    assert_int_equal(slao_queue_next_near(queue, -1), -1);
    assert_int_equal(slao_queue_next(queue), 0);
    assert_int_equal(slao_queue_next(queue), 1);
    assert_int_equal(slao_queue_next_near(queue, 0), -1);
    slao_queue_done(queue, 0);
    slao_queue_done(queue, 1);
    assert_int_equal(slao_queue_next_near(queue, 0), 4);  /* a child, though 6 is 1 % longer */
    assert_int_equal(slao_queue_next_near(queue, 0), -1); /* 6 is five times longer than 2 */
    assert_int_equal(slao_queue_next(queue), 6);
    assert_int_equal(slao_queue_next(queue), 2);          /* of 2 and 5 the first */
    assert_int_equal(slao_queue_next_near(queue, 2), 3);  /* a sibling, though 5 is longer */
    assert_int_equal(slao_queue_next_near(queue, 0), -1); /* nothing near is left */
    assert_int_equal(slao_queue_next(queue), 5);
    slao_queue_free(queue);
}

/* A graph of 0 to 3 random earlier parents per step, run with `n_ranks` ranks whose steps end in
 * random order; some fail. Checked against the plain meaning of every rule. */
static void run_random_graph(uint64_t seed, int64_t n_ranks) {
    enum { N = 2000, MOST_PARENTS = 3, NONE = -1 };
    slao_random random = slao_random_stream(seed, "graph", "", 0);
    slao_graph_step *steps;
    int64_t(*parents)[MOST_PARENTS];
    assert_ok(slao_allocate(&steps, N, sizeof *steps));
    assert_ok(slao_allocate(&parents, N, sizeof *parents));
    for (int64_t i = 0; i < N; i++) {
        steps[i].parents = parents[i];
        steps[i].n_parents = i ? (int64_t)slao_random_below(&random, MOST_PARENTS + 1) : 0;
        for (int64_t p = 0; p < steps[i].n_parents; p++)
            parents[i][p] = (int64_t)slao_random_below(&random, (uint64_t)i);
        steps[i].cost = slao_random_uniform(&random);
        steps[i].done = slao_random_below(&random, 10) == 0;
    }
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, N));
    char outcome[N] = {0}; /* 'd' done, 'f' failed, 'r' running */
    for (int64_t i = 0; i < N; i++)
        outcome[i] = steps[i].done ? 'd' : 0;
    int64_t running[16], last[16];
    for (int64_t r = 0; r < n_ranks; r++)
        running[r] = last[r] = NONE;
    int64_t n_running = 0;
    for (;;) {
        for (int64_t r = 0; r < n_ranks; r++) {
            if (running[r] != NONE)
                continue;
            int64_t step = slao_queue_next_near(queue, last[r]);
            if (step < 0)
                step = slao_queue_next(queue);
            if (step < 0)
                break;
            assert_int_equal(outcome[step], 0);
            for (int64_t p = 0; p < steps[step].n_parents; p++)
                assert_int_equal(outcome[parents[step][p]], 'd');
            outcome[step] = 'r';
            running[r] = step;
            n_running++;
        }
        if (n_running == 0)
            break;
        int64_t r = (int64_t)slao_random_below(&random, (uint64_t)n_ranks);
        if (running[r] == NONE)
            continue;
        bool fails = slao_random_below(&random, 200) == 0;
        (fails ? slao_queue_failed : slao_queue_done)(queue, running[r]);
        outcome[running[r]] = fails ? 'f' : 'd';
        last[r] = running[r];
        running[r] = NONE;
        n_running--;
    }
    int64_t skipped = 0, failed = 0, done = 0;
    bool lost[N] = {false}; /* failed, or not to be had because of a failure */
    for (int64_t i = 0; i < N; i++) {
        bool needs_lost = false;
        for (int64_t p = 0; p < steps[i].n_parents; p++)
            needs_lost |= lost[parents[i][p]];
        lost[i] = outcome[i] == 'f' || (needs_lost && !steps[i].done);
        if (outcome[i] == 0)
            assert_true(needs_lost);
        failed += outcome[i] == 'f';
        done += outcome[i] == 'd';
        skipped += outcome[i] == 0;
    }
    slao_queue_counts counts = slao_queue_count(queue);
    assert_int_equal(counts.done, done);
    assert_int_equal(counts.failed, failed);
    assert_int_equal(counts.skipped, skipped);
    assert_int_equal(counts.waiting + counts.ready + counts.running, 0);
    assert_int_equal(done + failed + skipped, N);
    assert_true(failed > 0 && skipped > 0);
    assert_near(counts.cost_left, 0, 1e-9);
    slao_queue_free(queue);
    free(parents);
    free(steps);
}

static void test_random_graphs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        run_random_graph(seed, 1 + (int64_t)(seed % 8));
}

/* A root with very many children: each call must stay cheap. */
static void test_many_children(void **state) {
    (void)state;
    enum { N = 200000 };
    slao_graph_step *steps;
    assert_ok(slao_allocate(&steps, N, sizeof *steps));
    for (int64_t i = 1; i < N; i++)
        steps[i] = (slao_graph_step)CHILD(0, 1);
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, N));
    int64_t step = slao_queue_next(queue);
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(step, i);
        slao_queue_done(queue, step);
        step = slao_queue_next_near(queue, step);
    }
    assert_int_equal(slao_queue_count(queue).done, N);
    slao_queue_free(queue);
    free(steps);
}

static void test_what_comes_back_is_handed_out_again(void **state) {
    (void)state;
    const slao_graph_step steps[] = {ROOT(1), CHILD(0, 5), CHILD(0, 3), CHILD(1, 1)};
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 4));
    assert_int_equal(slao_queue_next(queue), 0);
    for (int i = 0; i < 5; i++) { /* more often than the heap has places */
        slao_queue_return(queue, 0);
        assert_int_equal(slao_queue_count(queue).ready, 1);
        assert_int_equal(slao_queue_next(queue), 0);
    }
    slao_queue_done(queue, 0);
    for (int i = 0; i < 5; i++) { /* taken out of the heap's midst, as near, and from its top */
        assert_int_equal(slao_queue_next_near(queue, 0), 1);
        assert_int_equal(slao_queue_next(queue), 2);
        assert_int_equal(slao_queue_next(queue), -1);
        slao_queue_return(queue, 2);
        slao_queue_return(queue, 1);
    }
    assert_int_equal(slao_queue_next(queue), 1);
    slao_queue_done(queue, 1);
    assert_int_equal(slao_queue_next(queue), 2);
    assert_int_equal(slao_queue_next(queue), 3);
    slao_queue_free(queue);
}

static void test_failed_before_and_left_out(void **state) {
    (void)state;
    slao_graph_step steps[] = {ROOT(1), CHILD(0, 1), CHILD(1, 1), ROOT(7), CHILD(3, 1), ROOT(1)};
    steps[0].failed = steps[3].left_out = steps[4].left_out = true;
    slao_queue *queue;
    assert_ok(slao_queue_new(&queue, steps, 6));
    slao_queue_counts counts = slao_queue_count(queue);
    assert_int_equal(counts.steps, 4);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.skipped, 2);
    assert_int_equal(counts.ready, 1);
    assert_near(counts.cost_left, 1, 0);
    assert_int_equal(slao_queue_next(queue), 5);
    slao_queue_done(queue, 5);
    assert_int_equal(slao_queue_next(queue), -1);
    slao_queue_free(queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_chain_goes_first),
        cmocka_unit_test(test_done_steps_are_not_run),
        cmocka_unit_test(test_a_failure_skips_descendants_only),
        cmocka_unit_test(test_a_rank_stays_with_its_adapter),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_many_children),
        cmocka_unit_test(test_what_comes_back_is_handed_out_again),
        cmocka_unit_test(test_failed_before_and_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
