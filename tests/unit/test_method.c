/* continual/method: the table, and options on a table of the test's own. */
#include "test.h"

#include "adapter/merge.h"
#include "adapter/start.h"
#include "continual/layers.h"
#include "continual/method.h"

static const char *const starts[] = {"random", "last-ft", "previous", NULL};
static const slao_method_option options[] = {
    {"init", "where a task starts", "last-ft", SLAO_OPTION_OF_TRAINING, starts, 0, 0, false},
    {"l1", "weight of the penalty", "0.5", SLAO_OPTION_OF_TRAINING, NULL, 0, 10, false},
    {"row_scale", "norm of the rows", "1", SLAO_OPTION_OF_START, NULL, 0, 10, false},
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

static void test_factors_by_layers(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"A", "A"},     {"both", "both"},         {"0-9:B", "B"},
        {"3:A", "3:A"}, {"4-5:A,0-3:A", "0-5:A"}, {"10-29:both,0-9:A,30:B", "0-9:A,10-29:both"},
    };
    static const char *const refused[] = {"",     "C",      "0-9",       "0-9:", "0-9:C",  "9-0:A",
                                          "-1:A", "0-9:A,", "0-99999:A", "a:A",  "0:A;1:B"};
    slao_arena *arena;
    const char *text;
    assert_ok(slao_arena_new(&arena));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ok(slao_layers_read(&text, rows[i][0], arena, "x"));
        assert_string_equal(text, rows[i][1]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_fails(slao_layers_read(&text, refused[i], arena, "spec: m"), SLAO_BAD_INPUT,
                     "spec: m: merge cannot be");
    assert_fails(slao_layers_read(&text, "0-3:A,2:B", arena, "x"), SLAO_BAD_INPUT,
                 "names layer 2 twice");
    static const char list[] = "0-9:A,12:both";
    assert_string_equal(slao_layers_find(list, 0), "A");
    assert_string_equal(slao_layers_find(list, 9), "A");
    assert_string_equal(slao_layers_find(list, 10), "B");
    assert_string_equal(slao_layers_find(list, 12), "both");
    assert_int_equal(slao_layers_highest(list), 12);
    assert_int_equal(slao_layers_highest("both"), -1);
    slao_arena_free(arena);
}

/* A method's options are its own and its rule's, but for what the row settles. */
static void test_options_of_the_rule(void **state) {
    (void)state;
    slao_method_choice choice;
    assert_ok(slao_method_choose(&choice, slao_methods, "task-arithmetic", "x"));
    assert_true(slao_method_option_find(choice.method, "scale") >= 0);
    assert_ok(slao_method_choose(&choice, slao_methods, "FTBA-MB", "x"));
    assert_int_equal(slao_method_option_find(choice.method, "merge"), -1);
    assert_string_equal(slao_method_merges(&choice), "B");
    assert_ok(slao_method_choose(&choice, slao_methods, "slao", "x"));
    slao_method_option option;
    int merges = 0;
    for (int k = 0; slao_method_option_at(choice.method, k, &option); k++)
        merges += strcmp(option.key, "merge") == 0;
    assert_int_equal(merges, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_fit_together),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_factors_by_layers),
        cmocka_unit_test(test_options_of_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
