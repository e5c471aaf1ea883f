/* The config of a Hugging Face folder. */
#include "base/file.h"
#include "base/json.h"
#include "model/config_parts.h"

#include <stdlib.h>
#include <string.h>

/* Sizes that are absent stay 0 and get the defaults of Hugging Face's LlamaConfig. */
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
    const cJSON *sliding_window, *rope_scaling, *rope_parameters, *quantization;
} features;

static const slao_json_field feature_fields[] = {
    {"model_type", SLAO_JSON_TEXT, offsetof(features, model_type), true, 0, 0},
    {"hidden_act", SLAO_JSON_TEXT, offsetof(features, hidden_act), false, 0, 0},
    {"attention_bias", SLAO_JSON_BOOL, offsetof(features, attention_bias), false, 0, 0},
    {"mlp_bias", SLAO_JSON_BOOL, offsetof(features, mlp_bias), false, 0, 0},
    {"use_sliding_window", SLAO_JSON_BOOL, offsetof(features, use_sliding_window), false, 0, 0},
    {"sliding_window", SLAO_JSON_ANY, offsetof(features, sliding_window), false, 0, 0},
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

static slao_status load_object(cJSON **root, const char *path) {
    SLAO_TRY(slao_json_load(root, path));
    if (!cJSON_IsObject(*root)) {
        cJSON_Delete(*root);
        *root = NULL;
        return slao_fail(SLAO_BAD_INPUT, "%s: must be a JSON object", path);
    }
    drop_nulls(*root);
    return SLAO_OK;
}

/* rope_scaling, or rope_parameters as newer files have it: only the plain kind, whose base may
 * stand there too. */
static slao_status read_rope(slao_model_config *config, const cJSON *rope, const char *path,
                             const char *key) {
    const char *names[] = {"rope_type", "type"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *kind = slao_json_find(rope, names[i]);
        if (kind && !(cJSON_IsString(kind) && strcmp(kind->valuestring, "default") == 0))
            return slao_fail(
                SLAO_BAD_INPUT, "%s: %s.%s is \"%s\": slao supports only plain RoPE (\"default\")",
                path, key, names[i], cJSON_IsString(kind) ? kind->valuestring : "not a string");
    }
    const cJSON *part = slao_json_find(rope, "partial_rotary_factor");
    if (part && !(cJSON_IsNumber(part) && part->valuedouble == 1))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: %s.partial_rotary_factor: slao supports only RoPE on whole heads",
                         path, key);
    const cJSON *factor = slao_json_find(rope, "factor");
    if (factor && !(cJSON_IsNumber(factor) && factor->valuedouble == 1))
        return slao_fail(SLAO_BAD_INPUT, "%s: %s.factor: slao supports only plain RoPE", path, key);
    const cJSON *theta = slao_json_find(rope, "rope_theta");
    if (theta && !cJSON_IsNumber(theta))
        return slao_fail(SLAO_BAD_INPUT, "%s: %s.rope_theta must be a number", path, key);
    if (theta)
        config->rope_theta = theta->valuedouble;
    return SLAO_OK;
}

static slao_status read_features(slao_model_config *config, const cJSON *root, const char *path) {
    features f = {.hidden_act = "silu", .use_sliding_window = true};
    SLAO_TRY(slao_json_read(root, path, feature_fields, true, &f));
    SLAO_TRY(slao_config_set_family(config, offsetof(slao_model_family, model_type), f.model_type,
                                    path, "model_type"));
    const struct {
        const char *key;
        bool used;
    } unsupported[] = {
        {"attention_bias", f.attention_bias},
        {"mlp_bias", f.mlp_bias},
        {"sliding_window", f.sliding_window && f.use_sliding_window},
        {"quantization_config", f.quantization != NULL},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (unsupported[i].used)
            return slao_fail(SLAO_BAD_INPUT, "%s: slao does not support models with %s", path,
                             unsupported[i].key);
    }
    if (strcmp(f.hidden_act, "silu") != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: hidden_act is \"%s\": slao supports only the activation \"silu\"",
                         path, f.hidden_act);
    if (f.rope_scaling)
        SLAO_TRY(read_rope(config, f.rope_scaling, path, "rope_scaling"));
    if (f.rope_parameters)
        SLAO_TRY(read_rope(config, f.rope_parameters, path, "rope_parameters"));
    return SLAO_OK;
}

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

static slao_status read_config(slao_model_config *config, bool *tied_said, const char *path) {
    cJSON *root;
    SLAO_TRY(load_object(&root, path));
    slao_status status;
    SLAO_TRY_GOTO(status, slao_json_read(root, path, size_fields, true, config), done);
    SLAO_TRY_GOTO(status, read_features(config, root, path), done);
    SLAO_TRY_GOTO(status, read_tokens(config, root, path), done);
    *tied_said = slao_json_find(root, "tie_word_embeddings") != NULL;
    if (!config->kv_heads)
        config->kv_heads = config->heads;
    if (!config->head_dim)
        config->head_dim = config->hidden / config->heads;
    status = slao_config_check(config, path);
done:
    cJSON_Delete(root);
    return status;
}

static slao_status read_generation_config(slao_model_config *config, const char *path) {
    cJSON *root;
    if (!slao_is_file(path))
        return SLAO_OK;
    SLAO_TRY(load_object(&root, path));
    slao_status status = read_tokens(config, root, path);
    cJSON_Delete(root);
    return status;
}

slao_status slao_config_from_folder(slao_model_config *config, bool *tied_said,
                                    const char *folder) {
    *config = (slao_model_config){
        .max_positions = 2048, .rope_theta = 10000, .rms_epsilon = 1e-6, .bos = -1, .eos = -1};
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
