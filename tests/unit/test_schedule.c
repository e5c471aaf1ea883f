/* adapter/schedule: forms, canonical text, values. */
#include "test.h"

#include "adapter/schedule.h"

static void test_canonical_texts(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"1/sqrt(i)", "1/sqrt(i)"},
        {" 1 / sqrt( i ) ", "1/sqrt(i)"},
        {"i^(-0.5)", "1/sqrt(i)"},
        {"i^(-5e-1)", "1/sqrt(i)"},
        {"1/i", "1/i"},
        {"i^(-1)", "1/i"},
        {"i^(-1.0)", "1/i"},
        {"i^(-0.250)", "i^(-0.25)"},
        {"i^(-2)", "i^(-2)"},
        {"i^(-0)", "1"},
        {"0.50", "0.5"},
        {"0.1", "0.1"},
        {"1e-1", "0.1"},
        {"1", "1"},
        {"1.0", "1"},
        {"0", "0"},
        {"-0", "0"},
        {"0.30000000000000004", "0.30000000000000004"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        slao_schedule schedule, again;
        assert_ok(slao_schedule_parse(&schedule, pairs[i][0]));
        assert_string_equal(schedule.text, pairs[i][1]);
        assert_ok(slao_schedule_parse(&again, schedule.text));
        assert_string_equal(again.text, schedule.text);
        assert_int_equal(again.row, schedule.row);
        assert_near(again.parameter, schedule.parameter, 0);
    }
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int i;
        double value;
    } rows[] = {
        {"1/sqrt(i)", 1, 1},    {"1/sqrt(i)", 2, 0.70710678118654752},
        {"1/sqrt(i)", 4, 0.5},  {"1/i", 1, 1},
        {"1/i", 8, 0.125},      {"i^(-2)", 3, 1.0 / 9},
        {"i^(-0.25)", 16, 0.5}, {"0.3", 1, 0.3},
        {"0.3", 15, 0.3},       {"i^(-0)", 7, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slao_schedule schedule;
        assert_ok(slao_schedule_parse(&schedule, rows[i].text));
        assert_near(slao_schedule_value(&schedule, rows[i].i), rows[i].value, 2.3e-16);
    }
}

/* The weight that each task's B has in the merged one after four tasks, under i^(-1/2), as the
 * paper's readers tabulate it. */
static void test_weights_of_four_tasks(void **state) {
    (void)state;
    static const double published[] = {0.062, 0.149, 0.289, 0.500};
    slao_schedule schedule;
    assert_ok(slao_schedule_parse(&schedule, "1/sqrt(i)"));
    for (int j = 1; j <= 4; j++) {
        double weight = j == 1 ? 1 : slao_schedule_value(&schedule, j);
        for (int i = j + 1; i <= 4; i++)
            weight *= 1 - slao_schedule_value(&schedule, i);
        assert_near(weight, published[j - 1], 6e-4);
    }
}

static void test_bad_forms(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"1.5", "must lie in [0, 1]"},
        {"-0.1", "must lie in [0, 1]"},
        {"1.0000001", "must lie in [0, 1]"},
        {"i^(--1)", "p must not be negative"},
        {"", "the forms are 1/sqrt(i), 1/i, i^(-p), c"},
        {"nan", "the forms are"},
        {"inf", "the forms are"},
        {"0x1p-1", "the forms are"},
        {"1/sqrt(j)", "the forms are"},
        {"i^(-)", "the forms are"},
        {"i^(-", "the forms are"},
        {"i^(0.5)", "the forms are"},
        {"i^(-0.5", "the forms are"},
        {"i^(-0.5)x", "the forms are"},
        {"1/ii", "the forms are"},
        {"cosinus", "the forms are"},
        {"cosine(site)", "the forms are"},
        {"i^(-0.00000000000000000000000000000000000001)", "the forms are"},
        {"0.00000000000000000000000000000000000000000000000000000000001", "the forms are"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slao_schedule schedule;
        assert_fails(slao_schedule_parse(&schedule, rows[i][0]), SLAO_BAD_INPUT, rows[i][1]);
    }
}

/* Vectors of a few numbers, so that every schedule can be computed from its definition. */
typedef struct {
    double x[3];
} vector;

static double dot(vector a, vector b) {
    return a.x[0] * b.x[0] + a.x[1] * b.x[1] + a.x[2] * b.x[2];
}

static vector along(vector a, vector b, double t) {
    vector c;
    for (int k = 0; k < 3; k++)
        c.x[k] = a.x[k] + t * (b.x[k] - a.x[k]);
    return c;
}

/* lambda(2), lambda(3), lambda(4) for these fine-tuned vectors and gradients; the merged vectors
 * come out, too. */
