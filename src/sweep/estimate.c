#include "sweep/estimate.h"

#include "sweep/environment.h"
#include "sweep/simulation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const slao_study *study;
    const slao_plan *plan;
    slao_tokenizer *tokenizer;
    slao_encodings *encodings;
    slao_graph_step *graph;
    int64_t *tokens; /* by step */
    bool *left;      /* by step: this run runs it */
    slao_estimate *estimate;
} estimation;

/* ---- Steps and tokens ---- */

static int64_t examples_of(const slao_plan *plan, const slao_step *step) {
    int64_t sum = 0;
    for (int64_t i = 0; i < step->n_tasks && step->kind != SLAO_STEP_MERGE; i++) {
        const slao_task *task = slao_plan_task(plan, step->tasks[i]);
        sum += step->kind == SLAO_STEP_EVALUATE ? task->test.count
                                                : task->train.count * step->trial->train.epochs;
    }
    return sum;
}

static void add(slao_estimate_work *work, const estimation *e, int64_t index, int64_t times) {
    const slao_step *step = &e->plan->steps[index];
    int64_t examples = examples_of(e->plan, step), tokens = e->tokens[index];
    bool trained = step->kind == SLAO_STEP_FINETUNE;
    work->steps[step->kind] += times;
    *(trained ? &work->examples_trained : &work->examples_scored) += times * examples;
    *(trained ? &work->tokens_trained : &work->tokens_scored) += times * tokens;
}

/* What failed earlier is not run again unless it is asked for, nor what depends on it. */
static slao_status count(estimation *e) {
    size_t n = (size_t)e->plan->n_steps;
    bool *blocked;
    SLAO_TRY(slao_allocate(&e->tokens, n, sizeof *e->tokens));
    SLAO_TRY(slao_allocate(&e->left, n, sizeof *e->left));
    SLAO_TRY(slao_allocate(&blocked, n, sizeof *blocked));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < e->plan->n_steps && status == SLAO_OK; i++) {
        const slao_step *step = &e->plan->steps[i];
        const slao_graph_step *in_graph = &e->graph[i];
        status = slao_encodings_of_step(e->encodings, step, &e->tokens[i]);
        blocked[i] = in_graph->failed;
        for (int64_t p = 0; p < step->n_parents && !in_graph->done; p++)
            blocked[i] = blocked[i] || blocked[step->parents[p]];
        e->left[i] = !in_graph->done && !in_graph->left_out && !blocked[i];
        add(&e->estimate->without, e, i, step->shared_by);
        add(&e->estimate->with, e, i, 1);
        if (in_graph->done && !in_graph->left_out)
            add(&e->estimate->done, e, i, 1);
        if (e->left[i])
            add(&e->estimate->left, e, i, 1);
    }
    free(blocked);
    return status;
}

/* ---- Time ---- */

/* Where one rank would take more memory than there is, or than a job or container may take, nothing
 * is measured. */
static bool fits_here(const slao_footprint *memory) {
    return memory->weights + memory->rank < 0.8 * slao_memory_limit(NULL);
}

static slao_status find_speed(estimation *e, const slao_store *store) {
    slao_speed *speed = &e->estimate->speed;
    *speed = (slao_speed){.source = "none"};
    bool some = false;
    for (int64_t i = 0; i < e->plan->n_steps; i++)
        some = some || e->left[i];
    if (store)
        SLAO_TRY(slao_speed_of_store(speed, e->study, store, e->graph, e->left));
    if (some && strcmp(speed->source, "none") == 0 && fits_here(&e->estimate->memory))
        SLAO_TRY(slao_speed_measure(speed, e->study, e->tokenizer, e->encodings, e->left));
    return SLAO_OK;
}

/* Without a speed the unit is a token, of which training makes three passes. */
static double cost_of(const estimation *e, int64_t index) {
    enum { PASSES_OF_TRAINING = 3 };
    const slao_speed *speed = &e->estimate->speed;
    bool known = strcmp(speed->source, "none") != 0;
    double tokens = (double)e->tokens[index];
    switch (e->plan->steps[index].kind) {
    case SLAO_STEP_FINETUNE:
        return known ? tokens / speed->trained : PASSES_OF_TRAINING * tokens;
    case SLAO_STEP_EVALUATE:
        return known ? tokens / speed->scored : tokens;
    default:
        return speed->merge_seconds;
    }
}

