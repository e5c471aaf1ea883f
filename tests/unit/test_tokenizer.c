/* model/: the tokenizer and its parts on small vocabularies. Ids of whole texts under the default
 * model's vocabulary are compared in tests/cli/tokenize.sh and tests/data/tokenize_data.sh; what is
 * refused, in test_tokenizer_files.c. */
#include "test.h"

#include "base/json.h"
#include "fixture.h"
#include "model/byte_level.h"
#include "model/nfc.h"
#include "model/tokenizer.h"
#include "model/utf8.h"

/* Each invalid sequence and the number of U+FFFD that Python's errors="replace" gives for it. */
static void test_invalid_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        int replacements;
    } rows[] = {
        {"\xff", 1},         {"\x80\x80", 2},
        {"\xc0\x80", 2},     {"\xc2", 1},
        {"\xe2\x82", 1},     {"\xe0\x80\x80", 3},
        {"\xe0\xa0", 1},     {"\xed\xa0\x80", 3},
        {"\xed\x9f", 1},     {"\xf0\x80\x80\x80", 4},
        {"\xf0\x90\x80", 1}, {"\xf4\x90\x80\x80", 4},
        {"\xf4\x8f\xbf", 1}, {"\xf5\x80", 2},
        {"\xef\xbf", 1},     {"\xf8\x88\x80\x80\x80", 5},
        {"\xe2\x82\xff", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[16], wanted[32] = "a", *repaired;
        snprintf(text, sizeof text, "a%sz", rows[i].bytes);
        for (int j = 0; j < rows[i].replacements; j++)
            strcat(wanted, "\xef\xbf\xbd");
        strcat(wanted, "z");
        size_t size;
        assert_ok(slao_utf8_repair(text, strlen(text), &repaired, &size));
        assert_non_null(repaired);
        assert_int_equal(size, strlen(wanted));
        assert_memory_equal(repaired, wanted, size);
        free(repaired);
    }
}

static void test_valid_utf8_is_left_alone(void **state) {
    (void)state;
    const int32_t points[] = {0,      0x7f,   0x80,   0x7ff,   0x800,   0xd7ff,
                              0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char bytes[SLAO_UTF8_MOST], *repaired;
        size_t size = slao_utf8_write(points[i], bytes), repaired_size;
        int32_t point;
        assert_int_equal(slao_utf8_read(bytes, size, &point), size);
        assert_int_equal(point, points[i]);
        assert_ok(slao_utf8_repair(bytes, size, &repaired, &repaired_size));
        assert_null(repaired);
    }
}

static void test_byte_alphabet(void **state) {
    (void)state;
    bool seen[0x144] = {false};
    for (int byte = 0; byte < 256; byte++) {
        char letter[SLAO_LETTER_MOST], back[SLAO_LETTER_MOST];
        size_t size = slao_byte_letter((unsigned char)byte, letter), count;
        int32_t point;
        assert_int_equal(slao_utf8_read(letter, size, &point), size);
        assert_in_range(point, 33, 0x143);
        assert_false(seen[point]);
        seen[point] = true;
        slao_byte_level_decode(letter, size, back, &count);
        assert_int_equal(count, 1);
        assert_int_equal((unsigned char)back[0], byte);
    }
    assert_true(seen[0x120]); /* the space */
    char text[8];
    size_t count;
    slao_byte_level_decode("\xc4\xa0 ", 3, text, &count); /* a space is not in the alphabet */
    assert_int_equal(count, 3);
    assert_memory_equal(text, "\xc4\xa0 ", 3);
}

