#include "sweep/plan.h"

#include "base/index.h"
#include "continual/tuning.h"
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
    slao_hash_precision(work->hasher, work->plan->spec->precision);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The options that a part of the method reads; those that name a start or the merged factors are in
 * the keys as what they name, so that methods which do the same share it. */
static void hash_options(slao_hasher *hasher, const slao_method_choice *choice,
                         slao_option_part part) {
    slao_method_option option;
    for (int k = 0; slao_method_option_at(choice->method, k, &option); k++) {
        if (option.part != part || slao_method_names_part(choice->method, option.key))
            continue;
        slao_hash_text(hasher, option.key);
        slao_hash_text(hasher, choice->values[k]);
    }
    slao_hash_text(hasher, ""); /* no key: the list ends */
}

static void hash_parents(const plan_work *work, const slao_step *step) {
    for (int64_t i = 0; i < step->n_parents; i++)
        slao_hash_hash(work->hasher, work->plan->steps[step->parents[i]].key);
}

/* What all training reads, whatever the method. */
static void begin_training_key(const plan_work *work, const slao_step *step) {
    const slao_plan *plan = work->plan;
    const slao_trial *trial = &plan->spec->trials[work->trial];
    slao_hasher *hasher = work->hasher;
    begin_key(work, SLAO_STEP_FINETUNE);
    slao_hash_hash(hasher, plan->model_hash);
    slao_hash_text(hasher, step->task);
    for (int64_t i = 0; i < step->n_tasks; i++)
        slao_hash_hash(hasher, slao_plan_task(plan, step->tasks[i])->train_hash);
    slao_hash_integer(hasher, trial->seed);
    slao_hash_lora(hasher, &trial->lora);
    slao_hash_train(hasher, &trial->train);
    slao_hash_integer(hasher, plan->spec->ranks_per_trial);
}

/* Training from theta_0 by itself: nothing of the method is in its key. */
static slao_status add_plain_finetune(plan_work *work, slao_step step, int64_t *place) {
    step.kind = SLAO_STEP_FINETUNE;
    step.position = 1;
    begin_training_key(work, &step);
    slao_hash_text(work->hasher, "fresh");
    return add_step(work, step, place);
}

/* One task: its name is the trial's own text. */
static slao_step step_on(const char *const *task) {
    return (slao_step){.task = *task, .n_tasks = 1, .tasks = task};
}

/* What a fine-tune of task i >= 2 reads. */
static void set_parents(slao_step *step, const slao_method *method, const slao_start_rule *start,
                        const slao_trial_steps *steps, int64_t j) {
    const int64_t *from = start->source == SLAO_FROM_MERGED ? steps->adapters : steps->finetunes;
    bool stacked = method->lineage == SLAO_LINEAGE_STACK;
    /* A rule of tuning reads the state that the last step left, wherever the pair starts. */
    step->n_parents = stacked ? j : start->source != SLAO_FROM_NOTHING || method->tuning;
    step->parents = stacked ? steps->finetunes : &from[j - 1];
}

/* The fine-tune of the trial's task j+1 in a sequence, a stack, or alone. */
static slao_status add_finetune(plan_work *work, const slao_trial_steps *steps, int64_t j,
                                int64_t *place) {
    const slao_trial *trial = &work->plan->spec->trials[work->trial];
    const slao_method *method = trial->method.method;
    const slao_tuning_rule *tuning = method->tuning;
    bool first = j == 0 || method->lineage == SLAO_LINEAGE_ALONE;
    slao_step step = step_on(&trial->order->tasks[j]);
    if (first && !(tuning && tuning->from_first_task))
        return add_plain_finetune(work, step, place);
    step.kind = SLAO_STEP_FINETUNE;
    step.trial = trial;
    step.changed = !first;
    step.ruled = true;
    slao_hasher *hasher = work->hasher;
    const slao_start_rule *start = slao_step_start(&step);
    if (!first)
        set_parents(&step, method, start, steps, j);
    step.position = step.n_parents || tuning ? j + 1 : 1;
    begin_training_key(work, &step);
    slao_hash_text(hasher, start->key);
    if (start->orthonormal)
        hash_options(hasher, &trial->method, SLAO_OPTION_OF_START);
    slao_hash_integer(hasher, first ? SLAO_FACTOR_NONE : method->frozen);
    slao_hash_integer(hasher, !first && method->lineage == SLAO_LINEAGE_STACK);
    hash_options(hasher, &trial->method, SLAO_OPTION_OF_TRAINING);
    if (tuning) {
        slao_hash_text(hasher, tuning->name);
        slao_hash_integer(hasher, tuning->reads_n_tasks ? trial->order->n_tasks : 0);
        slao_hash_integer(hasher, step.position);
    }
    hash_parents(work, &step);
    return add_step(work, step, place);
}

