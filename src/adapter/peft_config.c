#include "adapter/peft_config.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/regex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of rank_pattern or alpha_pattern. */
typedef struct {
    slao_regex *regex;
    double value;
} pattern;

typedef struct {
    pattern *patterns;
    int64_t count;
} pattern_list;

/* What of the file changes the result. */
struct slao_peft_config {
    cJSON *root;
    const char *path;
    const char *peft_type;
    int64_t rank;
    double alpha, dropout;
    bool rslora;
    const cJSON *targets, *ranks, *alphas, *layers, *layers_pattern, *initialisation;
    bool all_linear;
    slao_regex *target; /* target_modules as a regular expression, or NULL */
    pattern_list rank_patterns, alpha_patterns, layer_patterns;
    slao_regex_match *match;
};

static const slao_json_field fields[] = {
    {"peft_type", SLAO_JSON_TEXT, offsetof(slao_peft_config, peft_type), true, 0, 0},
    {"r", SLAO_JSON_INTEGER, offsetof(slao_peft_config, rank), true, 1, 65536},
    {"lora_alpha", SLAO_JSON_REAL, offsetof(slao_peft_config, alpha), true, 0, 0},
    {"lora_dropout", SLAO_JSON_REAL, offsetof(slao_peft_config, dropout), false, 0, 1},
    {"use_rslora", SLAO_JSON_BOOL, offsetof(slao_peft_config, rslora), false, 0, 0},
    {"target_modules", SLAO_JSON_ANY, offsetof(slao_peft_config, targets), true, 0, 0},
    {"rank_pattern", SLAO_JSON_ANY, offsetof(slao_peft_config, ranks), false, 0, 0},
    {"alpha_pattern", SLAO_JSON_ANY, offsetof(slao_peft_config, alphas), false, 0, 0},
    {"layers_to_transform", SLAO_JSON_ANY, offsetof(slao_peft_config, layers), false, 0, 0},
    {"layers_pattern", SLAO_JSON_ANY, offsetof(slao_peft_config, layers_pattern), false, 0, 0},
    {"init_lora_weights", SLAO_JSON_ANY, offsetof(slao_peft_config, initialisation), false, 0, 0},
    {0},
};

/* Keys that change nothing about what an adapter computes on linear layers, or only together with a
 * key that is refused. */
static const char *const harmless[] = {"task_type",
                                       "auto_mapping",
                                       "peft_version",
                                       "base_model_name_or_path",
                                       "revision",
                                       "inference_mode",
                                       "megatron_core",
                                       "megatron_config",
                                       "loftq_config",
                                       "eva_config",
                                       "corda_config",
                                       "lora_ga_config",
                                       "runtime_config",
                                       "qalora_group_size",
                                       "arrow_config",
                                       "fan_in_fan_out",
                                       NULL};

/* Initialisations that leave the model's own weights alone; others (PiSSA, OLoRA, CorDA, LoftQ)
 * change them whenever the adapter is loaded. */
static const char *const initialisations[] = {"gaussian", "eva", "orthogonal", NULL};

/* What target_modules may name and slao does not adapt. */
static const char *const not_adapted[] = {"lm_head", "model.embed_tokens", NULL};

static bool is_listed(const char *name, const char *const *list) {
    for (; *list; list++) {
        if (strcmp(*list, name) == 0)
            return true;
    }
    return false;
}

static bool asks_for_nothing(const cJSON *value) {
    return !value || cJSON_IsNull(value) || cJSON_IsFalse(value) ||
           (cJSON_IsString(value) && strcmp(value->valuestring, "none") == 0) ||
           ((cJSON_IsObject(value) || cJSON_IsArray(value)) && !value->child);
}

static slao_status refuse_key(const slao_peft_config *config, const cJSON *item) {
    enum { SHOWN = 60 };
    char *value;
    SLAO_TRY(slao_json_print(&value, item));
    slao_status status = slao_fail(
        SLAO_BAD_INPUT,
        "%s: %.80s is %.*s, which slao does not support: have PEFT merge the adapter into its "
        "model "
        "(merge_and_unload, save_pretrained) and use that one, or take the key out if the adapter "
        "does without",
        config->path, item->string, SHOWN, value);
    free(value);
    return status;
}

