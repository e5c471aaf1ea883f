#include "model/config.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *path;
} modules[SLAO_N_MODULES] = {
    [SLAO_Q_PROJ] = {"q_proj", "self_attn.q_proj"},
    [SLAO_K_PROJ] = {"k_proj", "self_attn.k_proj"},
    [SLAO_V_PROJ] = {"v_proj", "self_attn.v_proj"},
    [SLAO_O_PROJ] = {"o_proj", "self_attn.o_proj"},
    [SLAO_GATE_PROJ] = {"gate_proj", "mlp.gate_proj"},
    [SLAO_UP_PROJ] = {"up_proj", "mlp.up_proj"},
    [SLAO_DOWN_PROJ] = {"down_proj", "mlp.down_proj"},
};

const char *slao_module_name(slao_module module) {
    return modules[module].name;
}

const char *slao_module_path(slao_module module) {
    return modules[module].path;
}

slao_module slao_module_by_name(const char *name) {
    slao_module module = 0;
    while (module < SLAO_N_MODULES && strcmp(modules[module].name, name) != 0)
        module++;
    return module;
}

void slao_module_shape(const slao_model_config *config, slao_module module, int64_t *d_out,
                       int64_t *d_in) {
    int64_t queries = config->heads * config->head_dim;
    int64_t keys = config->kv_heads * config->head_dim;
    *d_in = module == SLAO_O_PROJ      ? queries
            : module == SLAO_DOWN_PROJ ? config->intermediate
                                       : config->hidden;
    *d_out = module == SLAO_Q_PROJ                                ? queries
             : module == SLAO_K_PROJ || module == SLAO_V_PROJ     ? keys
             : module == SLAO_GATE_PROJ || module == SLAO_UP_PROJ ? config->intermediate
                                                                  : config->hidden;
}

bool slao_model_ends_at(const slao_model_config *config, int64_t token) {
    for (int64_t i = 0; i < config->n_end_tokens; i++) {
        if (config->end_tokens[i] == token)
            return true;
    }
    return false;
}

/* name, model_type, gguf_name, gguf_permutes_qk, qkv_bias */
static const slao_model_family families[] = {
    {"llama", "llama", "llama", true, false},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static slao_status unknown_family(const char *path, const char *key, const char *value) {
    char known[256] = "";
    for (int i = 0; i < N_FAMILIES; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", families[i].name);
    }
    return slao_fail(SLAO_BAD_INPUT, "%s: %s is \"%s\": slao supports the architectures: %s", path,
                     key, value, known);
}

/* What both kinds of files must agree to. Bounds keep products of sizes far from overflow. */
static slao_status check(const slao_model_config *config, const char *path) {
    const struct {
        const char *name;
        int64_t value, most;
    } sizes[] = {
        {"the hidden size", config->hidden, 1 << 20},
        {"the number of layers", config->layers, 1 << 12},
        {"the number of attention heads", config->heads, 1 << 12},
        {"the number of key and value heads", config->kv_heads, 1 << 12},
        {"the size of a head", config->head_dim, 1 << 16},
        {"the intermediate size", config->intermediate, 1 << 22},
        {"the longest position", config->max_positions, INT32_MAX},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
            return slao_fail(SLAO_BAD_INPUT, "%s: %s is %lld, but must lie between 1 and %lld",
                             path, sizes[i].name, (long long)sizes[i].value,
                             (long long)sizes[i].most);
    }
    if (config->heads % config->kv_heads != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: %lld attention heads cannot share %lld key and value heads evenly",
                         path, (long long)config->heads, (long long)config->kv_heads);
    if (config->head_dim % 2 != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: heads of size %lld are odd: RoPE needs pairs", path,
                         (long long)config->head_dim);
    if (!(config->rope_theta > 0) || !isfinite(config->rope_theta))
        return slao_fail(SLAO_BAD_INPUT, "%s: RoPE's base is %g, but must be positive", path,
                         config->rope_theta);
    if (!(config->rms_epsilon > 0) || !(config->rms_epsilon < 1))
        return slao_fail(SLAO_BAD_INPUT, "%s: RMSNorm's epsilon is %g, but must be in (0, 1)", path,
                         config->rms_epsilon);
    return SLAO_OK;
}

static slao_status check_token(int64_t token, const char *path, const char *key) {
    if (token < 0 || token > INT32_MAX)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is %lld, which is no token id", path, key,
                         (long long)token);
    return SLAO_OK;
}

static slao_status add_end_token(slao_model_config *config, int64_t token, const char *path,
                                 const char *key) {
    SLAO_TRY(check_token(token, path, key));
    if (slao_model_ends_at(config, token))
        return SLAO_OK;
    if (config->n_end_tokens == SLAO_MAX_END_TOKENS)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s: more than %d end tokens", path, key,
                         SLAO_MAX_END_TOKENS);
    config->end_tokens[config->n_end_tokens++] = token;
    config->eos = config->end_tokens[0];
    return SLAO_OK;
}