/* All tasks of the order, mixed: the same step for all orders of them. */
static slao_status add_multitask(plan_work *work, const slao_order *order, int64_t *place) {
    slao_plan *plan = work->plan;
    const char **names;
    char *joined;
    size_t length = 1, n = (size_t)order->n_tasks;
    SLAO_TRY(slao_arena_take(plan->arena, &names, n, sizeof *names));
    memcpy(names, order->tasks, n * sizeof *names);
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        length += strlen(names[i]) + 1;
    SLAO_TRY(slao_arena_take(plan->arena, &joined, length, 1));
    slao_step step = {.task = joined, .n_tasks = order->n_tasks, .tasks = names};
    *joined = '\0';
    for (size_t i = 0; i < n; i++)
        joined = stpcpy(stpcpy(joined, i ? "+" : ""), names[i]);
    return add_plain_finetune(work, step, place);
}

/* A fixed schedule is in a merge's key as its value, so that schedules share what is equal; an
 * adaptive one by its name: what it looks at is in the parents' keys. A validated one reads
 * examples of all tasks so far. */
static void hash_lambda(const plan_work *work, const slao_trial *trial, int64_t j) {
    const slao_schedule *lambda = &trial->lambda;
    slao_hasher *hasher = work->hasher;
    if (lambda->kind == SLAO_SCHEDULE_FIXED) {
        slao_hash_real(hasher, slao_schedule_value(lambda, j + 1));
        return;
    }
    slao_hash_text(hasher, lambda->text);
    if (lambda->kind != SLAO_SCHEDULE_VALIDATED)
        return;
    slao_hash_hash(hasher, work->plan->model_hash);
    slao_hash_integer(hasher, trial->train.max_length);
    slao_hash_integer(hasher, trial->train.batch_size);
    for (int64_t i = 0; i <= j; i++)
        slao_hash_hash(hasher, slao_plan_task(work->plan, trial->order->tasks[i])->validation_hash);
}

static slao_status add_merge(plan_work *work, const slao_trial_steps *steps, int64_t j,
                             int64_t *place) {
    slao_plan *plan = work->plan;
    const slao_trial *trial = &plan->spec->trials[work->trial];
    const slao_method *method = trial->method.method;
    slao_hasher *hasher = work->hasher;
    slao_step step = step_on(&trial->order->tasks[j]);
    step.kind = SLAO_STEP_MERGE;
    step.position = j + 1;
    step.parents = steps->finetunes;
    step.n_parents = j + 1;
    if (method->inputs == SLAO_MERGE_NEWEST) {
        int64_t *parents;
        SLAO_TRY(slao_arena_take(plan->arena, &parents, 2, sizeof *parents));
        parents[0] = steps->adapters[j - 1];
        parents[1] = steps->finetunes[j];
        step.parents = parents;
        step.n_parents = 2;
    }
    begin_key(work, SLAO_STEP_MERGE);
    slao_hash_text(hasher, method->merge);
    const char *merges = slao_method_merges(&trial->method);
    slao_hash_text(hasher, merges ? merges : "");
    if (method->uses_lambda)
        hash_lambda(work, trial, j);
    slao_hash_integer(hasher, j + 1);
    hash_options(hasher, &trial->method, SLAO_OPTION_OF_MERGE);
    hash_parents(work, &step);
    return add_step(work, step, place);
}

