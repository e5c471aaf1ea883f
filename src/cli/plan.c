/* slao plan: what a sweep would run, and what that would take. */
#include "cli/plan.h"

#include "cli/command.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/document.h"
#include "cli/options.h"
#include "linalg/bf16.h"
#include "sweep/estimate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The numbers that are counted four times ---- */

enum { N_COUNTS = 7 };
static const struct {
    const char *key, *label;
    size_t offset; /* of an int64_t in slao_estimate_work */
} counted[N_COUNTS] = {
    {"finetune", "fine-tune steps", offsetof(slao_estimate_work, steps[SLAO_STEP_FINETUNE])},
    {"merge", "merge steps", offsetof(slao_estimate_work, steps[SLAO_STEP_MERGE])},
    {"evaluate", "evaluate steps", offsetof(slao_estimate_work, steps[SLAO_STEP_EVALUATE])},
    {"examples_trained", "examples trained", offsetof(slao_estimate_work, examples_trained)},
    {"examples_scored", "examples scored", offsetof(slao_estimate_work, examples_scored)},
    {"tokens_trained", "tokens trained", offsetof(slao_estimate_work, tokens_trained)},
    {"tokens_scored", "tokens scored", offsetof(slao_estimate_work, tokens_scored)},
};

static int64_t count_at(const slao_estimate_work *work, int row) {
    return *(const int64_t *)(const void *)((const char *)work + counted[row].offset);
}

/* ---- As text ---- */

static void print_bytes(const char *label, double bytes, const char *of) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    printf("%-18s %.3g %s%s\n", label, bytes, units[unit], of);
}

static void print_time(const slao_spec *spec, const slao_estimate *e) {
    const slao_speed *speed = &e->speed;
    char seconds[SLAO_DURATION_TEXT], work[SLAO_DURATION_TEXT], longest[SLAO_DURATION_TEXT];
    if (isnan(e->seconds) && slao_precision_need(spec->precision) != SLAO_OK) {
        printf("%-18s not known: %s\n", "time", slao_message());
        return;
    }
    slao_duration_text(seconds, e->seconds);
    slao_duration_text(work, e->work_seconds);
    slao_duration_text(longest, e->longest_seconds);
    if (isnan(e->seconds)) {
        printf("%-18s not known: there is too little memory here for a measurement\n", "time");
        return;
    }
    printf("%-18s about %s on %" PRId64 " rank%s (%s of work, the longest chain is %s)\n", "time",
           seconds, e->ranks, e->ranks == 1 ? "" : "s", work, longest);
    if (strcmp(speed->source, "none") != 0)
        printf("%-18s %.0f tokens/s trained, %.0f scored, %s\n", "speed", speed->trained,
               speed->scored,
               strcmp(speed->source, "store") == 0
                   ? "by the steps in the store that ran on this kind of machine"
                   : "by a short measurement on this machine");
}

static void print_text(const slao_plan *plan, const slao_estimate *e) {
    const slao_spec *spec = plan->spec;
    printf("sweep              %s\ntrials             %" PRId64 "\norders             %" PRId64
           "\ntasks              %" PRId64 "\n",
           spec->name, spec->n_trials, spec->n_orders, plan->n_tasks);
    for (int64_t i = 0; i < spec->n_skipped; i++)
        printf("skipped task       %s (not in %s)\n", spec->skipped[i], spec->benchmark.path);
    printf("\n%-18s %14s %14s %14s %14s\n", "", "not shared", "shared", "done", "left");
    for (int i = 0; i < N_COUNTS; i++)
        printf("%-18s %14" PRId64 " %14" PRId64 " %14" PRId64 " %14" PRId64 "\n", counted[i].label,
               count_at(&e->without, i), count_at(&e->with, i), count_at(&e->done, i),
               count_at(&e->left, i));
    printf("\n");
    print_time(spec, e);
    print_bytes("memory of a node", e->node_bytes, ", with all ranks on it");
    print_bytes("  weights", e->memory.weights, ", once");
    print_bytes("  a rank", e->memory.rank, " beside them");
    print_bytes("disk", e->disk_bytes, " more");
    if (e->ranks > 1)
        printf("\n%" PRId64 " ranks: at most %.1f times as fast as one\n", e->ranks, e->speed_up);
}

/* ---- As JSON ---- */

static slao_status add_work(cJSON *root, const char *key, const slao_estimate_work *work) {
    cJSON *object = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(root, key, object));
    for (int i = 0; i < N_COUNTS; i++)
        SLAO_TRY(slao_json_add_real(object, counted[i].key, (double)count_at(work, i)));
    return SLAO_OK;
}

