/* sweep/simulation: graphs whose best schedules are known by hand. */
#include "test.h"

#include "sweep/simulation.h"

static void test_a_chain_takes_its_length_on_any_ranks(void **state) {
    (void)state;
    int64_t parents[10];
    slao_graph_step steps[10];
    for (int64_t i = 0; i < 10; i++) {
        parents[i] = i - 1;
        steps[i] =
            (slao_graph_step){.n_parents = i > 0, .parents = &parents[i], .cost = (double)(i + 1)};
    }
    for (int64_t ranks = 1; ranks <= 3; ranks++) {
        slao_simulation result;
        assert_ok(slao_simulate(&result, steps, 10, NULL, ranks));
        assert_near(result.makespan, 55, 0);
        assert_near(result.critical_path, 55, 0);
        assert_near(result.work, 55, 0);
        assert_near(result.bound, 55, 0);
        assert_near(result.utilisation, 1 / (double)ranks, 1e-12);
        assert_int_equal(result.messages, 2 * ranks + 2 * 10);
        assert_int_equal(result.near, 9); /* the rank that ran the parent goes on */
    }
}

/* Four long steps and four short ones on two ranks: longest first fills both to the end; what is
 * done before costs nothing; what steps really take counts, not what was believed. */
static void test_longest_first_and_real_durations(void **state) {
    (void)state;
    slao_graph_step steps[8] = {0};
    double durations[8];
    for (int i = 0; i < 8; i++) {
        steps[i].cost = i % 2 ? 3 : 1;
        durations[i] = 2 * steps[i].cost;
    }
    slao_simulation result;
    assert_ok(slao_simulate(&result, steps, 8, NULL, 2));
    assert_near(result.makespan, 8, 0);
    assert_near(result.utilisation, 1, 0);
    assert_ok(slao_simulate(&result, steps, 8, durations, 2));
    assert_near(result.makespan, 16, 0);
    for (int i = 0; i < 4; i++)
        steps[i].done = true;
    assert_ok(slao_simulate(&result, steps, 8, NULL, 2));
    assert_near(result.makespan, 4, 0);
    assert_near(result.work, 8, 0);
}

static void test_the_study_is_counted_right(void **state) {
    (void)state;
    const slao_study_size size = {.orders = 2,
                                  .tasks = 5,
                                  .schedules = 3,
                                  .rates = 2,
                                  .seeds = 2,
                                  .trained = 100,
                                  .tested = 10};
    slao_graph_step *steps;
    int64_t *parents, n_steps;
    assert_ok(slao_simulated_study(&size, &steps, &parents, &n_steps));
    /* Per rate and seed: 5 individual runs with a score each; per order three sequences of 5
     * fine-tunes; two of them merge 4 tasks under 3 schedules; evaluations of 5 tasks: of the
     * first fine-tune and the merges, and of all fine-tunes of the third. */
    int64_t merging = 5 + 4 * 3 + 5 * (1 + 4 * 3), plain = 5 + 5 * 5;
    assert_int_equal(n_steps, 4 * (10 + 2 * (2 * merging + plain)));
    slao_simulation one, many;
    assert_ok(slao_simulate(&one, steps, n_steps, NULL, 1));
    assert_near(one.makespan, one.work, 1e-6 * one.work);
    assert_ok(slao_simulate(&many, steps, n_steps, NULL, 64));
    assert_true(many.makespan >= many.bound * (1 - 1e-12));
    assert_true(many.makespan < 1.2 * many.bound);
    assert_near(many.work, one.work, 1e-6 * one.work);
    free(parents);
    free(steps);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chain_takes_its_length_on_any_ranks),
        cmocka_unit_test(test_longest_first_and_real_durations),
        cmocka_unit_test(test_the_study_is_counted_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