/* The sum of the `n_adapters` steps' adapters on a task; none: the untrained model. */
static slao_status add_evaluate(plan_work *work, const char *const *name, const int64_t *adapters,
                                int64_t n_adapters, int64_t *place) {
    const slao_plan *plan = work->plan;
    const slao_task *task = slao_plan_task(plan, *name);
    const slao_score_settings *score = &plan->spec->score;
    slao_hasher *hasher = work->hasher;
    slao_step step = step_on(name);
    step.kind = SLAO_STEP_EVALUATE;
    step.parents = adapters;
    step.n_parents = n_adapters;
    if (n_adapters)
        step.position = plan->steps[adapters[n_adapters - 1]].position;
    begin_key(work, SLAO_STEP_EVALUATE);
    slao_hash_hash(hasher, plan->model_hash);
    slao_hash_text(hasher, *name);
    slao_hash_hash(hasher, task->test_hash);
    slao_hash_text(hasher, score->score ? score->score : task->score);
    slao_hash_integer(hasher, score->max_new_tokens);
    /* Prompts are cut to it: an adapter's key says so, but the untrained model has none. */
    slao_hash_integer(hasher, plan->spec->trials[work->trial].train.max_length);
    hash_parents(work, &step);
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
    if (method->lineage == SLAO_LINEAGE_TOGETHER) {
        int64_t last = order->n_tasks - 1;
        SLAO_TRY(add_multitask(work, order, &steps->finetunes[last]));
        steps->adapters[last] = steps->finetunes[last];
        return SLAO_OK;
    }
    for (int64_t j = 0; j < order->n_tasks; j++) {
        SLAO_TRY(add_finetune(work, steps, j, &steps->finetunes[j]));
        steps->adapters[j] = steps->finetunes[j];
        if (method->merge && (j > 0 || method->inputs == SLAO_MERGE_ALL))
            SLAO_TRY(add_merge(work, steps, j, &steps->adapters[j]));
    }
    return SLAO_OK;
}

int64_t slao_trial_evaluated(const slao_trial *trial, const slao_trial_steps *steps, int64_t j,
                             const int64_t **adapters) {
    const slao_method *method = trial->method.method;
    bool stacked = method->lineage == SLAO_LINEAGE_STACK &&
                   !(method->tuning && method->tuning->own_evaluation);
    *adapters = stacked ? steps->finetunes : &steps->adapters[j - 1];
    return stacked ? j : **adapters >= 0;
}

static bool is_evaluated(const slao_spec *spec, const slao_trial *trial, int64_t after,
                         int64_t task) {
    if (slao_method_is_diagonal(trial->method.method))
        return after == task; /* an adapter for each task: there is no other row */
    if (slao_method_is_final(trial->method.method))
        return after == trial->order->n_tasks - 1;
    return (spec->evaluate_every_task || after == trial->order->n_tasks - 1) &&
           (spec->evaluate_all_tasks || task <= after);
}