static void run_schedule(const char *text, const vector finetuned[4], const double gradients[4],
                         double lambdas[3], vector merged[4]) {
    slao_schedule schedule;
    double state[SLAO_LAMBDA_STATE];
    assert_ok(slao_schedule_parse(&schedule, text));
    assert_int_equal(schedule.kind, SLAO_SCHEDULE_ADAPTIVE);
    slao_schedule_begin(&schedule, dot(finetuned[0], finetuned[0]), gradients[0], state);
    merged[0] = finetuned[0];
    for (int i = 2; i <= 4; i++) {
        vector m = merged[i - 2], f = finetuned[i - 1];
        slao_lambda_facts facts = {dot(m, m), dot(f, f), dot(m, f), gradients[i - 1]};
        lambdas[i - 2] = slao_schedule_adapt(&schedule, i, &facts, state);
        assert_true(lambdas[i - 2] >= 0 && lambdas[i - 2] <= 1);
        merged[i - 1] = along(m, f, lambdas[i - 2]);
    }
}

static void test_adaptive(void **state) {
    (void)state;
    static const vector turning[4] = {{{1, 2, 0}}, {{0.5, 1, 2}}, {{-1, 0, 1}}, {{2, 2, 2}}};
    static const vector square[4] = {{{3, 0, 0}}, {{0, 3, 0}}, {{0, 0, 3}}, {{0, 0, 0}}};
    static const double gradients[4] = {2, 1, 1, 4};
    double lambdas[3];
    vector merged[4];
    run_schedule("gradient", turning, gradients, lambdas, merged);
    assert_near(lambdas[0], 1.0 / 3, 1e-12);
    assert_near(lambdas[1], 1.0 / 4, 1e-12);
    assert_near(lambdas[2], 4.0 / 8, 1e-12);
    run_schedule("cosine(layer)", turning, gradients, lambdas, merged);
    for (int i = 2; i <= 4; i++) {
        double cosine =
            dot(merged[i - 2], turning[i - 1]) /
            sqrt(dot(merged[i - 2], merged[i - 2]) * dot(turning[i - 1], turning[i - 1]));
        assert_near(lambdas[i - 2], (1 - fmax(0, cosine)) / sqrt(i), 1e-12);
    }
    run_schedule("norm", turning, gradients, lambdas, merged);
    double sum = sqrt(dot(turning[0], turning[0]));
    for (int i = 2; i <= 4; i++) {
        sum += sqrt(dot(turning[i - 1], turning[i - 1]));
        double wanted = sum / i, best = INFINITY, got;
        got = fabs(sqrt(dot(merged[i - 1], merged[i - 1])) - wanted);
        for (int t = 0; t <= 1000; t++) { /* none of these comes nearer */
            vector tried = along(merged[i - 2], turning[i - 1], t / 1000.0);
            best = fmin(best, fabs(sqrt(dot(tried, tried)) - wanted));
        }
        assert_true(got <= best + 1e-9);
    }
    /* Orthogonal and of one norm: OPCM's scale is sqrt(i); and its recursion, written out. */
    run_schedule("opcm", square, gradients, lambdas, merged);
    assert_near(lambdas[0], 1 / sqrt(2), 1e-12);
    run_schedule("opcm", turning, gradients, lambdas, merged);
    double l = 1, norms = sqrt(dot(turning[0], turning[0]));
    for (int i = 2; i <= 4; i++) {
        vector total;
        for (int k = 0; k < 3; k++)
            total.x[k] = l * merged[i - 2].x[k] + turning[i - 1].x[k];
        norms += sqrt(dot(turning[i - 1], turning[i - 1]));
        l = sqrt(dot(total, total)) / (norms / i);
        assert_near(lambdas[i - 2], fmin(1, 1 / l), 1e-12);
    }
    /* Nothing was ever learned. */
    static const vector nothing[4] = {{{0, 0, 0}}, {{0, 0, 0}}, {{0, 0, 0}}, {{0, 0, 0}}};
    static const double none[4] = {0, 0, 0, 0};
    static const char *const texts[] = {"cosine", "norm", "gradient", "opcm"};
    for (int k = 0; k < 4; k++)
        run_schedule(texts[k], nothing, none, lambdas, merged);
}

static void test_help_names_every_form(void **state) {
    (void)state;
    char *text;
    assert_ok(slao_schedule_help(&text));
    assert_non_null(strstr(text, "1/sqrt(i)"));
    assert_non_null(strstr(text, "1/i "));
    assert_non_null(strstr(text, "i^(-p)"));
    assert_non_null(strstr(text, "constant"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_texts),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_weights_of_four_tasks),
        cmocka_unit_test(test_bad_forms),
        cmocka_unit_test(test_adaptive),
        cmocka_unit_test(test_help_names_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