/* ---- config.json ---- */

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
    for (int i = 0; i < N_FAMILIES; i++) {
        if (strcmp(families[i].model_type, f.model_type) == 0)
            config->family = &families[i];
    }
    if (!config->family)
        return unknown_family(path, "model_type", f.model_type);
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
        SLAO_TRY(check_token(config->bos, path, "bos_token_id"));
    }
    const cJSON *eos = slao_json_find(root, "eos_token_id");
    if (!eos)
        return SLAO_OK;
    config->n_end_tokens = 0;
    int64_t token = -1;
    if (!cJSON_IsArray(eos)) {
        SLAO_TRY_IN(slao_json_integer(&token, eos, "eos_token_id"), "%s", path);
        return add_end_token(config, token, path, "eos_token_id");
    }
    const cJSON *item;
    cJSON_ArrayForEach (item, eos) {
        SLAO_TRY_IN(slao_json_integer(&token, item, "eos_token_id"), "%s", path);
        SLAO_TRY(add_end_token(config, token, path, "eos_token_id"));
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
    status = check(config, path);
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

/* ---- GGUF ---- */

/* "llama." and the rest of the key. */
enum { KEY_SIZE = 96 };
static void family_key(char key[KEY_SIZE], const slao_model_config *config, const char *rest) {
    snprintf(key, KEY_SIZE, "%s.%s", config->family->gguf_name, rest);
}

static slao_status read_sizes(slao_model_config *config, const slao_gguf *gguf) {
    bool has_kv_heads, has_head_dim, has_base;
    const struct {
        const char *rest;
        int64_t *value;
        bool *found; /* NULL: required */
    } sizes[] = {
        {"block_count", &config->layers, NULL},
        {"embedding_length", &config->hidden, NULL},
        {"feed_forward_length", &config->intermediate, NULL},
        {"attention.head_count", &config->heads, NULL},
        {"attention.head_count_kv", &config->kv_heads, &has_kv_heads},
        {"attention.key_length", &config->head_dim, &has_head_dim},
        {"context_length", &config->max_positions, NULL},
    };
    char key[KEY_SIZE];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        family_key(key, config, sizes[i].rest);
        SLAO_TRY(slao_gguf_integer(gguf, key, sizes[i].value, sizes[i].found));
    }
    if (!has_kv_heads)
        config->kv_heads = config->heads;
    if (!has_head_dim && config->heads > 0)
        config->head_dim = config->hidden / config->heads;
    family_key(key, config, "rope.freq_base");
    SLAO_TRY(slao_gguf_real(gguf, key, &config->rope_theta, &has_base));
    family_key(key, config, "attention.layer_norm_rms_epsilon");
    return slao_gguf_real(gguf, key, &config->rms_epsilon, NULL);
}

/* Refuses what would change the results. */
static slao_status check_gguf_features(const slao_model_config *config, const slao_gguf *gguf,
                                       const char *path) {
    char key[KEY_SIZE];
    bool found;
    const struct {
        const char *rest;
        int64_t plain;
    } integers[] = {
        {"rope.dimension_count", config->head_dim},
        {"attention.value_length", config->head_dim},
        {"attention.sliding_window", 0},
        {"expert_count", 0},
    };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        int64_t value = integers[i].plain;
        family_key(key, config, integers[i].rest);
        SLAO_TRY(slao_gguf_integer(gguf, key, &value, &found));
        if (value != integers[i].plain)
            return slao_fail(SLAO_BAD_INPUT, "%s: %s is %lld: slao supports only %lld here", path,
                             key, (long long)value, (long long)integers[i].plain);
    }
    const char *const reals[] = {"rope.scaling.factor", "rope.scaling.attn_factor",
                                 "rope.scale_linear"};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double value = 1;
        family_key(key, config, reals[i]);
        SLAO_TRY(slao_gguf_real(gguf, key, &value, &found));
        if (value != 1)
            return slao_fail(SLAO_BAD_INPUT, "%s: %s is %g: slao supports only plain RoPE", path,
                             key, value);
    }
    const char *scaling = "none";
    family_key(key, config, "rope.scaling.type");
    SLAO_TRY(slao_gguf_text(gguf, key, &scaling, &found));
    if (strcmp(scaling, "none") != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is \"%s\": slao supports only plain RoPE", path,
                         key, scaling);
    return SLAO_OK;
}

static slao_status read_gguf_tokens(slao_model_config *config, const slao_gguf *gguf,
                                    const char *path) {
    static const char bos[] = "tokenizer.ggml.bos_token_id";
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id"};
    bool found;
    SLAO_TRY(slao_gguf_integer(gguf, bos, &config->bos, &found));
    if (found)
        SLAO_TRY(check_token(config->bos, path, bos));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int64_t token = -1;
        SLAO_TRY(slao_gguf_integer(gguf, ends[i], &token, &found));
        if (found)
            SLAO_TRY(add_end_token(config, token, path, ends[i]));
    }
    return SLAO_OK;
}

slao_status slao_config_from_gguf(slao_model_config *config, const slao_gguf *gguf,
                                  const char *path) {
    *config = (slao_model_config){.rope_theta = 10000, .bos = -1, .eos = -1};
    const char *architecture = NULL;
    SLAO_TRY(slao_gguf_text(gguf, "general.architecture", &architecture, NULL));
    for (int i = 0; i < N_FAMILIES; i++) {
        if (strcmp(families[i].gguf_name, architecture) == 0)
            config->family = &families[i];
    }
    if (!config->family)
        return unknown_family(path, "general.architecture", architecture);
    SLAO_TRY(read_sizes(config, gguf));
    SLAO_TRY(check(config, path));
    SLAO_TRY(check_gguf_features(config, gguf, path));
    return read_gguf_tokens(config, gguf, path);
}
