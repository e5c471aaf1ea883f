/* A tiny random transformer and adapter for tests that need no file. */
#ifndef SLAO_TESTS_TINY_MODEL_H
#define SLAO_TESTS_TINY_MODEL_H

#include "test.h"

#include "adapter/lora.h"
#include "base/random.h"
#include "model/model.h"

static const slao_model_config tiny_config = {
    .hidden = 32,
    .layers = 3,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 8,
    .intermediate = 44,
    .vocabulary = 61,
    .max_positions = 512,
    .rope_theta = 10000,
    .rms_epsilon = 1e-5,
    .tied_head = true,
    .bos = -1,
    .eos = 2,
};

static inline void fill_random(float *values, int64_t count, double deviation, const char *name) {
    slao_random random = slao_random_stream(1, "test", name, 0);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(deviation * slao_random_normal(&random));
}

static inline slao_model *random_model_new(const slao_model_config *config) {
    slao_model *model;
    assert_ok(slao_model_new(&model, config, NULL));
    int64_t count;
    assert_ok(slao_model_n_values(config, &count));
    fill_random(model->owned, count, 0.2, "weights");
    return model;
}

static inline slao_model *tiny_model_new(void) {
    return random_model_new(&tiny_config);
}

/* An adapter on the named modules, both factors random. */
static inline slao_lora *random_lora_new(const slao_model_config *config,
                                         const slao_module *modules, int n_modules,
                                         double dropout) {
    slao_lora_settings settings = {.rank = 3, .alpha = 6, .dropout = dropout};
    for (int i = 0; i < n_modules; i++)
        settings.targets[modules[i]] = true;
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &settings, config));
    fill_random(lora->values, lora->n_values, 0.3, "adapter");
    return lora;
}

static inline slao_lora *tiny_lora_new(const slao_module *modules, int n_modules, double dropout) {
    return random_lora_new(&tiny_config, modules, n_modules, dropout);
}

#endif
