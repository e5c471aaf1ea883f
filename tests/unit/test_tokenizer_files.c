/* model/: files of tokenizers that cannot be read, and those that only look so: each is refused
 * with the file and the key, or read; none does harm. */
#include "test.h"

#include "base/json.h"
#include "fixture.h"
#include "image.h"
#include "model/tokenizer.h"

/* A fixture's tokenizer.json with the first `before` replaced by `after`. */
static char *changed_json(const char *name, const char *before, const char *after) {
    char *path = fixture(name), *text, *changed;
    assert_ok(slao_read_text(&text, NULL, path));
    char *at = strstr(text, before);
    if (!at)
        fail_msg("%s does not hold %s", name, before);
    *at = '\0';
    assert_ok(slao_format(&changed, "%s%s%s", text, after, at + strlen(before)));
    free(text);
    free(path);
    return changed;
}

static void load_text_fails(const char *json, size_t size, const char *part) {
    char *folder = scratch_folder(), *path;
    assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
    assert_ok(slao_write_file(path, json, size));
    slao_tokenizer *tokenizer;
    assert_fails(slao_tokenizer_load(&tokenizer, folder), SLAO_BAD_INPUT, part);
    assert_null(tokenizer);
    assert_non_null(strstr(slao_message(), path));
    free(path);
    remove_scratch_folder(folder);
}

static void change_fails(const char *name, const char *before, const char *after,
                         const char *part) {
    char *json = changed_json(name, before, after);
    load_text_fails(json, strlen(json), part);
    free(json);
}

static void load_json_fails(const char *before, const char *after, const char *part) {
    change_fails("tokenizer/tokenizer.json", before, after, part);
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
    load_json_fails("\"dropout\": null", "\"dropout\": 0.1", "model.dropout");
    load_json_fails("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"",
                    "model.continuing_subword_prefix");
    load_json_fails("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"",
                    "model.end_of_word_suffix");
    load_json_fails("\"decoder\": {\n    \"type\": \"ByteLevel\"",
                    "\"decoder\": {\n    \"type\": \"WordPiece\"", "decoder of type \"WordPiece\"");
    load_json_fails("\"decoder\": {\n    \"type\": \"ByteLevel\"",
                    "\"decoder\": null, \"other\": {\n    \"type\": \"ByteLevel\"",
                    "decoder of type \"null\"");
    load_json_fails("\"type\": \"TemplateProcessing\"", "\"type\": \"BertProcessing\"",
                    "post_processor of type \"BertProcessing\"");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"!\": 400,", "\"!\" is there twice");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 0,", "id 0 is there twice");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 4000000000,",
                    "is not between 0 and");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": -1,", "is not between 0 and");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 1e300,",
                    "must be a whole number");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": \"7\",",
                    "must be a whole number");
    load_json_fails("\"vocab\": {", "\"vocab\": {\n      \"new\": 1.5,", "must be a whole number");
    load_json_fails("\"merges\": [", "\"merges\": [\n      \"a b c\",", "not two tokens");
    load_json_fails("\"merges\": [", "\"merges\": [\n      \"a zq\",", "token \"zq\"");
    load_json_fails("\"merges\": [", "\"merges\": [\n      [\"q\", \"q\"],", "token \"qq\"");
    load_json_fails("\"merges\": [", "\"merges\": [\n      [\"q\"],",
                    "neither a string nor a pair");
    load_json_fails("\"id\": 331", "\"id\": 999", "the next free id is 331");
    load_json_fails("\"content\": \"<eos>\"", "\"content\": \"<bos>\"", "<bos>");
    load_json_fails("\"lstrip\": false,", "", "added_tokens.lstrip is missing");
    load_json_fails("\"id\": 331", "\"id\": 330", "the next free id is 331");
    load_json_fails("\"model\":", "\"modell\":", "tokenizer.model is missing");
    load_json_fails("\"content\": \"<eos>\"", "\"content\": \"<e\\u0000os>\"",
                    "zero character, at byte");
    load_json_fails("\"content\": \"<eos>\"", "\"content\": \"<\xc3(>\"", "is not UTF-8");
    load_json_fails("\"SpecialToken\"", "\"Special\"", "post_processor.single: each item");
    load_json_fails("\"Sequence\": {", "\"SpecialToken\": {", "more than one token before a text");
    load_json_fails("330\n", "331\n", "must give \"<bos>\" the id 330");
}

