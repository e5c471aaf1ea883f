#include "sweep/workbench.h"

#include "adapter/peft.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "continual/merging.h"
#include "continual/tuning.h"
#include "data/encode.h"
#include "learn/evaluator.h"
#include "learn/loss.h"
#include "learn/trainer.h"
#include "sweep/drain.h"
#include "sweep/geometry.h"
#include "sweep/savepoint.h"

#include <slao_version.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ADAPTERS_KEPT = 6 };

/* A task as tokens: made when a step first needs it. The length it is cut to is part of what it is.
 */
typedef struct {
    const slao_task *task;
    int64_t max_length;
    slao_encoded *train, *validation; /* NULL until needed; so is test */
    slao_test_set *test;
} tokenised;

typedef struct {
    slao_hash key;
    slao_lora *lora; /* NULL: none */
} kept_adapter;

/* The adapters of some steps; the array is the holder's, the adapters are the bench's. */
typedef struct {
    int64_t count;
    const slao_lora **loras;
} adapter_list;

struct slao_workbench {
    slao_workbench_parts parts;
    slao_pass *pass;
    int64_t running;       /* the step */
    double begun, saved;   /* when it was begun, and when its last savepoint was made */
    int64_t resumed_from;  /* optimiser steps that it had done before */
    double seconds_before; /* that it ran for before it was stopped */
    tokenised *tasks;
    size_t n_tasks, capacity;
    kept_adapter *kept; /* the last adapters, the one used last first */
    size_t n_kept, kept_capacity;
};

/* Makes room for `count` adapters at a time; it is never made smaller. */
static slao_status keep_adapters(slao_workbench *bench, size_t count) {
    SLAO_TRY(slao_grow(&bench->kept, &bench->kept_capacity, count, sizeof *bench->kept));
    while (bench->n_kept < count)
        bench->kept[bench->n_kept++] = (kept_adapter){0};
    return SLAO_OK;
}

slao_status slao_workbench_new(slao_workbench **bench, const slao_workbench_parts *parts) {
    SLAO_TRY(slao_allocate(bench, 1, sizeof **bench));
    (*bench)->parts = *parts;
    slao_status status = keep_adapters(*bench, ADAPTERS_KEPT);
    if (status == SLAO_OK)
        status = slao_pass_new(&(*bench)->pass, parts->model);
    if (status != SLAO_OK) {
        slao_workbench_free(*bench);
        *bench = NULL;
    }
    return status;
}

void slao_workbench_free(slao_workbench *bench) {
    if (!bench)
        return;
    for (size_t i = 0; i < bench->n_kept; i++)
        slao_lora_free(bench->kept[i].lora);
    free(bench->kept);
    for (size_t i = 0; i < bench->n_tasks; i++) {
        slao_encoded_free(bench->tasks[i].train);
        slao_encoded_free(bench->tasks[i].validation);
        slao_test_set_free(bench->tasks[i].test);
    }
    free(bench->tasks);
    slao_pass_free(bench->pass);
    free(bench);
}

/* ---- Adapters: in memory, else from the store ---- */

/* Puts what stands at `place` first; what was before it moves down by one. */
static void move_to_front(slao_workbench *bench, size_t place) {
    kept_adapter moved = bench->kept[place];
    memmove(&bench->kept[1], &bench->kept[0], place * sizeof moved);
    bench->kept[0] = moved;
}

/* Takes over the adapter, and lets go of the one that was not used for longest. */
static void remember(slao_workbench *bench, slao_hash key, slao_lora *lora) {
    size_t last = bench->n_kept - 1;
    slao_lora_free(bench->kept[last].lora);
    bench->kept[last] = (kept_adapter){key, lora};
    move_to_front(bench, last);
}

/* STORE/adapters/KEY, or the folder in it of what is evaluated instead; the caller frees *folder.
 */
static slao_status folder_of(const slao_workbench *bench, slao_hash key, bool evaluated,
                             char **folder) {
    char *outer;
    SLAO_TRY(slao_store_adapter_path(bench->parts.store, key, &outer));
    if (!evaluated) {
        *folder = outer;
        return SLAO_OK;
    }
    slao_status status = slao_join_path(folder, outer, "evaluated");
    free(outer);
    return status;
}

/* The adapter of a step, or what is evaluated instead of it; it belongs to the bench and stays for
 * n_kept - 1 further calls. */
