#include "sweep/plan.h"

#include "base/index.h"
#include "sweep/key.h"

#include <stdlib.h>
#include <string.h>

const char *slao_step_kind_name(slao_step_kind kind) {
    static const char *const names[SLAO_N_STEP_KINDS] = {
        [SLAO_STEP_FINETUNE] = "finetune",
        [SLAO_STEP_MERGE] = "merge",
        [SLAO_STEP_EVALUATE] = "evaluate",
    };
    return names[kind];
}

/* The graph under construction. */
typedef struct {
    slao_plan *plan;
    slao_hasher *hasher;
    slao_index index; /* of steps, by key */
    size_t capacity, used_capacity;
    int64_t *last_used_by; /* per step: the last trial that used it */
    int64_t trial;         /* the one whose steps are being added */
} plan_work;

/* Adds the step whose key the hasher now holds, unless it is there, and counts the trial. */
static slao_status add_step(plan_work *work, slao_step step, int64_t *place) {
    slao_plan *plan = work->plan;
    step.key = slao_hash_value(work->hasher);
    *place = slao_index_find(&work->index, step.key);
    if (*place < 0) {
        *place = plan->n_steps;
        size_t count = (size_t)plan->n_steps + 1;
        SLAO_TRY(slao_grow(&plan->steps, &work->capacity, count, sizeof *plan->steps));
        SLAO_TRY(slao_grow(&work->last_used_by, &work->used_capacity, count,
                           sizeof *work->last_used_by));
        SLAO_TRY(slao_index_add(&work->index, step.key, *place));
        step.trial = &plan->spec->trials[work->trial];
        step.shared_by = 0;
        plan->steps[*place] = step;
        work->last_used_by[*place] = -1;
        plan->n_steps++;
    }
    if (work->last_used_by[*place] != work->trial) {
        work->last_used_by[*place] = work->trial;
        plan->steps[*place].shared_by++;
    }
    return SLAO_OK;
}

static void begin_key(const plan_work *work, slao_step_kind kind) {
    slao_hasher_reset(work->hasher);
    slao_hash_text(work->hasher, slao_step_kind_name(kind));
    slao_hash_integer(work->hasher, SLAO_NUMERIC_VERSION);
}

/* The options that a part of the method reads; the one that names the start is in the key as the
 * start's name, so that methods with the same training share it. */
static void hash_options(slao_hasher *hasher, const slao_method_choice *choice,
                         slao_option_part part) {
    const slao_method *method = choice->method;
    for (int k = 0; method->options[k].key; k++) {
        bool names_start = method->start && method->start[0] == '=' &&
                           strcmp(method->start + 1, method->options[k].key) == 0;
        if (method->options[k].part != part || names_start)
            continue;
        slao_hash_text(hasher, method->options[k].key);
        slao_hash_text(hasher, choice->values[k]);
    }
    slao_hash_text(hasher, ""); /* no key: the list ends */
}

/* `parent` is -1 for a fresh start: then nothing of the method is in the key, and position is 1. */
static slao_status add_finetune(plan_work *work, const char *name, int64_t position, int64_t parent,
                                int64_t *place) {
    const slao_plan *plan = work->plan;
    const slao_trial *trial = &plan->spec->trials[work->trial];
    const slao_task *task = slao_plan_task(plan, name);
    slao_hasher *hasher = work->hasher;
    begin_key(work, SLAO_STEP_FINETUNE);
    slao_hash_hash(hasher, plan->model_hash);
    slao_hash_text(hasher, name);
    slao_hash_hash(hasher, task->train_hash);
    slao_hash_integer(hasher, trial->seed);
    slao_hash_lora(hasher, &trial->lora);
    slao_hash_train(hasher, &trial->train);
    slao_hash_integer(hasher, plan->spec->ranks_per_trial);
    slao_step step = {.kind = SLAO_STEP_FINETUNE, .task = name, .position = position};
    if (parent < 0) {
        slao_hash_text(hasher, "fresh");
    } else {
        slao_hash_text(hasher, slao_method_start(&trial->method));
        hash_options(hasher, &trial->method, SLAO_OPTION_OF_TRAINING);
        slao_hash_hash(hasher, plan->steps[parent].key);
        step.n_parents = 1;
        step.parents[0] = parent;
    }
    return add_step(work, step, place);
}

