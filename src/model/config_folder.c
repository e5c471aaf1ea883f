/* The config of a Hugging Face folder. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/config_parts.h"
#include "model/rope.h"

#include <stdlib.h>
#include <string.h>

/* What is absent keeps the default of the family's Hugging Face class, or 0. */
#define SIZE(key, member, required)                                                                \
    { key, SLAO_JSON_INTEGER, offsetof(slao_model_config, member), required, 1, 0x1p40 }
static const slao_json_field size_fields[] = {
    SIZE("hidden_size", hidden, true),
    SIZE("num_hidden_layers", layers, true),
    SIZE("num_attention_heads", heads, true),
    SIZE("intermediate_size", intermediate, true),
    SIZE("num_key_value_heads", kv_heads, false),
    SIZE("head_dim", head_dim, false),
    SIZE("vocab_size", vocabulary, false),
    SIZE("max_position_embeddings", max_positions, false),
    {"rope_theta", SLAO_JSON_REAL, offsetof(slao_model_config, rope_theta), false, 0, 0},
    {"rms_norm_eps", SLAO_JSON_REAL, offsetof(slao_model_config, rms_epsilon), false, 0, 0},
    {"tie_word_embeddings", SLAO_JSON_BOOL, offsetof(slao_model_config, tied_head), false, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};
#undef SIZE

/* What changes the results beyond the sizes. */
typedef struct {
    const char *model_type, *hidden_act;
    bool attention_bias, mlp_bias, use_sliding_window;
    double partial_rotary_factor;
    int64_t sliding_window, max_window_layers;
    const cJSON *layer_types, *rope_scaling, *rope_parameters, *quantization;
} features;

static const slao_json_field feature_fields[] = {
    {"model_type", SLAO_JSON_TEXT, offsetof(features, model_type), true, 0, 0},
    {"hidden_act", SLAO_JSON_TEXT, offsetof(features, hidden_act), false, 0, 0},
    {"attention_bias", SLAO_JSON_BOOL, offsetof(features, attention_bias), false, 0, 0},
    {"mlp_bias", SLAO_JSON_BOOL, offsetof(features, mlp_bias), false, 0, 0},
    {"use_sliding_window", SLAO_JSON_BOOL, offsetof(features, use_sliding_window), false, 0, 0},
    {"sliding_window", SLAO_JSON_INTEGER, offsetof(features, sliding_window), false, 1, INT32_MAX},
    {"max_window_layers", SLAO_JSON_INTEGER, offsetof(features, max_window_layers), false, 0, 0},
    {"layer_types", SLAO_JSON_ARRAY, offsetof(features, layer_types), false, 0, 0},
    {"partial_rotary_factor", SLAO_JSON_REAL, offsetof(features, partial_rotary_factor), false, 0,
     0},
    {"rope_scaling", SLAO_JSON_OBJECT, offsetof(features, rope_scaling), false, 0, 0},
    {"rope_parameters", SLAO_JSON_OBJECT, offsetof(features, rope_parameters), false, 0, 0},
    {"quantization_config", SLAO_JSON_ANY, offsetof(features, quantization), false, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

/* A key whose value is null counts as absent in these files. */
static void drop_nulls(cJSON *object) {
    cJSON *next;
    for (cJSON *item = object->child; item; item = next) {
        next = item->next;
        if (cJSON_IsNull(item))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
    }
}

/* ---- RoPE ---- */

typedef struct {
    const char *rope_type, *type;
    double theta, partial_rotary_factor;
    slao_rope_scaling scaling;
} rope_keys;

#define ROPE(key, kind, member)                                                                    \
    { key, SLAO_JSON_##kind, offsetof(rope_keys, member), false, 0, 0 }
static const slao_json_field rope_fields[] = {
    ROPE("rope_type", TEXT, rope_type),
    ROPE("type", TEXT, type),
    ROPE("rope_theta", REAL, theta),
    ROPE("partial_rotary_factor", REAL, partial_rotary_factor),
    ROPE("factor", REAL, scaling.factor),
    ROPE("low_freq_factor", REAL, scaling.low_frequency),
    ROPE("high_freq_factor", REAL, scaling.high_frequency),
    ROPE("original_max_position_embeddings", INTEGER, scaling.original_positions),
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};
#undef ROPE

static slao_status check_whole_heads(double partial_rotary_factor, const char *where) {
    if (partial_rotary_factor == 1)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT,
                     "%s.partial_rotary_factor is %g: slao supports only RoPE on whole heads",
                     where, partial_rotary_factor);
}

/* Reads one of the two objects that describe RoPE into *scaling and *theta. `where`: file and key.
 */
static slao_status read_rope_object(slao_rope_scaling *scaling, double *theta, const cJSON *object,
                                    int64_t max_positions, const char *where) {
    rope_keys keys = {.theta = *theta, .partial_rotary_factor = 1};
    SLAO_TRY(slao_json_read(object, where, rope_fields, true, &keys));
    const char *type = keys.rope_type ? keys.rope_type : keys.type ? keys.type : "default";
    SLAO_TRY(
        slao_rope_by_name(&keys.scaling.type, type, where, keys.rope_type ? "rope_type" : "type"));
    /* of a known type every key is known */
    SLAO_TRY(slao_json_read(object, where, rope_fields, false, &keys));
    SLAO_TRY(check_whole_heads(keys.partial_rotary_factor, where));
    if (keys.scaling.type == SLAO_ROPE_DEFAULT && keys.scaling.factor != 0 &&
        keys.scaling.factor != 1)
        return slao_fail(SLAO_BAD_INPUT, "%s.factor is %g, but its type is \"default\"", where,
                         keys.scaling.factor);
    if (keys.scaling.type == SLAO_ROPE_LLAMA3 && !keys.scaling.original_positions)
        keys.scaling.original_positions = max_positions;
    *scaling = keys.scaling;
    *theta = keys.theta;
    SLAO_TRY_IN(slao_rope_check(scaling), "%s", where);
    return SLAO_OK;
}

static bool same_rope(const slao_rope_scaling *a, const slao_rope_scaling *b) {
    if (a->type != b->type)
        return false;
    if (a->type == SLAO_ROPE_DEFAULT)
        return true;
    bool llama3 = a->type == SLAO_ROPE_LLAMA3;
    return a->factor == b->factor && (!llama3 || (a->low_frequency == b->low_frequency &&
                                                  a->high_frequency == b->high_frequency &&
                                                  a->original_positions == b->original_positions));
}

/* Old files have rope_scaling, and rope_theta beside it; newer ones rope_parameters with both. */
static slao_status read_rope(slao_model_config *config, const features *f, const char *path) {
    const struct {
        const char *key;
        const cJSON *object;
    } objects[] = {{"rope_scaling", f->rope_scaling}, {"rope_parameters", f->rope_parameters}};
    slao_rope_scaling found[2];
    double theta[2] = {config->rope_theta, config->rope_theta};
    int last = -1;
    for (int i = 0; i < 2; i++) {
        if (!objects[i].object)
            continue;
        char *where;
        SLAO_TRY(slao_format(&where, "%s: %s", path, objects[i].key));
        slao_status status =
            read_rope_object(&found[i], &theta[i], objects[i].object, config->max_positions, where);
        free(where);
        SLAO_TRY(status);
        if (last >= 0 && (!same_rope(&found[0], &found[1]) || theta[0] != theta[1]))
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: rope_scaling and rope_parameters differ: keep the one that is "
                             "meant",
                             path);
        last = i;
    }
    if (last >= 0) {
        config->rope = found[last];
        config->rope_theta = theta[last];
    }
    return check_whole_heads(f->partial_rotary_factor, path);
}

/* ---- Sliding windows ---- */

/* The first layer of those to which layer_types gives the window: they must be the last. */
static slao_status read_layer_types(int64_t *first, const cJSON *types, int64_t layers,
                                    const char *path) {
    int64_t layer = 0;
    const cJSON *item;
    *first = layers;
    cJSON_ArrayForEach (item, types) {
        bool slides = cJSON_IsString(item) && strcmp(item->valuestring, "sliding_attention") == 0;
        bool full = cJSON_IsString(item) && strcmp(item->valuestring, "full_attention") == 0;
        if (!slides && !full)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: layer_types[%lld] must be \"full_attention\" or "
                             "\"sliding_attention\"",
                             path, (long long)layer);
        if (full && *first < layer)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: layer_types[%lld] is \"full_attention\" above one of "
                             "\"sliding_attention\", which slao does not support",
                             path, (long long)layer);
        if (slides && layer < *first)
            *first = layer;
        layer++;
    }
    if (layer != layers)
        return slao_fail(SLAO_BAD_INPUT, "%s: layer_types names %lld layers, but there are %lld",
                         path, (long long)layer, (long long)layers);
    return SLAO_OK;
}