static slao_status adapter_of(slao_workbench *bench, int64_t step, bool evaluated,
                              const slao_lora **adapter) {
    slao_hash key = bench->parts.plan->steps[step].key, kept_as = key;
    kept_as.low ^= evaluated;
    for (size_t i = 0; i < bench->n_kept; i++) {
        if (bench->kept[i].lora && slao_hash_equal(bench->kept[i].key, kept_as)) {
            move_to_front(bench, i);
            *adapter = bench->kept[0].lora;
            return SLAO_OK;
        }
    }
    char *folder;
    slao_lora *lora;
    SLAO_TRY(folder_of(bench, key, evaluated, &folder));
    slao_status status = slao_peft_load(&lora, folder, &bench->parts.model->config);
    free(folder);
    SLAO_TRY(status);
    remember(bench, kept_as, lora);
    *adapter = lora;
    return SLAO_OK;
}

/* The adapters of a step's parents, which stay until the step's own is remembered. To be released
 * with free(list->loras), also after a failure. */
static slao_status parents_of(slao_workbench *bench, const slao_step *step, adapter_list *list) {
    const slao_plan *plan = bench->parts.plan;
    *list = (adapter_list){.count = step->n_parents};
    SLAO_TRY(slao_allocate(&list->loras, (size_t)step->n_parents, sizeof(const slao_lora *)));
    SLAO_TRY(keep_adapters(bench, (size_t)step->n_parents + 1));
    for (int64_t i = 0; i < step->n_parents; i++)
        SLAO_TRY(adapter_of(bench, step->parents[i],
                            step->kind == SLAO_STEP_EVALUATE &&
                                slao_step_has_own_evaluation(&plan->steps[step->parents[i]]),
                            &list->loras[i]));
    return SLAO_OK;
}

static slao_status save_adapter(slao_workbench *bench, slao_hash key, bool evaluated,
                                const slao_lora *lora) {
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    char *folder;
    SLAO_TRY(folder_of(bench, key, evaluated, &folder));
    slao_status status = slao_peft_save(lora, folder, bench->parts.plan->spec->model);
    free(folder);
    return status;
}

/* ---- Tasks as tokens ---- */

static slao_status find_task(slao_workbench *bench, const char *name, int64_t max_length,
                             tokenised **found) {
    for (size_t i = 0; i < bench->n_tasks; i++) {
        tokenised *task = &bench->tasks[i];
        if (task->max_length == max_length && strcmp(task->task->name, name) == 0) {
            *found = task;
            return SLAO_OK;
        }
    }
    SLAO_TRY(slao_grow(&bench->tasks, &bench->capacity, bench->n_tasks + 1, sizeof *bench->tasks));
    *found = &bench->tasks[bench->n_tasks++];
    **found =
        (tokenised){.task = slao_plan_task(bench->parts.plan, name), .max_length = max_length};
    return SLAO_OK;
}

static slao_status need_lessons(slao_workbench *bench, tokenised *task) {
    if (task->train)
        return SLAO_OK;
    SLAO_TRY_IN(slao_encode(&task->train, bench->parts.tokenizer, &task->task->train,
                            task->max_length, "train"),
                "task %s", task->task->name);
    return SLAO_OK;
}

static slao_status need_questions(slao_workbench *bench, tokenised *task) {
    return task->test ? SLAO_OK
                      : slao_test_set_new(&task->test, bench->parts.tokenizer, task->task,
                                          task->max_length);
}

static slao_status need_validation(slao_workbench *bench, tokenised *task) {
    if (task->validation)
        return SLAO_OK;
    SLAO_TRY_IN(slao_encode(&task->validation, bench->parts.tokenizer, &task->task->validation,
                            task->max_length, "validation"),
                "task %s", task->task->name);
    return SLAO_OK;
}

slao_status slao_workbench_tokenise(slao_workbench *bench) {
    const slao_plan *plan = bench->parts.plan;
    for (int64_t i = 0; i < plan->n_steps; i++) {
        const slao_step *step = &plan->steps[i];
        if (step->kind == SLAO_STEP_MERGE || slao_store_has(bench->parts.store, step->key))
            continue;
        for (int64_t t = 0; t < step->n_tasks; t++) {
            tokenised *task;
            SLAO_TRY(find_task(bench, step->tasks[t], step->trial->train.max_length, &task));
            SLAO_TRY(step->kind == SLAO_STEP_FINETUNE ? need_lessons(bench, task)
                                                      : need_questions(bench, task));
        }
    }
    return SLAO_OK;
}

/* ---- Records ---- */