static slao_status add_numbers(cJSON *root, const slao_estimate *e) {
    const struct {
        const char *key;
        double value;
    } rows[] = {{"ranks", (double)e->ranks},
                {"groups", (double)e->groups},
                {"speed_up_at_most", e->speed_up},
                {"seconds", e->seconds},
                {"work_seconds", e->work_seconds},
                {"longest_chain_seconds", e->longest_seconds},
                {"memory_per_node_bytes", e->node_bytes},
                {"memory_weights_bytes", e->memory.weights},
                {"memory_per_rank_bytes", e->memory.rank},
                {"disk_bytes", e->disk_bytes}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        SLAO_TRY(slao_json_add_real(root, rows[i].key, rows[i].value));
    SLAO_TRY(slao_json_add(root, "speed", cJSON_CreateObject()));
    cJSON *speed = slao_json_find(root, "speed");
    SLAO_TRY(slao_json_add_text(speed, "source", e->speed.source));
    SLAO_TRY(slao_json_add_real(speed, "tokens_trained_per_second", e->speed.trained));
    return slao_json_add_real(speed, "tokens_scored_per_second", e->speed.scored);
}

static slao_status fill_json(cJSON *root, const slao_plan *plan, const slao_estimate *e) {
    const slao_spec *spec = plan->spec;
    SLAO_TRY(slao_json_add_text(root, "name", spec->name));
    SLAO_TRY(slao_json_add_text(root, "model", spec->model));
    SLAO_TRY(slao_json_add_real(root, "trials", (double)spec->n_trials));
    SLAO_TRY(slao_json_add_real(root, "orders", (double)spec->n_orders));
    SLAO_TRY(slao_json_add_real(root, "tasks", (double)plan->n_tasks));
    SLAO_TRY(slao_json_add(
        root, "skipped_tasks",
        cJSON_CreateStringArray((const char *const *)spec->skipped, (int)spec->n_skipped)));
    SLAO_TRY(add_work(root, "without_sharing", &e->without));
    SLAO_TRY(add_work(root, "with_sharing", &e->with));
    SLAO_TRY(add_work(root, "done", &e->done));
    SLAO_TRY(add_work(root, "left", &e->left));
    return add_numbers(root, e);
}

static slao_status print_json(const slao_plan *plan, const slao_estimate *estimate) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, plan, estimate));
}

/* ---- The command ---- */

static slao_status estimate_and_print(const slao_sweep_choices *choices, const slao_study *study,
                                      int64_t ranks, bool json) {
    char *output, *folder;
    slao_store *store = NULL;
    slao_estimate estimate;
    slao_status status = slao_sweep_places(choices, study->spec, &output, &folder);
    if (status == SLAO_OK && slao_is_folder(folder))
        status = slao_store_look_into(&store, folder);
    if (status == SLAO_OK)
        status = slao_estimate_make(&estimate, study, store, &choices->selection,
                                    ranks ? ranks : study->spec->ranks_per_trial);
    if (status == SLAO_OK && json)
        status = print_json(study->plan, &estimate);
    else if (status == SLAO_OK)
        print_text(study->plan, &estimate);
    slao_store_close(store);
    free(folder);
    free(output);
    return status;
}

slao_status slao_print_plan(const slao_sweep_choices *choices, int64_t ranks, bool json) {
    slao_spec *spec;
    slao_study study;
    SLAO_TRY(slao_spec_load(&spec, choices->spec, choices->settings, choices->n_settings));
    if (choices->model_copy)
        spec->model = choices->model_copy;
    slao_status status = slao_study_open(&study, spec);
    if (status == SLAO_OK)
        status = estimate_and_print(choices, &study, ranks, json);
    slao_study_close(&study);
    return status;
}

slao_status slao_command_plan(int argc, char **argv) {
    int64_t ranks = -1;
    slao_sweep_choices choices = {0};
    bool json = false;
    slao_option_list settings = {0};
    const slao_option options[] = {
        {"--ranks", NULL, SLAO_OPTION_INTEGER, "N",
         "how many would run it, all on one node (ranks_per_trial)", &ranks, false},
        {"--output", "-o", SLAO_OPTION_TEXT, "OUT.h5", "the results file (results/NAME.h5)",
         &choices.output, false},
        {"--store", NULL, SLAO_OPTION_TEXT, "DIR", "where finished steps are (OUT.store)",
         &choices.store, false},
        SLAO_THREADS_ROW,
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &json, false},
        {"--set", NULL, SLAO_OPTION_LIST, "KEY=VALUE",
         "a key of the spec by its dotted path, or preset=NAME; may come several times", &settings,
         false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao plan SPEC.json [--ranks N] [--threads T] [--json] [-o OUT.h5] [--store DIR] "
                 "[--set "
                 "KEY=VALUE]...",
        .summary =
            "Says what a sweep would run: its trials, and the steps, examples and tokens that "
            "they take with and\nwithout sharing what they have in common; what of it is done "
            "already; the time, memory and disk\nthat the rest takes. The time comes from "
            "steps that ran on such a machine, if the store has them,\nelse from a short "
            "measurement. Trains nothing else, and leaves nothing behind.\n\n"
            "--json: seconds, work_seconds, longest_chain_seconds, memory_per_node_bytes (= "
            "memory_weights_bytes\n+ ranks x memory_per_rank_bytes), disk_bytes, ranks, "
            "groups, speed {source (store, measurement or\nnone), tokens_trained_per_second, "
            "tokens_scored_per_second}, trials, and steps, examples and tokens\nunder "
            "without_sharing, with_sharing, done and left; null is what is not known.",
        .example = "slao plan experiments/ablation_lambda.json --set preset=small",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    slao_status status = slao_options_parse(argc, argv, &usage, NULL);
    if (status == SLAO_OK && ranks == 0)
        status = slao_fail(SLAO_BAD_INPUT, "--ranks must be at least 1");
    if (status == SLAO_OK) {
        choices.spec = argv[1];
        choices.settings = settings.values;
        choices.n_settings = settings.count;
        status = slao_print_plan(&choices, ranks > 0 ? ranks : 0, json);
    }
    free(settings.values);
    return status;
}
