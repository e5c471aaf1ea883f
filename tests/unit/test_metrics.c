/* continual/metrics: matrices whose metrics are worked out by hand in the comments. */
#include "test.h"

#include "continual/metrics.h"

static const double exact = 1e-15;

static void test_one_task(void **state) {
    (void)state;
    const double scores[] = {0.8}, base[] = {0.3}, individual[] = {0.75};
    const int64_t examples[] = {40};
    slao_metrics m =
        slao_metrics_of(&(slao_scores){1, scores, base, individual, examples, false, NULL});
    assert_near(m.aa, 0.8, exact);
    assert_near(m.aa_micro, 0.8, exact);
    assert_near(m.fwt_individual, 0.05, exact);
    assert_near(m.intransigence, -0.05, exact);
    assert_true(isnan(m.bwt) && isnan(m.forgetting) && isnan(m.fwt));
}

static void test_two_tasks(void **state) {
    (void)state;
    /* AA (.6+.9)/2; micro (100*.6+300*.9)/400; BWT .6-.8; forgetting .8-.6 (l = 1 only);
     * FWT a[1][2]-b_2 = .25-.1; individual ((.8-.85)+(.9-.7))/2 */
    const double scores[] = {0.8, 0.25, 0.6, 0.9}, base[] = {0.5, 0.1}, individual[] = {0.85, 0.7};
    const int64_t examples[] = {100, 300};
    slao_metrics m =
        slao_metrics_of(&(slao_scores){2, scores, base, individual, examples, false, NULL});
    assert_near(m.aa, 0.75, exact);
    assert_near(m.aa_micro, 0.825, exact);
    assert_near(m.bwt, -0.2, exact);
    assert_near(m.forgetting, 0.2, exact);
    assert_near(m.fwt, 0.15, exact);
    assert_near(m.fwt_individual, 0.075, exact);
    assert_near(m.intransigence, -0.075, exact);
}

static const double three[] = {0.50, 0.20, 0.10, 0.75, 0.60, 0.30, 0.25, 0.70, 0.90};

static void test_three_tasks(void **state) {
    (void)state;
    /* AA (.25+.7+.9)/3; BWT ((.25-.5)+(.7-.6))/2 = -.075; forgetting: task 1 max(.5,.75)-.25 = .5,
     * task 2 .6-.7 = -.1, mean .2; FWT ((.2-.05)+(.3-.1))/2 = .175 */
    const double base[] = {0.4, 0.05, 0.1};
    slao_metrics m = slao_metrics_of(&(slao_scores){3, three, base, NULL, NULL, false, NULL});
    assert_near(m.aa, 1.85 / 3, exact);
    assert_near(m.bwt, -0.075, exact);
    assert_near(m.forgetting, 0.2, exact);
    assert_near(m.fwt, 0.175, exact);
    assert_true(isnan(m.aa_micro) && isnan(m.fwt_individual) && isnan(m.intransigence));
}

/* Which metrics go NaN when one cell of the three-task matrix is unknown. */
static void test_only_cells_that_are_read_matter(void **state) {
    (void)state;
    enum { AA = 1, BWT = 2, FORGETTING = 4, FWT = 8, INDIVIDUAL = 16 };
    const int expected[9] = {
        BWT | FORGETTING | INDIVIDUAL,
        FWT,
        0,
        FORGETTING,
        BWT | FORGETTING | INDIVIDUAL,
        FWT,
        AA | BWT | FORGETTING,
        AA | BWT | FORGETTING,
        AA | INDIVIDUAL,
    };
    const double base[] = {NAN, 0.05, 0.1}; /* FWT never reads b_1 */
    const double individual[] = {0.5, 0.5, 0.5};
    for (int unknown = 0; unknown < 9; unknown++) {
        double scores[9];
        memcpy(scores, three, sizeof scores);
        scores[unknown] = NAN;
        slao_metrics m =
            slao_metrics_of(&(slao_scores){3, scores, base, individual, NULL, false, NULL});
        int found = (isnan(m.aa) ? AA : 0) | (isnan(m.bwt) ? BWT : 0) |
                    (isnan(m.forgetting) ? FORGETTING : 0) | (isnan(m.fwt) ? FWT : 0) |
                    (isnan(m.intransigence) ? INDIVIDUAL : 0);
        if (found != expected[unknown])
            fail_msg("cell %d unknown: NaN metrics %d, not %d", unknown, found, expected[unknown]);
    }
}

/* Tasks 1 and 3 alone: AA (.25+.9)/2, micro (10*.25+30*.9)/40; BWT and forgetting of task 1, FWT of
 * task 3; of task 3 alone, which is last, the former two are undefined. */
static void test_some_of_the_tasks(void **state) {
    (void)state;
    const double base[] = {0.4, 0.05, 0.1}, individual[] = {0.5, 0.5, 0.6};
    const int64_t examples[] = {10, 20, 30};
    const bool two[] = {true, false, true, NULL}, last[] = {false, false, true, NULL};
    slao_scores scores = {3, three, base, individual, examples, false, two};
    slao_metrics m = slao_metrics_of(&scores);
    assert_near(m.aa, 1.15 / 2, exact);
    assert_near(m.aa_micro, 29.5 / 40, exact);
    assert_near(m.bwt, -0.25, exact);
    assert_near(m.forgetting, 0.5, exact);
    assert_near(m.fwt, 0.2, exact);
    assert_near(m.fwt_individual, (0 + 0.3) / 2, exact);
    scores.counted = last;
    m = slao_metrics_of(&scores);
    assert_near(m.aa, 0.9, exact);
    assert_near(m.fwt, 0.2, exact);
    assert_true(isnan(m.bwt) && isnan(m.forgetting));
}