static slao_status hash_adapter(const slao_lora *lora, char text[SLAO_HASH_TEXT]) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_hash_bytes(hasher, lora->values, (size_t)lora->n_values * sizeof *lora->values);
    slao_hash_to_text(slao_hash_value(hasher), text);
    slao_hasher_free(hasher);
    return SLAO_OK;
}

static slao_status add_reals(cJSON *record, const char *key, const double *values, int64_t count) {
    return slao_json_add(record, key, cJSON_CreateDoubleArray(values, (int)count));
}

/* What a step that leaves an adapter records of it; `state_bytes` is told in continual/method.h. */
static slao_status add_adapter_facts(cJSON *record, const slao_lora *lora, size_t state_bytes) {
    char hash[SLAO_HASH_TEXT];
    SLAO_TRY(hash_adapter(lora, hash));
    SLAO_TRY(slao_json_add_text(record, "adapter_hash", hash));
    SLAO_TRY(slao_geometry_record_distance(record, lora));
    return slao_json_add_real(record, "state_bytes", (double)state_bytes);
}

static size_t adapter_bytes(const slao_lora *lora) {
    return (size_t)lora->n_values * sizeof *lora->values;
}

static size_t bytes_of_all(const adapter_list *list) {
    size_t bytes = 0;
    for (int64_t i = 0; i < list->count; i++)
        bytes += adapter_bytes(list->loras[i]);
    return bytes;
}

static double peak_memory_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 : NAN;
}

/* ---- Watching a training: savepoints ---- */

static slao_status save_training(slao_workbench *bench, const slao_training_state *state) {
    const slao_step *step = &bench->parts.plan->steps[bench->running];
    bench->saved = slao_seconds();
    return slao_savepoint_write(bench->parts.store, step->key, state,
                                bench->seconds_before + bench->saved - bench->begun,
                                bench->parts.machine->bits);
}

static slao_status begin_training(void *context, slao_training_state *state) {
    slao_workbench *bench = context;
    const slao_step *step = &bench->parts.plan->steps[bench->running];
    bool found;
    bench->saved = slao_seconds();
    SLAO_TRY(slao_savepoint_read(bench->parts.store, step->key, state, bench->parts.machine->bits,
                                 &found, &bench->seconds_before));
    bench->resumed_from = state->training->steps;
    return SLAO_OK;
}

static slao_status watch_training(void *context, const slao_training_state *state) {
    slao_workbench *bench = context;
    int64_t steps = state->training->steps;
    slao_life_tell(bench->parts.life, bench->running, steps, state->total_steps);
    bool stop = slao_drain_requested();
    if (stop || slao_seconds() - bench->saved >= bench->parts.checkpoint_seconds)
        SLAO_TRY(save_training(bench, state));
    return stop ? slao_fail(SLAO_DRAINED,
                            "stopped after optimiser step %lld of %lld, from where it "
                            "goes on",
                            (long long)steps, (long long)state->total_steps)
                : SLAO_OK;
}

/* ---- The kinds of steps: each computes, saves its adapter if it makes one, and fills the record
 * ---- */

/* A fine-tune under way. */
typedef struct {
    const slao_step *step;
    const slao_tuning_rule *rule; /* NULL: plain training */
    adapter_list parents;
    slao_sequence *mixed; /* the examples of several tasks; NULL for one */
    slao_lesson lesson;
    slao_lora *lora, *first; /* first: as training starts */
    bool stacked;            /* on top of its parents */
    slao_state before, after;
    slao_tuning tuning;
    slao_training training;
} finetune;

/* The examples of the step's task, or of its tasks one after the other. */
static slao_status gather_examples(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    slao_lesson *lesson = &work->lesson;
    tokenised *task;
    int64_t total = 0;
    for (int64_t t = 0; t < step->n_tasks; t++) {
        SLAO_TRY(find_task(bench, step->tasks[t], step->trial->train.max_length, &task));
        SLAO_TRY(need_lessons(bench, task));
        lesson->examples = task->train->sequences;
        total += task->train->count;
    }
    lesson->n_examples = total;
    if (step->n_tasks == 1)
        return SLAO_OK;
    SLAO_TRY(slao_allocate(&work->mixed, (size_t)total, sizeof *work->mixed));
    lesson->examples = work->mixed;
    total = 0;
    for (int64_t t = 0; t < step->n_tasks; t++) {
        SLAO_TRY(find_task(bench, step->tasks[t], step->trial->train.max_length, &task));
        memcpy(work->mixed + total, task->train->sequences,
               (size_t)task->train->count * sizeof *work->mixed);
        total += task->train->count;
    }
    return SLAO_OK;
}