static slao_status add_merge(plan_work *work, const char *name, int64_t position, int64_t merged,
                             int64_t finetuned, int64_t *place) {
    const slao_plan *plan = work->plan;
    const slao_trial *trial = &plan->spec->trials[work->trial];
    slao_hasher *hasher = work->hasher;
    begin_key(work, SLAO_STEP_MERGE);
    slao_hash_text(hasher, trial->method.method->merge);
    slao_hash_real(hasher, slao_schedule_value(&trial->lambda, position));
    slao_hash_integer(hasher, position);
    hash_options(hasher, &trial->method, SLAO_OPTION_OF_MERGE);
    slao_hash_hash(hasher, plan->steps[merged].key);
    slao_hash_hash(hasher, plan->steps[finetuned].key);
    slao_step step = {.kind = SLAO_STEP_MERGE,
                      .task = name,
                      .position = position,
                      .n_parents = 2,
                      .parents = {merged, finetuned}};
    return add_step(work, step, place);
}

/* `adapter` is -1 for the untrained model. */
static slao_status add_evaluate(plan_work *work, const char *name, int64_t adapter,
                                int64_t *place) {
    const slao_plan *plan = work->plan;
    const slao_task *task = slao_plan_task(plan, name);
    const slao_score_settings *score = &plan->spec->score;
    slao_hasher *hasher = work->hasher;
    begin_key(work, SLAO_STEP_EVALUATE);
    slao_hash_hash(hasher, plan->model_hash);
    slao_hash_text(hasher, name);
    slao_hash_hash(hasher, task->test_hash);
    slao_hash_text(hasher, score->score ? score->score : task->score);
    slao_hash_integer(hasher, score->max_new_tokens);
    /* Prompts are cut to it: an adapter's key says so, but the untrained model has none. */
    slao_hash_integer(hasher, plan->spec->trials[work->trial].train.max_length);
    slao_step step = {.kind = SLAO_STEP_EVALUATE, .task = name};
    if (adapter >= 0) {
        slao_hash_hash(hasher, plan->steps[adapter].key);
        step.position = plan->steps[adapter].position;
        step.n_parents = 1;
        step.parents[0] = adapter;
    }
    return add_step(work, step, place);
}

static slao_status take_places(slao_plan *plan, int64_t **places, int64_t count) {
    SLAO_TRY(slao_arena_take(plan->arena, places, (size_t)count, sizeof **places));
    for (int64_t i = 0; i < count; i++)
        (*places)[i] = -1;
    return SLAO_OK;
}

/* Fine-tunes and merges of the trial, in the order of its tasks. */
static slao_status add_adapters(plan_work *work, const slao_trial *trial,
                                const slao_trial_steps *steps) {
    const slao_method *method = trial->method.method;
    const slao_order *order = trial->order;
    bool alone = method->lineage == SLAO_LINEAGE_ALONE;
    for (int64_t j = 0; j < order->n_tasks; j++) {
        int64_t parent = alone || j == 0 ? -1 : steps->finetunes[j - 1];
        SLAO_TRY(add_finetune(work, order->tasks[j], parent < 0 ? 1 : j + 1, parent,
                              &steps->finetunes[j]));
        steps->adapters[j] = steps->finetunes[j];
        if (method->merge && j > 0)
            SLAO_TRY(add_merge(work, order->tasks[j], j + 1, steps->adapters[j - 1],
                               steps->finetunes[j], &steps->adapters[j]));
    }
    return SLAO_OK;
}

static bool is_evaluated(const slao_spec *spec, const slao_trial *trial, int64_t after,
                         int64_t task) {
    if (trial->method.method->lineage == SLAO_LINEAGE_ALONE)
        return after == task; /* an adapter for each task: there is no other row */
    return (spec->evaluate_every_task || after == trial->order->n_tasks - 1) &&
           (spec->evaluate_all_tasks || task <= after);
}