static void test_normal_form(void **state) {
    (void)state;
    static const struct {
        const char *text, *normal;
    } rows[] = {
        {"e\xcc\x81", "\xc3\xa9"},
        {"a\xcc\x88\xcc\xa3", "\xe1\xba\xa1\xcc\x88"}, /* marks change places */
        /* The young U+1ABF (class 220 in newer Unicode) stays behind U+0301. */
        {"x\xcc\x81\xe1\xaa\xbf", "x\xcc\x81\xe1\xaa\xbf"},
        {"\xe1\xaa\xbf"
         "e\xcc\x81",
         "\xe1\xaa\xbf\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slao_bytes normal = {0};
        assert_false(slao_is_surely_nfc(rows[i].text, strlen(rows[i].text)));
        assert_ok(slao_nfc(rows[i].text, strlen(rows[i].text), &normal));
        assert_int_equal(normal.count, strlen(rows[i].normal));
        assert_memory_equal(normal.items, rows[i].normal, normal.count);
        slao_bytes_free(&normal);
    }
    assert_true(slao_is_surely_nfc("plain \xc3\xa9\xcb\xbf", 10)); /* U+02FF is the last one */
    assert_false(slao_is_surely_nfc("\xcc\x80", 2));
}

static void check_text(const slao_tokenizer *tokenizer, const slao_ids *ids, bool skip_special,
                       const char *wanted) {
    char *decoded, *repaired;
    size_t size, repaired_size;
    assert_ok(
        slao_tokenizer_decode(tokenizer, ids->ids, ids->count, skip_special, &decoded, &size));
    /* The package gives text, with U+FFFD for what is not: an added token is read as letters of the
     * alphabet too where it can be. */
    assert_ok(slao_utf8_repair(decoded, size, &repaired, &repaired_size));
    assert_int_equal(repaired ? repaired_size : size, strlen(wanted));
    assert_memory_equal(repaired ? repaired : decoded, wanted, strlen(wanted));
    free(repaired);
    free(decoded);
}

static void check_row(const slao_tokenizer *tokenizer, const cJSON *row) {
    const char *text = slao_json_find(row, "text")->valuestring;
    slao_ids ids = {0};
    assert_ok(slao_tokenizer_encode(tokenizer, text, strlen(text), &ids));
    size_t at = 0;
    const cJSON *id;
    cJSON_ArrayForEach (id, slao_json_find(row, "ids")) {
        if (at >= ids.count || ids.ids[at] != id->valueint)
            fail_msg("\"%s\": id %zu is not %d", text, at, id->valueint);
        at++;
    }
    assert_int_equal(at, ids.count);
    check_text(tokenizer, &ids, false, slao_json_find(row, "whole")->valuestring);
    check_text(tokenizer, &ids, true, slao_json_find(row, "plain")->valuestring);
    slao_ids_free(&ids);
}

static void check_rows(const slao_tokenizer *tokenizer, const char *path) {
    cJSON *rows;
    assert_ok(slao_json_load(&rows, path));
    assert_in_range(cJSON_GetArraySize(rows), 10, 100);
    const cJSON *row;
    cJSON_ArrayForEach (row, rows)
        check_row(tokenizer, row);
    cJSON_Delete(rows);
}

/* Small vocabularies of every manner: what the package gave is committed beside them. */
static void test_every_manner(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t bos;
    } rows[] = {
        {"gpt2", -1},  {"smollm", -1}, {"llama3", -1}, {"qwen2", -1},
        {"llama2", 1}, {"mistral", 1}, {"unknown", 1}, {"fused", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *name, *folder, *expected;
        slao_tokenizer *tokenizer;
        assert_ok(slao_format(&name, "tokenizers/%s", rows[i].name));
        folder = fixture(name);
        assert_ok(slao_join_path(&expected, folder, "expected.json"));
        assert_ok(slao_tokenizer_load(&tokenizer, folder));
        check_rows(tokenizer, expected);
        assert_int_equal(slao_tokenizer_bos(tokenizer), rows[i].bos);
        assert_int_equal(slao_tokenizer_adds_bos(tokenizer), rows[i].bos >= 0);
        slao_tokenizer_free(tokenizer);
        free(expected);
        free(folder);
        free(name);
    }
}

static void check_start(const slao_tokenizer *tokenizer, const int32_t *ids, size_t count,
                        const char *wanted, size_t wanted_size) {
    char *text;
    size_t size;
    assert_ok(slao_tokenizer_decode_start(tokenizer, ids, count, true, &text, &size));
    assert_int_equal(size, wanted_size);
    assert_memory_equal(text, wanted, wanted_size + 1); /* and its NUL */
    free(text);
}

/* What has been decoded never changes by what comes: a character that is written in bytes is shown
 * when it is whole, and bytes that are none count when their run is over. */
static void test_the_start_of_a_text_stays(void **state) {
    (void)state;
    enum { BYTE_0 = 90 }; /* the id of <0x00> */
    char *folder = fixture("tokenizers/llama2");
    slao_tokenizer *tokenizer;
    assert_ok(slao_tokenizer_load(&tokenizer, folder));
    slao_ids ids = {0};
    assert_ok(slao_tokenizer_encode(tokenizer, "a\xc3\xbd", 3, &ids));
    assert_int_equal(ids.ids[ids.count - 1], BYTE_0 + 0xbd);
    assert_int_equal(ids.ids[ids.count - 2], BYTE_0 + 0xc3);
    check_start(tokenizer, ids.ids, ids.count - 1, "a", 1);
    check_start(tokenizer, ids.ids, ids.count, "a", 1); /* more bytes may follow */
    assert_ok(slao_ids_add(&ids, ids.ids[0]));
    check_start(tokenizer, ids.ids, ids.count, "a\xc3\xbd a", 5);
    ids.ids[ids.count - 2] = BYTE_0 + 'x';
    check_start(tokenizer, ids.ids, ids.count, "a\xef\xbf\xbd\xef\xbf\xbd a", 9);
    check_start(tokenizer, (int32_t[]){1, 2, BYTE_0, 100000}, 4, "", 0);
    slao_ids_free(&ids);
    slao_tokenizer_free(tokenizer);
    free(folder);
    folder = fixture("tokenizers/gpt2"); /* byte-level: whatever bytes there are */
    assert_ok(slao_tokenizer_load(&tokenizer, folder));
    assert_ok(slao_tokenizer_encode(tokenizer, "a\xc3\xbd", 3, &ids));
    check_start(tokenizer, ids.ids, ids.count - 1, "a\xc3", 2);
    slao_ids_free(&ids);
    slao_tokenizer_free(tokenizer);
    free(folder);
}

static void test_ids_of_the_package(void **state) {
    (void)state;
    char *folder = fixture("tokenizer"), *expected = fixture("tokenizer/expected.json");
    slao_tokenizer *tokenizer;
    assert_ok(slao_tokenizer_load(&tokenizer, folder));
    check_rows(tokenizer, expected);
    assert_int_equal(slao_tokenizer_vocabulary(tokenizer), 337);
    assert_int_equal(slao_tokenizer_bos(tokenizer), 330);
    assert_int_equal(slao_tokenizer_eos(tokenizer), 331);
    assert_true(slao_tokenizer_adds_bos(tokenizer));
    char *text;
    size_t size;
    assert_ok(slao_tokenizer_decode(tokenizer, (int32_t[]){330, 331}, 2, false, &text, &size));
    assert_string_equal(text, "<bos><eos>");
    free(text);
    /* Ids without a token stand for nothing, as in the package. */
    assert_ok(slao_tokenizer_decode(tokenizer, (int32_t[]){337, 330, -1}, 3, false, &text, &size));
    assert_string_equal(text, "<bos>");
    free(text);
    slao_tokenizer_free(tokenizer);
    free(expected);
    free(folder);
}

/* A scratch folder with the small vocabulary of Mistral and this tokenizer_config.json (NULL:
 * none).
 */
static char *folder_with_config(const char *config) {
    char *source = fixture("tokenizers/mistral/tokenizer.json"), *text, *path;
    char *folder = scratch_folder();
    size_t size;
    assert_ok(slao_read_text(&text, &size, source));
    assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
    assert_ok(slao_write_file(path, text, size));
    free(path);
    assert_ok(slao_join_path(&path, folder, "tokenizer_config.json"));
    if (config)
        assert_ok(slao_write_file(path, config, strlen(config)));
    free(path);
    free(text);
    free(source);
    return folder;
}

/* The template puts <s> (1) before a text; </s> is 2. add_bos_token goes before it. */
static void test_tokens_of_the_config(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int64_t bos, eos;
        bool adds_bos;
    } rows[] = {
        {NULL, 1, -1, true},
        {"{\"eos_token\": \"</s>\", \"bos_token\": \"</s>\"}", 1, 2, true},
        {"{\"eos_token\": {\"content\": \"</s>\"}, \"bos_token\": null}", 1, 2, true},
        {"{\"bos_token\": \"<s>\", \"add_bos_token\": false}", 1, -1, false},
        {"{\"bos_token\": \"</s>\", \"add_bos_token\": true}", 2, -1, true},
        {"{\"bos_token\": \"</s>\", \"add_bos_token\": null}", 1, -1, true},
        {"{\"add_bos_token\": true}", -1, -1, false}, /* there is none to add */
    };
    slao_hash hashes[sizeof rows / sizeof *rows];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *folder = folder_with_config(rows[i].config);
        slao_tokenizer *tokenizer;
        assert_ok(slao_tokenizer_load(&tokenizer, folder));
        assert_int_equal(slao_tokenizer_bos(tokenizer), rows[i].bos);
        assert_int_equal(slao_tokenizer_eos(tokenizer), rows[i].eos);
        assert_int_equal(slao_tokenizer_adds_bos(tokenizer), rows[i].adds_bos);
        slao_tokenizer_free(tokenizer);
        assert_ok(slao_tokenizer_hash(&hashes[i], folder));
        for (size_t j = 0; j < i; j++)
            assert_false(slao_hash_equal(hashes[i], hashes[j]));
        remove_scratch_folder(folder);
    }
    char *folder = folder_with_config("{\"eos_token\": \"<no>\"}");
    slao_tokenizer *tokenizer;
    assert_fails(slao_tokenizer_load(&tokenizer, folder), SLAO_BAD_INPUT,
                 "tokenizer_config.json: eos_token is \"<no>\", which is no token");
    remove_scratch_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_valid_utf8_is_left_alone),
        cmocka_unit_test(test_byte_alphabet),
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_ids_of_the_package),
        cmocka_unit_test(test_every_manner),
        cmocka_unit_test(test_the_start_of_a_text_stays),
        cmocka_unit_test(test_tokens_of_the_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