/* Sets `lora` to where the task starts. */
static slao_status set_start(slao_workbench *bench, finetune *work) {
    const slao_trial *trial = work->step->trial;
    const slao_method_choice *choice = &trial->method;
    const slao_start_rule *rule = slao_step_start(work->step);
    slao_start start = {.task = work->step->task,
                        .seed = (uint64_t)trial->seed,
                        .row_scale = slao_method_number(choice, "row_scale", 1),
                        .team = bench->parts.team};
    const char *sign = slao_method_text(choice, "qr_sign"), *qr = slao_method_text(choice, "qr");
    start.sign = sign && strcmp(sign, "lapack") == 0 ? SLAO_SIGN_LAPACK : SLAO_SIGN_POSITIVE;
    start.qr = qr ? slao_qr_way_find(qr) : SLAO_QR_AUTO;
    if (rule->source != SLAO_FROM_NOTHING)
        start.last = work->parents.loras[0];
    SLAO_TRY(slao_lora_new(&work->lora, &trial->lora, &bench->parts.model->config));
    return rule->set(work->lora, &start);
}

/* What the last of the parents left beside its adapter. */
static slao_status load_state(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    if (!work->rule || step->n_parents == 0)
        return SLAO_OK;
    char *folder;
    int64_t last = step->parents[step->n_parents - 1];
    SLAO_TRY(
        slao_store_adapter_path(bench->parts.store, bench->parts.plan->steps[last].key, &folder));
    slao_status status = slao_state_load(&work->before, folder);
    free(folder);
    return status;
}

static slao_status begin_tuning(slao_workbench *bench, finetune *work) {
    const slao_trial *trial = work->step->trial;
    work->tuning = (slao_tuning){
        .pass = bench->pass,
        .config = &bench->parts.model->config,
        .choice = &trial->method,
        .settings = &trial->train,
        .position = work->step->position,
        .n_tasks = trial->order->n_tasks,
        .n_earlier = work->lesson.below.count,
        .earlier = work->lesson.below.loras,
        .before = &work->before,
        .lora = work->lora,
        .lesson = &work->lesson,
        .state = &work->after,
    };
    if (!work->rule || !work->rule->begin)
        return SLAO_OK;
    SLAO_TRY_IN(work->rule->begin(&work->tuning), "%s, task %s", work->rule->name,
                work->step->task);
    return SLAO_OK;
}

/* What the step's trial says holds from task 2 on, and a step of task 1 may be another method's as
 * well: such a step is plain training, unless a rule acts from task 1 on. */
static slao_status prepare_finetune(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    const slao_method *method = step->trial->method.method;
    work->lesson = (slao_lesson){
        .task = step->task, .seed = (uint64_t)step->trial->seed, .team = bench->parts.team};
    SLAO_TRY(gather_examples(bench, work));
    SLAO_TRY(parents_of(bench, step, &work->parents));
    if (step->changed)
        work->lesson.frozen = method->frozen;
    work->stacked = step->changed && method->lineage == SLAO_LINEAGE_STACK;
    if (work->stacked)
        work->lesson.below =
            (slao_lora_stack){.count = work->parents.count, .loras = work->parents.loras};
    if (step->ruled)
        work->rule = method->tuning;
    SLAO_TRY(set_start(bench, work));
    SLAO_TRY(load_state(bench, work));
    SLAO_TRY(begin_tuning(bench, work));
    return slao_lora_copy(&work->first, work->lora);
}

static slao_status keep_finetuned(slao_workbench *bench, finetune *work, cJSON *record) {
    const slao_training *training = &work->training;
    size_t bytes = adapter_bytes(work->lora) + slao_state_bytes(&work->after);
    if (work->stacked)
        bytes += bytes_of_all(&work->parents);
    const slao_lora *evaluated = work->tuning.evaluated ? work->tuning.evaluated : work->lora;
    SLAO_TRY(slao_geometry_record_change(record, work->first, work->lora));
    if (bench->resumed_from > 0)
        SLAO_TRY(slao_json_add_real(record, "resumed_from", (double)bench->resumed_from));
    SLAO_TRY(add_reals(record, "loss", training->losses, training->steps));
    if (training->extra_losses)
        SLAO_TRY(add_reals(record, "extra_loss", training->extra_losses, training->steps));
    SLAO_TRY(slao_geometry_record_gradients(record, work->lora, training));
    SLAO_TRY(add_adapter_facts(record, evaluated, bytes));
    if (work->tuning.evaluated)
        SLAO_TRY(save_adapter(bench, work->step->key, true, evaluated));
    SLAO_TRY(save_adapter(bench, work->step->key, false, work->lora));
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    char *folder;
    SLAO_TRY(slao_store_adapter_path(bench->parts.store, work->step->key, &folder));
    slao_status status = slao_state_save(&work->after, folder);
    free(folder);
    return status;
}

