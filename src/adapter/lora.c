#include "adapter/lora.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double scale_of(double alpha, int64_t rank, bool rslora) {
    return alpha / (rslora ? sqrt((double)rank) : (double)rank);
}

double slao_lora_scale(const slao_lora_settings *settings) {
    return scale_of(settings->alpha, settings->rank, settings->rslora);
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

/* Carves the values for the sites, whose shapes are set. */
static slao_status allocate_values(slao_lora *lora) {
    lora->n_values = 0;
    for (int64_t i = 0; i < lora->n_sites; i++)
        lora->n_values += lora->sites[i].rank * (lora->sites[i].d_in + lora->sites[i].d_out);
    SLAO_TRY(slao_allocate(&lora->values, (size_t)lora->n_values, sizeof *lora->values));
    float *at = lora->values;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        slao_site *site = &lora->sites[i];
        site->scale = scale_of(site->alpha, site->rank, lora->settings.rslora);
        site->a = at;
        site->b = site->a + site->rank * site->d_in;
        at = site->b + site->rank * site->d_out;
    }
    return SLAO_OK;
}

static slao_status build(slao_lora *lora, const slao_model_config *config) {
    const slao_lora_settings *settings = &lora->settings;
    SLAO_TRY(slao_lora_check(settings, config));
    SLAO_TRY(slao_allocate(&lora->sites, (size_t)(config->layers * SLAO_N_MODULES),
                           sizeof *lora->sites));
    lora->every_layer = true;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
            if (!settings->targets[module])
                continue;
            slao_site *site = &lora->sites[lora->n_sites++];
            *site = (slao_site){
                .layer = layer, .module = module, .rank = settings->rank, .alpha = settings->alpha};
            slao_module_shape(config, module, &site->d_out, &site->d_in);
        }
    }
    return allocate_values(lora);
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

/* The site whose rank and alpha most sites have; the first of them where several are equally
 * common. */
static const slao_site *commonest(const slao_site *sites, int64_t n_sites) {
    const slao_site *best = sites;
    int64_t best_count = 0;
    for (int64_t i = 0; i < n_sites; i++) {
        int64_t count = 0;
        for (int64_t j = 0; j < n_sites; j++)
            count += sites[j].rank == sites[i].rank && sites[j].alpha == sites[i].alpha;
        if (count > best_count) {
            best = &sites[i];
            best_count = count;
        }
    }
    return best;
}

slao_status slao_lora_from_sites(slao_lora **lora, const slao_lora_settings *settings,
                                 const slao_site *sites, int64_t n_sites) {
    SLAO_INVARIANT(n_sites > 0);
    SLAO_TRY(slao_allocate(lora, 1, sizeof **lora));
    const slao_site *most = commonest(sites, n_sites);
    **lora = (slao_lora){.settings = {.rank = most->rank,
                                      .alpha = most->alpha,
                                      .dropout = settings->dropout,
                                      .rslora = settings->rslora},
                         .n_sites = n_sites};
    slao_status status = slao_allocate(&(*lora)->sites, (size_t)n_sites, sizeof *sites);
    if (status == SLAO_OK) {
        memcpy((*lora)->sites, sites, (size_t)n_sites * sizeof *sites);
        for (int64_t i = 0; i < n_sites; i++)
            (*lora)->settings.targets[sites[i].module] = true;
        status = allocate_values(*lora);
    }
    if (status != SLAO_OK) {
        slao_lora_free(*lora);
        *lora = NULL;
    }
    return status;
}

/* The same adapter with its values in other memory. */
static void move_sites(slao_lora *lora, float *values) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        slao_site *site = &lora->sites[i];
        site->a = values + (site->a - lora->values);
        site->b = values + (site->b - lora->values);
    }
    lora->values = values;
}

