/* data/encode with a tokenizer of our own in place of the real one: every byte is a token, but for
 * a few words that are one token each, so that a longer text can have fewer tokens. */
#include "test.h"

#include "base/memory.h"
#include "data/encode.h"

/* An example of head, sentence, tail and answer: references are not encoded. */
#define TEXTS(...) {__VA_ARGS__, 0, NULL}

struct slao_tokenizer {
    bool adds_bos;
    int64_t bos, eos;
    bool fails;
};

static const char *const words[] = {"abcdefgh", "xyz", NULL}; /* ids 300, 301 */
enum { FIRST_WORD = 300, BOS = 400, EOS = 401 };

slao_status slao_tokenizer_encode(const slao_tokenizer *tokenizer, const char *text, size_t size,
                                  slao_ids *ids) {
    if (tokenizer->fails)
        return slao_fail(SLAO_NO_RESOURCE, "no memory for this text");
    for (size_t i = 0; i < size;) {
        int32_t id = (unsigned char)text[i];
        size_t length = 1;
        for (int w = 0; words[w]; w++) {
            size_t word_length = strlen(words[w]);
            if (size - i >= word_length && memcmp(text + i, words[w], word_length) == 0) {
                id = FIRST_WORD + w;
                length = word_length;
            }
        }
        SLAO_TRY(slao_ids_add(ids, id));
        i += length;
    }
    return SLAO_OK;
}

int64_t slao_tokenizer_bos(const slao_tokenizer *tokenizer) {
    return tokenizer->bos;
}

int64_t slao_tokenizer_eos(const slao_tokenizer *tokenizer) {
    return tokenizer->eos;
}

bool slao_tokenizer_adds_bos(const slao_tokenizer *tokenizer) {
    return tokenizer->adds_bos;
}

static const slao_tokenizer plain = {.bos = BOS, .eos = EOS};
static const slao_tokenizer with_bos = {.adds_bos = true, .bos = BOS, .eos = EOS};

static slao_encoded *encode(const slao_tokenizer *tokenizer, slao_example *examples, int64_t count,
                            int64_t max_length) {
    slao_encoded *encoded;
    slao_examples split = {.count = count, .examples = examples};
    assert_ok(slao_encode(&encoded, tokenizer, &split, max_length, "task t, train"));
    assert_int_equal(encoded->count, count);
    return encoded;
}

/* The ids, bytes as characters, words in capitals, BOS and EOS as ^ and $. */
static void assert_ids(const slao_sequence *example, const char *expected) {
    char text[256];
    assert_true(example->count < (int64_t)sizeof text);
    for (int64_t i = 0; i < example->count; i++) {
        int32_t id = example->ids[i];
        text[i] = id == BOS ? '^' : id == EOS ? '$' : (char)(id < 256 ? id : id - FIRST_WORD + 'A');
    }
    text[example->count] = '\0';
    assert_string_equal(text, expected);
}

static void test_prompt_answer_end(void **state) {
    (void)state;
    slao_example examples[] = {TEXTS("h:", "one", "?", " yes"), TEXTS("h:", "", "?", "xyz")};
    slao_encoded *encoded = encode(&plain, examples, 2, 100);
    assert_ids(&encoded->sequences[0], "h:one? yes$");
    assert_int_equal(encoded->sequences[0].answer_start, 6);
    assert_ids(&encoded->sequences[1], "h:?B$");
    assert_int_equal(encoded->sequences[1].answer_start, 3);
    assert_false(encoded->truncated[0]);
    assert_int_equal(encoded->n_truncated, 0);
    assert_int_equal(encoded->n_ids, 16);
    assert_int_equal(encoded->longest, 11);
    slao_encoded_free(encoded);

    encoded = encode(&with_bos, examples, 2, 100);
    assert_ids(&encoded->sequences[0], "^h:one? yes$");
    assert_ids(&encoded->sequences[1], "^h:?B$");
    assert_int_equal(encoded->sequences[1].answer_start, 4);
    slao_encoded_free(encoded);
}

