/* slao plan: what a sweep would run. */
#include "cli/plan.h"

#include "cli/command.h"

#include "base/json.h"
#include "cli/options.h"
#include "sweep/study.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A forward and a backward pass cost about three forward passes, which is what scoring takes. */
enum { PASSES_OF_TRAINING = 3 };

enum { TRAINED = SLAO_N_STEP_KINDS, SCORED, N_COUNTS };
static const char *const labels[N_COUNTS] = {"fine-tune steps", "merge steps", "evaluate steps",
                                             "examples trained", "examples scored"};
static const char *const keys[N_COUNTS] = {"finetune", "merge", "evaluate", "examples_trained",
                                           "examples_scored"};

typedef struct {
    int64_t without[N_COUNTS], with[N_COUNTS]; /* sharing */
    int64_t passes, longest;                   /* of all steps; of the longest chain of them */
} summary;

static int64_t examples_of(const slao_plan *plan, const slao_step *step) {
    int64_t sum = 0;
    for (int64_t i = 0; i < step->n_tasks && step->kind != SLAO_STEP_MERGE; i++) {
        const slao_task *task = slao_plan_task(plan, step->tasks[i]);
        sum += step->kind == SLAO_STEP_EVALUATE ? task->test.count
                                                : task->train.count * step->trial->train.epochs;
    }
    return sum;
}

static slao_status summarise(const slao_plan *plan, summary *sums) {
    int64_t *chains; /* per step: passes of the longest chain that ends in it */
    SLAO_TRY(slao_allocate(&chains, (size_t)plan->n_steps, sizeof *chains));
    *sums = (summary){0};
    for (int64_t s = 0; s < plan->n_steps; s++) {
        const slao_step *step = &plan->steps[s];
        bool training = step->kind == SLAO_STEP_FINETUNE;
        int64_t examples = examples_of(plan, step);
        int64_t passes = training ? PASSES_OF_TRAINING * examples : examples;
        sums->with[step->kind]++;
        sums->without[step->kind] += step->shared_by;
        sums->with[training ? TRAINED : SCORED] += examples;
        sums->without[training ? TRAINED : SCORED] += examples * step->shared_by;
        sums->passes += passes;
        for (int64_t p = 0; p < step->n_parents; p++) {
            if (chains[step->parents[p]] > chains[s])
                chains[s] = chains[step->parents[p]];
        }
        chains[s] += passes;
        if (chains[s] > sums->longest)
            sums->longest = chains[s];
    }
    free(chains);
    return SLAO_OK;
}

/* No number of ranks is faster than the longest chain of steps that wait for one another. */
static double most_speed_up(const summary *sums, int64_t ranks) {
    double chains = sums->longest ? (double)sums->passes / (double)sums->longest : 1;
    return chains < (double)ranks ? chains : (double)ranks;
}

static void print_text(const slao_plan *plan, const summary *sums, int64_t ranks) {
    const slao_spec *spec = plan->spec;
    printf("sweep              %s\ntrials             %" PRId64 "\norders             %" PRId64
           "\ntasks              %" PRId64 "\n",
           spec->name, spec->n_trials, spec->n_orders, plan->n_tasks);
    for (int64_t i = 0; i < spec->n_skipped; i++)
        printf("skipped task       %s (not in %s)\n", spec->skipped[i], spec->benchmark.path);
    printf("\n%-18s %14s %14s\n", "", "not shared", "shared");
    for (int i = 0; i < N_COUNTS; i++)
        printf("%-18s %14" PRId64 " %14" PRId64 "\n", labels[i], sums->without[i], sums->with[i]);
    if (ranks > 1)
        printf("\n%" PRId64 " ranks: at most %.1f times as fast as one\n", ranks,
               most_speed_up(sums, ranks));
}

static slao_status fill_json(cJSON *root, const slao_plan *plan, const summary *sums,
                             int64_t ranks) {
    const slao_spec *spec = plan->spec;
    SLAO_TRY(slao_json_add_text(root, "name", spec->name));
    SLAO_TRY(slao_json_add_text(root, "model", spec->model));
    SLAO_TRY(slao_json_add_real(root, "trials", (double)spec->n_trials));
    SLAO_TRY(slao_json_add_real(root, "orders", (double)spec->n_orders));
    SLAO_TRY(slao_json_add_real(root, "tasks", (double)plan->n_tasks));
    SLAO_TRY(slao_json_add(
        root, "skipped_tasks",
        cJSON_CreateStringArray((const char *const *)spec->skipped, (int)spec->n_skipped)));
    const char *const names[] = {"without_sharing", "with_sharing"};
    const int64_t *const counts[] = {sums->without, sums->with};
    for (int n = 0; n < 2; n++) {
        SLAO_TRY(slao_json_add(root, names[n], cJSON_CreateObject()));
        for (int i = 0; i < N_COUNTS; i++)
            SLAO_TRY(
                slao_json_add_real(slao_json_find(root, names[n]), keys[i], (double)counts[n][i]));
    }
    SLAO_TRY(slao_json_add_real(root, "ranks", (double)ranks));
    return slao_json_add_real(root, "speed_up_at_most", most_speed_up(sums, ranks));
}

static slao_status print_json(const slao_plan *plan, const summary *sums, int64_t ranks) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON object");
    char *text = NULL;
    slao_status status = fill_json(root, plan, sums, ranks);
    if (status == SLAO_OK)
        status = slao_json_print(&text, root);
    if (status == SLAO_OK)
        printf("%s\n", text);
    free(text);
    cJSON_Delete(root);
    return status;
}

slao_status slao_print_plan(const char *path, const slao_option_list *settings, int64_t ranks,
                            bool json) {
    slao_spec *spec;
    slao_study study;
    summary sums;
    SLAO_TRY(slao_spec_load(&spec, path, settings->values, settings->count));
    slao_status status = slao_study_open(&study, spec);
    if (status == SLAO_OK)
        status = summarise(study.plan, &sums);
    if (status == SLAO_OK && json)
        status = print_json(study.plan, &sums, ranks);
    else if (status == SLAO_OK)
        print_text(study.plan, &sums, ranks);
    slao_study_close(&study);
    return status;
}

slao_status slao_command_plan(int argc, char **argv) {
    int64_t ranks = 1;
    bool json = false, helped;
    slao_option_list settings = {0};
    const slao_option options[] = {
        {"--ranks", NULL, SLAO_OPTION_INTEGER, "N", "how much faster N ranks can be", &ranks,
         false},
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &json, false},
        {"--set", NULL, SLAO_OPTION_LIST, "KEY=VALUE",
         "a key of the spec by its dotted path, or preset=NAME; may come several times", &settings,
         false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao plan SPEC.json [--ranks N] [--json] [--set KEY=VALUE]...",
        .summary = "Says what a sweep would run: its trials, and the steps and examples that they "
                   "take with and without\nsharing what they have in common. Runs nothing.",
        .example = "slao plan experiments/ablation_lambda.json --set preset=small",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    const char **arguments;
    int64_t n_arguments;
    slao_status status = slao_options_parse(argc, argv, &usage, &arguments, &n_arguments, &helped);
    if (status == SLAO_OK && !helped)
        status = ranks >= 1 ? slao_print_plan(arguments[0], &settings, ranks, json)
                            : slao_fail(SLAO_BAD_INPUT, "--ranks must be at least 1");
    free(arguments);
    free(settings.values);
    return status;
}