static slao_status refuse_other_keys(const slao_peft_config *config) {
    const cJSON *item;
    cJSON_ArrayForEach (item, config->root) {
        bool known = is_listed(item->string, harmless);
        for (const slao_json_field *field = fields; field->key && !known; field++)
            known = strcmp(field->key, item->string) == 0;
        if (!known && !asks_for_nothing(item))
            return refuse_key(config, item);
    }
    const cJSON *initialisation = config->initialisation;
    if (cJSON_IsString(initialisation) && !is_listed(initialisation->valuestring, initialisations))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: slao does not support init_lora_weights \"%s\", which changes the "
                         "model's own weights: save the adapter converted to plain LoRA",
                         config->path, initialisation->valuestring);
    return SLAO_OK;
}

/* ---- Regular expressions: Python's, on names of at most some hundred bytes ---- */

static slao_status compile(slao_regex **regex, const char *head, const char *text, const char *tail,
                           const char *key, const char *path) {
    char *whole;
    /* A bound on backtracking: names are short. */
    SLAO_TRY(slao_format(&whole, "(*LIMIT_MATCH=1000000)%s%s%s", head, text, tail));
    slao_status status = slao_regex_new(regex, whole);
    free(whole);
    if (status == SLAO_BROKEN) {
        char why[256];
        snprintf(why, sizeof why, "%s", slao_message());
        return slao_fail(SLAO_BAD_INPUT, "%s: %s: \"%.80s\" is no regular expression: %s", path,
                         key, text, why);
    }
    return status;
}

static slao_status matches(const slao_peft_config *config, const slao_regex *regex,
                           const char *name, bool *found, size_t *end) {
    size_t start;
    slao_status status =
        slao_regex_find(regex, config->match, name, strlen(name), 0, found, &start, end);
    if (status == SLAO_BROKEN)
        return slao_fail(SLAO_BAD_INPUT, "%s: a pattern takes too long to match %s", config->path,
                         name);
    return status;
}

/* rank_pattern, alpha_pattern: {"pattern": number} */
static slao_status read_patterns(pattern_list *list, const cJSON *object, const char *key,
                                 bool whole, const slao_peft_config *config) {
    if (asks_for_nothing(object))
        return SLAO_OK;
    if (!cJSON_IsObject(object))
        return slao_fail(SLAO_BAD_INPUT, "%s: %s must be an object of numbers", config->path, key);
    SLAO_TRY(
        slao_allocate(&list->patterns, (size_t)cJSON_GetArraySize(object), sizeof *list->patterns));
    const cJSON *item;
    cJSON_ArrayForEach (item, object) {
        double value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
        if (!isfinite(value) ||
            (whole && !(value >= 1 && value <= 65536 && value == (double)(int64_t)value)))
            return slao_fail(SLAO_BAD_INPUT, "%s: %s: \"%s\" must have a %s", config->path, key,
                             item->string, whole ? "whole number from 1 to 65536" : "number");
        pattern *next = &list->patterns[list->count++];
        next->value = value;
        SLAO_TRY(
            compile(&next->regex, "\\A(?:.*\\.)?(?:", item->string, ")\\z", key, config->path));
    }
    return SLAO_OK;
}

static slao_status read_layers_pattern(slao_peft_config *config) {
    const cJSON *given = config->layers_pattern, *item = given;
    if (asks_for_nothing(given) || (cJSON_IsString(given) && !*given->valuestring))
        return SLAO_OK;
    bool is_list = cJSON_IsArray(given);
    pattern_list *list = &config->layer_patterns;
    SLAO_TRY(slao_allocate(&list->patterns, is_list ? (size_t)cJSON_GetArraySize(given) : 1,
                           sizeof *list->patterns));
    for (item = is_list ? given->child : given; item; item = is_list ? item->next : NULL) {
        if (!cJSON_IsString(item))
            return slao_fail(SLAO_BAD_INPUT, "%s: layers_pattern must be a name or a list of names",
                             config->path);
        SLAO_TRY(compile(&list->patterns[list->count++].regex, "\\A(?:(?:^|.*?\\.)",
                         item->valuestring, "\\.\\d+\\.)", "layers_pattern", config->path));
    }
    return SLAO_OK;
}

