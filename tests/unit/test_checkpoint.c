/* model/: configs and checkpoints, against transformers (tests/reference/make_gguf_fixtures.py). */
#include "test.h"

#include "fixture.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"

static slao_checkpoint *open_fixture(const char *name) {
    slao_checkpoint *checkpoint;
    char *path = fixture(name);
    assert_ok(slao_checkpoint_open(&checkpoint, path));
    free(path);
    return checkpoint;
}

static slao_checkpoint *open_default_model(void) {
    slao_checkpoint *checkpoint;
    const char *path = getenv("SLAO_MODEL");
    if (!path)
        fail_msg("SLAO_MODEL must name the default model (ctest sets it)");
    assert_ok(slao_checkpoint_open(&checkpoint, path));
    return checkpoint;
}

static float *expand(const slao_checkpoint *checkpoint, const char *name) {
    const slao_tensor *tensor = slao_tensor_list_find(slao_checkpoint_tensors(checkpoint), name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    float *values;
    assert_ok(slao_allocate(&values, (size_t)slao_tensor_count(tensor), sizeof *values));
    assert_ok(slao_checkpoint_expand(checkpoint, name, values));
    return values;
}

static void test_default_model(void **state) {
    (void)state;
    slao_checkpoint *checkpoint = open_default_model();
    const slao_model_config *config = slao_checkpoint_config(checkpoint);
    assert_string_equal(config->family->name, "llama");
    assert_int_equal(config->hidden, 576);
    assert_int_equal(config->layers, 30);
    assert_int_equal(config->heads, 9);
    assert_int_equal(config->kv_heads, 3);
    assert_int_equal(config->head_dim, 64);
    assert_int_equal(config->intermediate, 1536);
    assert_int_equal(config->vocabulary, 49152);
    assert_int_equal(config->max_positions, 8192);
    assert_near(config->rope_theta, 100000, 0);
    assert_near(config->rms_epsilon, 1e-5, 1e-12);
    assert_true(config->tied_head);
    assert_int_equal(config->bos, 1);
    assert_int_equal(config->eos, 2);
    const slao_tensor_list *list = slao_checkpoint_tensors(checkpoint);
    assert_int_equal(list->count, 272);
    int64_t parameters = 0, of_type[SLAO_N_DTYPES] = {0};
    for (int64_t i = 0; i < list->count; i++) {
        parameters += slao_tensor_count(&list->tensors[i]);
        of_type[list->tensors[i].dtype]++;
    }
    assert_int_equal(parameters, 134515008);
    assert_int_equal(of_type[SLAO_Q4_1], 210);
    assert_int_equal(of_type[SLAO_Q8_0], 1);
    assert_int_equal(of_type[SLAO_F32], 61);
    slao_checkpoint_close(checkpoint);
}

/* Names there are "TENSOR:row:N" and "TENSOR:column:N". */
static void test_default_model_values(void **state) {
    (void)state;
    slao_checkpoint *checkpoint = open_default_model();
    slao_safetensors *expected;
    char *path = fixture("default_model.safetensors");
    assert_ok(slao_safetensors_open(&expected, path));
    const slao_tensor_list *list = slao_safetensors_tensors(expected);
    assert_int_equal(list->count, 19);
    for (int64_t i = 0; i < list->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s", list->tensors[i].name);
        char *colon = strchr(name, ':');
        assert_non_null(colon);
        *colon = '\0';
        bool row = strncmp(colon + 1, "row:", 4) == 0;
        int64_t index = atoll(strrchr(colon + 1, ':') + 1);
        const slao_tensor *tensor =
            slao_tensor_list_find(slao_checkpoint_tensors(checkpoint), name);
        assert_non_null(tensor);
        int64_t columns = tensor->shape[tensor->n_dims - 1];
        int64_t step = row ? 1 : columns, start = row ? index * columns : index;
        int64_t count = row ? columns : tensor->shape[0];
        assert_int_equal(slao_tensor_count(&list->tensors[i]), count);
        float *values = expand(checkpoint, name);
        for (int64_t j = 0; j < count; j++) {
            float wanted;
            memcpy(&wanted, list->tensors[i].data + j * 4, sizeof wanted);
            if (memcmp(&wanted, &values[start + j * step], sizeof wanted) != 0)
                fail_msg("%s: element %lld is %.9g, not %.9g", list->tensors[i].name, (long long)j,
                         (double)values[start + j * step], (double)wanted);
        }
        free(values);
    }
    free(path);
    slao_safetensors_close(expected);
    slao_checkpoint_close(checkpoint);
}

static void test_folder_and_gguf_agree(void **state) {
    (void)state;
    slao_checkpoint *folder = open_fixture("tiny"), *gguf = open_fixture("tiny.gguf");
    const slao_model_config *a = slao_checkpoint_config(folder), *b = slao_checkpoint_config(gguf);
    assert_int_equal(a->hidden, 32);
    assert_int_equal(a->vocabulary, 24);
    assert_int_equal(a->kv_heads, 2);
    assert_near(a->rope_theta, 5000, 0);
    assert_int_equal(a->eos, 3); /* generation_config.json wins */
    assert_int_equal(a->n_end_tokens, 2);
    assert_true(slao_model_ends_at(a, 2));
    assert_false(slao_model_ends_at(a, 1));
    assert_true(a->tied_head && b->tied_head);
    assert_true(a->family == b->family);
    assert_int_equal(b->eos, 3);
    assert_int_equal(b->n_end_tokens, 2);
    const slao_tensor_list *list = slao_checkpoint_tensors(folder);
    assert_int_equal(list->count, 2 * 9 + 2);
    assert_int_equal(slao_checkpoint_tensors(gguf)->count, list->count);
    for (int64_t i = 0; i < list->count; i++) {
        float *values = expand(folder, list->tensors[i].name);
        float *others = expand(gguf, list->tensors[i].name);
        assert_memory_equal(values, others,
                            sizeof *values * (size_t)slao_tensor_count(&list->tensors[i]));
        free(values);
        free(others);
    }
    float value;
    assert_fails(slao_checkpoint_expand(folder, "lm_head.weight", &value), SLAO_BAD_INPUT,
                 "no tensor lm_head.weight");
    slao_checkpoint_close(folder);
    slao_checkpoint_close(gguf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_model),
        cmocka_unit_test(test_default_model_values),
        cmocka_unit_test(test_folder_and_gguf_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
