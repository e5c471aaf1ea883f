/* base/: errors, memory, hashes, random streams, files, JSON. */
#include "test.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/random.h"

#include <unistd.h>

static slao_status deep(void) {
    SLAO_TRY_IN(slao_fail(SLAO_BAD_INPUT, "row %d is short", 3), "table %s", "t");
    return SLAO_OK;
}

static void test_messages_gather_context(void **state) {
    (void)state;
    assert_fails(deep(), SLAO_BAD_INPUT, "table t: row 3 is short");
}

static void test_nearest_name(void **state) {
    (void)state;
    const char *names[] = {"learning_rate", "lambda", "order", NULL};
    assert_string_equal(slao_nearest("lamda", names), "lambda");
    assert_string_equal(slao_nearest("learningrate", names), "learning_rate");
    assert_null(slao_nearest("benchmark", names));
}

static void test_allocation_is_checked(void **state) {
    (void)state;
    double *values;
    assert_fails(slao_allocate(&values, SIZE_MAX / 4, sizeof *values), SLAO_NO_RESOURCE, "memory");
    assert_null(values);
    assert_ok(slao_allocate(&values, 0, sizeof *values));
    assert_non_null(values);
    free(values);
}

static void test_arena_reuses_memory(void **state) {
    (void)state;
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    char *first, *again;
    slao_arena_mark mark = slao_arena_here(arena);
    assert_ok(slao_arena_take(arena, &first, 100, 1));
    slao_arena_return(arena, mark);
    assert_ok(slao_arena_take(arena, &again, 50, 1));
    assert_ptr_equal(first, again);
    char *large;
    assert_ok(slao_arena_take(arena, &large, 5, 1 << 20));
    memset(large, 1, 5 << 20);
    assert_int_equal((uintptr_t)large % 64, 0);
    /* What is held now has a fourth that is no multiple of 64, which no chunk may be of. */
    assert_ok(slao_arena_take(arena, &large, (5 << 20) + 64, 1));
    assert_ok(slao_arena_take(arena, &large, 100, 1));
    assert_int_equal((uintptr_t)large % 64, 0);
    slao_arena_free(arena);
}

static void test_hash_separates_fields(void **state) {
    (void)state;
    slao_hasher *hasher;
    assert_ok(slao_hasher_new(&hasher));
    slao_hash_text(hasher, "ab");
    slao_hash_text(hasher, "c");
    slao_hash first = slao_hash_value(hasher);
    slao_hasher_reset(hasher);
    slao_hash_text(hasher, "a");
    slao_hash_text(hasher, "bc");
    assert_false(slao_hash_equal(first, slao_hash_value(hasher)));
    slao_hasher_free(hasher);
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(first, text);
    slao_hash back;
    assert_ok(slao_hash_from_text(&back, text));
    assert_true(slao_hash_equal(first, back));
    assert_fails(slao_hash_from_text(&back, "xyz"), SLAO_BAD_INPUT, "32 hex digits");
}

/* Known answers of Philox4x32-10 from the authors' Random123 distribution (kat_vectors). */
static void test_philox_known_answers(void **state) {
    (void)state;
    slao_random zero = {.key = {0, 0}};
    assert_int_equal(slao_random_bits(&zero), 0x6627e8d5u);
    assert_int_equal(slao_random_bits(&zero), 0xe169c58du);
    slao_random ones = {.key = {~0u, ~0u}, .stream = ~UINT64_C(0), .block = ~UINT64_C(0)};
    assert_int_equal(slao_random_bits(&ones), 0x408f276du);
    slao_random pi = {.key = {0xa4093822u, 0x299f31d0u},
                      .block = UINT64_C(0x85a308d3243f6a88),
                      .stream = UINT64_C(0x0370734413198a2e)};
    assert_int_equal(slao_random_bits(&pi), 0xd16cfe09u);
}

