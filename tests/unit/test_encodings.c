/* sweep/encodings: what steps read is tokenised, and refused, before they run. */
#include "test.h"

#include "fixture.h"
#include "small_benchmark.h"
#include "sweep/encodings.h"

static char folder[] = "/tmp/slao-test-XXXXXX";

static int setup(void **state) {
    (void)state;
    small_benchmark(folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    small_remove(folder);
    return 0;
}

typedef struct {
    slao_spec *spec;
    slao_plan *plan;
    slao_tokenizer *tokenizer;
    slao_encodings *encodings;
} bench;

static bench bench_of(int64_t max_length) {
    char text[1024];
    bench made;
    snprintf(text, sizeof text,
             "{\"model\": \"model.gguf\", \"benchmark\": {\"format\": \"cl_benchmark\", \"path\": "
             "\"data\", \"train_samples\": 3, \"validation_samples\": 2}, \"train\": {\"epochs\": "
             "2, \"max_length\": %lld}, \"evaluate\": {\"references\": []}, \"sweep\": "
             "{\"method\": [\"slao\"], \"order\": [[\"agnews\", \"amazon\"]], \"lambda\": "
             "[\"validation\"]}}",
             (long long)max_length);
    assert_ok(slao_spec_parse(&made.spec, text, "spec.json", folder, NULL, 0));
    assert_ok(slao_plan_new(&made.plan, made.spec, (slao_hash){1, 2}));
    char *path = fixture("tokenizer");
    assert_ok(slao_tokenizer_load(&made.tokenizer, path));
    free(path);
    assert_ok(slao_encodings_new(&made.encodings, made.plan, made.tokenizer));
    return made;
}

static void release(bench *made) {
    slao_encodings_free(made->encodings);
    slao_tokenizer_free(made->tokenizer);
    slao_plan_free(made->plan);
    slao_spec_free(made->spec);
}

static int64_t encoded_tokens(const slao_tokenizer *tokenizer, const slao_examples *examples) {
    slao_encoded *encoded;
    assert_ok(slao_encode(&encoded, tokenizer, examples, 512, "all"));
    int64_t tokens = encoded->n_ids;
    slao_encoded_free(encoded);
    return tokens;
}

static void test_tokens_of_steps(void **state) {
    (void)state;
    bench made = bench_of(512);
    for (int64_t i = 0; i < made.plan->n_steps; i++) {
        const slao_step *step = &made.plan->steps[i];
        const slao_task *task = slao_plan_task(made.plan, step->task);
        int64_t tokens, wanted = 0;
        if (step->kind == SLAO_STEP_FINETUNE)
            wanted = 2 * encoded_tokens(made.tokenizer, &task->train);
        if (step->kind == SLAO_STEP_EVALUATE)
            wanted = encoded_tokens(made.tokenizer, &task->test);
        assert_ok(slao_encodings_of_step(made.encodings, step, &tokens));
        assert_int_equal(tokens, wanted);
    }
    release(&made);
}

/* Of every kind of step, by what it reads. */
static void test_examples_that_do_not_fit(void **state) {
    (void)state;
    static const char *const reads[] = {[SLAO_STEP_FINETUNE] = "train, example 0",
                                        [SLAO_STEP_MERGE] = "validation, example 0",
                                        [SLAO_STEP_EVALUATE] = "test, example 0"};
    bench made = bench_of(2);
    bool seen[SLAO_N_STEP_KINDS] = {false};
    for (int64_t i = 0; i < made.plan->n_steps; i++) {
        const slao_step *step = &made.plan->steps[i];
        seen[step->kind] = true;
        assert_fails(slao_encodings_of_step(made.encodings, step, NULL), SLAO_BAD_INPUT,
                     reads[step->kind]);
        assert_non_null(strstr(slao_message(), "raise max_length"));
    }
    for (int kind = 0; kind < SLAO_N_STEP_KINDS; kind++)
        assert_true(seen[kind]);
    release(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_of_steps),
        cmocka_unit_test(test_examples_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
