#include "model/config_parts.h"
#include "model/rope.h"

#include <math.h>
#include <stdio.h>
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

int64_t slao_model_window(const slao_model_config *config, int64_t layer) {
    return layer >= config->window_layer ? config->window : 0;
}

/* name, model_type, gguf_name, gguf_permutes_qk, qkv_bias, window, default_kv_heads,
 * default_max_positions */
static const slao_model_family families[] = {
    {"llama", "llama", "llama", true, false, SLAO_NO_WINDOW, 0, 2048},
    {"mistral", "mistral", NULL, true, false, SLAO_WINDOW, 8, 131072},
    {"qwen2", "qwen2", "qwen2", false, true, SLAO_OPTIONAL_WINDOW, 32, 32768},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

slao_status slao_config_set_family(slao_model_config *config, size_t column, const char *value,
                                   const char *path, const char *key) {
    char known[256] = "";
    for (int i = 0; i < N_FAMILIES; i++) {
        const char *name;
        memcpy(&name, (const char *)&families[i] + column, sizeof name);
        if (!name)
            continue;
        if (strcmp(name, value) == 0) {
            config->family = &families[i];
            return SLAO_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", name);
    }
    return slao_fail(SLAO_BAD_INPUT, "%s: %s is \"%.80s\": slao supports the architectures: %s",
                     path, key, value, known);
}

slao_status slao_config_check(const slao_model_config *config, const char *path) {
    const struct {
        const char *name;
        int64_t value, most;
    } sizes[] = {
        {"the hidden size", config->hidden, 1 << 20},
        {"the number of layers", config->layers, SLAO_MAX_LAYERS},
        {"the number of attention heads", config->heads, 1 << 12},
        {"the number of key and value heads", config->kv_heads, 1 << 12},
        {"the size of a head", config->head_dim, 1 << 16},
        {"the intermediate size", config->intermediate, 1 << 22},
        {"the longest position", config->max_positions, INT32_MAX},
        {"the sliding window", config->window ? config->window : 1, INT32_MAX},
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
    SLAO_TRY_IN(slao_rope_check(&config->rope), "%s", path);
    if (!(config->rms_epsilon > 0) || !(config->rms_epsilon < 1))
        return slao_fail(SLAO_BAD_INPUT, "%s: RMSNorm's epsilon is %g, but must be in (0, 1)", path,
                         config->rms_epsilon);
    return SLAO_OK;
}

slao_status slao_config_check_token(int64_t token, const char *path, const char *key) {
    if (token < 0 || token > INT32_MAX)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is %lld, which is no token id", path, key,
                         (long long)token);
    return SLAO_OK;
}

slao_status slao_config_add_end_token(slao_model_config *config, int64_t token, const char *path,
                                      const char *key) {
    SLAO_TRY(slao_config_check_token(token, path, key));
    if (slao_model_ends_at(config, token))
        return SLAO_OK;
    if (config->n_end_tokens == SLAO_MAX_END_TOKENS)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s: more than %d end tokens", path, key,
                         SLAO_MAX_END_TOKENS);
    config->end_tokens[config->n_end_tokens++] = token;
    config->eos = config->end_tokens[0];
    return SLAO_OK;
}
