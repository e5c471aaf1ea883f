/* model/: the tokenizer and its parts on small vocabularies; what it refuses. Ids of whole texts
 * under the default model's vocabulary are compared in tests/cli/tokenize.sh and
 * tests/data/tokenize_data.sh. */
#include "test.h"

#include "base/json.h"
#include "fixture.h"
#include "image.h"
#include "model/byte_level.h"
#include "model/normalizer.h"
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
        char *normal;
        size_t size;
        assert_ok(slao_normalize_nfc(rows[i].text, strlen(rows[i].text), &normal, &size));
        assert_non_null(normal);
        assert_int_equal(size, strlen(rows[i].normal));
        assert_memory_equal(normal, rows[i].normal, size);
        free(normal);
    }
    char *normal;
    size_t size;
    assert_ok(slao_normalize_nfc("plain", 5, &normal, &size));
    assert_null(normal);
}

static void check_row(const slao_tokenizer *tokenizer, const cJSON *row) {
    const char *text = slao_json_find(row, "text")->valuestring;
    const char *plain = slao_json_find(row, "plain")->valuestring;
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
    char *decoded;
    size_t size;
    assert_ok(slao_tokenizer_decode(tokenizer, ids.ids, ids.count, true, &decoded, &size));
    /* The package gives text, with U+FFFD for what is not: an added token is read as letters of the
     * alphabet too where it can be. */
    char *repaired;
    size_t repaired_size;
    assert_ok(slao_utf8_repair(decoded, size, &repaired, &repaired_size));
    assert_int_equal(repaired ? repaired_size : size, strlen(plain));
    assert_memory_equal(repaired ? repaired : decoded, plain, strlen(plain));
    free(repaired);
    free(decoded);
    slao_ids_free(&ids);
}

static void test_ids_of_the_package(void **state) {
    (void)state;
    char *folder = fixture("tokenizer"), *expected = fixture("tokenizer/expected.json");
    slao_tokenizer *tokenizer;
    assert_ok(slao_tokenizer_load(&tokenizer, folder));
    cJSON *rows;
    assert_ok(slao_json_load(&rows, expected));
    assert_in_range(cJSON_GetArraySize(rows), 10, 100);
    const cJSON *row;
    cJSON_ArrayForEach (row, rows)
        check_row(tokenizer, row);
    cJSON_Delete(rows);
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

/* The fixture's tokenizer.json with the first `before` replaced by `after`. */
static char *changed_json(const char *before, const char *after) {
    char *path = fixture("tokenizer/tokenizer.json"), *text, *changed;
    assert_ok(slao_read_text(&text, NULL, path));
    char *at = strstr(text, before);
    if (!at)
        fail_msg("the fixture does not hold %s", before);
    *at = '\0';
    assert_ok(slao_format(&changed, "%s%s%s", text, after, at + strlen(before)));
    free(text);
    free(path);
    return changed;
}

static void load_json_fails(const char *before, const char *after, const char *part) {
    char *json = changed_json(before, after), *folder = scratch_folder(), *path;
    assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
    assert_ok(slao_write_file(path, json, strlen(json)));
    slao_tokenizer *tokenizer;
    assert_fails(slao_tokenizer_load(&tokenizer, folder), SLAO_BAD_INPUT, part);
    assert_null(tokenizer);
    assert_non_null(strstr(slao_message(), path));
    free(path);
    free(json);
    remove_scratch_folder(folder);
}

static void test_refused_json(void **state) {
    (void)state;
    load_json_fails("\"type\": \"NFC\"", "\"type\": \"Lowercase\"",
                    "normalizer of type \"Lowercase\"");
    load_json_fails("\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model of type \"Unigram\"");
    load_json_fails("\"type\": \"Split\"", "\"type\": \"Whitespace\"",
                    "pre_tokenizer of type \"Whitespace\"");
    load_json_fails("{1,3}", "{1,4}", "regular expression is none that slao knows");
    load_json_fails("\"Isolated\"", "\"Removed\"", "behavior \"Removed\"");
    load_json_fails("\"invert\": false", "\"invert\": true", "invert");
    load_json_fails("\"add_prefix_space\": false", "\"add_prefix_space\": true",
                    "add_prefix_space");
    load_json_fails("\"dropout\": null", "\"dropout\": 0.1", "model.dropout");
    load_json_fails("\"byte_fallback\": false", "\"byte_fallback\": true", "model.byte_fallback");
    load_json_fails("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"",
                    "model.continuing_subword_prefix");
    load_json_fails("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"",
                    "model.end_of_word_suffix");
    load_json_fails("\"decoder\": {\n    \"type\": \"ByteLevel\"",
                    "\"decoder\": {\n    \"type\": \"WordPiece\"", "decoder of type \"WordPiece\"");
    load_json_fails("\"type\": \"TemplateProcessing\"", "\"type\": \"BertProcessing\"",
                    "post_processor of type \"BertProcessing\"");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"!\": 400,", "\"!\" is there twice");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 0,", "id 0 is there twice");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 4000000000,",
                    "is not between 0 and");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 1.5,", "must be a whole number");
    load_json_fails("\"merges\": [", "\"merges\": [\n      \"a b c\",", "not two tokens");
    load_json_fails("\"merges\": [", "\"merges\": [\n      \"a zq\",", "token \"zq\"");
    load_json_fails("\"merges\": [", "\"merges\": [\n      [\"q\", \"q\"],", "token \"qq\"");
    load_json_fails("\"merges\": [", "\"merges\": [\n      [\"q\"],",
                    "neither a string nor a pair");
    load_json_fails("\"id\": 331", "\"id\": 999", "the next free id is 331");
    load_json_fails("\"content\": \"<eos>\"", "\"content\": \"<bos>\"", "<bos>");
    load_json_fails("\"lstrip\": false,", "", "added_tokens.lstrip is missing");
    load_json_fails("\"model\":", "\"modell\":", "tokenizer.model is missing");
}

