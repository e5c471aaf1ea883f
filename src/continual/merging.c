#include "continual/merging.h"

#include "continual/layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lambda ---- */

static slao_factors factors_of(const char *merges, const slao_site *site) {
    const char *name = slao_layers_find(merges, site->layer);
    return strcmp(name, "A") == 0   ? SLAO_FACTOR_A
           : strcmp(name, "B") == 0 ? SLAO_FACTOR_B
                                    : SLAO_FACTORS;
}

static void add_values(slao_lambda_facts *facts, const float *merged, const float *finetuned,
                       int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        double m = (double)merged[k], f = (double)finetuned[k];
        facts->merged += m * m;
        facts->finetuned += f * f;
        facts->inner += m * f;
    }
}

static void add_site(slao_lambda_facts *facts, slao_factors factors, const slao_site *merged,
                     const slao_site *finetuned) {
    if (factors & SLAO_FACTOR_A)
        add_values(facts, merged->a, finetuned->a, merged->rank * merged->d_in);
    if (factors & SLAO_FACTOR_B)
        add_values(facts, merged->b, finetuned->b, merged->rank * merged->d_out);
}

static double gradient_of(slao_factors factors, double a, double b) {
    return hypot(factors & SLAO_FACTOR_A ? a : 0, factors & SLAO_FACTOR_B ? b : 0);
}

/* The lambda of one group, whose state is set or goes on. */
static double adapt_group(const slao_lambda_case *of, const slao_lambda_facts *facts, double first,
                          const double *before, double *state) {
    if (before)
        memcpy(state, before, SLAO_LAMBDA_STATE * sizeof *state);
    else
        slao_schedule_begin(of->schedule, facts->merged, first, state);
    return slao_schedule_adapt(of->schedule, of->i, facts, state);
}

static void adapt_sites(slao_lambda *lambda, const slao_lambda_case *of) {
    lambda->value = 0;
    for (int64_t s = 0; s < lambda->n_groups; s++) {
        slao_factors factors = factors_of(of->merges, &of->merged->sites[s]);
        slao_lambda_facts facts = {
            .gradient = gradient_of(factors, of->gradients.a[s], of->gradients.b[s])};
        add_site(&facts, factors, &of->merged->sites[s], &of->finetuned->sites[s]);
        double first = of->state ? 0 : gradient_of(factors, of->first.a[s], of->first.b[s]);
        int64_t at = s * SLAO_LAMBDA_STATE;
        lambda->sites[s] =
            adapt_group(of, &facts, first, of->state ? of->state + at : NULL, lambda->state + at);
        lambda->value += lambda->sites[s] / (double)lambda->n_groups;
    }
}

static void adapt_all(slao_lambda *lambda, const slao_lambda_case *of) {
    slao_lambda_facts facts = {0};
    slao_factors all = SLAO_FACTOR_NONE;
    for (int64_t s = 0; s < of->merged->n_sites; s++) {
        slao_factors factors = factors_of(of->merges, &of->merged->sites[s]);
        add_site(&facts, factors, &of->merged->sites[s], &of->finetuned->sites[s]);
        all |= factors;
    }
    facts.gradient = gradient_of(all, of->gradients.all_a, of->gradients.all_b);
    double first = of->state ? 0 : gradient_of(all, of->first.all_a, of->first.all_b);
    lambda->value = adapt_group(of, &facts, first, of->state, lambda->state);
}

slao_status slao_lambda_adapt(slao_lambda *lambda, const slao_lambda_case *of) {
    SLAO_INVARIANT(slao_lora_same_shape(of->merged, of->finetuned));
    bool by_site = of->schedule->by_site;
    *lambda = (slao_lambda){.n_groups = by_site ? of->merged->n_sites : 1};
    SLAO_TRY(slao_allocate(&lambda->state, (size_t)lambda->n_groups * SLAO_LAMBDA_STATE,
                           sizeof(double)));
    if (by_site)
        SLAO_TRY(slao_allocate(&lambda->sites, (size_t)lambda->n_groups, sizeof(double)));
    (by_site ? adapt_sites : adapt_all)(lambda, of);
    return SLAO_OK;
}

void slao_lambda_free(slao_lambda *lambda) {
    free(lambda->sites);
    free(lambda->state);
    *lambda = (slao_lambda){0};
}

/* ---- Merging ---- */

static slao_status step_with(slao_lora **merged, const slao_merge_choice *choice,
                             const char *factor, int64_t i, const slao_lambda *lambda,
                             const slao_lora *last, const slao_lora *finetuned,
                             slao_merge_state *state) {
    slao_merge_choice with = *choice;
    slao_merge_moment moment = {.i = i, .lambda = lambda->value, .site_lambdas = lambda->sites};
    if (factor) {
        int place = slao_setting_find(with.rule->options, "merge");
        SLAO_INVARIANT(place >= 0);
        with.values[place] = factor;
    }
    return slao_merge_step(merged, &with, &moment, last, finetuned, state);
}

/* Takes over what `from` has in the layers that merge `factor`. */
static void take_layers(slao_lora *merged, const slao_lora *from, const char *merges,
                        const char *factor) {
    for (int64_t s = 0; s < merged->n_sites; s++) {
        const slao_site *to = &merged->sites[s], *site = &from->sites[s];
        if (strcmp(slao_layers_find(merges, to->layer), factor) != 0)
            continue;
        memcpy(to->a, site->a, (size_t)(to->rank * to->d_in) * sizeof *to->a);
        memcpy(to->b, site->b, (size_t)(to->rank * to->d_out) * sizeof *to->b);
    }
}

slao_status slao_merging_step(slao_lora **merged, const slao_merge_choice *choice,
                              const char *merges, int64_t i, const slao_lambda *lambda,
                              const slao_lora *last, const slao_lora *finetuned,
                              slao_merge_state *state) {
    static const char *const factors[] = {"A", "both"};
    if (!merges || slao_layers_highest(merges) < 0)
        return step_with(merged, choice, merges, i, lambda, last, finetuned, state);
    SLAO_TRY(step_with(merged, choice, "B", i, lambda, last, finetuned, state));
    slao_status status = SLAO_OK;
    for (int f = 0; f < 2 && status == SLAO_OK; f++) {
        slao_lora *other = NULL;
        status = step_with(&other, choice, factors[f], i, lambda, last, finetuned, state);
        if (status == SLAO_OK)
            take_layers(*merged, other, merges, factors[f]);
        slao_lora_free(other);
    }
    if (status != SLAO_OK) {
        slao_lora_free(*merged);
        *merged = NULL;
    }
    return status;
}