static slao_status train(slao_workbench *bench, finetune *work, cJSON *record, int64_t *tokens) {
    SLAO_TRY(prepare_finetune(bench, work));
    slao_training_watch watch = {bench, begin_training, watch_training};
    SLAO_TRY(slao_train(bench->pass, &bench->parts.model->config, work->lora, &work->lesson,
                        &work->step->trial->train, &watch, &work->training));
    *tokens = work->training.tokens;
    if (work->rule && work->rule->end)
        SLAO_TRY_IN(work->rule->end(&work->tuning), "%s, task %s", work->rule->name,
                    work->step->task);
    SLAO_INVARIANT(!work->tuning.evaluated == !(work->rule && work->rule->own_evaluation));
    return keep_finetuned(bench, work, record);
}

static slao_status run_finetune(slao_workbench *bench, const slao_step *step, cJSON *record,
                                int64_t *tokens) {
    finetune work = {.step = step};
    slao_status status = train(bench, &work, record, tokens);
    if (work.rule && work.rule->release)
        work.rule->release(&work.tuning);
    slao_training_free(&work.training);
    slao_state_free(&work.before);
    slao_state_free(&work.after);
    slao_lora_free(work.first);
    slao_lora_free(work.tuning.evaluated);
    free(work.parents.loras);
    free(work.mixed);
    if (status == SLAO_OK)
        remember(bench, step->key, work.lora);
    else
        slao_lora_free(work.lora);
    return status;
}

/* ---- Merging ---- */

/* Numbers of a record, flat and in the order of sites where they are lists by layer; to be freed.
 */
static slao_status record_numbers(const cJSON *record, const char *key, int64_t wanted,
                                  double **values) {
    const cJSON *list = slao_json_find(record, key), *row, *item;
    int64_t count = 0;
    SLAO_TRY(slao_allocate(values, (size_t)wanted, sizeof **values));
    if (cJSON_IsNumber(list) && wanted > 0)
        (*values)[count++] = list->valuedouble;
    cJSON_ArrayForEach (row, list) {
        if (cJSON_IsNumber(row) && count < wanted)
            (*values)[count++] = row->valuedouble;
        cJSON_ArrayForEach (item, row) {
            if (cJSON_IsNumber(item) && count < wanted)
                (*values)[count++] = item->valuedouble;
        }
    }
    if (count == wanted)
        return SLAO_OK;
    free(*values);
    *values = NULL;
    return slao_fail(SLAO_BAD_INPUT,
                     "the record of a step that is merged has no %s as a merge needs it: take its "
                     "record away, and it runs again",
                     key);
}

/* What a fine-tune's record tells of its gradients. */
typedef struct {
    double *a, *b, *all_a, *all_b;
} gradient_record;

static slao_status read_gradients(const slao_workbench *bench, int64_t step, int64_t n_sites,
                                  gradient_record *gradients) {
    cJSON *record;
    *gradients = (gradient_record){0};
    SLAO_TRY(slao_store_get(bench->parts.store, bench->parts.plan->steps[step].key, &record));
    slao_status status = record_numbers(record, "gradient_a", n_sites, &gradients->a);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_b", n_sites, &gradients->b);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_norm_a", 1, &gradients->all_a);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_norm_b", 1, &gradients->all_b);
    cJSON_Delete(record);
    return status;
}

static void free_gradients(gradient_record *gradients) {
    free(gradients->a);
    free(gradients->b);
    free(gradients->all_a);
    free(gradients->all_b);
}

static slao_gradient_norms norms_of(const gradient_record *gradients) {
    return (slao_gradient_norms){gradients->a, gradients->b, *gradients->all_a, *gradients->all_b};
}

/* The numbers that the merge before left in its record; NULL at task 2, before which is none. */
static slao_status read_merge_state(const slao_workbench *bench, const slao_step *step,
                                    const char *key, int64_t count, double **values) {
    cJSON *record;
    *values = NULL;
    if (step->position == 2)
        return SLAO_OK;
    SLAO_TRY(slao_store_get(bench->parts.store, bench->parts.plan->steps[step->parents[0]].key,
                            &record));
    slao_status status = record_numbers(record, key, count, values);
    cJSON_Delete(record);
    return status;
}

