#include "sweep/run.h"

#include "base/file.h"
#include "base/memory.h"
#include "linalg/bf16.h"
#include "linalg/threads.h"
#include "sweep/chronicle.h"
#include "sweep/crew.h"
#include "sweep/deadline.h"
#include "sweep/environment.h"
#include "sweep/graph.h"
#include "sweep/group.h"
#include "sweep/leftovers.h"
#include "sweep/results.h"
#include "sweep/study.h"
#include "sweep/workbench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    slao_ranks *ranks;
    const slao_sweep_choices *choices;
    slao_study study;
    slao_group *group;
    char *output, *store_folder;
    slao_store *store;
    slao_model *model;
    slao_tokenizer *tokenizer;
    slao_encodings *encodings;
    slao_workbench *bench;
    slao_machine machine;
    slao_graph_step *graph;
    slao_chronicle *chronicle; /* rank 0 */
    double deadline;           /* likewise */
} sweep_run;

slao_status slao_default_output(char **output, const char *name) {
    return slao_format(output, "results/%s.h5", name);
}

slao_status slao_default_store(char **store, const char *output) {
    size_t length = strlen(output);
    if (length > 3 && strcmp(output + length - 3, ".h5") == 0)
        length -= 3;
    return slao_format(store, "%.*s.store", (int)length, output);
}

/* ---- The spec: read by rank 0, parsed by all from its text ---- */

static slao_status folder_of(const char *path, char **folder) {
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path);
    *strrchr(absolute, '/') = '\0';
    slao_status status = slao_copy_text(folder, *absolute ? absolute : "/");
    free(absolute);
    return status;
}

static slao_status read_spec(const sweep_run *run, slao_spec **spec, char **text, char **folder) {
    if (run->ranks->rank != 0)
        return SLAO_OK;
    const slao_sweep_choices *choices = run->choices;
    SLAO_TRY(slao_spec_load(spec, choices->spec, choices->settings, choices->n_settings));
    SLAO_TRY(folder_of(choices->spec, folder));
    return slao_copy_text(text, (*spec)->expanded);
}

/* Keeps the spec on the ranks that got it as text; gives its folder to all. */
static slao_status share_spec(const sweep_run *run, slao_spec **spec, char **folder) {
    char *text = NULL;
    *spec = NULL;
    *folder = NULL;
    slao_status status = slao_ranks_agree(run->ranks, read_spec(run, spec, &text, folder));
    if (status == SLAO_OK)
        status = slao_ranks_broadcast_text(run->ranks, &text);
    if (status == SLAO_OK)
        status = slao_ranks_broadcast_text(run->ranks, folder);
    if (status == SLAO_OK) {
        slao_status parsed = SLAO_OK;
        if (run->ranks->rank != 0)
            parsed = slao_spec_parse(spec, text, run->choices->spec, *folder, NULL, 0);
        status = slao_ranks_agree(run->ranks, parsed);
    }
    if (status == SLAO_OK && run->choices->model_copy)
        (*spec)->model = run->choices->model_copy; /* its text, which the store keeps, stays */
    free(text);
    if (status != SLAO_OK) {
        slao_spec_free(*spec);
        free(*folder);
        *spec = NULL;
        *folder = NULL;
    }
    return status;
}

/* ---- What is there before the first step ---- */

slao_status slao_sweep_places(const slao_sweep_choices *choices, const slao_spec *spec,
                              char **output, char **store) {
    *output = *store = NULL;
    if (choices->output)
        SLAO_TRY(slao_copy_text(output, choices->output));
    else
        SLAO_TRY(slao_default_output(output, spec->name));
    const char *given = choices->store ? choices->store : spec->store;
    return given ? slao_copy_text(store, given) : slao_default_store(store, *output);
}

