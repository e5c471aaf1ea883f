#include "adapter/peft.h"

#include "adapter/peft_config.h"
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
                  tensors_name[] = "adapter_model.safetensors", pickle_name[] = "adapter_model.bin";

static void full_name(char full[FULL_NAME], const slao_site *site, char factor) {
    char name[SLAO_LORA_NAME];
    slao_lora_tensor_name(name, site, factor);
    snprintf(full, FULL_NAME, PREFIX "%s", name);
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
        full_name(names[i], site, is_a ? 'A' : 'B');
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
        status = slao_peft_config_save(lora, config_path, base);
    if (status == SLAO_OK)
        status = write_tensors(lora, tensors_path);
    free(config_path);
    free(tensors_path);
    return status;
}

/* ---- Reading ---- */

/* The layer and module whose factor A the tensor is; false for any other tensor. */
static bool parse_name(const char *name, slao_site *site) {
    static const char head[] = PREFIX "model.layers.";
    size_t n_head = sizeof head - 1;
    if (strncmp(name, head, n_head) != 0 || name[n_head] < '0' || name[n_head] > '9')
        return false;
    site->layer = strtoll(name + n_head, NULL, 10);
    if (site->layer >= SLAO_MAX_LAYERS)
        return false;
    for (site->module = 0; site->module < SLAO_N_MODULES; site->module++) {
        char full[FULL_NAME];
        full_name(full, site, 'A');
        if (strcmp(full, name) == 0)
            return true;
    }
    return false;
}

static int by_place(const void *x, const void *y) {
    const slao_site *a = x, *b = y;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    return (a->module > b->module) - (a->module < b->module);
}

/* The sites that the tensors tell, with their shapes. */
static slao_status sites_of_tensors(slao_site *sites, int64_t *n_sites,
                                    const slao_tensor_list *tensors) {
    *n_sites = 0;
    for (int64_t i = 0; i < tensors->count; i++) {
        const slao_tensor *a = &tensors->tensors[i];
        slao_site *site = &sites[*n_sites];
        *site = (slao_site){0};
        if (!parse_name(a->name, site))
            continue;
        char name[FULL_NAME];
        full_name(name, site, 'B');
        const slao_tensor *b = slao_tensor_list_find(tensors, name);
        if (!b)
            return slao_fail(SLAO_BAD_INPUT, "%s is missing", name);
        if (a->n_dims != 2 || b->n_dims != 2)
            return slao_fail(SLAO_BAD_INPUT, "%s is no matrix", a->n_dims != 2 ? a->name : name);
        site->d_in = a->shape[1];
        site->d_out = b->shape[0];
        if (site->d_in < 1 || site->d_out < 1)
            return slao_fail(SLAO_BAD_INPUT, "%s is empty", site->d_in < 1 ? a->name : name);
        ++*n_sites;
    }
    qsort(sites, (size_t)*n_sites, sizeof *sites, by_place);
    return SLAO_OK;
}

/* All linear modules of the model. */
static void sites_of_model(slao_site *sites, int64_t *n_sites, const slao_model_config *config) {
    *n_sites = 0;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
            slao_site *site = &sites[(*n_sites)++];
            *site = (slao_site){.layer = layer, .module = module};
            slao_module_shape(config, module, &site->d_out, &site->d_in);
        }
    }
}

/* Keeps the sites that the folder's config names, and sets their rank and alpha. */
static slao_status keep_adapted(slao_site *sites, int64_t *n_sites,
                                const slao_peft_config *peft_config) {
    int64_t kept = 0;
    for (int64_t i = 0; i < *n_sites; i++) {
        bool adapted;
        slao_site site = sites[i];
        SLAO_TRY(slao_peft_config_site(peft_config, site.layer, site.module, &adapted, &site.rank,
                                       &site.alpha));
        if (adapted)
            sites[kept++] = site;
    }
    *n_sites = kept;
    return kept > 0
               ? SLAO_OK
               : slao_fail(SLAO_BAD_INPUT, "target_modules names no linear layer of the model");
}

/* The sites are all of the same modules on layers 0, 1, ... */
static bool fills_layers(const slao_lora *lora) {
    int64_t n_modules = 0;
    for (slao_module module = 0; module < SLAO_N_MODULES; module++)
        n_modules += lora->settings.targets[module];
    int64_t n_layers = lora->sites[lora->n_sites - 1].layer + 1;
    return lora->n_sites == n_layers * n_modules;
}

/* The tensor of a site's factor, in its shape. */
static slao_status find_factor(const slao_tensor **tensor, const slao_tensor_list *tensors,
                               const slao_site *site, char factor) {
    char name[FULL_NAME];
    int64_t rows = factor == 'A' ? site->rank : site->d_out;
    int64_t columns = factor == 'A' ? site->d_in : site->rank;
    full_name(name, site, factor);
    *tensor = slao_tensor_list_find(tensors, name);
    if (!*tensor)
        return slao_fail(SLAO_BAD_INPUT, "%s is missing", name);
    if ((*tensor)->n_dims != 2 || (*tensor)->shape[0] != rows || (*tensor)->shape[1] != columns)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s must be %lld x %lld, by the config's rank and the width of the module",
                         name, (long long)rows, (long long)columns);
    return SLAO_OK;
}