static slao_status adapt_lambda(const slao_workbench *bench, const slao_step *step,
                                const adapter_list *inputs, slao_lambda *lambda) {
    const slao_trial *trial = step->trial;
    int64_t n_sites = inputs->loras[0]->n_sites;
    int64_t n_state = SLAO_LAMBDA_STATE * (trial->lambda.by_site ? n_sites : 1);
    gradient_record newest = {0}, first = {0};
    double *state = NULL;
    const char *merges = slao_method_merges(&trial->method);
    slao_status status = read_merge_state(bench, step, "lambda_state", n_state, &state);
    if (status == SLAO_OK)
        status = read_gradients(bench, step->parents[1], n_sites, &newest);
    if (status == SLAO_OK && !state)
        status = read_gradients(bench, step->parents[0], n_sites, &first);
    if (status == SLAO_OK) {
        slao_lambda_case of = {.schedule = &trial->lambda,
                               .i = step->position,
                               .merges = merges ? merges : "B",
                               .merged = inputs->loras[0],
                               .finetuned = inputs->loras[1],
                               .gradients = norms_of(&newest),
                               .state = state};
        if (!state)
            of.first = norms_of(&first);
        status = slao_lambda_adapt(lambda, &of);
    }
    free(state);
    free_gradients(&newest);
    free_gradients(&first);
    return status;
}

/* The mean over the tasks so far of the loss on their validation examples. */
static slao_status validation_loss(slao_workbench *bench, const slao_step *step,
                                   const slao_lora *lora, double *loss) {
    const slao_trial *trial = step->trial;
    slao_low_ranks pairs;
    SLAO_TRY(slao_lora_view(&pairs, lora, NULL, &bench->parts.model->config));
    slao_status status = SLAO_OK;
    *loss = 0;
    for (int64_t i = 0; i < step->position && status == SLAO_OK; i++) {
        tokenised *task;
        double part = 0;
        status = find_task(bench, trial->order->tasks[i], trial->train.max_length, &task);
        if (status == SLAO_OK)
            status = need_validation(bench, task);
        if (status == SLAO_OK)
            status = slao_mean_loss(bench->pass, &pairs, task->validation->sequences,
                                    task->validation->count, trial->train.batch_size, &part);
        *loss += part / (double)step->position;
    }
    slao_lora_view_free(&pairs);
    return status;
}

/* The lambda out of 0.1, 0.2, ... 1 of the least loss; of equal ones the least. */
static slao_status choose_lambda(slao_workbench *bench, const slao_step *step,
                                 const slao_merge_choice *choice, const adapter_list *inputs,
                                 slao_lambda *lambda) {
    enum { CHOICES = 10 };
    double least = INFINITY;
    const char *merges = slao_method_merges(&step->trial->method);
    for (int c = 1; c <= CHOICES; c++) {
        slao_lambda tried = {.value = c / (double)CHOICES};
        slao_merge_state state = {{0}};
        slao_lora *merged;
        double loss;
        SLAO_TRY(slao_merging_step(&merged, choice, merges, step->position, &tried,
                                   inputs->loras[0], inputs->loras[1], &state));
        slao_status status = validation_loss(bench, step, merged, &loss);
        slao_lora_free(merged);
        SLAO_TRY(status);
        if (loss < least) {
            least = loss;
            lambda->value = tried.value;
        }
    }
    return SLAO_OK;
}

static slao_status find_lambda(slao_workbench *bench, const slao_step *step,
                               const slao_merge_choice *choice, const adapter_list *inputs,
                               slao_lambda *lambda) {
    const slao_schedule *schedule = &step->trial->lambda;
    if (!step->trial->method.method->uses_lambda)
        return SLAO_OK;
    switch (schedule->kind) {
    case SLAO_SCHEDULE_ADAPTIVE:
        return adapt_lambda(bench, step, inputs, lambda);
    case SLAO_SCHEDULE_VALIDATED:
        return choose_lambda(bench, step, choice, inputs, lambda);
    default:
        lambda->value = slao_schedule_value(schedule, step->position);
        return SLAO_OK;
    }
}