static slao_status find_time(estimation *e) {
    slao_estimate *estimate = e->estimate;
    slao_simulation simulated;
    for (int64_t i = 0; i < e->plan->n_steps; i++)
        e->graph[i].cost = e->left[i] ? cost_of(e, i) : 0;
    SLAO_TRY(slao_simulate(&simulated, e->graph, e->plan->n_steps, NULL, estimate->groups));
    bool known = strcmp(estimate->speed.source, "none") != 0 || simulated.work == 0;
    estimate->seconds = known ? simulated.makespan : NAN;
    estimate->work_seconds = known ? simulated.work : NAN;
    estimate->longest_seconds = known ? simulated.critical_path : NAN;
    double chains = simulated.critical_path > 0 ? simulated.work / simulated.critical_path : 1;
    estimate->speed_up =
        fmin(chains, (double)estimate->groups) * (double)e->study->spec->ranks_per_trial;
    return SLAO_OK;
}

/* ---- Memory and disk ---- */

static slao_status find_memory(estimation *e) {
    slao_estimate *estimate = e->estimate;
    SLAO_TRY(slao_footprint_make(&estimate->memory, e->study, e->encodings, e->left));
    estimate->node_bytes =
        estimate->memory.weights + (double)estimate->ranks * estimate->memory.rank;
    return SLAO_OK;
}

/* A number in a record is about 20 bytes of text. Of an adapter there are the tensors and what
 * names them; of a training five numbers for every module beside its losses; of an evaluation a
 * short one for every example. The results file has the losses and scores again, and for every
 * trial the cosines of its adapters to one another. */
static void find_disk(const estimation *e) {
    enum {
        NUMBER = 20,
        SHORT_NUMBER = 4,
        RECORD = 600,
        NAME = 150,
        NUMBERS_OF_SITE = 5,
        H5 = 30000
    };
    double store = 0, results = H5, savepoint = 0;
    for (int64_t i = 0; i < e->plan->n_steps; i++) {
        const slao_step *step = &e->plan->steps[i];
        const slao_train_settings *train = &step->trial->train;
        double examples = (double)examples_of(e->plan, step), sites;
        double adapter = slao_footprint_of_adapter(&e->study->config, &step->trial->lora, &sites);
        if (!e->left[i])
            continue;
        store += RECORD;
        if (step->kind == SLAO_STEP_EVALUATE) {
            store += SHORT_NUMBER * examples;
            continue;
        }
        store += (adapter + 2 * NAME * sites) * (1 + slao_step_has_own_evaluation(step));
        if (step->kind == SLAO_STEP_FINETUNE) {
            store += NUMBERS_OF_SITE * NUMBER * sites +
                     NUMBER * examples / (double)(train->batch_size * train->accumulation);
            savepoint = fmax(savepoint, 3 * adapter);
        }
    }
    for (int64_t t = 0; t < e->plan->spec->n_trials; t++) {
        const slao_trial *trial = &e->plan->spec->trials[t];
        double tasks = (double)trial->order->n_tasks, sites;
        (void)slao_footprint_of_adapter(&e->study->config, &trial->lora, &sites);
        results += H5 + sizeof(double) * 2 * tasks * tasks * sites;
    }
    e->estimate->disk_bytes = store + results + (double)e->estimate->groups * savepoint;
}

/* ---- All of it ---- */

static slao_status make(estimation *e, const slao_store *store, const slao_selection *selection) {
    SLAO_TRY(slao_tokenizer_load(&e->tokenizer, e->study->spec->model));
    SLAO_TRY(slao_encodings_new(&e->encodings, e->plan, e->tokenizer));
    SLAO_TRY(slao_graph_new(&e->graph, e->plan, store, selection, NULL));
    SLAO_TRY(count(e));
    SLAO_TRY(find_memory(e));
    SLAO_TRY(find_speed(e, store));
    SLAO_TRY(find_time(e));
    find_disk(e);
    return SLAO_OK;
}

slao_status slao_estimate_make(slao_estimate *estimate, const slao_study *study,
                               const slao_store *store, const slao_selection *selection,
                               int64_t ranks) {
    int64_t group = study->spec->ranks_per_trial;
    *estimate = (slao_estimate){.ranks = ranks, .groups = ranks / group};
    if (estimate->groups == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "ranks_per_trial is %lld, but there are %lld ranks: take at least as many",
                         (long long)group, (long long)ranks);
    estimation e = {.study = study, .plan = study->plan, .estimate = estimate};
    slao_status status = make(&e, store, selection);
    free(e.left);
    free(e.tokens);
    free(e.graph);
    slao_encodings_free(e.encodings);
    slao_tokenizer_free(e.tokenizer);
    return status;
}