/* Every site has its tensors and every tensor its site. Asked before memory is taken for them: what
 * sites of their shapes need is then no more than the file has. */
static slao_status check_tensors(const slao_tensor_list *tensors, const slao_site *sites,
                                 int64_t n_sites) {
    bool *used;
    SLAO_TRY(slao_allocate(&used, (size_t)tensors->count, sizeof *used));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < 2 * n_sites && status == SLAO_OK; i++) {
        const slao_tensor *tensor;
        status = find_factor(&tensor, tensors, &sites[i / 2], i % 2 ? 'B' : 'A');
        if (status == SLAO_OK)
            used[tensor - tensors->tensors] = true;
    }
    for (int64_t k = 0; k < tensors->count && status == SLAO_OK; k++) {
        if (!used[k])
            status = slao_fail(SLAO_BAD_INPUT,
                               "%s belongs to no module that the config names and slao adapts (its "
                               "tensors are %lld, those of the config %lld)",
                               tensors->tensors[k].name, (long long)tensors->count,
                               (long long)(2 * n_sites));
    }
    free(used);
    return status;
}

static slao_status read_factor(float *values, const slao_tensor_list *tensors,
                               const slao_site *site, char factor) {
    const slao_tensor *tensor;
    SLAO_TRY(find_factor(&tensor, tensors, site, factor));
    slao_expand(values, tensor->dtype, tensor->data, slao_tensor_count(tensor));
    return SLAO_OK;
}

static slao_status build(slao_lora **lora, const slao_peft_config *peft_config,
                         const slao_tensor_list *tensors, const slao_model_config *config) {
    slao_site *sites;
    int64_t n_sites;
    size_t most = config ? (size_t)(config->layers * SLAO_N_MODULES) : (size_t)tensors->count;
    SLAO_TRY(slao_allocate(&sites, most + 1, sizeof *sites));
    slao_status status = SLAO_OK;
    if (config)
        sites_of_model(sites, &n_sites, config);
    else
        status = sites_of_tensors(sites, &n_sites, tensors);
    if (status == SLAO_OK)
        status = keep_adapted(sites, &n_sites, peft_config);
    if (status == SLAO_OK)
        status = check_tensors(tensors, sites, n_sites);
    slao_lora_settings settings = slao_peft_config_settings(peft_config);
    if (status == SLAO_OK)
        status = slao_lora_from_sites(lora, &settings, sites, n_sites);
    free(sites);
    SLAO_TRY(status);
    (*lora)->every_layer =
        fills_layers(*lora) && (config ? (*lora)->sites[n_sites - 1].layer == config->layers - 1
                                       : slao_peft_config_every_layer(peft_config));
    for (int64_t i = 0; i < n_sites; i++) {
        const slao_site *site = &(*lora)->sites[i];
        SLAO_TRY(read_factor(site->a, tensors, site, 'A'));
        SLAO_TRY(read_factor(site->b, tensors, site, 'B'));
    }
    return SLAO_OK;
}

static slao_status open_tensors(slao_safetensors **file, const char *folder, const char *path) {
    char *pickle;
    SLAO_TRY(slao_join_path(&pickle, folder, pickle_name));
    bool only_pickle = !slao_is_file(path) && slao_is_file(pickle);
    free(pickle);
    if (only_pickle)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s has no %s but %s, a pickle, which slao does not read: in Python, "
                         "peft.PeftModel.from_pretrained(model, folder).save_pretrained(folder) "
                         "writes the adapter as safetensors",
                         folder, tensors_name, pickle_name);
    return slao_safetensors_open(file, path);
}

slao_status slao_peft_load(slao_lora **lora, const char *folder, const slao_model_config *config) {
    *lora = NULL;
    char *config_path, *path = NULL;
    slao_peft_config *peft_config = NULL;
    slao_safetensors *file = NULL;
    SLAO_TRY(slao_join_path(&config_path, folder, config_name));
    slao_status status = slao_join_path(&path, folder, tensors_name);
    if (status == SLAO_OK)
        status = slao_peft_config_load(&peft_config, config_path);
    if (status == SLAO_OK)
        status = open_tensors(&file, folder, path);
    if (status == SLAO_OK) {
        status = build(lora, peft_config, slao_safetensors_tensors(file), config);
        if (status != SLAO_OK)
            status = slao_fail_context(status, "%s", path);
    }
    if (status != SLAO_OK) {
        slao_lora_free(*lora);
        *lora = NULL;
    }
    slao_safetensors_close(file);
    slao_peft_config_free(peft_config);
    free(path);
    free(config_path);
    return status;
}

slao_status slao_peft_base(char **base, const char *folder) {
    char *path;
    cJSON *root = NULL;
    *base = NULL;
    SLAO_TRY(slao_join_path(&path, folder, config_name));
    slao_status status = slao_json_load_object(&root, path, SLAO_PEFT_CONFIG_MOST);
    free(path);
    SLAO_TRY(status);
    const cJSON *name = slao_json_find(root, "base_model_name_or_path");
    status = slao_copy_text(base, cJSON_IsString(name) ? name->valuestring : "");
    cJSON_Delete(root);
    return status;
}