static slao_status record_lambda(cJSON *record, const slao_lora *merged,
                                 const slao_lambda *lambda) {
    SLAO_TRY(slao_json_add_real(record, "lambda", lambda->value));
    if (lambda->sites)
        SLAO_TRY(slao_geometry_record_sites(record, "lambda_by_layer", merged, lambda->sites));
    if (lambda->state)
        SLAO_TRY(
            add_reals(record, "lambda_state", lambda->state, lambda->n_groups * SLAO_LAMBDA_STATE));
    return SLAO_OK;
}

/* The merged adapter so far, and the newest. */
static slao_status merge_newest(slao_workbench *bench, const slao_step *step,
                                const slao_merge_choice *choice, const adapter_list *inputs,
                                slao_lambda *lambda, slao_lora **merged, cJSON *record) {
    slao_merge_state state = {{0}};
    double *before;
    SLAO_TRY(read_merge_state(bench, step, "merge_state", SLAO_MERGE_STATE, &before));
    if (before)
        memcpy(state.values, before, sizeof state.values);
    free(before);
    SLAO_TRY(find_lambda(bench, step, choice, inputs, lambda));
    SLAO_TRY(slao_merging_step(merged, choice, slao_method_merges(&step->trial->method),
                               step->position, lambda, inputs->loras[0], inputs->loras[1], &state));
    if (step->trial->method.method->uses_lambda)
        SLAO_TRY(record_lambda(record, *merged, lambda));
    return add_reals(record, "merge_state", state.values, SLAO_MERGE_STATE);
}

static slao_status merge(slao_workbench *bench, const slao_step *step, const adapter_list *inputs,
                         slao_lora **merged, cJSON *record) {
    const slao_trial *trial = step->trial;
    const slao_method *method = trial->method.method;
    slao_merge_choice choice;
    size_t bytes = bytes_of_all(inputs);
    SLAO_TRY(slao_method_merge_choice(&trial->method, (uint64_t)trial->seed, &choice));
    if (method->inputs == SLAO_MERGE_NEWEST) {
        slao_lambda lambda = {0};
        slao_status status = merge_newest(bench, step, &choice, inputs, &lambda, merged, record);
        slao_lambda_free(&lambda);
        SLAO_TRY(status);
        bytes = adapter_bytes(*merged);
        if (method->lineage != SLAO_LINEAGE_ALONE)
            bytes += adapter_bytes(inputs->loras[1]);
    } else {
        SLAO_TRY(slao_merge_list(merged, &choice, inputs->loras, inputs->count, NULL));
    }
    SLAO_TRY(add_adapter_facts(record, *merged, bytes));
    return save_adapter(bench, step->key, false, *merged);
}

static slao_status run_merge(slao_workbench *bench, const slao_step *step, cJSON *record,
                             int64_t *tokens) {
    *tokens = 0;
    adapter_list inputs;
    slao_lora *merged = NULL;
    slao_status status = parents_of(bench, step, &inputs);
    if (status == SLAO_OK)
        status = merge(bench, step, &inputs, &merged, record);
    free(inputs.loras);
    if (status == SLAO_OK)
        remember(bench, step->key, merged);
    else
        slao_lora_free(merged);
    return status;
}

static bool go_on_evaluating(void *context, int64_t at, int64_t of) {
    slao_workbench *bench = context;
    slao_life_tell(bench->parts.life, bench->running, at, of);
    return !slao_drain_requested();
}

static slao_status add_evaluation(cJSON *record, const slao_evaluation *evaluation) {
    double n = (double)evaluation->n_examples;
    SLAO_TRY(slao_json_add_real(record, "score", evaluation->score));
    SLAO_TRY(slao_json_add_real(record, "examples", n));
    SLAO_TRY(slao_json_add_real(record, "token_exact", (double)evaluation->n_token_exact / n));
    SLAO_TRY(slao_json_add_real(record, "decoded", (double)evaluation->n_decoded));
    return slao_json_add(record, "example_scores",
                         cJSON_CreateFloatArray(evaluation->scores, (int)evaluation->n_examples));
}

/* The adapters that are evaluated, one on top of another. */
static slao_status view_parents(slao_workbench *bench, const slao_step *step,
                                slao_low_ranks *pairs) {
    adapter_list list;
    slao_status status = parents_of(bench, step, &list);
    if (status == SLAO_OK && list.count) {
        slao_lora_stack stack = {.count = list.count, .loras = list.loras};
        status = slao_lora_view_stack(pairs, &stack, NULL, SLAO_FACTOR_NONE,
                                      &bench->parts.model->config);
    }
    free(list.loras);
    return status;
}