static slao_status read_window(slao_model_config *config, const features *f, const char *path) {
    slao_window_rule rule = config->family->window;
    bool used = f->sliding_window && (rule == SLAO_WINDOW || f->use_sliding_window);
    if (rule == SLAO_NO_WINDOW && used)
        return slao_fail(SLAO_BAD_INPUT, "%s: sliding_window is %lld, but a %s model has none",
                         path, (long long)f->sliding_window, config->family->name);
    int64_t first = !used                          ? config->layers
                    : rule == SLAO_OPTIONAL_WINDOW ? f->max_window_layers
                                                   : 0;
    if (f->layer_types) {
        int64_t said;
        SLAO_TRY(read_layer_types(&said, f->layer_types, config->layers, path));
        if (rule == SLAO_OPTIONAL_WINDOW && used)
            first = said;
        else if (first != said)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: layer_types and sliding_window do not say the same", path);
    }
    config->window = first < config->layers ? f->sliding_window : 0;
    config->window_layer = config->window ? first : 0;
    return SLAO_OK;
}

static slao_status read_features(slao_model_config *config, const features *f, const char *path) {
    const struct {
        const char *key;
        bool used;
    } unsupported[] = {
        {"attention_bias", f->attention_bias},
        {"mlp_bias", f->mlp_bias},
        {"quantization_config", f->quantization != NULL},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (unsupported[i].used)
            return slao_fail(SLAO_BAD_INPUT, "%s: slao does not support models with %s", path,
                             unsupported[i].key);
    }
    if (strcmp(f->hidden_act, "silu") != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: hidden_act is \"%.80s\": slao supports only the activation \"silu\"",
                         path, f->hidden_act);
    SLAO_TRY(read_rope(config, f, path));
    return read_window(config, f, path);
}

