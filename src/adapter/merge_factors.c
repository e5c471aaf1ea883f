/* Merge rules that need products and sums of factors alone. */
#include "adapter/merge_parts.h"
#include "adapter/spectrum.h"

#include <stdlib.h>
#include <string.h>

/* ---- asymmetric ---- */

static const char *const merged_factors[] = {"B", "A", "both", NULL};
enum { MERGE_B, MERGE_A };

const slao_setting slao_asymmetric_options[] = {
    {"merge", "which factor is merged, B, A or both; the other one is the new task's", "B",
     merged_factors, 0, 0},
    {0},
};

static void approach(float *merged, const float *finetuned, int64_t n, double lambda) {
    for (int64_t k = 0; k < n; k++)
        merged[k] =
            (float)((double)merged[k] + lambda * ((double)finetuned[k] - (double)merged[k]));
}

slao_status slao_merge_asymmetric(slao_lora **merged, const slao_merge_choice *choice,
                                  const slao_merge_moment *moment, const slao_lora *last,
                                  const slao_lora *finetuned, slao_merge_state *state) {
    (void)state;
    const slao_lora *both[] = {last, finetuned};
    SLAO_TRY(slao_merge_need_same_factors(both, 2));
    SLAO_TRY(slao_lora_copy(merged, last));
    int which = slao_merge_name(choice, "merge");
    for (int64_t i = 0; i < last->n_sites; i++) {
        const slao_site *to = &(*merged)->sites[i], *from = &finetuned->sites[i];
        int64_t n_a = to->rank * to->d_in, n_b = to->d_out * to->rank;
        double lambda = moment->site_lambdas ? moment->site_lambdas[i] : moment->lambda;
        if (which == MERGE_B)
            memcpy(to->a, from->a, (size_t)n_a * sizeof *to->a);
        else
            approach(to->a, from->a, n_a, lambda);
        if (which == MERGE_A)
            memcpy(to->b, from->b, (size_t)n_b * sizeof *to->b);
        else
            approach(to->b, from->b, n_b, lambda);
    }
    return SLAO_OK;
}

/* ---- Sums of changes ---- */

/* Puts weight s B A beside what is in the pair already, from column `from` of its rank on. */
static void append_pair(const slao_merge_pair *to, int64_t from, const slao_site *pair,
                        double weight) {
    memcpy(to->a + from * pair->d_in, pair->a, (size_t)(pair->rank * pair->d_in) * sizeof *to->a);
    double factor = weight * pair->scale;
    for (int64_t row = 0; row < pair->d_out; row++) {
        float *b = to->b + row * to->rank + from;
        for (int64_t k = 0; k < pair->rank; k++)
            b[k] = (float)(factor * (double)pair->b[row * pair->rank + k]);
    }
}

static slao_status append_pairs(slao_merge_pair *pairs, const slao_lora *const *adapters, int64_t n,
                                const double *weights) {
    for (int64_t i = 0; i < adapters[0]->n_sites; i++) {
        const slao_site *like = &adapters[0]->sites[i];
        int64_t rank = 0, from = 0;
        for (int64_t t = 0; t < n; t++)
            rank += adapters[t]->sites[i].rank;
        SLAO_TRY(slao_merge_pair_new(&pairs[i], rank, like->d_out, like->d_in));
        for (int64_t t = 0; t < n; t++) {
            append_pair(&pairs[i], from, &adapters[t]->sites[i], weights[t]);
            from += adapters[t]->sites[i].rank;
        }
    }
    return SLAO_OK;
}

slao_status slao_merge_sum(slao_lora **sum, const slao_lora *const *adapters, int64_t n,
                           const double *weights) {
    const slao_lora *first = adapters[0];
    slao_merge_pair *pairs;
    slao_lora *wide = NULL;
    *sum = NULL;
    SLAO_TRY(slao_allocate(&pairs, (size_t)first->n_sites, sizeof *pairs));
    slao_status status = append_pairs(pairs, adapters, n, weights);
    if (status == SLAO_OK)
        status = slao_merge_from_pairs(&wide, first, pairs);
    slao_merge_pairs_free(pairs, first->n_sites);
    if (status == SLAO_OK)
        status = slao_lora_fold(sum, wide);
    slao_lora_free(wide);
    return status;
}

slao_status slao_merge_average(slao_lora **merged, const slao_merge_choice *choice,
                               const slao_merge_moment *moment, const slao_lora *last,
                               const slao_lora *finetuned, slao_merge_state *state) {
    (void)choice;
    (void)state;
    const slao_lora *both[] = {last, finetuned};
    double i = (double)moment->i, weights[] = {(i - 1) / i, 1 / i};
    return slao_merge_sum(merged, both, 2, weights);
}

const slao_setting slao_task_arithmetic_options[] = {
    {"scale", "what the sum is multiplied by", SLAO_SUM_SCALE, NULL, -100, 100},
    {0},
};

slao_status slao_merge_task_arithmetic(slao_lora **merged, const slao_merge_choice *choice,
                                       const slao_lora *const *adapters, int64_t n) {
    double *weights;
    SLAO_TRY(slao_allocate(&weights, (size_t)n, sizeof *weights));
    for (int64_t t = 0; t < n; t++)
        weights[t] = slao_merge_number(choice, "scale");
    slao_status status = slao_merge_sum(merged, adapters, n, weights);
    free(weights);
    return status;
}
