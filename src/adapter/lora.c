#include "adapter/lora.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double slao_lora_scale(const slao_lora_settings *settings) {
    double rank = (double)settings->rank;
    return settings->alpha / (settings->rslora ? sqrt(rank) : rank);
}

slao_status slao_lora_check(const slao_lora_settings *settings, const slao_model_config *config) {
    bool any = false;
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        if (!settings->targets[module])
            continue;
        any = true;
        int64_t d_out, d_in;
        slao_module_shape(config, module, &d_out, &d_in);
        int64_t side = d_out < d_in ? d_out : d_in;
        if (settings->rank < 1 || settings->rank > side)
            return slao_fail(
                SLAO_BAD_INPUT,
                "lora.rank is %lld, but %s is %lld x %lld: it must lie between 1 and %lld",
                (long long)settings->rank, slao_module_name(module), (long long)d_out,
                (long long)d_in, (long long)side);
    }
    return any ? SLAO_OK : slao_fail(SLAO_BAD_INPUT, "lora.targets names no module");
}

/* Counts the sites, and fills them in where there is a place for them. */
static void list_sites(slao_lora *lora, const slao_model_config *config) {
    const slao_lora_settings *settings = &lora->settings;
    lora->n_sites = lora->n_values = 0;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
            if (!settings->targets[module])
                continue;
            slao_site site = {.layer = layer, .module = module};
            slao_module_shape(config, module, &site.d_out, &site.d_in);
            if (lora->sites) {
                site.a = lora->values + lora->n_values;
                site.b = site.a + settings->rank * site.d_in;
                lora->sites[lora->n_sites] = site;
            }
            lora->n_sites++;
            lora->n_values += settings->rank * (site.d_in + site.d_out);
        }
    }
}

static slao_status build(slao_lora *lora, const slao_model_config *config) {
    SLAO_TRY(slao_lora_check(&lora->settings, config));
    list_sites(lora, config);
    SLAO_TRY(slao_allocate(&lora->values, (size_t)lora->n_values, sizeof *lora->values));
    SLAO_TRY(slao_allocate(&lora->sites, (size_t)lora->n_sites, sizeof *lora->sites));
    list_sites(lora, config);
    return SLAO_OK;
}

slao_status slao_lora_new(slao_lora **lora, const slao_lora_settings *settings,
                          const slao_model_config *config) {
    SLAO_TRY(slao_allocate(lora, 1, sizeof **lora));
    (*lora)->settings = *settings;
    slao_status status = build(*lora, config);
    if (status != SLAO_OK) {
        slao_lora_free(*lora);
        *lora = NULL;
    }
    return status;
}

slao_status slao_lora_copy(slao_lora **copy, const slao_lora *lora) {
    SLAO_TRY(slao_allocate(copy, 1, sizeof **copy));
    **copy = *lora;
    (*copy)->sites = NULL;
    (*copy)->values = NULL;
    slao_status status = slao_allocate(&(*copy)->values, (size_t)lora->n_values, sizeof(float));
    if (status == SLAO_OK)
        status = slao_allocate(&(*copy)->sites, (size_t)lora->n_sites, sizeof(slao_site));
    if (status != SLAO_OK) {
        slao_lora_free(*copy);
        *copy = NULL;
        return status;
    }
    memcpy((*copy)->values, lora->values, (size_t)lora->n_values * sizeof(float));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        slao_site *site = &(*copy)->sites[i];
        *site = lora->sites[i];
        site->a = (*copy)->values + (lora->sites[i].a - lora->values);
        site->b = (*copy)->values + (lora->sites[i].b - lora->values);
    }
    return SLAO_OK;
}

void slao_lora_free(slao_lora *lora) {
    if (!lora)
        return;
    free(lora->values);
    free(lora->sites);
    free(lora);
}

bool slao_lora_same_shape(const slao_lora *a, const slao_lora *b) {
    if (a->n_sites != b->n_sites || a->settings.rank != b->settings.rank)
        return false;
    for (int64_t i = 0; i < a->n_sites; i++) {
        const slao_site *x = &a->sites[i], *y = &b->sites[i];
        if (x->layer != y->layer || x->module != y->module || x->d_out != y->d_out ||
            x->d_in != y->d_in)
            return false;
    }
    return true;
}

void slao_lora_tensor_name(char name[SLAO_LORA_NAME], const slao_site *site, char factor) {
    snprintf(name, SLAO_LORA_NAME, "model.layers.%lld.%s.lora_%c.weight", (long long)site->layer,
             slao_module_path(site->module), factor);
}

/* One allocation: the lists of every module of the model, then a pair per site. */
slao_status slao_lora_view(slao_low_ranks *view, const slao_lora *lora, float *gradients,
                           const slao_model_config *config) {
    size_t n_lists = (size_t)config->layers * SLAO_N_MODULES;
    struct {
        slao_low_rank_list *lists;
        slao_low_rank *pairs;
    } memory;
    SLAO_TRY(slao_allocate(&memory.lists, 1,
                           n_lists * sizeof *memory.lists +
                               (size_t)lora->n_sites * sizeof *memory.pairs));
    memory.pairs = (slao_low_rank *)(void *)(memory.lists + n_lists);
    float scale = (float)slao_lora_scale(&lora->settings);
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        memory.pairs[i] = (slao_low_rank){
            .a = site->a,
            .b = site->b,
            .grad_a = gradients ? gradients + (site->a - lora->values) : NULL,
            .grad_b = gradients ? gradients + (site->b - lora->values) : NULL,
            .rank = lora->settings.rank,
            .scale = scale,
            .dropout = gradients ? (float)lora->settings.dropout : 0,
        };
        memory.lists[site->layer * SLAO_N_MODULES + site->module] =
            (slao_low_rank_list){.count = 1, .pairs = &memory.pairs[i]};
    }
    *view = (slao_low_ranks){.lists = memory.lists};
    return SLAO_OK;
}

void slao_lora_view_free(slao_low_ranks *view) {
    free((void *)(uintptr_t)view->lists);
    *view = (slao_low_ranks){0};
}