static slao_status run_evaluate(slao_workbench *bench, const slao_step *step, cJSON *record,
                                int64_t *tokens) {
    const slao_model_config *config = &bench->parts.model->config;
    tokenised *task;
    SLAO_TRY(find_task(bench, step->task, step->trial->train.max_length, &task));
    SLAO_TRY(need_questions(bench, task));
    slao_low_ranks pairs = {0};
    SLAO_TRY(view_parents(bench, step, &pairs));
    slao_score_settings score = bench->parts.plan->spec->score;
    if (!score.score)
        score.score = task->task->score;
    slao_judge judge = {.pass = bench->pass,
                        .config = config,
                        .tokenizer = bench->parts.tokenizer,
                        .team = bench->parts.team,
                        .go_on = go_on_evaluating,
                        .context = bench};
    slao_evaluation evaluation;
    slao_status status = slao_evaluate(&judge, &pairs, task->test, &score, &evaluation);
    if (status == SLAO_OK)
        status = add_evaluation(record, &evaluation);
    *tokens = evaluation.tokens;
    slao_evaluation_free(&evaluation);
    slao_lora_view_free(&pairs);
    return status;
}

static slao_status (*const run_kind[SLAO_N_STEP_KINDS])(slao_workbench *, const slao_step *,
                                                        cJSON *, int64_t *) = {
    [SLAO_STEP_FINETUNE] = run_finetune,
    [SLAO_STEP_MERGE] = run_merge,
    [SLAO_STEP_EVALUATE] = run_evaluate,
};

static slao_status begin_record(const slao_workbench *bench, const slao_step *step, cJSON *record) {
    char key[SLAO_HASH_TEXT], started[SLAO_TIME_TEXT];
    slao_hash_to_text(step->key, key);
    slao_time_text(started);
    SLAO_TRY(slao_json_add_text(record, "key", key));
    SLAO_TRY(slao_json_add_text(record, "kind", slao_step_kind_name(step->kind)));
    SLAO_TRY(slao_json_add_text(record, "task", step->task));
    SLAO_TRY(slao_json_add_real(record, "position", (double)step->position));
    SLAO_TRY(slao_json_add_text(record, "started", started));
    SLAO_TRY(slao_json_add_real(record, "mpi_rank", bench->parts.rank));
    SLAO_TRY(slao_json_add_text(record, "commit", SLAO_GIT_COMMIT));
    SLAO_TRY(slao_json_add_text(record, "machine", bench->parts.machine->bits));
    SLAO_TRY(slao_json_add_real(record, "threads", bench->parts.machine->threads));
    return slao_json_add_text(record, "host", bench->parts.host);
}

static slao_status run_recorded(slao_workbench *bench, const slao_step *step, cJSON *record,
                                slao_step_cost *cost) {
    SLAO_TRY(begin_record(bench, step, record));
    SLAO_TRY(run_kind[step->kind](bench, step, record, &cost->tokens));
    double seconds = bench->seconds_before + slao_seconds() - bench->begun;
    SLAO_TRY(slao_json_add_real(record, "seconds", seconds));
    SLAO_TRY(slao_json_add_real(record, "tokens", (double)cost->tokens));
    SLAO_TRY(slao_json_add_real(record, "peak_memory_bytes", peak_memory_bytes()));
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    SLAO_TRY(slao_store_put(bench->parts.store, step->key, record));
    return step->kind == SLAO_STEP_FINETUNE ? slao_savepoint_remove(bench->parts.store, step->key)
                                            : SLAO_OK;
}

static slao_status run_step(void *context, int64_t index, slao_step_cost *cost) {
    slao_workbench *bench = context;
    const slao_step *step = &bench->parts.plan->steps[index];
    bench->running = index;
    bench->begun = slao_seconds();
    bench->seconds_before = 0;
    bench->resumed_from = 0;
    bool done = slao_store_has(bench->parts.store, step->key); /* by a rank that seemed lost */
    SLAO_TRY(slao_team_share(bench->parts.team, SLAO_OK, &done, sizeof done));
    if (done)
        return SLAO_OK;
    cJSON *record = cJSON_CreateObject();
    slao_status status = SLAO_OK;
    if (!record)
        status = slao_fail(SLAO_NO_RESOURCE, "out of memory for a step's record");
    if (status == SLAO_OK)
        status = run_recorded(bench, step, record, cost);
    status = slao_team_end(bench->parts.team, status);
    cJSON_Delete(record);
    return status;
}

slao_runner slao_workbench_runner(slao_workbench *bench) {
    return (slao_runner){bench, run_step};
}