/* What leaves an option off, in all the ways that files write it. */
static void test_accepted_json(void **state) {
    (void)state;
    static const char *const changes[][2] = {
        {"\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"\""},
        {"\"unk_token\": null", "\"unk_token\": \"\""},
        {"\"dropout\": null", "\"dropout\": 0.0"},
        {"\"truncation\": null", "\"truncation\": {\"max_length\": 2}"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *json = changed_json(changes[i][0], changes[i][1]), *folder = scratch_folder(), *path;
        assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
        assert_ok(slao_write_file(path, json, strlen(json)));
        slao_tokenizer *tokenizer;
        assert_ok(slao_tokenizer_load(&tokenizer, path));
        assert_int_equal(slao_tokenizer_bos(tokenizer), 330);
        assert_int_equal(slao_tokenizer_eos(tokenizer), -1); /* no tokenizer_config.json here */
        slao_tokenizer_free(tokenizer);
        free(path);
        free(json);
        remove_scratch_folder(folder);
    }
}

typedef struct {
    const char *model, *pre, *merge;
    uint32_t n_types, bos;
} metadata;

enum { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_TEXT = 8, GGUF_ARRAY = 9 };

static void put_text_field(image *file, const char *key, const char *value) {
    put_text(file, key);
    put_u32(file, GGUF_TEXT);
    put_text(file, value);
}

static void put_array(image *file, const char *key, uint32_t element, uint64_t count) {
    put_text(file, key);
    put_u32(file, GGUF_ARRAY);
    put_u32(file, element);
    put_u64(file, count);
}

/* Tokens a, b, ab, <eos> (a control token) and ::b (user-defined). */
static const char *write_gguf(metadata m) {
    static const char *const tokens[] = {"a", "b", "ab", "<eos>", "::b"};
    static const uint32_t types[] = {1, 1, 1, 3, 4};
    image file = {.size = 0};
    put(&file, "GGUF", 4);
    put_u32(&file, 3);
    put_u64(&file, 0);
    put_u64(&file, 6);
    put_text_field(&file, "tokenizer.ggml.model", m.model);
    put_text_field(&file, "tokenizer.ggml.pre", m.pre);
    put_array(&file, "tokenizer.ggml.tokens", GGUF_TEXT, 5);
    for (int i = 0; i < 5; i++)
        put_text(&file, tokens[i]);
    put_array(&file, "tokenizer.ggml.token_type", GGUF_I32, m.n_types);
    for (uint32_t i = 0; i < m.n_types; i++)
        put_u32(&file, types[i]);
    put_array(&file, "tokenizer.ggml.merges", GGUF_TEXT, 1);
    put_text(&file, m.merge);
    put_text(&file, "tokenizer.ggml.bos_token_id");
    put_u32(&file, GGUF_U32);
    put_u32(&file, m.bos);
    return scratch_file(file.bytes, file.size);
}

/* Bytes without a token (all but a and b) are dropped, as tokenizers does. */
static void test_gguf(void **state) {
    (void)state;
    const char *path = write_gguf((metadata){"gpt2", "smollm", "a b", 5, 3});
    slao_tokenizer *tokenizer;
    assert_ok(slao_tokenizer_load(&tokenizer, path));
    slao_ids ids = {0};
    assert_ok(slao_tokenizer_encode(tokenizer, "abba c<eos>::ba7b\0a", 19, &ids));
    static const int32_t wanted[] = {2, 1, 0, 3, 4, 0, 1, 0};
    assert_int_equal(ids.count, sizeof wanted / sizeof *wanted);
    assert_memory_equal(ids.ids, wanted, sizeof wanted);
    char *text;
    size_t size;
    assert_ok(slao_tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &size));
    assert_string_equal(text, "abba::baba");
    free(text);
    slao_ids_free(&ids);
    assert_int_equal(slao_tokenizer_bos(tokenizer), 3);
    assert_int_equal(slao_tokenizer_eos(tokenizer), -1);
    assert_false(slao_tokenizer_adds_bos(tokenizer));
    slao_tokenizer_free(tokenizer);
    path = write_gguf((metadata){"gpt2", "llama-bpe", "a b", 5, 3});
    assert_ok(slao_tokenizer_load(&tokenizer, path));
    assert_true(slao_tokenizer_adds_bos(tokenizer));
    slao_tokenizer_free(tokenizer);
    unlink(path);
}

