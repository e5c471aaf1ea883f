/* slao export: one adapter of a sweep as a PEFT folder. */
#include "adapter/merge.h"
#include "adapter/peft.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "sweep/run.h"
#include "sweep/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *trial, *which, *store, *output;
    int64_t step; /* -1: the last */
} export_choices;

/* The trial whose id begins with `text`, if it is the only one. */
static slao_status find_trial(int64_t *trial, const slao_spec *spec, const char *text) {
    int64_t count = 0;
    for (int64_t i = 0; i < spec->n_trials; i++) {
        if (*text && strncmp(spec->trials[i].id, text, strlen(text)) == 0) {
            *trial = i;
            count++;
        }
    }
    if (count == 1)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT,
                     "--trial: %s trial of this sweep has an id that begins with %s",
                     count ? "more than one" : "no", text);
}

static slao_status load_step(slao_lora **lora, const slao_study *study, const slao_store *store,
                             int64_t index, bool finetuned) {
    const slao_step *step = &study->plan->steps[index];
    char *folder;
    if (!slao_store_has(store, step->key))
        return slao_fail(SLAO_BAD_INPUT,
                         "the %s step of task %s has not run yet: there is no adapter to export",
                         slao_step_kind_name(step->kind), step->task);
    bool evaluated = !finetuned && slao_step_has_own_evaluation(step);
    SLAO_TRY((evaluated ? slao_store_evaluated_path : slao_store_adapter_path)(store, step->key,
                                                                               &folder));
    slao_status status = slao_peft_load(lora, folder, &study->config);
    free(folder);
    return status;
}

/* The sum of the adapters of `count` steps; a single one as it is. */
static slao_status sum_steps(slao_lora **sum, const slao_study *study, const slao_store *store,
                             const int64_t *steps, int64_t count, bool finetuned) {
    if (count == 1)
        return load_step(sum, study, store, steps[0], finetuned);
    slao_lora **loras;
    double *ones;
    SLAO_TRY(slao_allocate(&loras, (size_t)count, sizeof *loras));
    slao_status status = slao_allocate(&ones, (size_t)count, sizeof *ones);
    for (int64_t i = 0; i < count && status == SLAO_OK; i++) {
        ones[i] = 1;
        status = load_step(&loras[i], study, store, steps[i], finetuned);
    }
    if (status == SLAO_OK)
        status = slao_merge_sum(sum, (const slao_lora *const *)loras, count, ones);
    for (int64_t i = 0; i < count; i++)
        slao_lora_free(loras[i]);
    free(ones);
    free(loras);
    return status;
}

static slao_status export_adapter(const slao_study *study, const slao_store *store,
                                  const export_choices *c) {
    int64_t trial = 0;
    bool finetuned = strcmp(c->which, "finetuned") == 0;
    if (!finetuned && strcmp(c->which, "merged") != 0)
        return slao_fail(SLAO_BAD_INPUT, "--which must be merged or finetuned, not \"%s\"",
                         c->which);
    SLAO_TRY(find_trial(&trial, study->spec, c->trial));
    const slao_trial *chosen = &study->spec->trials[trial];
    int64_t n_tasks = chosen->order->n_tasks, after = c->step < 0 ? n_tasks : c->step;
    if (after < 1 || after > n_tasks)
        return slao_fail(SLAO_BAD_INPUT, "--step is %lld, but the trial has the tasks 1 to %lld",
                         (long long)after, (long long)n_tasks);
    const slao_trial_steps *of = &study->plan->trials[trial];
    const int64_t *steps = &of->finetunes[after - 1];
    int64_t count = finetuned ? *steps >= 0 : slao_trial_evaluated(chosen, of, after, &steps);
    if (count == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s has no adapter after task %lld: --step %lld is its only one",
                         chosen->method.method->name, (long long)after, (long long)n_tasks);
    slao_lora *lora = NULL;
    SLAO_TRY(sum_steps(&lora, study, store, steps, count, finetuned));
    slao_status status = slao_peft_save(lora, c->output, study->spec->model);
    if (status == SLAO_OK)
        printf("trial        %s: %s\nadapter      %s, after task %lld (%s)\nwritten to   %s\n",
               chosen->id, chosen->method.method->name, c->which, (long long)after,
               chosen->order->tasks[after - 1], c->output);
    slao_lora_free(lora);
    return status;
}

static slao_status export_from(const char *results, const export_choices *c) {
    char *folder = NULL;
    if (c->store)
        SLAO_TRY(slao_copy_text(&folder, c->store));
    else
        SLAO_TRY(slao_default_store(&folder, results));
    slao_store *store = NULL;
    slao_study study = {0};
    slao_status status = slao_is_folder(folder)
                             ? slao_store_look_into(&store, folder)
                             : slao_fail(SLAO_BAD_INPUT,
                                         "there is no store %s, where the adapters of %s would be: "
                                         "name it with --store",
                                         folder, results);
    if (status == SLAO_OK)
        status = slao_study_reopen(&study, store, results);
    if (status == SLAO_OK)
        status = export_adapter(&study, store, c);
    slao_study_close(&study);
    slao_store_close(store);
    free(folder);
    return status;
}

slao_status slao_command_export(int argc, char **argv) {
    export_choices c = {.which = "merged", .step = -1};
    const slao_option options[] = {
        {"--trial", NULL, SLAO_OPTION_TEXT, "ID", "id of the trial, or how it begins", &c.trial,
         true},
        {"--output", "-o", SLAO_OPTION_TEXT, "DIR", "folder of the adapter", &c.output, true},
        {"--step", NULL, SLAO_OPTION_INTEGER, "I", "after the I-th task (the last)", &c.step,
         false},
        {"--which", NULL, SLAO_OPTION_TEXT, "NAME",
         "merged: what is evaluated (default); finetuned: what task I was trained to", &c.which,
         false},
        {"--store", NULL, SLAO_OPTION_TEXT, "STORE", "where the sweep's steps are (OUT.store)",
         &c.store, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao export OUT.h5 --trial ID [--step I] [--which merged|finetuned] "
                 "[--store STORE] -o DIR",
        .summary = "Writes one adapter of a sweep as a PEFT folder. slao inspect OUT.h5 lists the "
                   "trials.",
        .example = "slao export results/lambda.h5 --trial 3f0a --step 2 -o adapter",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    return export_from(argv[1], &c);
}