static slao_status add_evaluations(plan_work *work, const slao_trial *trial,
                                   const slao_trial_steps *steps) {
    const slao_spec *spec = work->plan->spec;
    const slao_order *order = trial->order;
    int64_t n = order->n_tasks;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++) {
            if (is_evaluated(spec, trial, j, i))
                SLAO_TRY(add_evaluate(work, order->tasks[i], steps->adapters[j],
                                      &steps->accuracy[j * n + i]));
        }
    }
    for (int64_t i = 0; i < n; i++) {
        if (spec->reference_base)
            SLAO_TRY(add_evaluate(work, order->tasks[i], -1, &steps->base[i]));
        if (spec->reference_individual) {
            int64_t adapter;
            SLAO_TRY(add_finetune(work, order->tasks[i], 1, -1, &adapter));
            SLAO_TRY(add_evaluate(work, order->tasks[i], adapter, &steps->individual[i]));
        }
    }
    return SLAO_OK;
}

static slao_status add_trial(plan_work *work, int64_t t) {
    slao_plan *plan = work->plan;
    const slao_trial *trial = &plan->spec->trials[t];
    slao_trial_steps *steps = &plan->trials[t];
    int64_t n = trial->order->n_tasks;
    SLAO_TRY(take_places(plan, &steps->adapters, n));
    SLAO_TRY(take_places(plan, &steps->finetunes, n));
    SLAO_TRY(take_places(plan, &steps->accuracy, n * n));
    SLAO_TRY(take_places(plan, &steps->base, n));
    SLAO_TRY(take_places(plan, &steps->individual, n));
    work->trial = t;
    SLAO_TRY(add_adapters(work, trial, steps));
    return add_evaluations(work, trial, steps);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every task that some order names, once, sorted by name. */
static slao_status load_tasks(slao_plan *plan) {
    const slao_spec *spec = plan->spec;
    size_t count = 0;
    for (int64_t o = 0; o < spec->n_orders; o++)
        count += (size_t)spec->orders[o].n_tasks;
    const char **names;
    SLAO_TRY(slao_allocate(&names, count, sizeof *names));
    count = 0;
    for (int64_t o = 0; o < spec->n_orders; o++) {
        for (int64_t i = 0; i < spec->orders[o].n_tasks; i++)
            names[count++] = spec->orders[o].tasks[i];
    }
    qsort(names, count, sizeof *names, by_text);
    slao_status status =
        slao_arena_take(plan->arena, &plan->tasks, count ? count : 1, sizeof *plan->tasks);
    for (size_t i = 0; i < count && status == SLAO_OK; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            continue;
        status = slao_task_load(&plan->tasks[plan->n_tasks], &spec->benchmark, names[i]);
        if (status == SLAO_OK)
            plan->n_tasks++;
    }
    free(names);
    return status;
}

static slao_status build(slao_plan *plan) {
    SLAO_TRY(slao_arena_new(&plan->arena));
    SLAO_TRY(load_tasks(plan));
    SLAO_TRY(slao_arena_take(plan->arena, &plan->trials, (size_t)plan->spec->n_trials,
                             sizeof *plan->trials));
    plan_work work = {.plan = plan};
    slao_status status = slao_hasher_new(&work.hasher);
    for (int64_t t = 0; t < plan->spec->n_trials && status == SLAO_OK; t++)
        status = add_trial(&work, t);
    slao_hasher_free(work.hasher);
    slao_index_free(&work.index);
    free(work.last_used_by);
    return status;
}

slao_status slao_plan_new(slao_plan **plan, const slao_spec *spec, slao_hash model_hash) {
    SLAO_TRY(slao_allocate(plan, 1, sizeof **plan));
    (*plan)->spec = spec;
    (*plan)->model_hash = model_hash;
    slao_status status = build(*plan);
    if (status != SLAO_OK) {
        slao_plan_free(*plan);
        *plan = NULL;
    }
    return status;
}

void slao_plan_free(slao_plan *plan) {
    if (!plan)
        return;
    for (int64_t i = 0; i < plan->n_tasks; i++)
        slao_task_free(plan->tasks[i]);
    free(plan->steps);
    slao_arena_free(plan->arena);
    free(plan);
}

const slao_task *slao_plan_task(const slao_plan *plan, const char *name) {
    for (int64_t i = 0; i < plan->n_tasks; i++) {
        if (strcmp(plan->tasks[i]->name, name) == 0)
            return plan->tasks[i];
    }
    return NULL;
}