slao_status slao_lora_add_scalars(slao_lora *lora, int64_t count, float value) {
    float *values, *old = lora->values;
    SLAO_TRY(slao_allocate(&values, (size_t)(lora->n_values + count), sizeof *values));
    memcpy(values, old, (size_t)lora->n_values * sizeof *values);
    move_sites(lora, values);
    free(old);
    for (int64_t i = 0; i < count; i++)
        values[lora->n_values++] = value;
    lora->n_scalars += count;
    return SLAO_OK;
}

float *slao_lora_scalars(const slao_lora *lora) {
    return lora->values + lora->n_values - lora->n_scalars;
}

slao_status slao_lora_new_change(slao_lora **lora, const slao_lora *like) {
    slao_site *sites;
    *lora = NULL;
    SLAO_TRY(slao_allocate(&sites, (size_t)like->n_sites, sizeof *sites));
    memcpy(sites, like->sites, (size_t)like->n_sites * sizeof *sites);
    for (int64_t i = 0; i < like->n_sites; i++) {
        sites[i].rank = sites[i].d_out < sites[i].d_in ? sites[i].d_out : sites[i].d_in;
        sites[i].alpha = (double)sites[i].rank;
    }
    slao_lora_settings settings = {.dropout = like->settings.dropout};
    slao_status status = slao_lora_from_sites(lora, &settings, sites, like->n_sites);
    free(sites);
    SLAO_TRY(status);
    (*lora)->every_layer = like->every_layer;
    for (int64_t i = 0; i < like->n_sites; i++) {
        const slao_site *site = &(*lora)->sites[i];
        float *identity = slao_lora_change(site) == site->a ? site->b : site->a;
        for (int64_t k = 0; k < site->rank; k++)
            identity[k * site->rank + k] = 1;
    }
    return SLAO_OK;
}