static void test_random_streams(void **state) {
    (void)state;
    slao_random a = slao_random_stream(7, "shuffle", "agnews", 0);
    slao_random b = slao_random_stream(7, "shuffle", "agnews", 0);
    slao_random c = slao_random_stream(7, "shuffle", "agnews", 1);
    uint32_t first = slao_random_bits(&a);
    assert_int_equal(first, slao_random_bits(&b));
    assert_int_not_equal(first, slao_random_bits(&c));
    double sum = 0, squares = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = slao_random_normal(&a);
        sum += x;
        squares += x * x;
    }
    assert_near(sum / N, 0, 0.02);
    assert_near(squares / N, 1, 0.03);
    int64_t order[10], seen = 0;
    slao_random_permutation(&a, order, 10);
    for (int i = 0; i < 10; i++)
        seen |= 1 << order[i];
    assert_int_equal(seen, 1023);
}

static void test_files_appear_whole(void **state) {
    (void)state;
    char folder[] = "/tmp/slao-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *deep_folder, *path, *text;
    assert_ok(slao_join_path(&deep_folder, folder, "a/b/c"));
    assert_ok(slao_make_folders(deep_folder));
    assert_ok(slao_join_path(&path, deep_folder, "file"));
    assert_ok(slao_write_file(path, "hello", 5));
    size_t size;
    assert_ok(slao_read_text(&text, &size, path));
    assert_string_equal(text, "hello");
    assert_int_equal(size, 5);
    free(text);
    assert_fails(slao_write_file("/nowhere/file", "x", 1), SLAO_BAD_INPUT, "/nowhere/file");
    assert_fails(slao_read_text(&text, NULL, folder), SLAO_BAD_INPUT, "not a regular file");
    unlink(path);
    free(path);
    free(deep_folder);
}

static void test_full_disk_is_a_refused_resource(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    setvbuf(full, NULL, _IONBF, 0);
    assert_int_equal(fputs("x", full), EOF);
    assert_fails(slao_fail_errno(SLAO_BROKEN, "cannot write"), SLAO_NO_RESOURCE, "No space left");
    fclose(full);
}

typedef struct {
    int64_t epochs;
    double rate;
    const char *name;
    bool flag;
} record;

static const slao_json_field record_fields[] = {
    {"epochs", SLAO_JSON_INTEGER, offsetof(record, epochs), true, 1, 100},
    {"rate", SLAO_JSON_REAL, offsetof(record, rate), false, 0, 0},
    {"name", SLAO_JSON_TEXT, offsetof(record, name), false, 0, 0},
    {"flag", SLAO_JSON_BOOL, offsetof(record, flag), false, 0, 0},
    {0},
};

static void read_fails(const char *text, const char *part) {
    cJSON *root;
    record into = {0};
    assert_ok(slao_json_parse(&root, text, strlen(text), "f.json"));
    assert_fails(slao_json_read(root, "f.json: train", record_fields, false, &into), SLAO_BAD_INPUT,
                 part);
    cJSON_Delete(root);
}

static void test_json_by_table(void **state) {
    (void)state;
    const char *text =
        "{\"epochs\": 2, // two\n \"rate\": 1e-4, \"name\": \"a//b\", \"flag\": true}";
    cJSON *root;
    assert_ok(slao_json_parse(&root, text, strlen(text), "f.json"));
    record into = {0};
    assert_ok(slao_json_read(root, "f.json: train", record_fields, false, &into));
    assert_int_equal(into.epochs, 2);
    assert_near(into.rate, 1e-4, 0);
    assert_string_equal(into.name, "a//b");
    assert_true(into.flag);
    cJSON_Delete(root);
    read_fails("{\"epochs\": 2, \"rat\": 1}",
               "f.json: train.rat is not a key that slao knows; did you mean \"rate\"?");
    read_fails("{\"epochs\": 2.5}", "train.epochs must be a whole number");
    read_fails("{\"epochs\": 0}", "must lie between 1 and 100");
    read_fails("{\"rate\": 1}", "train.epochs is missing");
    read_fails("{\"epochs\": 1, \"epochs\": 2}", "given twice");
    read_fails("[1]", "must be an object");
}

