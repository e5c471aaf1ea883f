#include "sweep/results_parts.h"

#include "adapter/peft.h"
#include "base/file.h"
#include "continual/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The adapters that were fine-tuned in a trial, NULL where the store has none. */
typedef struct {
    const slao_trial *trial;
    int64_t n_tasks;
    slao_lora **adapters;
} lineage;

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

static slao_status load_lineage(lineage *line, const slao_outcome *outcome, const int64_t *steps,
                                const slao_model_config *config) {
    slao_lora *shape;
    SLAO_TRY(slao_lora_new(&shape, &line->trial->lora, config));
    slao_status status = SLAO_OK;
    for (int64_t j = 0; j < line->n_tasks && status == SLAO_OK; j++) {
        status = load_adapter(outcome, steps[j], config, &line->adapters[j]);
        if (status == SLAO_OK && line->adapters[j] &&
            !slao_lora_same_shape(shape, line->adapters[j]))
            status = slao_fail(SLAO_BAD_INPUT,
                               "the adapter after %s is not of the rank and modules of the trial: "
                               "delete its folder in the store",
                               line->trial->order->tasks[j]);
    }
    slao_lora_free(shape);
    return status;
}

static int64_t count_modules(const slao_lora_settings *settings) {
    int64_t count = 0;
    for (int module = 0; module < SLAO_N_MODULES; module++)
        count += settings->targets[module];
    return count;
}

enum { PATH = 64 };

static slao_status write_array(slao_h5 file, const lineage *line, const char *name,
                               const char *factor, int64_t n_sites, const double *values) {
    char path[PATH], description[256];
    snprintf(path, sizeof path, "/trial/%s/%s", line->trial->id, name);
    snprintf(
        description, sizeof description,
        "cosine similarity of the fine-tuned %s of two tasks, by task, task, layer and module; "
        "NaN where an adapter is not in the store, or all zeros",
        factor);
    int64_t modules = count_modules(&line->trial->lora);
    slao_h5_label label = {.path = path, .description = description};
    slao_h5_shape shape = {4, {line->n_tasks, line->n_tasks, n_sites / modules, modules}};
    return slao_h5_write_reals(file, &label, shape, values);
}

static slao_status write_cosines(slao_h5 file, const lineage *line) {
    int64_t n = line->n_tasks, n_sites = 0;
    for (int64_t j = 0; j < n; j++)
        n_sites = line->adapters[j] ? line->adapters[j]->n_sites : n_sites;
    if (n_sites == 0)
        return SLAO_OK;
    double *a;
    SLAO_TRY(slao_allocate(&a, (size_t)(2 * n * n * n_sites), sizeof *a));
    double *b = a + n * n * n_sites;
    for (int64_t i = 0; i < 2 * n * n * n_sites; i++)
        a[i] = NAN;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i <= j; i++) {
            if (!line->adapters[i] || !line->adapters[j])
                continue;
            int64_t lower = (j * n + i) * n_sites, upper = (i * n + j) * n_sites;
            slao_cosine_similarity(line->adapters[i], line->adapters[j], a + lower, b + lower);
            memmove(a + upper, a + lower, (size_t)n_sites * sizeof *a);
            memmove(b + upper, b + lower, (size_t)n_sites * sizeof *b);
        }
    }
    slao_status status = write_array(file, line, "cosine_A", "A", n_sites, a);
    if (status == SLAO_OK)
        status = write_array(file, line, "cosine_B", "B", n_sites, b);
    free(a);
    return status;
}

/* Trials that differ only in how they merge have the same fine-tuned adapters: the first of them
 * has the arrays, the others links to them. */
static slao_status link_to_equal(slao_h5 file, const slao_outcome *outcome, int64_t index,
                                 bool *linked) {
    const slao_spec *spec = outcome->plan->spec;
    const slao_trial_steps *steps = outcome->plan->trials;
    int64_t n = spec->trials[index].order->n_tasks;
    *linked = false;
    for (int64_t i = 0; i < index && !*linked; i++) {
        if (spec->trials[i].order->n_tasks != n ||
            memcmp(steps[i].finetunes, steps[index].finetunes, (size_t)n * sizeof(int64_t)) != 0)
            continue;
        *linked = true;
        const char *const names[] = {"cosine_A", "cosine_B"};
        for (int k = 0; k < 2; k++) {
            char from[PATH], to[PATH];
            snprintf(from, sizeof from, "/trial/%s/%s", spec->trials[i].id, names[k]);
            snprintf(to, sizeof to, "/trial/%s/%s", spec->trials[index].id, names[k]);
            SLAO_TRY(slao_h5_link(file, from, to));
        }
    }
    return SLAO_OK;
}

slao_status slao_results_write_cosines(slao_h5 file, const slao_outcome *outcome, int64_t index,
                                       const slao_model_config *config) {
    bool linked;
    SLAO_TRY(link_to_equal(file, outcome, index, &linked));
    if (linked)
        return SLAO_OK;
    const slao_trial *trial = &outcome->plan->spec->trials[index];
    lineage line = {.trial = trial, .n_tasks = trial->order->n_tasks};
    SLAO_TRY(slao_allocate(&line.adapters, (size_t)line.n_tasks, sizeof(slao_lora *)));
    slao_status status =
        load_lineage(&line, outcome, outcome->plan->trials[index].finetunes, config);
    if (status == SLAO_OK)
        status = write_cosines(file, &line);
    else
        status = slao_fail_context(status, "trial %s", trial->id);
    for (int64_t j = 0; j < line.n_tasks; j++)
        slao_lora_free(line.adapters[j]);
    free(line.adapters);
    return status;
}