static slao_status check_layers(const slao_peft_config *config) {
    const cJSON *layers = config->layers, *item;
    if (asks_for_nothing(layers))
        return SLAO_OK;
    bool fits = (cJSON_IsNumber(layers) || cJSON_IsArray(layers)) && cJSON_IsArray(config->targets);
    cJSON_ArrayForEach (item, layers)
        fits = fits && cJSON_IsNumber(item);
    return fits ? SLAO_OK
                : slao_fail(SLAO_BAD_INPUT,
                            "%s: layers_to_transform must be a number or a list of numbers, and "
                            "goes with a list of target_modules alone",
                            config->path);
}

/* ---- Which modules? ---- */

static bool ends_with_name(const char *key, const char *name) {
    size_t n_key = strlen(key), n_name = strlen(name);
    return n_key > n_name && key[n_key - n_name - 1] == '.' &&
           strcmp(key + n_key - n_name, name) == 0;
}

/* The number of the layer in `key` that layers_pattern sees; -1 for none. */
static slao_status layer_in(const slao_peft_config *config, const char *key, int64_t *layer) {
    *layer = -1;
    for (int64_t i = 0; i < config->layer_patterns.count && *layer < 0; i++) {
        bool found;
        size_t end;
        SLAO_TRY(matches(config, config->layer_patterns.patterns[i].regex, key, &found, &end));
        if (!found)
            continue;
        size_t digit = end - 1; /* of the dot behind the number */
        while (digit > 0 && key[digit - 1] >= '0' && key[digit - 1] <= '9')
            digit--;
        *layer = strtoll(key + digit, NULL, 10);
    }
    return SLAO_OK;
}

static slao_status in_layers(const slao_peft_config *config, const char *key, int64_t layer,
                             bool *adapted) {
    const cJSON *layers = config->layers, *item;
    *adapted = true;
    if (asks_for_nothing(layers))
        return SLAO_OK;
    if (config->layer_patterns.count > 0)
        SLAO_TRY(layer_in(config, key, &layer));
    *adapted = cJSON_IsNumber(layers) && layers->valuedouble == (double)layer;
    cJSON_ArrayForEach (item, layers)
        *adapted = *adapted || item->valuedouble == (double)layer;
    return SLAO_OK;
}

/* As peft's check_target_module_exists; `layer` is that of the module called `key`. */
static slao_status is_target(const slao_peft_config *config, const char *key, int64_t layer,
                             bool *adapted) {
    size_t end;
    *adapted = config->all_linear;
    if (config->all_linear)
        return SLAO_OK;
    if (config->target)
        return matches(config, config->target, key, adapted, &end);
    const cJSON *item;
    bool ends = false;
    cJSON_ArrayForEach (item, config->targets) {
        if (strcmp(item->valuestring, key) == 0) {
            *adapted = true;
            return SLAO_OK;
        }
        ends = ends || ends_with_name(key, item->valuestring);
    }
    return ends ? in_layers(config, key, layer, adapted) : SLAO_OK;
}

static slao_status read_targets(slao_peft_config *config) {
    const cJSON *targets = config->targets, *item;
    if (cJSON_IsString(targets)) {
        config->all_linear = strcasecmp(targets->valuestring, "all-linear") == 0;
        if (config->all_linear)
            return SLAO_OK;
        SLAO_TRY(compile(&config->target, "\\A(?:", targets->valuestring, ")\\z", "target_modules",
                         config->path));
    } else if (!cJSON_IsArray(targets) || !targets->child) {
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: target_modules must be a list of names or a regular expression",
                         config->path);
    }
    cJSON_ArrayForEach (item, targets) {
        if (!cJSON_IsString(item))
            return slao_fail(SLAO_BAD_INPUT, "%s: target_modules must be a list of names",
                             config->path);
    }
    for (const char *const *name = not_adapted; *name; name++) {
        bool named;
        SLAO_TRY(is_target(config, *name, -1, &named));
        if (named)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: target_modules has %s, on which slao supports no adapter: have "
                             "PEFT merge this one into its model (merge_and_unload, "
                             "save_pretrained) and use that one",
                             config->path, *name);
    }
    return SLAO_OK;
}