static void test_json_syntax_errors_say_where(void **state) {
    (void)state;
    cJSON *root;
    const char *text = "{\n  \"a\": 1,\n  \"b\": oops\n}";
    assert_fails(slao_json_parse(&root, text, strlen(text), "f.json"), SLAO_BAD_INPUT,
                 "f.json:3:8");
    assert_fails(slao_json_parse(&root, "{\"a\": [1", 8, "f.json"), SLAO_BAD_INPUT,
                 "ends too early");
    assert_fails(slao_json_parse(&root, "", 0, "f.json"), SLAO_BAD_INPUT, "f.json:1:1");
    assert_fails(slao_json_parse(&root, "{}x", 3, "f.json"), SLAO_BAD_INPUT, "f.json:1:3");
}

static void test_json_keeps_bits(void **state) {
    (void)state;
    const double numbers[] = {0.1, 0.30000000000000004, 1e-300 / 3, -2.0 / 3, 3, 0x1p53, 1e22 / 7};
    enum { N = sizeof numbers / sizeof *numbers };
    cJSON *list = cJSON_CreateDoubleArray(numbers, N), *again;
    char *text;
    assert_ok(slao_json_print(&text, list));
    assert_ok(slao_json_parse(&again, text, strlen(text), "text"));
    for (int i = 0; i < N; i++)
        assert_near(cJSON_GetArrayItem(again, i)->valuedouble, numbers[i], 0);
    assert_non_null(strstr(text, "[0.1,0.30000000000000004,"));
    cJSON_Delete(again);
    cJSON_Delete(list);
    free(text);
}

static void test_numbers_as_text(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.5, "0.5"},     {1e-4, "0.0001"}, {1e-5, "1e-05"},
                {-0.0, "0"},      {2, "2"},         {0.1 + 0.2, "0.30000000000000004"},
                {1e300, "1e+300"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[SLAO_NUMBER_TEXT];
        double back;
        slao_number_text(text, rows[i].value);
        assert_string_equal(text, rows[i].text);
        assert_true(slao_number_parse(&back, text));
        assert_near(back, rows[i].value, 0);
    }
    static const char *const wrong[] = {"", " 1", "1 ", "0x1", "inf", "nan", "1e999", "1.2.3", "e"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double value;
        if (slao_number_parse(&value, wrong[i]))
            fail_msg("\"%s\" was taken for a number", wrong[i]);
    }
}

static void test_index(void **state) {
    (void)state;
    slao_index index = {0};
    enum { N = 10000 };
    assert_int_equal(slao_index_find(&index, (slao_hash){.low = 1}), -1);
    for (int64_t i = 0; i < N; i++) /* low halves collide by the dozen */
        assert_ok(
            slao_index_add(&index, (slao_hash){.high = (uint64_t)i, .low = (uint64_t)i / 16}, i));
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(
            slao_index_find(&index, (slao_hash){.high = (uint64_t)i, .low = (uint64_t)i / 16}), i);
    assert_int_equal(slao_index_find(&index, (slao_hash){.high = N, .low = 0}), -1);
    slao_index_free(&index);
    assert_int_equal(slao_index_find(&index, (slao_hash){.low = 1}), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_gather_context),
        cmocka_unit_test(test_nearest_name),
        cmocka_unit_test(test_allocation_is_checked),
        cmocka_unit_test(test_arena_reuses_memory),
        cmocka_unit_test(test_hash_separates_fields),
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_files_appear_whole),
        cmocka_unit_test(test_full_disk_is_a_refused_resource),
        cmocka_unit_test(test_json_by_table),
        cmocka_unit_test(test_json_syntax_errors_say_where),
        cmocka_unit_test(test_json_keeps_bits),
        cmocka_unit_test(test_numbers_as_text),
        cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