static void test_refused_gguf(void **state) {
    (void)state;
    static const struct {
        metadata metadata;
        const char *part;
    } rows[] = {
        {{"llama", "default", "a b", 5, 3}, "tokenizer.ggml.model is \"llama\""},
        {{"gpt2", "deepseek-llm", "a b", 5, 3}, "tokenizer.ggml.pre is \"deepseek-llm\""},
        {{"gpt2", "smollm", "a b", 4, 3}, "token_type has 4 entries for 5 tokens"},
        {{"gpt2", "smollm", "b a", 5, 3}, "token \"ba\""},
        {{"gpt2", "smollm", "ab", 5, 3}, "not two tokens"},
        {{"gpt2", "smollm", "a b", 5, 5}, "bos_token_id is 5, which is no token"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = write_gguf(rows[i].metadata);
        slao_tokenizer *tokenizer;
        assert_fails(slao_tokenizer_load(&tokenizer, path), SLAO_BAD_INPUT, rows[i].part);
        assert_non_null(strstr(slao_message(), path));
        assert_null(tokenizer);
        unlink(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invalid_utf8),       cmocka_unit_test(test_valid_utf8_is_left_alone),
        cmocka_unit_test(test_byte_alphabet),      cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_ids_of_the_package), cmocka_unit_test(test_refused_json),
        cmocka_unit_test(test_accepted_json),      cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_refused_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
