#include "sweep/results_parts.h"

#include "adapter/peft.h"
#include "base/file.h"
#include "continual/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static slao_status load_adapter(const slao_outcome *outcome, int64_t step,
                                const slao_model_config *config, slao_lora **lora) {
    *lora = NULL;
    if (step < 0 || !outcome->steps[step].recorded)
        return SLAO_OK;
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < outcome->n_stores && !*lora && status == SLAO_OK; i++) {
        char *folder;
        SLAO_TRY(
            slao_store_adapter_path(outcome->stores[i], outcome->plan->steps[step].key, &folder));
        if (slao_is_folder(folder))
            status = slao_peft_load(lora, folder, config);
        free(folder);
    }
    return status;
}

/* The adapters that were fine-tuned in the trial, NULL where the store has none. */
static slao_status load_lineage(const slao_trial_writer *w, slao_lora **adapters) {
    slao_lora *shape;
    SLAO_TRY(slao_lora_new(&shape, &w->settings->lora, w->config));
    slao_status status = SLAO_OK;
    for (int64_t j = 0; j < w->n_tasks && status == SLAO_OK; j++) {
        status = load_adapter(w->outcome, w->steps->finetunes[j], w->config, &adapters[j]);
        if (status == SLAO_OK && adapters[j] && !slao_lora_same_shape(shape, adapters[j]))
            status = slao_fail(SLAO_BAD_INPUT,
                               "the adapter after %s is not of the rank and modules of the trial: "
                               "delete its folder in the store",
                               w->settings->order->tasks[j]);
    }
    slao_lora_free(shape);
    return status;
}

const char *const slao_trial_cosine_names[2] = {"cosine_A", "cosine_B"};

static slao_status write_array(const slao_trial_writer *w, int factor, const double *values) {
    char description[256];
    const char *name = slao_trial_cosine_names[factor];
    snprintf(
        description, sizeof description,
        "cosine similarity of the fine-tuned %s of two tasks, by task, task, layer and module; "
        "NaN where an adapter is not in the store, or all zeros",
        strchr(name, '_') + 1);
    slao_trial_row row = {name, description, NULL};
    slao_h5_shape shape = {4, {w->n_tasks, w->n_tasks, w->config->layers, w->n_modules}};
    return slao_trial_write_reals(w, &row, shape, values);
}

static slao_status write_cosines(const slao_trial_writer *w, slao_lora *const *adapters) {
    int64_t n = w->n_tasks, n_sites = w->config->layers * w->n_modules;
    double *a, *b;
    SLAO_TRY(slao_trial_take_reals(w, n * n * n_sites, &a));
    SLAO_TRY(slao_trial_take_reals(w, n * n * n_sites, &b));
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i <= j; i++) {
            if (!adapters[i] || !adapters[j])
                continue;
            int64_t lower = (j * n + i) * n_sites, upper = (i * n + j) * n_sites;
            slao_cosine_similarity(adapters[i], adapters[j], a + lower, b + lower);
            memmove(a + upper, a + lower, (size_t)n_sites * sizeof *a);
            memmove(b + upper, b + lower, (size_t)n_sites * sizeof *b);
        }
    }
    SLAO_TRY(write_array(w, 0, a));
    return write_array(w, 1, b);
}

slao_status slao_trial_write_cosines(const slao_trial_writer *w) {
    slao_lora **adapters;
    SLAO_TRY(slao_allocate(&adapters, (size_t)w->n_tasks, sizeof(slao_lora *)));
    slao_status status = load_lineage(w, adapters);
    if (status == SLAO_OK)
        status = write_cosines(w, adapters);
    else
        status = slao_fail_context(status, "trial %s", w->settings->id);
    for (int64_t j = 0; j < w->n_tasks; j++)
        slao_lora_free(adapters[j]);
    free(adapters);
    return status;
}
