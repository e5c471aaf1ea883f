#include "sweep/needs.h"

#include <stdlib.h>

slao_status slao_needs_new(slao_needs *needs, const slao_plan *plan) {
    *needs = (slao_needs){.plan = plan};
    SLAO_TRY(slao_allocate(&needs->seen, (size_t)plan->n_steps, sizeof *needs->seen));
    slao_status status = slao_allocate(&needs->steps, (size_t)plan->n_steps, sizeof *needs->steps);
    if (status != SLAO_OK)
        slao_needs_free(needs);
    return status;
}

void slao_needs_free(slao_needs *needs) {
    free(needs->seen);
    free(needs->steps);
    *needs = (slao_needs){0};
}

void slao_needs_clear(slao_needs *needs) {
    for (int64_t i = 0; i < needs->count; i++)
        needs->seen[needs->steps[i]] = false;
    needs->count = 0;
}

static void need(slao_needs *needs, int64_t step) {
    if (step < 0 || needs->seen[step])
        return;
    needs->seen[step] = true;
    needs->steps[needs->count++] = step;
    for (int64_t i = 0; i < needs->plan->steps[step].n_parents; i++)
        need(needs, needs->plan->steps[step].parents[i]);
}

static void need_all(slao_needs *needs, const int64_t *steps, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        need(needs, steps[i]);
}

void slao_needs_add_own(slao_needs *needs, int64_t trial) {
    const slao_trial_steps *steps = &needs->plan->trials[trial];
    int64_t n = needs->plan->spec->trials[trial].order->n_tasks;
    need_all(needs, steps->finetunes, n);
    need_all(needs, steps->adapters, n);
    need_all(needs, steps->accuracy, n * n);
}

void slao_needs_add_references(slao_needs *needs, int64_t trial) {
    const slao_trial_steps *steps = &needs->plan->trials[trial];
    int64_t n = needs->plan->spec->trials[trial].order->n_tasks;
    need_all(needs, steps->base, n);
    need_all(needs, steps->individual, n);
}