/* ---- Tokens ---- */

/* bos_token_id and eos_token_id (one or a list), where they are given, replace what was there. */
static slao_status read_tokens(slao_model_config *config, const cJSON *root, const char *path) {
    const cJSON *bos = slao_json_find(root, "bos_token_id");
    if (bos) {
        SLAO_TRY_IN(slao_json_integer(&config->bos, bos, "bos_token_id"), "%s", path);
        SLAO_TRY(slao_config_check_token(config->bos, path, "bos_token_id"));
    }
    const cJSON *eos = slao_json_find(root, "eos_token_id");
    if (!eos)
        return SLAO_OK;
    config->n_end_tokens = 0;
    int64_t token = -1;
    if (!cJSON_IsArray(eos)) {
        SLAO_TRY_IN(slao_json_integer(&token, eos, "eos_token_id"), "%s", path);
        return slao_config_add_end_token(config, token, path, "eos_token_id");
    }
    const cJSON *item;
    cJSON_ArrayForEach (item, eos) {
        SLAO_TRY_IN(slao_json_integer(&token, item, "eos_token_id"), "%s", path);
        SLAO_TRY(slao_config_add_end_token(config, token, path, "eos_token_id"));
    }
    return SLAO_OK;
}

/* The family, and what it means where the file says nothing. Null is no silence: it means none. */
static slao_status start_from_family(slao_model_config *config, features *f, const cJSON *root,
                                     const char *path, const char *where) {
    static const slao_json_field fields[] = {
        {"model_type", SLAO_JSON_TEXT, offsetof(features, model_type), true, 0, 0},
        {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
    };
    *f = (features){
        .hidden_act = "silu", .partial_rotary_factor = 1, .max_window_layers = 28 /* Qwen2's */};
    SLAO_TRY(slao_json_read(root, where, fields, true, f));
    SLAO_TRY(slao_config_set_family(config, offsetof(slao_model_family, model_type), f->model_type,
                                    path, "model_type"));
    f->use_sliding_window = config->family->window != SLAO_OPTIONAL_WINDOW;
    if (config->family->window != SLAO_NO_WINDOW && !slao_json_find(root, "sliding_window"))
        f->sliding_window = 4096;
    if (!slao_json_find(root, "num_key_value_heads"))
        config->kv_heads = config->family->default_kv_heads;
    config->max_positions = config->family->default_max_positions;
    return SLAO_OK;
}

static slao_status read_object(slao_model_config *config, bool *tied_said, cJSON *root,
                               const char *path, const char *where) {
    features f;
    SLAO_TRY(start_from_family(config, &f, root, path, where));
    drop_nulls(root);
    SLAO_TRY(slao_json_read(root, where, size_fields, true, config));
    SLAO_TRY(slao_json_read(root, where, feature_fields, true, &f));
    SLAO_TRY(read_features(config, &f, path));
    SLAO_TRY(read_tokens(config, root, path));
    *tied_said = slao_json_find(root, "tie_word_embeddings") != NULL;
    if (!config->kv_heads)
        config->kv_heads = config->heads;
    if (!config->head_dim)
        config->head_dim = config->hidden / config->heads;
    return slao_config_check(config, path);
}

static slao_status read_config(slao_model_config *config, bool *tied_said, const char *path) {
    cJSON *root;
    SLAO_TRY(slao_json_load_object(&root, path, SLAO_CONFIG_MOST));
    char *where = NULL; /* what keys are named under */
    slao_status status = slao_format(&where, "%s: ", path);
    if (status == SLAO_OK)
        status = read_object(config, tied_said, root, path, where);
    free(where);
    cJSON_Delete(root);
    return status;
}

static slao_status read_generation_config(slao_model_config *config, const char *path) {
    cJSON *root;
    if (!slao_is_file(path))
        return SLAO_OK;
    SLAO_TRY(slao_json_load_object(&root, path, SLAO_CONFIG_MOST));
    drop_nulls(root);
    slao_status status = read_tokens(config, root, path);
    cJSON_Delete(root);
    return status;
}

slao_status slao_config_from_folder(slao_model_config *config, bool *tied_said,
                                    const char *folder) {
    *config = (slao_model_config){.rope_theta = 10000, .rms_epsilon = 1e-6, .bos = -1, .eos = -1};
    *tied_said = false;
    char *path;
    SLAO_TRY(slao_join_path(&path, folder, "config.json"));
    slao_status status = read_config(config, tied_said, path);
    free(path);
    SLAO_TRY(status);
    SLAO_TRY(slao_join_path(&path, folder, "generation_config.json"));
    status = read_generation_config(config, path);
    free(path);
    return status;
}
