/* The inputs of modules and the Fisher information of an adapter, against what torch computes of
 * the same tiny Llama (tests/reference/make_tiny_inputs.py). */
#include "test.h"

#include "fixture.h"

#include "adapter/peft.h"
#include "base/json.h"
#include "learn/fisher.h"
#include "learn/observation.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"

enum { N_SEQUENCES = 4, MOST_TOKENS = 128 };

typedef struct {
    slao_checkpoint *checkpoint;
    slao_model *model;
    slao_lora *lora;
    slao_pass *pass;
    slao_safetensors *expected;
    int32_t ids[N_SEQUENCES][MOST_TOKENS];
    slao_sequence sequences[N_SEQUENCES];
} tiny;

static void read_sequences(tiny *t) {
    char *path = fixture("tiny-llama/tokens.json");
    cJSON *root;
    assert_ok(slao_json_load(&root, path));
    int n = 0;
    const cJSON *item, *id;
    cJSON_ArrayForEach (item, slao_json_find(root, "sequences")) {
        int count = 0;
        cJSON_ArrayForEach (id, slao_json_find(item, "ids"))
            t->ids[n][count++] = (int32_t)id->valuedouble;
        int64_t answer_start = (int64_t)slao_json_find(item, "answer_start")->valuedouble;
        t->sequences[n] = (slao_sequence){t->ids[n], count, answer_start};
        n++;
    }
    assert_int_equal(n, N_SEQUENCES);
    cJSON_Delete(root);
    free(path);
}

static void tiny_open(tiny *t) {
    char *model = fixture("tiny-llama"), *adapter = fixture("tiny-llama/adapter"),
         *expected = fixture("tiny-llama/inputs.safetensors");
    assert_ok(slao_checkpoint_open(&t->checkpoint, model));
    assert_ok(slao_model_load(&t->model, t->checkpoint, SLAO_WEIGHTS_FP32));
    assert_ok(slao_peft_load(&t->lora, adapter, &t->model->config));
    assert_ok(slao_pass_new(&t->pass, t->model));
    assert_ok(slao_safetensors_open(&t->expected, expected));
    read_sequences(t);
    free(model);
    free(adapter);
    free(expected);
}

static void tiny_close(tiny *t) {
    slao_safetensors_close(t->expected);
    slao_pass_free(t->pass);
    slao_lora_free(t->lora);
    slao_model_free(t->model);
    slao_checkpoint_close(t->checkpoint);
}

static const float *expected_values(const tiny *t, const char *name, int64_t count) {
    const slao_tensor *tensor = slao_tensor_list_find(slao_safetensors_tensors(t->expected), name);
    if (!tensor)
        fail_msg("%s is not in the fixture", name);
    assert_int_equal(slao_tensor_count(tensor), count);
    return (const float *)(const void *)tensor->data;
}

typedef struct {
    const tiny *t;
    int64_t seen;
} comparison;

static slao_status compare(void *context, const slao_gram *gram) {
    comparison *c = context;
    char name[128];
    snprintf(name, sizeof name, "gram.model.layers.%d.%s", (int)gram->layer,
             slao_module_path(gram->module));
    const float *expected = expected_values(c->t, name, gram->width * gram->width);
    double largest = 0;
    for (int64_t i = 0; i < gram->width; i++)
        largest = fmax(largest, (double)expected[i * gram->width + i]);
    for (int64_t i = 0; i < gram->width * gram->width; i++)
        assert_near(gram->sum[i], (double)expected[i], 1e-5 * largest);
    assert_true(gram->rows > 0);
    c->seen++;
    return SLAO_OK;
}

static void test_inputs_are_those_of_torch(void **state) {
    (void)state;
    tiny t = {0};
    tiny_open(&t);
    slao_low_ranks pairs;
    assert_ok(slao_lora_view(&pairs, t.lora, NULL, &t.model->config));
    /* All sums at once, one at a time, and in batches of another size. */
    static const size_t memories[] = {SIZE_MAX, 0, 20000};
    for (int i = 0; i < 3; i++) {
        comparison c = {&t, 0};
        slao_observation_settings settings = {t.sequences, N_SEQUENCES, i == 2 ? 3 : 2,
                                              memories[i]};
        assert_ok(
            slao_observe_inputs(t.pass, &t.model->config, t.lora, &pairs, &settings, compare, &c));
        assert_int_equal(c.seen, 2 * 4);
    }
    slao_lora_view_free(&pairs);
    tiny_close(&t);
}

static slao_status refuse(void *context, const slao_gram *gram) {
    (void)context;
    return gram->layer == 1 ? slao_fail(SLAO_FAILED, "refused") : SLAO_OK;
}

static void test_failures_are_forwarded(void **state) {
    (void)state;
    tiny t = {0};
    tiny_open(&t);
    slao_observation_settings settings = {t.sequences, N_SEQUENCES, 2, 0};
    assert_fails(
        slao_observe_inputs(t.pass, &t.model->config, t.lora, NULL, &settings, refuse, NULL),
        SLAO_FAILED, "layer 1, input of q_proj: refused");
    tiny_close(&t);
}

static void test_fisher_is_that_of_torch(void **state) {
    (void)state;
    tiny t = {0};
    tiny_open(&t);
    t.lora->settings.dropout = 0.5; /* not applied */
    float *fisher;
    assert_ok(slao_allocate(&fisher, (size_t)t.lora->n_values, sizeof *fisher));
    assert_ok(slao_fisher(t.pass, &t.model->config, t.lora, t.sequences, N_SEQUENCES, fisher));
    for (int64_t i = 0; i < t.lora->n_sites; i++) {
        const slao_site *site = &t.lora->sites[i];
        for (int f = 0; f < 2; f++) {
            char tensor[SLAO_LORA_NAME], name[SLAO_LORA_NAME + 8];
            slao_lora_tensor_name(tensor, site, f ? 'B' : 'A');
            snprintf(name, sizeof name, "fisher.%s", tensor);
            int64_t count = t.lora->settings.rank * (f ? site->d_out : site->d_in);
            const float *expected = expected_values(&t, name, count),
                        *got = fisher + ((f ? site->b : site->a) - t.lora->values);
            double largest = 0;
            for (int64_t k = 0; k < count; k++)
                largest = fmax(largest, (double)expected[k]);
            for (int64_t k = 0; k < count; k++)
                assert_near((double)got[k], (double)expected[k], 2e-5 * largest);
        }
    }
    free(fisher);
    tiny_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_are_those_of_torch),
        cmocka_unit_test(test_failures_are_forwarded),
        cmocka_unit_test(test_fisher_is_that_of_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
