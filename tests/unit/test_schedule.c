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
        {"cosine", "the forms are"},
        {"i^(-0.00000000000000000000000000000000000001)", "the forms are"},
        {"0.00000000000000000000000000000000000000000000000000000000001", "the forms are"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slao_schedule schedule;
        assert_fails(slao_schedule_parse(&schedule, rows[i][0]), SLAO_BAD_INPUT, rows[i][1]);
    }
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
        cmocka_unit_test(test_canonical_texts),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_weights_of_four_tasks), cmocka_unit_test(test_bad_forms),
        cmocka_unit_test(test_help_names_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