static slao_status add_evaluations(plan_work *work, const slao_trial *trial,
                                   const slao_trial_steps *steps) {
    const slao_spec *spec = work->plan->spec;
    const slao_order *order = trial->order;
    int64_t n = order->n_tasks;
    for (int64_t j = 0; j < n; j++) {
        const int64_t *adapters;
        int64_t n_adapters = slao_trial_evaluated(trial, steps, j + 1, &adapters);
        for (int64_t i = 0; i < n; i++) {
            if (is_evaluated(spec, trial, j, i))
                SLAO_TRY(add_evaluate(work, &order->tasks[i], adapters, n_adapters,
                                      &steps->accuracy[j * n + i]));
        }
    }
    for (int64_t i = 0; i < n; i++) {
        if (spec->reference_base)
            SLAO_TRY(add_evaluate(work, &order->tasks[i], NULL, 0, &steps->base[i]));
        if (spec->reference_individual) {
            int64_t *adapter;
            SLAO_TRY(slao_arena_take(work->plan->arena, &adapter, 1, sizeof *adapter));
            SLAO_TRY(add_plain_finetune(work, step_on(&order->tasks[i]), adapter));
            SLAO_TRY(add_evaluate(work, &order->tasks[i], adapter, 1, &steps->individual[i]));
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

/* Can the task be scored as the spec asks? */
static slao_status check_score(const slao_spec *spec, const slao_task *task) {
    const char *score = spec->score.score;
    if (!score || strcmp(score, "rank") != 0 || task->n_labels > 0)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT,
                     "evaluate.score is \"rank\", which chooses among the labels of a task, but "
                     "%s has none; use \"exact\" or \"rouge_l\"",
                     task->name);
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
            status = check_score(spec, plan->tasks[plan->n_tasks++]);
    }
    free(names);
    return status;
}

static slao_status check_tasks(const slao_plan *plan) {
    for (int64_t o = 0; o < plan->spec->n_orders; o++) {
        const slao_order *order = &plan->spec->orders[o];
        for (int64_t i = 0; i < order->n_tasks; i++) {
            if (!slao_plan_task(plan, order->tasks[i]))
                return slao_fail(SLAO_BAD_INPUT, "nothing is known of the task %s",
                                 order->tasks[i]);
        }
    }
    return SLAO_OK;
}

static slao_status build(slao_plan *plan) {
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

static slao_status start_plan(slao_plan **plan, const slao_spec *spec, slao_hash model_hash) {
    SLAO_TRY(slao_allocate(plan, 1, sizeof **plan));
    (*plan)->spec = spec;
    (*plan)->model_hash = model_hash;
    return slao_arena_new(&(*plan)->arena);
}

static slao_status end_plan(slao_plan **plan, slao_status status) {
    if (status == SLAO_OK)
        status = build(*plan);
    if (status != SLAO_OK) {
        slao_plan_free(*plan);
        *plan = NULL;
    }
    return status;
}

slao_status slao_plan_new(slao_plan **plan, const slao_spec *spec, slao_hash model_hash) {
    slao_status status = start_plan(plan, spec, model_hash);
    if (status == SLAO_OK)
        status = load_tasks(*plan);
    return end_plan(plan, status);
}

slao_status slao_plan_new_of(slao_plan **plan, const slao_spec *spec, slao_hash model_hash,
                             slao_task *const *tasks, int64_t n_tasks) {
    slao_status status = start_plan(plan, spec, model_hash);
    if (status == SLAO_OK)
        status = slao_arena_take((*plan)->arena, &(*plan)->tasks, (size_t)n_tasks,
                                 sizeof *(*plan)->tasks);
    if (status != SLAO_OK) {
        for (int64_t i = 0; i < n_tasks; i++)
            slao_task_free(tasks[i]);
        return end_plan(plan, status);
    }
    memcpy((*plan)->tasks, tasks, (size_t)n_tasks * sizeof *tasks);
    (*plan)->n_tasks = n_tasks;
    return end_plan(plan, check_tasks(*plan));
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

bool slao_step_has_own_evaluation(const slao_step *step) {
    const slao_tuning_rule *tuning = step->trial->method.method->tuning;
    return step->kind == SLAO_STEP_FINETUNE && step->ruled && tuning && tuning->own_evaluation;
}

const slao_start_rule *slao_step_start(const slao_step *step) {
    return step->changed ? slao_method_start(&step->trial->method) : slao_start_rule_find("fresh");
}

const slao_task *slao_plan_task(const slao_plan *plan, const char *name) {
    for (int64_t i = 0; i < plan->n_tasks; i++) {
        if (strcmp(plan->tasks[i]->name, name) == 0)
            return plan->tasks[i];
    }
    return NULL;
}