static slao_status first_match(const slao_peft_config *config, const pattern_list *list,
                               const char *name, double *value) {
    for (int64_t i = 0; i < list->count; i++) {
        bool found;
        size_t end;
        SLAO_TRY(matches(config, list->patterns[i].regex, name, &found, &end));
        if (found) {
            *value = list->patterns[i].value;
            return SLAO_OK;
        }
    }
    return SLAO_OK;
}

slao_status slao_peft_config_site(const slao_peft_config *config, int64_t layer, slao_module module,
                                  bool *adapted, int64_t *rank, double *alpha) {
    char name[SLAO_LORA_NAME];
    slao_peft_module_name(name, layer, module);
    SLAO_TRY(is_target(config, name, layer, adapted));
    double found = (double)config->rank;
    *alpha = config->alpha;
    SLAO_TRY(first_match(config, &config->rank_patterns, name, &found));
    SLAO_TRY(first_match(config, &config->alpha_patterns, name, alpha));
    *rank = (int64_t)found;
    return SLAO_OK;
}

bool slao_peft_config_every_layer(const slao_peft_config *config) {
    const cJSON *item;
    bool every = !config->target && asks_for_nothing(config->layers);
    cJSON_ArrayForEach (item, config->targets)
        every = every && !strpbrk(item->valuestring, "0123456789");
    return every;
}

slao_lora_settings slao_peft_config_settings(const slao_peft_config *config) {
    return (slao_lora_settings){.dropout = config->dropout, .rslora = config->rslora};
}

/* ---- Loading ---- */

static slao_status fill(slao_peft_config *config) {
    SLAO_TRY(slao_json_load_object(&config->root, config->path, SLAO_PEFT_CONFIG_MOST));
    char *document; /* as slao_json_read names it */
    SLAO_TRY(slao_format(&document, "%s: ", config->path));
    slao_status status = slao_json_read(config->root, document, fields, true, config);
    free(document);
    SLAO_TRY(status);
    if (strcmp(config->peft_type, "LORA") != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: peft_type is %s; slao reads LORA alone", config->path,
                         config->peft_type);
    if (!isfinite(config->alpha))
        return slao_fail(SLAO_BAD_INPUT, "%s: lora_alpha must be a finite number", config->path);
    SLAO_TRY(refuse_other_keys(config));
    SLAO_TRY(slao_regex_match_new(&config->match));
    SLAO_TRY(read_patterns(&config->rank_patterns, config->ranks, "rank_pattern", true, config));
    SLAO_TRY(
        read_patterns(&config->alpha_patterns, config->alphas, "alpha_pattern", false, config));
    SLAO_TRY(read_layers_pattern(config));
    SLAO_TRY(check_layers(config));
    return read_targets(config);
}

slao_status slao_peft_config_load(slao_peft_config **config, const char *path) {
    SLAO_TRY(slao_allocate(config, 1, sizeof **config));
    (*config)->path = path;
    slao_status status = fill(*config);
    if (status != SLAO_OK) {
        slao_peft_config_free(*config);
        *config = NULL;
    }
    return status;
}

static void free_patterns(pattern_list *list) {
    for (int64_t i = 0; i < list->count; i++)
        slao_regex_free(list->patterns[i].regex);
    free(list->patterns);
}

void slao_peft_config_free(slao_peft_config *config) {
    if (!config)
        return;
    free_patterns(&config->rank_patterns);
    free_patterns(&config->alpha_patterns);
    free_patterns(&config->layer_patterns);
    slao_regex_free(config->target);
    slao_regex_match_free(config->match);
    cJSON_Delete(config->root);
    free(config);
}
