/* The config in the metadata of a GGUF file. */
#include "model/config_parts.h"

#include <stdio.h>
#include <string.h>

/* "llama." and the rest of the key. */
enum { KEY_SIZE = 96 };
static void family_key(char key[KEY_SIZE], const slao_model_config *config, const char *rest) {
    snprintf(key, KEY_SIZE, "%s.%s", config->family->gguf_name, rest);
}

static slao_status read_sizes(slao_model_config *config, const slao_gguf *gguf) {
    bool has_kv_heads, has_head_dim, has_base, has_window;
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
        {"attention.sliding_window", &config->window, &has_window},
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

/* rope.scaling.type and factor; scale_linear is the old key of the latter. */
static slao_status read_gguf_rope(slao_model_config *config, const slao_gguf *gguf,
                                  const char *path) {
    char key[KEY_SIZE];
    bool found;
    const char *type = "none";
    family_key(key, config, "rope.scaling.type");
    SLAO_TRY(slao_gguf_text(gguf, key, &type, &found));
    if (strcmp(type, "none") != 0 && strcmp(type, "linear") != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is \"%.40s\": slao supports none and linear", path,
                         key, type);
    const char *const factors[] = {"rope.scaling.factor", "rope.scale_linear"};
    double factor = 1;
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        family_key(key, config, factors[i]);
        SLAO_TRY(slao_gguf_real(gguf, key, &factor, &found));
        bool counts = i == 1 || strcmp(type, "linear") == 0;
        if (found && factor != 1 && !counts)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: %s is %g, but the type of scaling is not \"linear\"", path, key,
                             factor);
    }
    if (factor != 1)
        config->rope = (slao_rope_scaling){.type = SLAO_ROPE_LINEAR, .factor = factor};
    return SLAO_OK;
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
    double attention = 1;
    family_key(key, config, "rope.scaling.attn_factor");
    SLAO_TRY(slao_gguf_real(gguf, key, &attention, &found));
    if (attention != 1)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is %g: slao supports only 1", path, key,
                         attention);
    /* Which of its layers have the window, a file of a family that has it in some does not say. */
    if (config->window && config->family->window == SLAO_OPTIONAL_WINDOW)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: %s.attention.sliding_window is %lld: slao supports it in files of "
                         "other architectures",
                         path, config->family->gguf_name, (long long)config->window);
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
        SLAO_TRY(slao_config_check_token(config->bos, path, bos));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int64_t token = -1;
        SLAO_TRY(slao_gguf_integer(gguf, ends[i], &token, &found));
        if (found)
            SLAO_TRY(slao_config_add_end_token(config, token, path, ends[i]));
    }
    return SLAO_OK;
}

slao_status slao_config_from_gguf(slao_model_config *config, const slao_gguf *gguf,
                                  const char *path) {
    *config = (slao_model_config){.rope_theta = 10000, .bos = -1, .eos = -1};
    const char *architecture = NULL;
    SLAO_TRY(slao_gguf_text(gguf, "general.architecture", &architecture, NULL));
    SLAO_TRY(slao_config_set_family(config, offsetof(slao_model_family, gguf_name), architecture,
                                    path, "general.architecture"));
    SLAO_TRY(read_sizes(config, gguf));
    SLAO_TRY(read_gguf_rope(config, gguf, path));
    SLAO_TRY(slao_config_check(config, path));
    SLAO_TRY(check_gguf_features(config, gguf, path));
    return read_gguf_tokens(config, gguf, path);
}
