/* Merge rules that work entry by entry: on the changes D_t, or on the factors as PEFT's
 * add_weighted_adapter does. */
#include "adapter/entries.h"
#include "adapter/merge_parts.h"
#include "linalg/matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const spaces[] = {"delta", "factors", NULL};
enum { IN_DELTA };

#define SPACE                                                                                      \
    {                                                                                              \
        "space", "merge the changes B A (delta), exactly, or A and B by themselves (factors)",     \
            "delta", spaces, 0, 0                                                                  \
    }
#define DENSITY(value)                                                                             \
    { "density", "the fraction of entries that is kept", value, NULL, 1e-4, 1 }
#define SCALE(value)                                                                               \
    { "scale", "what the result is multiplied by", value, NULL, -100, 100 }

const slao_setting slao_ties_options[] = {DENSITY("0.2"), SCALE("1"), SPACE, {0}};
const slao_setting slao_dare_options[] = {DENSITY("0.5"), SCALE(SLAO_SUM_SCALE), SPACE, {0}};
const slao_setting slao_dare_ties_options[] = {DENSITY("0.5"), SCALE("1"), SPACE, {0}};
const slao_setting slao_magmax_options[] = {SCALE("0.5"), SPACE, {0}};

/* One tensor of one site, of all adapters. */
typedef struct {
    const slao_lora *const *adapters;
    int64_t site;
    char tensor; /* 'A', 'B' or 'D', the change */
} tensor_place;

static void read_tensor(float *values, int64_t t, const void *context) {
    const tensor_place *place = context;
    const slao_site *site = &place->adapters[t]->sites[place->site];
    if (place->tensor == 'A') {
        memcpy(values, site->a, (size_t)(site->rank * site->d_in) * sizeof *values);
    } else if (place->tensor == 'B') {
        memcpy(values, site->b, (size_t)(site->d_out * site->rank) * sizeof *values);
    } else {
        slao_matrix_out d = {values, site->d_in};
        slao_matrix b = {site->b, site->rank}, a = {site->a, site->d_in};
        slao_multiply(d, b, a, site->d_out, site->d_in, site->rank, (float)site->scale, 0);
    }
}

typedef struct {
    const slao_lora *const *adapters;
    int64_t n_adapters;
    slao_entry_rule rule;
    double scale;
    double *weights; /* n_adapters, set for each tensor */
} entry_merge;

static slao_status merge_tensor(const entry_merge *merge, float *merged, int64_t site, char tensor,
                                int64_t n) {
    char name[SLAO_LORA_NAME];
    slao_lora_tensor_name(name, &merge->adapters[0]->sites[site], tensor);
    tensor_place place = {merge->adapters, site, tensor};
    slao_entry_tensors tensors = {.name = name,
                                  .n_tensors = merge->n_adapters,
                                  .n = n,
                                  .weights = merge->weights,
                                  .read = read_tensor,
                                  .context = &place};
    return slao_merge_entries(merged, &merge->rule, &tensors);
}

static slao_status merge_changes(const entry_merge *merge, slao_lora *merged) {
    for (int64_t t = 0; t < merge->n_adapters; t++)
        merge->weights[t] = merge->scale;
    for (int64_t i = 0; i < merged->n_sites; i++) {
        const slao_site *site = &merged->sites[i];
        SLAO_TRY(merge_tensor(merge, slao_lora_change(site), i, 'D', site->d_out * site->d_in));
    }
    return SLAO_OK;
}

/* As PEFT: the root of weight and scale goes to each factor, its sign to A; the result's scale is
 * 1. */
static slao_status merge_factors(const entry_merge *merge, slao_lora *merged) {
    for (int64_t i = 0; i < merged->n_sites; i++) {
        slao_site *site = &merged->sites[i];
        for (int factor = 0; factor < 2; factor++) {
            for (int64_t t = 0; t < merge->n_adapters; t++) {
                double weight = merge->scale * merge->adapters[t]->sites[i].scale;
                merge->weights[t] = sqrt(fabs(weight)) * (weight < 0 && factor == 0 ? -1 : 1);
            }
            SLAO_TRY(merge_tensor(merge, factor ? site->b : site->a, i, factor ? 'B' : 'A',
                                  site->rank * (factor ? site->d_out : site->d_in)));
        }
    }
    return SLAO_OK;
}

static slao_status merge_by_entries(slao_lora **merged, const slao_merge_choice *choice,
                                    const slao_lora *const *adapters, int64_t n, slao_prune prune,
                                    slao_combine combine) {
    bool in_delta = slao_merge_name(choice, "space") == IN_DELTA;
    entry_merge merge = {
        .adapters = adapters,
        .n_adapters = n,
        .rule = {.prune = prune,
                 .combine = combine,
                 .density = prune == SLAO_PRUNE_NONE ? 1 : slao_merge_number(choice, "density"),
                 .seed = choice->seed},
        .scale = slao_merge_number(choice, "scale"),
    };
    if (in_delta) {
        SLAO_TRY(slao_lora_new_change(merged, adapters[0]));
    } else {
        SLAO_TRY(slao_merge_need_same_factors(adapters, n));
        SLAO_TRY(slao_merge_new_like(merged, adapters[0]));
    }
    slao_status status = slao_allocate(&merge.weights, (size_t)n, sizeof *merge.weights);
    if (status == SLAO_OK)
        status = in_delta ? merge_changes(&merge, *merged) : merge_factors(&merge, *merged);
    free(merge.weights);
    if (status != SLAO_OK) {
        slao_lora_free(*merged);
        *merged = NULL;
    }
    return status;
}

slao_status slao_merge_ties(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_lora *const *adapters, int64_t n) {
    return merge_by_entries(merged, choice, adapters, n, SLAO_PRUNE_MAGNITUDE,
                            SLAO_COMBINE_AGREEING);
}

slao_status slao_merge_magnitude_prune(slao_lora **merged, const slao_merge_choice *choice,
                                       const slao_lora *const *adapters, int64_t n) {
    return merge_by_entries(merged, choice, adapters, n, SLAO_PRUNE_MAGNITUDE, SLAO_COMBINE_SUM);
}

slao_status slao_merge_dare(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_lora *const *adapters, int64_t n) {
    return merge_by_entries(merged, choice, adapters, n, SLAO_PRUNE_RANDOM, SLAO_COMBINE_SUM);
}

slao_status slao_merge_dare_ties(slao_lora **merged, const slao_merge_choice *choice,
                                 const slao_lora *const *adapters, int64_t n) {
    return merge_by_entries(merged, choice, adapters, n, SLAO_PRUNE_RANDOM, SLAO_COMBINE_AGREEING);
}

slao_status slao_merge_magmax(slao_lora **merged, const slao_merge_choice *choice,
                              const slao_lora *const *adapters, int64_t n) {
    return merge_by_entries(merged, choice, adapters, n, SLAO_PRUNE_NONE, SLAO_COMBINE_LARGEST);
}
