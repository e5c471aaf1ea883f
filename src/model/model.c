#include "model/model.h"

#include "base/memory.h"
#include "model/rope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one walk over a model's tensors: counting, carving and filling share it. */
typedef struct {
    float *values;                     /* NULL: count only */
    int64_t n_values;                  /* so far */
    const slao_checkpoint *checkpoint; /* NULL: carve only */
} walk;

static slao_status add(int64_t *n_values, int64_t count) {
    if (count < 0 || __builtin_add_overflow(*n_values, count, n_values) ||
        *n_values > INT64_MAX / 8)
        return slao_fail(SLAO_BAD_INPUT,
                         "the model's config describes more weights than memory can hold");
    return SLAO_OK;
}

/* Tensors start at whole cache lines, save those that are stacked under the one before. */
static slao_status take(walk *w, const float **place, int64_t count, bool stacked,
                        const char *name) {
    enum { PER_LINE = 16 };
    int64_t gap = stacked ? 0 : (PER_LINE - w->n_values % PER_LINE) % PER_LINE;
    SLAO_TRY(add(&w->n_values, gap));
    if (w->values) {
        *place = w->values + w->n_values;
        if (w->checkpoint)
            SLAO_TRY(slao_checkpoint_expand(w->checkpoint, name, w->values + w->n_values));
    }
    return add(&w->n_values, count);
}

/* The biases of q, k and v, stacked like their weights. */
static slao_status walk_biases(walk *w, slao_layer *layer, const slao_model_config *config,
                               int64_t index) {
    for (slao_module module = SLAO_Q_PROJ; module <= SLAO_V_PROJ; module++) {
        int64_t d_out, d_in;
        char name[96];
        slao_module_shape(config, module, &d_out, &d_in);
        snprintf(name, sizeof name, "model.layers.%lld.%s.bias", (long long)index,
                 slao_module_path(module));
        const float *part;
        const float **place = module == SLAO_Q_PROJ ? &layer->qkv_bias : &part;
        SLAO_TRY(take(w, place, d_out, module != SLAO_Q_PROJ, name));
    }
    return SLAO_OK;
}

static slao_status walk_layer(walk *w, slao_layer *layer, const slao_model_config *config,
                              int64_t index) {
    char name[96];
    snprintf(name, sizeof name, "model.layers.%lld.input_layernorm.weight", (long long)index);
    SLAO_TRY(take(w, &layer->input_norm, config->hidden, false, name));
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        if (module == SLAO_GATE_PROJ) {
            snprintf(name, sizeof name, "model.layers.%lld.post_attention_layernorm.weight",
                     (long long)index);
            SLAO_TRY(take(w, &layer->post_norm, config->hidden, false, name));
        }
        int64_t d_out, d_in, count;
        slao_module_shape(config, module, &d_out, &d_in);
        if (__builtin_mul_overflow(d_out, d_in, &count))
            return slao_fail(SLAO_BAD_INPUT, "%s would have %lld x %lld values",
                             slao_module_name(module), (long long)d_out, (long long)d_in);
        snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)index,
                 slao_module_path(module));
        bool stacked = module == SLAO_K_PROJ || module == SLAO_V_PROJ || module == SLAO_UP_PROJ;
        SLAO_TRY(take(w, &layer->weights[module], count, stacked, name));
    }
    layer->qkv_bias = NULL;
    return config->family && config->family->qkv_bias ? walk_biases(w, layer, config, index)
                                                      : SLAO_OK;
}

static slao_status walk_model(walk *w, slao_model *model, const slao_model_config *config) {
    int64_t table;
    if (__builtin_mul_overflow(config->vocabulary, config->hidden, &table))
        return slao_fail(SLAO_BAD_INPUT, "a vocabulary of %lld x %lld is too large",
                         (long long)config->vocabulary, (long long)config->hidden);
    SLAO_TRY(take(w, &model->embedding, table, false, "model.embed_tokens.weight"));
    for (int64_t i = 0; i < config->layers; i++) {
        slao_layer counted;
        SLAO_TRY(walk_layer(w, model->layers ? &model->layers[i] : &counted, config, i));
    }
    SLAO_TRY(take(w, &model->final_norm, config->hidden, false, "model.norm.weight"));
    if (config->tied_head)
        model->head = model->embedding;
    else
        SLAO_TRY(take(w, &model->head, table, false, "lm_head.weight"));
    return SLAO_OK;
}

slao_status slao_model_n_values(const slao_model_config *config, int64_t *n_values) {
    walk w = {0};
    slao_model counted = {0};
    SLAO_TRY(walk_model(&w, &counted, config));
    *n_values = w.n_values;
    return SLAO_OK;
}

static slao_status build(slao_model *model, float *values) {
    const slao_model_config *config = &model->config;
    SLAO_TRY(slao_allocate(&model->layers, (size_t)config->layers, sizeof *model->layers));
    if (!values) {
        int64_t n_values;
        SLAO_TRY(slao_model_n_values(config, &n_values));
        SLAO_TRY_IN(slao_allocate(&model->owned, (size_t)n_values, sizeof *model->owned),
                    "the base model's weights in fp32");
        values = model->owned;
    }
    walk w = {.values = values};
    SLAO_TRY(walk_model(&w, model, config));
    SLAO_TRY(slao_allocate(&model->rope_frequencies, (size_t)config->head_dim / 2, sizeof(float)));
    slao_rope_frequencies(model->rope_frequencies, config);
    return SLAO_OK;
}

slao_status slao_model_new(slao_model **model, const slao_model_config *config, float *values) {
    SLAO_TRY(slao_allocate(model, 1, sizeof **model));
    (*model)->config = *config;
    slao_status status = build(*model, values);
    if (status != SLAO_OK) {
        slao_model_free(*model);
        *model = NULL;
    }
    return status;
}

slao_status slao_model_fill(slao_model *model, const slao_checkpoint *checkpoint) {
    walk w = {.values = (float *)(uintptr_t)model->embedding, .checkpoint = checkpoint};
    return walk_model(&w, model, &model->config);
}

slao_status slao_model_load(slao_model **model, const slao_checkpoint *checkpoint) {
    SLAO_TRY(slao_model_new(model, slao_checkpoint_config(checkpoint), NULL));
    slao_status status = slao_model_fill(*model, checkpoint);
    if (status != SLAO_OK) {
        slao_model_free(*model);
        *model = NULL;
    }
    return status;
}

void slao_model_free(slao_model *model) {
    if (!model)
        return;
    free(model->rope_frequencies);
    free(model->owned);
    free(model->layers);
    free(model);
}