static void test_tasks_by_themselves(void **state) {
    (void)state;
    const double scores[] = {0.5, NAN, NAN, NAN, 0.7, NAN, NAN, NAN, 0.9};
    const double base[] = {0.1, 0.1, 0.1};
    const int64_t examples[] = {10, 10, 20};
    slao_scores alone = {3, scores, base, NULL, examples, true, NULL};
    slao_metrics m = slao_metrics_of(&alone);
    assert_near(m.aa, 0.7, exact);
    assert_near(m.aa_micro, (5 + 7 + 18) / 40.0, exact);
    assert_true(isnan(m.bwt) && isnan(m.forgetting) && isnan(m.fwt));
    double final[3];
    slao_final_scores(&alone, final);
    assert_near(final[0] + final[1] + final[2], 2.1, exact);
    const int64_t none[] = {0, 0, 0};
    alone.examples = none;
    assert_true(isnan(slao_metrics_of(&alone).aa_micro));
}

static void test_orders_are_aligned_by_name(void **state) {
    (void)state;
    /* By name: a .9 .7 -> .2; b .5 .55 -> .05; c .6 .7 -> .1. AA 2/3 and .65. */
    const char *const abc[] = {"a", "b", "c"}, *const cba[] = {"c", "b", "a"};
    const double first[] = {0.9, 0.5, 0.6}, second[] = {0.7, 0.55, 0.7};
    slao_order_scores orders[] = {{3, abc, first}, {3, cba, second}};
    slao_order_metrics m = slao_order_metrics_of(orders, 2);
    assert_int_equal(m.n_common, 3);
    assert_near(m.mopd, 0.2, exact);
    assert_near(m.aopd, 0.35 / 3, exact);
    assert_near(m.aa_mean, (2.0 / 3 + 0.65) / 2, exact);
    assert_near(m.aa_sd, (2.0 / 3 - 0.65) / sqrt(2), 1e-14);
}

static void test_orders_of_different_tasks(void **state) {
    (void)state;
    /* Common: b and c. b: .5 .6 .4 -> .2; c: .8 .9 .8 -> .1. Means .65 .75 .6. The unknown score of
     * d, which only the last order has, does not matter. */
    const char *const one[] = {"a", "b", "c"}, *const two[] = {"c", "b"},
                      *const last[] = {"d", "c", "b"};
    const double s1[] = {0.1, 0.5, 0.8}, s2[] = {0.9, 0.6}, s3[] = {NAN, 0.8, 0.4};
    slao_order_scores orders[] = {{3, one, s1}, {2, two, s2}, {3, last, s3}};
    slao_order_metrics m = slao_order_metrics_of(orders, 3);
    assert_int_equal(m.n_common, 2);
    assert_near(m.mopd, 0.2, exact);
    assert_near(m.aopd, 0.15, exact);
    assert_near(m.aa_mean, 2.0 / 3, exact);
    /* deviations -1/60, 5/60, -4/60: sum of squares 42/3600 */
    assert_near(m.aa_sd, sqrt(42.0 / 3600 / 2), exact);
}

static void test_orders_undefined(void **state) {
    (void)state;
    const char *const ab[] = {"a", "b"}, *const cd[] = {"c", "d"};
    const double scores[] = {0.5, 0.6}, unknown[] = {0.5, NAN};
    slao_order_scores orders[] = {{2, ab, scores}, {2, cd, scores}};
    slao_order_metrics one = slao_order_metrics_of(orders, 1);
    assert_int_equal(one.n_common, 2);
    assert_true(isnan(one.mopd) && isnan(one.aopd) && isnan(one.aa_mean) && isnan(one.aa_sd));
    slao_order_metrics disjoint = slao_order_metrics_of(orders, 2);
    assert_int_equal(disjoint.n_common, 0);
    assert_true(isnan(disjoint.mopd) && isnan(disjoint.aa_mean));
    assert_true(isnan(slao_order_metrics_of(orders, 0).mopd));
    orders[1] = (slao_order_scores){2, ab, unknown};
    slao_order_metrics m = slao_order_metrics_of(orders, 2);
    assert_true(isnan(m.mopd) && isnan(m.aopd) && isnan(m.aa_mean) && isnan(m.aa_sd));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task),
        cmocka_unit_test(test_two_tasks),
        cmocka_unit_test(test_three_tasks),
        cmocka_unit_test(test_only_cells_that_are_read_matter),
        cmocka_unit_test(test_some_of_the_tasks),
        cmocka_unit_test(test_tasks_by_themselves),
        cmocka_unit_test(test_orders_are_aligned_by_name),
        cmocka_unit_test(test_orders_of_different_tasks),
        cmocka_unit_test(test_orders_undefined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
