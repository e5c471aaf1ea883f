#include "adapter/peft.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."
enum { FULL_NAME = SLAO_LORA_NAME + sizeof PREFIX };

static const char config_name[] = "adapter_config.json",
                  tensors_name[] = "adapter_model.safetensors";

static slao_status add_targets(cJSON *root, const slao_lora_settings *settings) {
    cJSON *targets = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "target_modules", targets));
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        if (settings->targets[module])
            SLAO_TRY(slao_json_add_text(targets, "", slao_module_name(module)));
    }
    return SLAO_OK;
}

static slao_status fill_config(cJSON *root, const slao_lora_settings *settings, const char *base) {
    SLAO_TRY(slao_json_add_text(root, "peft_type", "LORA"));
    SLAO_TRY(slao_json_add_text(root, "task_type", "CAUSAL_LM"));
    SLAO_TRY(slao_json_add_text(root, "base_model_name_or_path", base));
    SLAO_TRY(slao_json_add(root, "inference_mode", cJSON_CreateTrue()));
    SLAO_TRY(slao_json_add_real(root, "r", (double)settings->rank));
    SLAO_TRY(slao_json_add_real(root, "lora_alpha", settings->alpha));
    SLAO_TRY(slao_json_add_real(root, "lora_dropout", settings->dropout));
    SLAO_TRY(slao_json_add(root, "use_rslora", cJSON_CreateBool(settings->rslora)));
    SLAO_TRY(add_targets(root, settings));
    SLAO_TRY(slao_json_add_text(root, "bias", "none"));
    SLAO_TRY(slao_json_add(root, "fan_in_fan_out", cJSON_CreateFalse()));
    return slao_json_add(root, "init_lora_weights", cJSON_CreateTrue());
}

static slao_status write_config(const slao_lora_settings *settings, const char *path,
                                const char *base) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for %s", path);
    char *text = NULL;
    slao_status status = fill_config(root, settings, base);
    if (status == SLAO_OK)
        status = slao_json_print(&text, root);
    if (status == SLAO_OK)
        status = slao_write_file(path, text, strlen(text));
    free(text);
    cJSON_Delete(root);
    return status;
}

static slao_status write_tensors(const slao_lora *lora, const char *path) {
    static const slao_safetensors_note format = {"format", "pt"};
    char(*names)[FULL_NAME];
    slao_safetensors_item *items;
    size_t n_items = 2 * (size_t)lora->n_sites;
    SLAO_TRY(slao_allocate(&names, n_items, sizeof *names));
    slao_status status = slao_allocate(&items, n_items, sizeof *items);
    for (size_t i = 0; status == SLAO_OK && i < n_items; i++) {
        const slao_site *site = &lora->sites[i / 2];
        bool is_a = i % 2 == 0;
        char name[SLAO_LORA_NAME];
        slao_lora_tensor_name(name, site, is_a ? 'A' : 'B');
        snprintf(names[i], sizeof names[i], PREFIX "%s", name);
        items[i] = (slao_safetensors_item){
            .name = names[i],
            .n_dims = 2,
            .shape = {is_a ? site->rank : site->d_out, is_a ? site->d_in : site->rank},
            .data = is_a ? site->a : site->b,
        };
    }
    if (status == SLAO_OK)
        status = slao_safetensors_write(path, items, (int64_t)n_items, &format, 1);
    free(items);
    free(names);
    return status;
}

slao_status slao_peft_save(const slao_lora *lora, const char *folder, const char *base) {
    SLAO_TRY(slao_make_folders(folder));
    char *config_path, *tensors_path;
    SLAO_TRY(slao_join_path(&config_path, folder, config_name));
    slao_status status = slao_join_path(&tensors_path, folder, tensors_name);
    if (status == SLAO_OK)
        status = write_config(&lora->settings, config_path, base);
    if (status == SLAO_OK)
        status = write_tensors(lora, tensors_path);
    free(config_path);
    free(tensors_path);
    return status;
}

/* What of adapter_config.json changes the result. */
typedef struct {
    const char *peft_type;
    int64_t rank;
    double alpha, dropout;
    bool rslora;
    const cJSON *targets;
    const cJSON *refused[12];
} peft_config;

static const slao_json_field fields[] = {
    {"peft_type", SLAO_JSON_TEXT, offsetof(peft_config, peft_type), true, 0, 0},
    {"r", SLAO_JSON_INTEGER, offsetof(peft_config, rank), true, 1, 65536},
    {"lora_alpha", SLAO_JSON_REAL, offsetof(peft_config, alpha), true, 0, 0},
    {"lora_dropout", SLAO_JSON_REAL, offsetof(peft_config, dropout), false, 0, 0},
    {"use_rslora", SLAO_JSON_BOOL, offsetof(peft_config, rslora), false, 0, 0},
    {"target_modules", SLAO_JSON_ARRAY, offsetof(peft_config, targets), true, 0, 0},
    {"bias", SLAO_JSON_ANY, offsetof(peft_config, refused[0]), false, 0, 0},
    {"use_dora", SLAO_JSON_ANY, offsetof(peft_config, refused[1]), false, 0, 0},
    {"modules_to_save", SLAO_JSON_ANY, offsetof(peft_config, refused[2]), false, 0, 0},
    {"rank_pattern", SLAO_JSON_ANY, offsetof(peft_config, refused[3]), false, 0, 0},
    {"alpha_pattern", SLAO_JSON_ANY, offsetof(peft_config, refused[4]), false, 0, 0},
    {"layers_to_transform", SLAO_JSON_ANY, offsetof(peft_config, refused[5]), false, 0, 0},
    {"fan_in_fan_out", SLAO_JSON_ANY, offsetof(peft_config, refused[6]), false, 0, 0},
    {"lora_bias", SLAO_JSON_ANY, offsetof(peft_config, refused[7]), false, 0, 0},
    {"trainable_token_indices", SLAO_JSON_ANY, offsetof(peft_config, refused[8]), false, 0, 0},
    {"exclude_modules", SLAO_JSON_ANY, offsetof(peft_config, refused[9]), false, 0, 0},
    {"target_parameters", SLAO_JSON_ANY, offsetof(peft_config, refused[10]), false, 0, 0},
    {"layer_replication", SLAO_JSON_ANY, offsetof(peft_config, refused[11]), false, 0, 0},
    {0},
};