static void test_refused_sentencepiece(void **state) {
    (void)state;
    static const char *const changes[][4] = {
        {"llama2", "\"Prepend\"", "\"Precompiled\"", "normalizer of type \"Precompiled\""},
        {"llama2", "{\"String\":\" \"}", "{\"Regex\":\" +\"}", "regular expression \" +\""},
        {"llama2", "{\"String\":\" \"}", "{\"String\":\"\"}", "pattern.String is empty"},
        {"llama2", "\"ByteFallback\"", "\"CTC\"", "decoder of type \"CTC\""},
        {"llama2", "\"stop\":0", "\"stop\":1", "Strip with stop"},
        {"llama2", "\"start\":1", "\"start\":-1", "Strip.start"},
        {"llama2", "{\"type\":\"ByteFallback\"}", "{\"type\":\"Fuse\"}", "after Fuse"},
        {"llama2", "{\"type\":\"ByteFallback\"}", "{\"type\":\"ByteLevel\"}", "after ByteLevel"},
        {"llama2", "\"byte_fallback\":true", "\"byte_fallback\":1", "model.byte_fallback must be"},
        {"llama2", "\"fuse_unk\":true", "\"fuse_unk\":\"yes\"", "model.fuse_unk must be"},
        {"llama2", "\"unk_token\":\"<unk>\"", "\"unk_token\":3", "model.unk_token must be"},
        {"unknown", "\"unk_token\":\"<unk>\"", "\"unk_token\":\"<no>\"",
         "model.unk_token is \"<no>\""},
        {"mistral", "\"first\"", "\"second\"", "prepend_scheme is \"second\""},
        {"mistral", "\"first\"", "\"first\",\"add_prefix_space\":false",
         "add_prefix_space is false"},
        {"mistral", "\"replacement\":\"\xe2\x96\x81\"", "\"replacement\":\"__\"", "one character"},
        {"mistral", "\"normalizer\":null",
         "\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\","
         "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,"
         "\"special\":true}],\"x\":0",
         "added_tokens"},
        {"gpt2", "\"pre_tokenizer\":{\"type\":\"ByteLevel\"",
         "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false},{\"type\":\"Digits\",\"individual_digits\":true}]},\"x\":"
         "{\"type\":\"ByteLevel\"",
         "pre_tokenizer Digits after ByteLevel"},
        {"gpt2", "\"pre_tokenizer\":{\"type\":\"ByteLevel\"",
         "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Metaspace\","
         "\"replacement\":\"_\"},{\"type\":\"Metaspace\",\"replacement\":\"_\"}]},\"x\":"
         "{\"type\":\"ByteLevel\"",
         "second Metaspace"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *name;
        assert_ok(slao_format(&name, "tokenizers/%s/tokenizer.json", changes[i][0]));
        change_fails(name, changes[i][1], changes[i][2], changes[i][3]);
        free(name);
    }
}

/* A million of `[` inside each other, where the model, the normalizer or a merge is expected. */
static void test_nested_json(void **state) {
    (void)state;
    enum { DEPTH = 1000000 };
    static const char *const starts[][2] = {
        {"", "["},
        {"{\"model\":", "{\"vocab\":"},
        {"{\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":["},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":", "["},
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t first = strlen(starts[i][0]), more = strlen(starts[i][1]);
        char *text;
        assert_ok(slao_allocate(&text, first + DEPTH * more, 1));
        memcpy(text, starts[i][0], first);
        for (size_t j = 0; j < DEPTH; j++)
            memcpy(text + first + j * more, starts[i][1], more);
        load_text_fails(text, first + DEPTH * more, "tokenizer.json:1:");
        free(text);
    }
}

/* Nearly as deep as the parser goes: a Sequence in a Sequence, 200 times. */
static void test_nested_sequences(void **state) {
    (void)state;
    enum { DEPTH = 200 };
    char *inner, *outer;
    assert_ok(slao_copy_text(&inner, "null"));
    for (int i = 0; i < DEPTH; i++) {
        assert_ok(slao_format(&outer, "{\"type\":\"Sequence\",\"normalizers\":[%s]}", inner));
        free(inner);
        inner = outer;
    }
    assert_ok(slao_format(&outer, "\"normalizer\":%s", inner));
    char *json = changed_json("tokenizers/mistral/tokenizer.json", "\"normalizer\":null", outer);
    char *folder = scratch_folder(), *path;
    assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
    assert_ok(slao_write_file(path, json, strlen(json)));
    slao_tokenizer *tokenizer;
    assert_ok(slao_tokenizer_load(&tokenizer, folder));
    slao_tokenizer_free(tokenizer);
    free(path);
    remove_scratch_folder(folder);
    free(json);
    free(outer);
    free(inner);
}

/* Loads the document, which may be good or bad, but never more than that. */
static int load_any(const cJSON *root, const char *path) {
    char *text;
    slao_tokenizer *tokenizer;
    assert_ok(slao_json_print(&text, root));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    free(text);
    slao_status status = slao_tokenizer_load(&tokenizer, path);
    if (status == SLAO_OK) {
        slao_ids ids = {0};
        assert_ok(slao_tokenizer_encode(tokenizer, " the lamp\xff\xc3\xa9<s>", 16, &ids));
        assert_ok(slao_tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &(size_t){0}));
        free(text);
        slao_ids_free(&ids);
    } else {
        assert_int_equal(status, SLAO_BAD_INPUT);
        assert_non_null(strstr(slao_message(), path));
    }
    slao_tokenizer_free(tokenizer);
    return status != SLAO_OK;
}

/* Puts each of these values in the place of every value of the document (of long lists and objects,
 * the first few), one at a time; counts what is refused. */
static int replace_each(const cJSON *root, cJSON *parent, const char *path) {
    static const char *const values[] = {"null",    "true", "-1", "1.5",   "1e300",     "\"\"",
                                         "\"x y\"", "[]",   "{}", "[[1]]", "4000000000"};
    enum { MOST_MEMBERS = 4 };
    int refused = 0, n = 0;
    for (cJSON *item = parent->child; item && n < MOST_MEMBERS; item = item->next, n++) {
        cJSON kept = *item;
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            cJSON *value = cJSON_Parse(values[i]);
            assert_non_null(value);
            item->type = value->type;
            item->valuestring = value->valuestring;
            item->valueint = value->valueint;
            item->valuedouble = value->valuedouble;
            item->child = value->child;
            refused += load_any(root, path);
            *item = kept;
            cJSON_Delete(value);
        }
        refused += replace_each(root, item, path);
    }
    return refused;
}

static void test_wrong_types(void **state) {
    (void)state;
    static const char *const parts[] = {"added_tokens", "normalizer",     "pre_tokenizer",
                                        "decoder",      "post_processor", "model"};
    static const char *const names[] = {"llama2", "mistral", "llama3"};
    char *folder = scratch_folder(), *path;
    assert_ok(slao_join_path(&path, folder, "tokenizer.json"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *name, *source;
        cJSON *root;
        assert_ok(slao_format(&name, "tokenizers/%s/tokenizer.json", names[i]));
        source = fixture(name);
        assert_ok(slao_json_load(&root, source));
        int refused = 0;
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++)
            refused += replace_each(root, slao_json_find(root, parts[j]), path);
        assert_in_range(refused, 200, 2000);
        cJSON_Delete(root);
        free(source);
        free(name);
    }
    free(path);
    remove_scratch_folder(folder);
}

/* What leaves an option off, in all the ways that files write it. */
static void test_accepted_json(void **state) {
    (void)state;
    static const char *const changes[][2] = {
        {"\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"\""},
        {"\"unk_token\": null", "\"unk_token\": \"\""},
        {"\"dropout\": null", "\"dropout\": 0.0"},
        {"\"byte_fallback\": false", "\"byte_fallback\": true"}, /* no byte is missing */
        {"\"unk_token\": null", "\"unk_token\": \"<eos>\""},
        {"\"truncation\": null", "\"truncation\": {\"max_length\": 2}"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *json = changed_json("tokenizer/tokenizer.json", changes[i][0], changes[i][1]),
             *folder = scratch_folder(), *path;
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
        {{"bert", "default", "a b", 5, 3}, "tokenizer.ggml.model is \"bert\""},
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
        cmocka_unit_test(test_refused_json),
        cmocka_unit_test(test_refused_sentencepiece),
        cmocka_unit_test(test_accepted_json),
        cmocka_unit_test(test_nested_json),
        cmocka_unit_test(test_nested_sequences),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_refused_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
