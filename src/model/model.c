#include "model/model.h"

#include "base/memory.h"
#include "model/rope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const slao_weights_names[] = {"auto", "fp32", "file", NULL};

enum { NAME = 96 };

static void module_name(char name[NAME], int64_t layer, slao_module module, const char *part) {
    snprintf(name, NAME, "model.layers.%lld.%s.%s", (long long)layer, slao_module_path(module),
             part);
}

/* The one walk over a model's tensors: counting, carving and filling share it. */
typedef struct {
    float *values;                     /* NULL: count only */
    int64_t n_values;                  /* so far */
    const slao_checkpoint *checkpoint; /* NULL: carve only */
    bool vectors_only;                 /* the matrices stay in the file */
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
        if (w->checkpoint) {
            SLAO_TRY(slao_checkpoint_expand(w->checkpoint, name, w->values + w->n_values));
            SLAO_TRY(slao_checkpoint_let_go(w->checkpoint, name));
        }
    }
    return add(&w->n_values, count);
}

static slao_status take_matrix(walk *w, const float **place, slao_stored *stored, int64_t rows,
                               int64_t columns, bool stacked, const char *name) {
    int64_t count;
    if (__builtin_mul_overflow(rows, columns, &count))
        return slao_fail(SLAO_BAD_INPUT, "%s would have %lld x %lld values", name, (long long)rows,
                         (long long)columns);
    if (!w->vectors_only)
        return take(w, place, count, stacked, name);
    *place = NULL;
    return w->checkpoint ? slao_checkpoint_find(stored, w->checkpoint, name) : SLAO_OK;
}

/* The biases of q, k and v, stacked like their weights. */
static slao_status walk_biases(walk *w, slao_layer *layer, const slao_model_config *config,
                               int64_t index) {
    for (slao_module module = SLAO_Q_PROJ; module <= SLAO_V_PROJ; module++) {
        int64_t d_out, d_in;
        char name[NAME];
        slao_module_shape(config, module, &d_out, &d_in);
        module_name(name, index, module, "bias");
        const float *part;
        const float **place = module == SLAO_Q_PROJ ? &layer->qkv_bias : &part;
        SLAO_TRY(take(w, place, d_out, module != SLAO_Q_PROJ, name));
    }
    return SLAO_OK;
}

/* The module whose product computes this one: they share their input, and their rows are stacked.
 */
static slao_module first_of_stack(slao_module module) {
    if (module == SLAO_UP_PROJ)
        return SLAO_GATE_PROJ;
    return module < SLAO_O_PROJ ? SLAO_Q_PROJ : module;
}

static slao_status walk_layer(walk *w, slao_layer *layer, const slao_model_config *config,
                              int64_t index) {
    char name[NAME];
    snprintf(name, sizeof name, "model.layers.%lld.input_layernorm.weight", (long long)index);
    SLAO_TRY(take(w, &layer->input_norm, config->hidden, false, name));
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        if (module == SLAO_GATE_PROJ) {
            snprintf(name, sizeof name, "model.layers.%lld.post_attention_layernorm.weight",
                     (long long)index);
            SLAO_TRY(take(w, &layer->post_norm, config->hidden, false, name));
        }
        int64_t d_out, d_in;
        slao_module_shape(config, module, &d_out, &d_in);
        module_name(name, index, module, "weight");
        SLAO_TRY(take_matrix(w, &layer->weights[module], &layer->stored[module], d_out, d_in,
                             first_of_stack(module) != module, name));
    }
    layer->qkv_bias = NULL;
    return config->family && config->family->qkv_bias ? walk_biases(w, layer, config, index)
                                                      : SLAO_OK;
}

static slao_status walk_model(walk *w, slao_model *model, const slao_model_config *config) {
    int64_t vocabulary = config->vocabulary, hidden = config->hidden;
    SLAO_TRY(take_matrix(w, &model->embedding, &model->stored_embedding, vocabulary, hidden, false,
                         "model.embed_tokens.weight"));
    for (int64_t i = 0; i < config->layers; i++) {
        slao_layer counted;
        SLAO_TRY(walk_layer(w, model->layers ? &model->layers[i] : &counted, config, i));
    }
    SLAO_TRY(take(w, &model->final_norm, hidden, false, "model.norm.weight"));
    if (!config->tied_head)
        return take_matrix(w, &model->head, &model->stored_head, vocabulary, hidden, false,
                           "lm_head.weight");
    model->head = model->embedding;
    model->stored_head = model->stored_embedding;
    return SLAO_OK;
}

static slao_status count_values(const slao_model_config *config, bool vectors_only,
                                int64_t *n_values) {
    walk w = {.vectors_only = vectors_only};
    slao_model counted = {0};
    SLAO_TRY(walk_model(&w, &counted, config));
    *n_values = w.n_values;
    return SLAO_OK;
}

slao_status slao_model_n_values(const slao_model_config *config, int64_t *n_values) {
    return count_values(config, false, n_values);
}

slao_status slao_weights_decide(slao_weights *weights, const slao_model_config *config) {
    const int64_t most_bytes = INT64_C(8) << 30;
    if (*weights != SLAO_WEIGHTS_AUTO)
        return SLAO_OK;
    int64_t n_values;
    SLAO_TRY(slao_model_n_values(config, &n_values));
    *weights =
        n_values <= most_bytes / (int64_t)sizeof(float) ? SLAO_WEIGHTS_FP32 : SLAO_WEIGHTS_FILE;
    return SLAO_OK;
}