/* Prompt and answer are encoded apart: a word across the boundary is not one token. */
static void test_boundary_is_kept(void **state) {
    (void)state;
    slao_example example = TEXTS("", "x", "y", "z");
    slao_encoded *encoded = encode(&plain, &example, 1, 100);
    assert_ids(encoded->sequences, "xyz$");
    slao_encoded_free(encoded);
    slao_example inside = TEXTS("", "xy", "z", "a"); /* but one across sentence and tail is */
    encoded = encode(&plain, &inside, 1, 100);
    assert_ids(encoded->sequences, "Ba$");
    slao_encoded_free(encoded);
}

static void assert_cut(const char *sentence, int64_t max_length, const char *expected) {
    slao_example example = TEXTS("h:", sentence, "?", "ok");
    slao_encoded *encoded = encode(&plain, &example, 1, max_length);
    assert_ids(encoded->sequences, expected);
    assert_true(encoded->truncated[0]);
    assert_int_equal(encoded->n_truncated, 1);
    slao_encoded_free(encoded);
}

static void test_the_sentence_is_cut(void **state) {
    (void)state;
    assert_cut("0123456789", 15, "h:012345678?ok$");
    assert_cut("0123456789", 7, "h:0?ok$");
    assert_cut("0123456789", 6, "h:?ok$");
    /* Whole characters: the euro sign has three bytes. */
    assert_cut("01\u20ac\u20ac", 11, "h:01\u20ac?ok$");
    assert_cut("01\u20ac\u20ac", 10, "h:01?ok$");
    assert_cut("01\u20ac\u20ac", 13, "h:01\u20ac?ok$");
}

static void test_a_longer_prefix_may_fit(void **state) {
    (void)state;
    /* "0abcdefg" is 8 tokens, "0abcdefgh" 2. */
    assert_cut("0abcdefgh123456789", 9, "h:0A1?ok$");
    assert_cut("0abcdefgh123456789", 8, "h:0A?ok$");
    assert_cut("0abcdefgh123456789", 7, "h:0?ok$");
    /* The whole sentence fits although its beginning does not: nothing is cut. */
    slao_example example = TEXTS("h:", "0abcdefgh", "?", "ok");
    slao_encoded *encoded = encode(&plain, &example, 1, 8);
    assert_ids(encoded->sequences, "h:0A?ok$");
    assert_false(encoded->truncated[0]);
    slao_encoded_free(encoded);
}

static void test_what_fits_exactly_is_whole(void **state) {
    (void)state;
    slao_example example = TEXTS("h:", "01", "?", "ok");
    slao_encoded *encoded = encode(&plain, &example, 1, 8);
    assert_ids(encoded->sequences, "h:01?ok$");
    assert_false(encoded->truncated[0]);
    slao_encoded_free(encoded);
}

static void test_refused(void **state) {
    (void)state;
    slao_example examples[] = {TEXTS("h:", "0", "?", "ok"), TEXTS("h:", "0123", "?", "okokok")};
    slao_examples split = {.count = 2, .examples = examples};
    slao_encoded *encoded;
    assert_fails(slao_encode(&encoded, &plain, &split, 9, "task t, train"), SLAO_BAD_INPUT,
                 "task t, train, example 1: its instruction and answer alone are 10 tokens, more "
                 "than max_length 9; raise max_length to 10 or more");
    assert_null(encoded);
    slao_tokenizer no_end = {.bos = -1, .eos = -1};
    assert_fails(slao_encode(&encoded, &no_end, &split, 9, "task t, train"), SLAO_BAD_INPUT,
                 "names no end token");
    slao_tokenizer no_bos = {.adds_bos = true, .bos = -1, .eos = EOS};
    assert_fails(slao_encode(&encoded, &no_bos, &split, 9, "task t, train"), SLAO_BAD_INPUT,
                 "adds a BOS token, but names none");
    slao_tokenizer fails = {.eos = EOS, .fails = true};
    assert_fails(slao_encode(&encoded, &fails, &split, 9, "task t, train"), SLAO_NO_RESOURCE,
                 "no memory for this text");
    assert_null(encoded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt_answer_end),
        cmocka_unit_test(test_boundary_is_kept),
        cmocka_unit_test(test_the_sentence_is_cut),
        cmocka_unit_test(test_a_longer_prefix_may_fit),
        cmocka_unit_test(test_what_fits_exactly_is_whole),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
