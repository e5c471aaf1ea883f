/* data/encode on real texts with the default model's tokenizer: the prefix that a long sentence is
 * cut to is the longest one that fits, which is checked by trying them all. */
#include "test.h"

#include "base/file.h"
#include "data/encode.h"

static slao_tokenizer *tokenizer;
static slao_task *task;

static int load_both(void **state) {
    (void)state;
    char *path;
    assert_ok(slao_join_path(&path, getenv("SLAO_DATA"), "CL_Benchmark"));
    slao_benchmark_settings settings = {
        .format = "cl_benchmark", .path = path, .train_samples = 200, .answer_space = true};
    assert_ok(slao_task_load(&task, &settings, "dbpedia")); /* names in many scripts */
    free(path);
    assert_ok(slao_tokenizer_load(&tokenizer, getenv("SLAO_MODEL")));
    return 0;
}

static int free_both(void **state) {
    (void)state;
    slao_task_free(task);
    slao_tokenizer_free(tokenizer);
    return 0;
}

/* The ids of the example with `size` bytes of its sentence. */
static slao_ids ids_of(const slao_example *example, size_t size) {
    slao_ids ids = {0};
    char *prompt;
    int64_t eos = slao_tokenizer_eos(tokenizer);
    assert_false(slao_tokenizer_adds_bos(tokenizer));
    assert_ok(slao_format(&prompt, "%s%.*s%s", example->head, (int)size, example->sentence,
                          example->tail));
    assert_ok(slao_tokenizer_encode(tokenizer, prompt, strlen(prompt), &ids));
    assert_ok(slao_tokenizer_encode(tokenizer, example->answer, strlen(example->answer), &ids));
    assert_ok(slao_ids_add(&ids, (int32_t)eos));
    free(prompt);
    return ids;
}

static void assert_same_ids(const slao_sequence *sequence, const slao_ids *ids) {
    assert_int_equal(sequence->count, ids->count);
    assert_memory_equal(sequence->ids, ids->ids, ids->count * sizeof *ids->ids);
}

static void check_longest(const slao_encoded *encoded, int64_t i, int64_t max_length) {
    const slao_example *example = &task->train.examples[i];
    size_t size = strlen(example->sentence);
    slao_ids ids = ids_of(example, size);
    assert_int_equal(encoded->truncated[i], (int64_t)ids.count > max_length);
    while ((int64_t)ids.count > max_length) {
        slao_ids_free(&ids);
        do
            size--;
        while (((unsigned char)example->sentence[size] & 0xC0) == 0x80);
        ids = ids_of(example, size);
    }
    assert_same_ids(&encoded->sequences[i], &ids);
    slao_ids_free(&ids);
}

static void test_the_longest_prefix_is_kept(void **state) {
    (void)state;
    static const int64_t lengths[] = {120, 140};
    for (int k = 0; k < 2; k++) {
        slao_encoded *encoded;
        assert_ok(slao_encode(&encoded, tokenizer, &task->train, lengths[k], "dbpedia, train"));
        assert_int_equal(encoded->count, 200);
        assert_true(encoded->n_truncated > 20 && encoded->n_truncated < 180);
        assert_true(encoded->longest <= lengths[k]);
        for (int64_t i = 0; i < encoded->count; i++)
            check_longest(encoded, i, lengths[k]);
        slao_encoded_free(encoded);
    }
}

static void test_answer_is_apart(void **state) {
    (void)state;
    slao_encoded *encoded;
    assert_ok(slao_encode(&encoded, tokenizer, &task->train, 2048, "dbpedia, train"));
    assert_int_equal(encoded->n_truncated, 0);
    for (int64_t i = 0; i < encoded->count; i++) {
        const slao_sequence *sequence = &encoded->sequences[i];
        char *answer;
        size_t size;
        assert_ok(slao_tokenizer_decode(tokenizer, sequence->ids + sequence->answer_start,
                                        (size_t)(sequence->count - sequence->answer_start - 1),
                                        false, &answer, &size));
        assert_string_equal(answer, task->train.examples[i].answer);
        free(answer);
    }
    slao_encoded_free(encoded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_longest_prefix_is_kept),
        cmocka_unit_test(test_answer_is_apart),
    };
    return cmocka_run_group_tests(tests, load_both, free_both);
}