static slao_status build(slao_model *model, const slao_model_config *config, float *values) {
    model->config = *config;
    SLAO_TRY(slao_allocate(&model->layers, (size_t)config->layers, sizeof *model->layers));
    bool vectors_only = model->file != NULL;
    if (!values) {
        int64_t n_values;
        SLAO_TRY(count_values(config, vectors_only, &n_values));
        SLAO_TRY_IN(slao_allocate(&model->owned, (size_t)n_values, sizeof *model->owned),
                    "the base model's weights in fp32 (\"weights\": \"file\" leaves them in the "
                    "file's precision)");
        values = model->owned;
    }
    walk w = {.values = values, .checkpoint = model->file, .vectors_only = vectors_only};
    SLAO_TRY(walk_model(&w, model, config));
    SLAO_TRY(slao_allocate(&model->rope_frequencies, (size_t)config->head_dim / 2, sizeof(float)));
    slao_rope_frequencies(model->rope_frequencies, config);
    return SLAO_OK;
}

static slao_status new_model(slao_model **model, const slao_model_config *config, float *values,
                             const slao_checkpoint *file) {
    SLAO_TRY(slao_allocate(model, 1, sizeof **model));
    (*model)->file = file;
    slao_status status = build(*model, config, values);
    if (status != SLAO_OK) {
        slao_model_free(*model);
        *model = NULL;
    }
    return status;
}

slao_status slao_model_new(slao_model **model, const slao_model_config *config, float *values) {
    return new_model(model, config, values, NULL);
}

slao_status slao_model_open(slao_model **model, const slao_checkpoint *checkpoint) {
    return new_model(model, slao_checkpoint_config(checkpoint), NULL, checkpoint);
}

slao_status slao_model_fill(slao_model *model, const slao_checkpoint *checkpoint) {
    walk w = {.values = (float *)(uintptr_t)model->embedding, .checkpoint = checkpoint};
    return walk_model(&w, model, &model->config);
}

slao_status slao_model_load(slao_model **model, const slao_checkpoint *checkpoint,
                            slao_weights weights) {
    const slao_model_config *config = slao_checkpoint_config(checkpoint);
    SLAO_TRY(slao_weights_decide(&weights, config));
    if (weights == SLAO_WEIGHTS_FILE)
        return slao_model_open(model, checkpoint);
    SLAO_TRY(slao_model_new(model, config, NULL));
    slao_status status = slao_model_fill(*model, checkpoint);
    if (status != SLAO_OK) {
        slao_model_free(*model);
        *model = NULL;
    }
    return status;
}

slao_status slao_model_bytes(const slao_model *model, size_t *bytes) {
    int64_t n_values;
    SLAO_TRY(count_values(&model->config, model->file != NULL, &n_values));
    *bytes = (size_t)n_values * sizeof(float);
    const slao_tensor_list *tensors = model->file ? slao_checkpoint_tensors(model->file) : NULL;
    for (int64_t i = 0; tensors && i < tensors->count; i++)
        *bytes += tensors->tensors[i].bytes;
    return SLAO_OK;
}

void slao_model_free(slao_model *model) {
    if (!model)
        return;
    free(model->rope_frequencies);
    free(model->owned);
    free(model->layers);
    free(model);
}

/* ---- Matrices, wherever they are ---- */

/* Of a stack, whose matrices lie one after another at `context`. */
static void read_stack(const void *context, float *to, int64_t stride, int64_t row, int64_t rows,
                       int64_t from, int64_t columns) {
    for (const slao_stored *stored = context; rows > 0; stored++) {
        int64_t here = stored->tensor->shape[0] - row;
        here = here < rows ? here : rows;
        if (here > 0) {
            slao_stored_expand(stored, to, stride, row, here, from, columns);
            to += here * stride;
            rows -= here;
            row += here;
        }
        row -= stored->tensor->shape[0];
    }
}

slao_frozen slao_model_weights(const slao_model *model, int64_t layer, slao_module module,
                               int64_t *d_out, int64_t *d_in) {
    SLAO_INVARIANT(first_of_stack(module) == module);
    *d_out = 0;
    for (slao_module m = module; m < SLAO_N_MODULES && first_of_stack(m) == module; m++) {
        int64_t rows;
        slao_module_shape(&model->config, m, &rows, d_in);
        *d_out += rows;
    }
    const slao_layer *at = &model->layers[layer];
    return (slao_frozen){{at->weights[module], *d_in}, read_stack, &at->stored[module]};
}

void slao_model_expand(const slao_model *model, int64_t layer, slao_module module, float *values) {
    int64_t d_out, d_in;
    slao_module_shape(&model->config, module, &d_out, &d_in);
    const slao_layer *at = &model->layers[layer];
    if (model->file)
        slao_stored_expand(&at->stored[module], values, d_in, 0, d_out, 0, d_in);
    else
        memcpy(values, at->weights[module], (size_t)(d_out * d_in) * sizeof *values);
}

slao_frozen slao_model_head(const slao_model *model) {
    return (slao_frozen){{model->head, model->config.hidden}, read_stack, &model->stored_head};
}

void slao_model_embed(const slao_model *model, int64_t id, float *row) {
    int64_t hidden = model->config.hidden;
    if (model->file)
        slao_stored_expand(&model->stored_embedding, row, hidden, id, 1, 0, hidden);
    else
        memcpy(row, model->embedding + id * hidden, (size_t)hidden * sizeof *row);
}
