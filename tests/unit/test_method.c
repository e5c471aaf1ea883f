/* continual/method: the table, and options on a table of the test's own. */
#include "test.h"

#include "adapter/merge.h"
#include "adapter/start.h"
#include "continual/method.h"

static const char *const starts[] = {"random", "last-ft", "previous", NULL};
static const slao_method_option options[] = {
    {"init", "where a task starts", "last-ft", SLAO_OPTION_OF_TRAINING, starts, 0, 0},
    {"l1", "weight of the penalty", "0.5", SLAO_OPTION_OF_TRAINING, NULL, 0, 10},
    {"row_scale", "norm of the rows", "1", SLAO_OPTION_OF_START, NULL, 0, 10},
    {0},
};
static const slao_method table[] = {
    {.name = "olora", .help = "", .start = "=init", .merge = "asymmetric", .options = options},
    {.name = "plain", .help = "", .start = "previous"},
    {0},
};

static void test_rows_fit_together(void **state) {
    (void)state;
    for (const slao_method *method = slao_methods; method->name; method++) {
        slao_method_choice choice;
        assert_ok(slao_method_choose(&choice, slao_methods, method->name, "x"));
        assert_ptr_equal(choice.method, method);
        assert_true(method->help[0] != '\0');
        if (method->lineage != SLAO_LINEAGE_TOGETHER)
            assert_non_null(slao_method_start(&choice));
        assert_true(method->merge || !method->uses_lambda);
        if (method->merge)
            assert_non_null(slao_merge_rule_find(method->merge));
    }
    slao_method_choice choice;
    assert_ok(slao_method_choose(&choice, slao_methods, "slao", "x"));
    assert_string_equal(slao_method_start(&choice)->name, "last-ft");
    assert_true(choice.method->uses_lambda);
    assert_ok(slao_method_choose(&choice, slao_methods, "SeqLoRA", "x"));
    assert_string_equal(slao_method_start(&choice)->name, "previous");
    assert_false(choice.method->uses_lambda);
}

static void test_options(void **state) {
    (void)state;
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    slao_method_choice choice;
    assert_ok(slao_method_choose(&choice, table, "olora", "x"));
    assert_string_equal(choice.values[0], "last-ft");
    assert_string_equal(choice.values[1], "0.5");
    assert_ok(slao_method_set(&choice, "init", "previous", arena, "x"));
    assert_string_equal(slao_method_start(&choice)->name, "previous");
    assert_ok(slao_method_set(&choice, "l1", "0.250", arena, "x"));
    assert_string_equal(choice.values[1], "0.25");
    assert_true(slao_method_number(&choice, "l1", 1) == 0.25);
    assert_true(slao_method_number(&choice, "row_scale", 3) == 1);
    slao_method_settle(&choice); /* "previous" makes no rows orthonormal */
    assert_null(slao_method_text(&choice, "row_scale"));
    assert_true(slao_method_number(&choice, "row_scale", 3) == 3);
    assert_string_equal(slao_method_text(&choice, "l1"), "0.25");
    assert_fails(slao_method_choose(&choice, table, "olorra", "spec: m"), SLAO_BAD_INPUT,
                 "spec: m: \"olorra\" is not a method that slao knows; did you mean \"olora\"?");
    assert_ok(slao_method_choose(&choice, table, "olora", "x"));
    assert_fails(slao_method_set(&choice, "inti", "random", arena, "spec: m"), SLAO_BAD_INPUT,
                 "spec: m: olora has no option \"inti\"; did you mean \"init\"?");
    assert_fails(slao_method_set(&choice, "init", "previus", arena, "spec: m"), SLAO_BAD_INPUT,
                 "spec: m: init cannot be \"previus\"; did you mean \"previous\"?");
    assert_fails(slao_method_set(&choice, "l1", "much", arena, "spec: m"), SLAO_BAD_INPUT,
                 "l1 must be a number");
    assert_fails(slao_method_set(&choice, "l1", "11", arena, "spec: m"), SLAO_BAD_INPUT,
                 "must lie between 0 and 10");
    assert_ok(slao_method_choose(&choice, table, "plain", "x"));
    assert_fails(slao_method_set(&choice, "l1", "1", arena, "x"), SLAO_BAD_INPUT, "no option");
    slao_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_fit_together),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
