/* adapter_config.json, written. */
#include "adapter/peft_config.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void slao_peft_module_name(char name[SLAO_LORA_NAME], int64_t layer, slao_module module) {
    snprintf(name, SLAO_LORA_NAME, "model.layers.%lld.%s", (long long)layer,
             slao_module_path(module));
}

static slao_status add_targets(cJSON *root, const slao_lora *lora) {
    cJSON *targets = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "target_modules", targets));
    for (slao_module module = 0; lora->every_layer && module < SLAO_N_MODULES; module++) {
        if (lora->settings.targets[module])
            SLAO_TRY(slao_json_add_text(targets, "", slao_module_name(module)));
    }
    for (int64_t i = 0; !lora->every_layer && i < lora->n_sites; i++) {
        char name[SLAO_LORA_NAME];
        slao_peft_module_name(name, lora->sites[i].layer, lora->sites[i].module);
        SLAO_TRY(slao_json_add_text(targets, "", name));
    }
    return SLAO_OK;
}

/* The ranks, or the alphas, of sites that differ from the settings. */
static slao_status add_patterns(cJSON *root, const slao_lora *lora, bool of_rank) {
    cJSON *patterns = NULL;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        if (of_rank ? site->rank == lora->settings.rank : site->alpha == lora->settings.alpha)
            continue;
        if (!patterns) {
            patterns = cJSON_CreateObject();
            SLAO_TRY(slao_json_add(root, of_rank ? "rank_pattern" : "alpha_pattern", patterns));
        }
        char name[SLAO_LORA_NAME];
        slao_peft_module_name(name, site->layer, site->module);
        SLAO_TRY(slao_json_add_real(patterns, name, of_rank ? (double)site->rank : site->alpha));
    }
    return SLAO_OK;
}

static slao_status fill_config(cJSON *root, const slao_lora *lora, const char *base) {
    const slao_lora_settings *settings = &lora->settings;
    SLAO_TRY(slao_json_add_text(root, "peft_type", "LORA"));
    SLAO_TRY(slao_json_add_text(root, "task_type", "CAUSAL_LM"));
    SLAO_TRY(slao_json_add_text(root, "base_model_name_or_path", base));
    SLAO_TRY(slao_json_add(root, "inference_mode", cJSON_CreateTrue()));
    SLAO_TRY(slao_json_add_real(root, "r", (double)settings->rank));
    SLAO_TRY(slao_json_add_real(root, "lora_alpha", settings->alpha));
    SLAO_TRY(slao_json_add_real(root, "lora_dropout", settings->dropout));
    SLAO_TRY(slao_json_add(root, "use_rslora", cJSON_CreateBool(settings->rslora)));
    SLAO_TRY(add_targets(root, lora));
    SLAO_TRY(add_patterns(root, lora, true));
    SLAO_TRY(add_patterns(root, lora, false));
    SLAO_TRY(slao_json_add_text(root, "bias", "none"));
    SLAO_TRY(slao_json_add(root, "fan_in_fan_out", cJSON_CreateFalse()));
    return slao_json_add(root, "init_lora_weights", cJSON_CreateTrue());
}

slao_status slao_peft_config_save(const slao_lora *lora, const char *path, const char *base) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for %s", path);
    char *text = NULL;
    slao_status status = fill_config(root, lora, base);
    if (status == SLAO_OK)
        status = slao_json_print(&text, root);
    if (status == SLAO_OK)
        status = slao_write_file(path, text, strlen(text));
    free(text);
    cJSON_Delete(root);
    return status;
}