/* The results file's place, made and tried: better now than after hours of training. */
static slao_status try_output(const char *output) {
    size_t length = strlen(output);
    if (length == 0 || output[length - 1] == '/' || slao_is_folder(output))
        return slao_fail(SLAO_BAD_INPUT, "-o \"%s\" must name a file, such as results/NAME.h5",
                         output);
    char *folder;
    SLAO_TRY(slao_copy_text(&folder, output));
    char *slash = strrchr(folder, '/');
    slao_status status = SLAO_OK;
    if (slash && slash != folder) {
        *slash = '\0';
        status = slao_make_folders(folder);
    }
    char *trial = NULL;
    if (status == SLAO_OK)
        status = slao_format(&trial, "%s.trial", output);
    if (status == SLAO_OK)
        status = slao_write_file(trial, "", 0);
    if (status == SLAO_OK && remove(trial) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot remove %s", trial);
    free(trial);
    free(folder);
    return status;
}

static slao_status open_store(sweep_run *run, const char *spec_folder) {
    bool first = run->ranks->rank == 0;
    if (first)
        SLAO_TRY(try_output(run->output));
    SLAO_TRY(slao_store_open(&run->store, run->store_folder));
    if (!first)
        return SLAO_OK;
    SLAO_TRY(slao_store_lock(run->store));
    SLAO_TRY(slao_leftovers_remove(run->store, run->output));
    return slao_study_keep(&run->study, run->store, run->output, spec_folder);
}

/* Tokenises all that steps still to be run read, so that an example that cannot be used is
 * SLAO_BAD_INPUT before anything is trained; and what they will take. */
static slao_status tokenise(sweep_run *run, slao_footprint *memory) {
    const slao_plan *plan = run->study.plan;
    bool *left;
    SLAO_TRY(slao_tokenizer_load(&run->tokenizer, run->study.spec->model));
    SLAO_TRY(slao_encodings_new(&run->encodings, plan, run->tokenizer));
    SLAO_TRY(slao_allocate(&left, (size_t)plan->n_steps, sizeof *left));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < plan->n_steps && status == SLAO_OK; i++) {
        left[i] = !slao_store_has(run->store, plan->steps[i].key);
        if (left[i])
            status = slao_encodings_of_step(run->encodings, &plan->steps[i], NULL);
    }
    if (status == SLAO_OK)
        status = slao_footprint_make(memory, &run->study, run->encodings, left);
    free(left);
    return status;
}

/* Warns of what is not as it should be where this runs. */
static slao_status look_around(sweep_run *run) {
    slao_run_needs needs = {.threads = slao_threads(), .store = run->store_folder};
    SLAO_TRY(slao_ranks_agree(run->ranks, tokenise(run, &needs.memory)));
    return slao_environment_check(run->ranks, &needs);
}

/* The model that the ranks of a node share: its mapped file, or memory filled by the first of them.
 */
static slao_status load_model(sweep_run *run) {
    const slao_model_config *config = &run->study.config;
    slao_weights weights = run->study.spec->weights;
    SLAO_TRY(slao_weights_decide(&weights, config));
    if (weights == SLAO_WEIGHTS_FILE)
        return slao_ranks_agree(run->ranks, slao_model_open(&run->model, run->study.checkpoint));
    int64_t n_values;
    SLAO_TRY(slao_model_n_values(config, &n_values));
    void *values;
    bool is_first;
    SLAO_TRY(slao_ranks_share(run->ranks, (size_t)n_values * sizeof(float), &values, &is_first));
    slao_status status = slao_model_new(&run->model, config, values);
    if (status == SLAO_OK && is_first)
        status = slao_model_fill(run->model, run->study.checkpoint);
    return slao_ranks_agree(run->ranks, status);
}

static slao_status load_bench(sweep_run *run) {
    slao_workbench_parts parts = {.plan = run->study.plan,
                                  .store = run->store,
                                  .model = run->model,
                                  .tokenizer = run->tokenizer,
                                  .encodings = run->encodings,
                                  .team = slao_group_team(run->group),
                                  .rank = run->ranks->rank,
                                  .host = run->ranks->host,
                                  .machine = &run->machine,
                                  .inputs = &run->study.inputs,
                                  .life = run->ranks->life,
                                  .checkpoint_seconds = run->choices->checkpoint_seconds};
    return slao_workbench_new(&run->bench, &parts);
}

/* What the coordinator knows of the steps; rank 0's alone. Of a step that is to run nothing is left
 * that would make it seem done to who runs it: a record that cannot be read, or under --fresh any;
 * there nor is anything that it would go on from. */
static slao_status make_graph(sweep_run *run) {
    const slao_plan *plan = run->study.plan;
    if (run->ranks->rank != 0)
        return SLAO_OK;
    const slao_selection *selection = &run->choices->selection;
    SLAO_TRY(slao_graph_new(&run->graph, plan, run->store, selection,
                            selection->fresh ? NULL : &run->machine));
    for (int64_t i = 0; i < plan->n_steps; i++) {
        if (run->graph[i].done)
            continue;
        SLAO_TRY(slao_store_forget(run->store, plan->steps[i].key));
        if (selection->fresh && !run->graph[i].left_out)
            SLAO_TRY(slao_store_forget_tries(run->store, plan->steps[i].key));
    }
    return slao_deadline(&run->deadline, run->choices->time_limit);
}

/* ---- The end ---- */

