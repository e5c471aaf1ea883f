/* Frequencies and angles of RoPE against transformers (tests/reference/make_tiny_models.py), with
 * the parameters of real models and at positions far into a text. */
#include "test.h"

#include "fixture.h"
#include "model/rope.h"
#include "model/safetensors.h"

enum { N_POSITIONS = 6, MOST_HALF = 64 };
static const int64_t positions[N_POSITIONS] = {0, 1, 8191, 8192, 40000, 131071};

static void check(const slao_safetensors *file, const char *model, const char *what,
                  const float *values, int64_t count, double relative, double absolute) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", model, what);
    const slao_tensor *wanted = slao_tensor_list_find(slao_safetensors_tensors(file), name);
    assert_non_null(wanted);
    assert_int_equal(slao_tensor_count(wanted), count);
    for (int64_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, wanted->data + 4 * i, sizeof value);
        assert_near((double)values[i], (double)value, relative * fabs((double)value) + absolute);
    }
}

static void test_real_models(void **state) {
    (void)state;
    const struct {
        const char *name;
        slao_model_config config;
    } models[] = {
        {"llama-3.1-8b",
         {.head_dim = 128,
          .rope_theta = 500000,
          .rope = {SLAO_ROPE_LLAMA3, 8, 1, 4, 8192, 0, {0}}}},
        {"llama-3.2-1b",
         {.head_dim = 64,
          .rope_theta = 500000,
          .rope = {SLAO_ROPE_LLAMA3, 32, 1, 4, 8192, 0, {0}}}},
        {"qwen2.5-7b", {.head_dim = 128, .rope_theta = 1000000}},
        {"longchat-7b",
         {.head_dim = 128, .rope_theta = 10000, .rope = {.type = SLAO_ROPE_LINEAR, .factor = 8}}},
    };
    slao_segment segments[N_POSITIONS];
    slao_span spans[N_POSITIONS];
    for (int i = 0; i < N_POSITIONS; i++) {
        segments[i] = (slao_segment){.parent = -1, .position = positions[i], .count = 1};
        spans[i] = (slao_span){.segment = i, .count = 1};
    }
    const slao_batch batch = {.n_rows = N_POSITIONS,
                              .n_segments = N_POSITIONS,
                              .segments = segments,
                              .n_spans = N_POSITIONS,
                              .spans = spans};
    slao_safetensors *file;
    char *path = fixture("rope.safetensors");
    assert_ok(slao_safetensors_open(&file, path));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        float frequencies[MOST_HALF], cosines[N_POSITIONS * MOST_HALF],
            sines[N_POSITIONS * MOST_HALF];
        int64_t half = models[i].config.head_dim / 2;
        assert_ok(slao_rope_check(&models[i].config.rope));
        slao_rope_frequencies(frequencies, &models[i].config);
        slao_rope_tables(cosines, sines, &batch, frequencies, half);
        /* frequencies are a rounding apart at most; the position magnifies that */
        check(file, models[i].name, "frequencies", frequencies, half, 1.2e-7, 0);
        check(file, models[i].name, "cosines", cosines, N_POSITIONS * half, 0, 1e-5);
        check(file, models[i].name, "sines", sines, N_POSITIONS * half, 0, 1e-5);
    }
    slao_safetensors_close(file);
    free(path);
}

/* Divisors of a GGUF file, all of them the factor of linear scaling, are linear scaling. */
static void test_factors(void **state) {
    (void)state;
    slao_model_config linear = {
        .head_dim = 16, .rope_theta = 10000, .rope = {.type = SLAO_ROPE_LINEAR, .factor = 4}};
    slao_model_config factors = {.head_dim = 16, .rope_theta = 10000, .rope = {.n_factors = 8}};
    float expected[8], actual[8];
    for (int i = 0; i < 8; i++)
        factors.rope.factors[i] = 4;
    slao_rope_frequencies(expected, &linear);
    slao_rope_frequencies(actual, &factors);
    assert_memory_equal(expected, actual, sizeof expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_models),
        cmocka_unit_test(test_factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