/* The values under which a key asks for nothing. */
static bool asks_for_nothing(const cJSON *value) {
    return !value || cJSON_IsNull(value) || cJSON_IsFalse(value) ||
           (cJSON_IsString(value) && strcmp(value->valuestring, "none") == 0) ||
           ((cJSON_IsObject(value) || cJSON_IsArray(value)) && !value->child);
}

static slao_status settings_from(slao_lora_settings *settings, const cJSON *root,
                                 const char *path) {
    peft_config found = {0};
    SLAO_TRY(slao_json_read(root, path, fields, true, &found));
    if (strcmp(found.peft_type, "LORA") != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: peft_type is %s; slao reads LORA alone", path,
                         found.peft_type);
    for (size_t i = 0; i < sizeof found.refused / sizeof *found.refused; i++) {
        if (!asks_for_nothing(found.refused[i]))
            return slao_fail(SLAO_BAD_INPUT, "%s: slao does not support %s", path,
                             found.refused[i]->string);
    }
    *settings = (slao_lora_settings){
        .rank = found.rank, .alpha = found.alpha, .dropout = found.dropout, .rslora = found.rslora};
    const cJSON *target;
    cJSON_ArrayForEach (target, found.targets) {
        const char *name;
        SLAO_TRY(slao_json_text(&name, target, "target_modules"));
        slao_module module = slao_module_by_name(name);
        if (module == SLAO_N_MODULES)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: target_modules has %s, which is no linear layer of this model",
                             path, name);
        settings->targets[module] = true;
    }
    return SLAO_OK;
}

static slao_status load_settings(slao_lora_settings *settings, const char *folder) {
    char *path;
    cJSON *root;
    SLAO_TRY(slao_join_path(&path, folder, config_name));
    slao_status status = slao_json_load(&root, path);
    if (status == SLAO_OK)
        status = settings_from(settings, root, path);
    cJSON_Delete(root);
    free(path);
    return status;
}

static slao_status read_tensor(float *values, const slao_tensor_list *tensors,
                               const slao_site *site, char factor, int64_t rows, int64_t columns) {
    char name[SLAO_LORA_NAME], full[FULL_NAME];
    slao_lora_tensor_name(name, site, factor);
    snprintf(full, sizeof full, PREFIX "%s", name);
    const slao_tensor *tensor = slao_tensor_list_find(tensors, full);
    if (!tensor)
        return slao_fail(SLAO_BAD_INPUT, "%s is missing", full);
    if (tensor->n_dims != 2 || tensor->shape[0] != rows || tensor->shape[1] != columns)
        return slao_fail(SLAO_BAD_INPUT, "%s must be %lld x %lld", full, (long long)rows,
                         (long long)columns);
    slao_expand(values, tensor->dtype, tensor->data, rows * columns);
    return SLAO_OK;
}

static slao_status load_tensors(slao_lora *lora, const slao_tensor_list *tensors) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        SLAO_TRY(read_tensor(site->a, tensors, site, 'A', site->rank, site->d_in));
        SLAO_TRY(read_tensor(site->b, tensors, site, 'B', site->d_out, site->rank));
    }
    if (tensors->count != 2 * lora->n_sites)
        return slao_fail(SLAO_BAD_INPUT,
                         "it holds %lld tensors, but the config and this model make %lld",
                         (long long)tensors->count, (long long)(2 * lora->n_sites));
    return SLAO_OK;
}

slao_status slao_peft_load(slao_lora **lora, const char *folder, const slao_model_config *config) {
    *lora = NULL;
    slao_lora_settings settings;
    SLAO_TRY(load_settings(&settings, folder));
    char *path;
    slao_safetensors *file = NULL;
    SLAO_TRY(slao_join_path(&path, folder, tensors_name));
    slao_status status = slao_safetensors_open(&file, path);
    if (status == SLAO_OK)
        status = slao_lora_new(lora, &settings, config);
    if (status == SLAO_OK) {
        status = load_tensors(*lora, slao_safetensors_tensors(file));
        if (status != SLAO_OK)
            status = slao_fail_context(status, "%s", path);
    }
    if (status != SLAO_OK) {
        slao_lora_free(*lora);
        *lora = NULL;
    }
    slao_safetensors_close(file);
    free(path);
    return status;
}