static slao_status write_results(sweep_run *run) {
    const slao_store *stores[] = {run->store};
    slao_results_context context = {.machine = &run->machine,
                                    .inputs = &run->study.inputs,
                                    .ranks = run->ranks->size,
                                    .config = &run->study.config};
    char fingerprint[SLAO_HASH_TEXT];
    SLAO_TRY(slao_results_write(run->output, run->study.plan, stores, 1, &context, fingerprint));
    int64_t done = 0;
    for (int64_t i = 0; i < run->study.plan->n_steps; i++)
        done += slao_store_has(run->store, run->study.plan->steps[i].key);
    printf("trials       %" PRId64 "\nsteps        %" PRId64 " of %" PRId64
           " done\nresults      %s\n"
           "store        %s\nfingerprint  %s\n",
           run->study.spec->n_trials, done, run->study.plan->n_steps, run->output,
           run->store_folder, fingerprint);
    return SLAO_OK;
}

static slao_status prepare(sweep_run *run) {
    slao_ranks *ranks = run->ranks;
    slao_spec *spec;
    char *folder;
    slao_hash hash = {0};
    SLAO_TRY(share_spec(run, &spec, &folder));
    slao_status status = slao_ranks_agree(ranks, slao_study_open(&run->study, spec));
    if (status == SLAO_OK) /* before the store is changed, or the model loaded */
        status = slao_ranks_agree(ranks, slao_precision_need(spec->precision));
    if (status == SLAO_OK)
        status = slao_ranks_agree(ranks, slao_machine_describe(&run->machine));
    if (status == SLAO_OK)
        status = slao_group_form(&run->group, ranks, run->study.spec->ranks_per_trial);
    if (status == SLAO_OK)
        status = slao_ranks_agree(ranks, slao_study_hash(&run->study, &hash));
    if (status == SLAO_OK)
        status = slao_ranks_check_same(ranks, hash, "the plan (do all ranks read the same files?)");
    if (status == SLAO_OK)
        status = slao_ranks_agree(
            ranks, slao_sweep_places(run->choices, spec, &run->output, &run->store_folder));
    if (status == SLAO_OK)
        status = slao_ranks_agree(ranks, open_store(run, folder));
    free(folder);
    SLAO_TRY(status);
    SLAO_TRY(slao_ranks_agree(ranks, make_graph(run)));
    SLAO_TRY(look_around(run));
    SLAO_TRY(load_model(run));
    SLAO_TRY(slao_ranks_agree(ranks, load_bench(run)));
    slao_chronicle_parts parts = {.plan = run->study.plan,
                                  .store = run->store,
                                  .ranks = ranks,
                                  .output = run->output,
                                  .progress = run->choices->progress,
                                  .max_fails = run->choices->max_fails};
    status = ranks->rank == 0 ? slao_chronicle_new(&run->chronicle, &parts) : SLAO_OK;
    return slao_ranks_agree(ranks, status);
}

/* Whatever stopped the crew, what is finished goes into the results file; its own failure comes
 * second. */
static slao_status run_and_report(sweep_run *run) {
    slao_listener listener = {0};
    if (run->chronicle)
        listener = slao_chronicle_listener(run->chronicle);
    slao_runner runner = slao_workbench_runner(run->bench);
    slao_crew_limits limits = {.max_retries = run->choices->max_retries, .deadline = run->deadline};
    slao_status status =
        slao_crew_run(run->ranks, run->graph, run->study.plan->n_steps, &runner, listener, &limits);
    if (run->ranks->rank != 0)
        return status;
    char message[4096] = "";
    if (status != SLAO_OK)
        snprintf(message, sizeof message, "%s", slao_message());
    slao_status written = write_results(run);
    if (status == SLAO_OK && written != SLAO_OK) {
        status = written;
        snprintf(message, sizeof message, "%s", slao_message());
    }
    slao_status ended = slao_chronicle_end(run->chronicle, status, message);
    return status == SLAO_OK ? ended : slao_fail(status, "%s", message);
}

slao_status slao_sweep_run(slao_ranks *ranks, const slao_sweep_choices *choices) {
    sweep_run run = {.ranks = ranks, .choices = choices};
    slao_status status = prepare(&run);
    if (status == SLAO_OK)
        status = run_and_report(&run);
    slao_chronicle_free(run.chronicle);
    free(run.graph);
    slao_workbench_free(run.bench);
    slao_group_free(run.group);
    slao_encodings_free(run.encodings);
    slao_tokenizer_free(run.tokenizer);
    slao_model_free(run.model);
    slao_store_close(run.store);
    slao_study_close(&run.study);
    free(run.output);
    free(run.store_folder);
    return status;
}