float *slao_lora_change(const slao_site *site) {
    return site->d_out <= site->d_in ? site->a : site->b;
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

bool slao_lora_same_sites(const slao_lora *a, const slao_lora *b) {
    if (a->n_sites != b->n_sites)
        return false;
    for (int64_t i = 0; i < a->n_sites; i++) {
        const slao_site *x = &a->sites[i], *y = &b->sites[i];
        if (x->layer != y->layer || x->module != y->module || x->d_out != y->d_out ||
            x->d_in != y->d_in)
            return false;
    }
    return true;
}

bool slao_lora_same_shape(const slao_lora *a, const slao_lora *b) {
    if (!slao_lora_same_sites(a, b))
        return false;
    for (int64_t i = 0; i < a->n_sites; i++) {
        if (a->sites[i].rank != b->sites[i].rank)
            return false;
    }
    return true;
}

static double inner(const float *x, const float *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* trace((B^T B) (A A^T)); `gram` holds the r x r matrix B^T B. Zeros are passed over: a change of
 * full rank has an identity for one factor. */
static double squared_norm(const slao_site *site, double *gram) {
    int64_t rank = site->rank;
    memset(gram, 0, (size_t)(rank * rank) * sizeof *gram);
    for (int64_t i = 0; i < site->d_out; i++) {
        const float *row = site->b + i * rank;
        for (int64_t p = 0; p < rank; p++) {
            for (int64_t q = 0; q < rank && row[p] != 0; q++)
                gram[p * rank + q] += (double)row[p] * (double)row[q];
        }
    }
    double trace = 0;
    for (int64_t p = 0; p < rank; p++) {
        for (int64_t q = 0; q < rank; q++) {
            if (gram[p * rank + q] != 0)
                trace += gram[p * rank + q] *
                         inner(site->a + q * site->d_in, site->a + p * site->d_in, site->d_in);
        }
    }
    return trace > 0 ? trace : 0; /* rounding may leave a zero just below it */
}

slao_status slao_lora_norm(const slao_lora *lora, double *norm) {
    int64_t rank = 0;
    for (int64_t i = 0; i < lora->n_sites; i++)
        rank = lora->sites[i].rank > rank ? lora->sites[i].rank : rank;
    double *gram, squares = 0;
    SLAO_TRY(slao_allocate(&gram, (size_t)(rank * rank), sizeof *gram));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        double scale = lora->sites[i].scale;
        squares += scale * scale * squared_norm(&lora->sites[i], gram);
    }
    free(gram);
    *norm = sqrt(squares);
    return SLAO_OK;
}

void slao_lora_tensor_name(char name[SLAO_LORA_NAME], const slao_site *site, char factor) {
    snprintf(name, SLAO_LORA_NAME, "model.layers.%lld.%s.lora_%c.weight", (long long)site->layer,
             slao_module_path(site->module), factor);
}

/* How many pairs each module has: into the lists' counts. */
static size_t count_pairs(slao_low_rank_list *lists, const slao_lora_stack *stack) {
    size_t count = 0;
    for (int64_t k = 0; k < stack->count; k++) {
        const slao_lora *lora = stack->loras[k];
        count += (size_t)lora->n_sites;
        for (int64_t i = 0; i < lora->n_sites; i++)
            lists[lora->sites[i].layer * SLAO_N_MODULES + lora->sites[i].module].count++;
    }
    return count;
}

static slao_low_rank pair_of(const slao_site *site, double weight) {
    return (slao_low_rank){
        .a = site->a, .b = site->b, .rank = site->rank, .scale = (float)(weight * site->scale)};
}

static void train_pair(slao_low_rank *pair, const slao_lora *lora, const slao_site *site,
                       float *gradients, slao_factors frozen) {
    if (!(frozen & SLAO_FACTOR_A))
        pair->grad_a = gradients + (site->a - lora->values);
    if (!(frozen & SLAO_FACTOR_B))
        pair->grad_b = gradients + (site->b - lora->values);
    pair->dropout = (float)lora->settings.dropout;
}

/* Two allocations: the lists of every module of the model, and all pairs, those of a module
 * together. The first list's pairs are the start of the second allocation. */
slao_status slao_lora_view_stack(slao_low_ranks *view, const slao_lora_stack *stack,
                                 float *gradients, slao_factors frozen,
                                 const slao_model_config *config) {
    size_t n_lists = (size_t)config->layers * SLAO_N_MODULES;
    slao_low_rank_list *lists;
    slao_low_rank *pairs;
    SLAO_TRY(slao_allocate(&lists, n_lists, sizeof *lists));
    slao_status status = slao_allocate(&pairs, count_pairs(lists, stack), sizeof *pairs);
    if (status != SLAO_OK) {
        free(lists);
        return status;
    }
    slao_low_rank *next = pairs;
    for (size_t l = 0; l < n_lists; l++) {
        lists[l].pairs = next;
        next += lists[l].count;
        lists[l].count = 0;
    }
    for (int64_t k = 0; k < stack->count; k++) {
        const slao_lora *lora = stack->loras[k];
        for (int64_t i = 0; i < lora->n_sites; i++) {
            const slao_site *site = &lora->sites[i];
            slao_low_rank_list *list = &lists[site->layer * SLAO_N_MODULES + site->module];
            slao_low_rank *pair = &pairs[list->pairs - pairs + list->count++];
            *pair = pair_of(site, stack->weights ? stack->weights[k] : 1);
            if (stack->scale_gradients)
                pair->grad_scale = &stack->scale_gradients[k];
            if (gradients && k == stack->count - 1)
                train_pair(pair, lora, site, gradients, frozen);
        }
    }
    *view = (slao_low_ranks){.lists = lists};
    return SLAO_OK;
}

slao_status slao_lora_view(slao_low_ranks *view, const slao_lora *lora, float *gradients,
                           const slao_model_config *config) {
    slao_lora_stack stack = {.count = 1, .loras = &lora};
    return slao_lora_view_stack(view, &stack, gradients, SLAO_FACTOR_NONE, config);
}

void slao_lora_view_free(slao_low_ranks *view) {
    if (view->lists)
        free((void *)(uintptr_t)view->lists[0].pairs);
    free((void *)(uintptr_t)view->lists);
    *view = (slao_low_ranks){0};
}
