#include "sweep/workbench.h"

#include "adapter/merge.h"
#include "adapter/peft.h"
#include "adapter/start.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/encode.h"
#include "learn/evaluator.h"
#include "learn/trainer.h"
#include "sweep/geometry.h"

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
    slao_encoded *train; /* NULL until needed; so is test */
    slao_test_set *test;
} tokenised;

typedef struct {
    slao_hash key;
    slao_lora *lora; /* NULL: none */
} kept_adapter;

struct slao_workbench {
    slao_workbench_parts parts;
    slao_pass *pass;
    tokenised *tasks;
    size_t n_tasks, capacity;
    kept_adapter kept[ADAPTERS_KEPT]; /* the last adapters, the one used last first */
};

slao_status slao_workbench_new(slao_workbench **bench, const slao_workbench_parts *parts) {
    SLAO_TRY(slao_allocate(bench, 1, sizeof **bench));
    (*bench)->parts = *parts;
    slao_status status = slao_pass_new(&(*bench)->pass, parts->model);
    if (status != SLAO_OK) {
        slao_workbench_free(*bench);
        *bench = NULL;
    }
    return status;
}

void slao_workbench_free(slao_workbench *bench) {
    if (!bench)
        return;
    for (int i = 0; i < ADAPTERS_KEPT; i++)
        slao_lora_free(bench->kept[i].lora);
    for (size_t i = 0; i < bench->n_tasks; i++) {
        slao_encoded_free(bench->tasks[i].train);
        slao_test_set_free(bench->tasks[i].test);
    }
    free(bench->tasks);
    slao_pass_free(bench->pass);
    free(bench);
}

/* ---- Adapters: in memory, else from the store ---- */

/* Puts what stands at `place` first; what was before it moves down by one. */
static void move_to_front(slao_workbench *bench, int place) {
    kept_adapter moved = bench->kept[place];
    memmove(&bench->kept[1], &bench->kept[0], (size_t)place * sizeof moved);
    bench->kept[0] = moved;
}

/* Takes over the adapter, and lets go of the one that was not used for longest. */
static void remember(slao_workbench *bench, slao_hash key, slao_lora *lora) {
    slao_lora_free(bench->kept[ADAPTERS_KEPT - 1].lora);
    bench->kept[ADAPTERS_KEPT - 1] = (kept_adapter){key, lora};
    move_to_front(bench, ADAPTERS_KEPT - 1);
}

/* The adapter of a step; it belongs to the bench and stays for at least two further calls. */
static slao_status adapter_of(slao_workbench *bench, int64_t step, const slao_lora **adapter) {
    slao_hash key = bench->parts.plan->steps[step].key;
    for (int i = 0; i < ADAPTERS_KEPT; i++) {
        if (bench->kept[i].lora && slao_hash_equal(bench->kept[i].key, key)) {
            move_to_front(bench, i);
            *adapter = bench->kept[0].lora;
            return SLAO_OK;
        }
    }
    char *folder;
    slao_lora *lora;
    SLAO_TRY(slao_store_adapter_path(bench->parts.store, key, &folder));
    slao_status status = slao_peft_load(&lora, folder, &bench->parts.model->config);
    free(folder);
    SLAO_TRY(status);
    remember(bench, key, lora);
    *adapter = lora;
    return SLAO_OK;
}

static slao_status save_adapter(slao_workbench *bench, slao_hash key, const slao_lora *lora) {
    char *folder;
    SLAO_TRY(slao_store_adapter_path(bench->parts.store, key, &folder));
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

slao_status slao_workbench_tokenise(slao_workbench *bench) {
    const slao_plan *plan = bench->parts.plan;
    for (int64_t i = 0; i < plan->n_steps; i++) {
        const slao_step *step = &plan->steps[i];
        if (step->kind == SLAO_STEP_MERGE || slao_store_has(bench->parts.store, step->key))
            continue;
        tokenised *task;
        SLAO_TRY(find_task(bench, step->task, step->trial->train.max_length, &task));
        SLAO_TRY(step->kind == SLAO_STEP_FINETUNE ? need_lessons(bench, task)
                                                  : need_questions(bench, task));
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

/* What a step that leaves an adapter records of it; `n_kept` is how many adapters the method has to
 * keep. */
static slao_status add_adapter_facts(cJSON *record, const slao_lora *lora, int n_kept) {
    char hash[SLAO_HASH_TEXT];
    SLAO_TRY(hash_adapter(lora, hash));
    SLAO_TRY(slao_json_add_text(record, "adapter_hash", hash));
    SLAO_TRY(slao_geometry_record_distance(record, lora));
    double bytes = (double)((size_t)(n_kept * lora->n_values) * sizeof *lora->values);
    return slao_json_add_real(record, "state_bytes", bytes);
}

static double peak_memory_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 : NAN;
}

/* ---- The kinds of steps: each computes, saves its adapter if it makes one, and fills the record
 * ---- */

static slao_status save_finetuned(slao_workbench *bench, const slao_step *step,
                                  const slao_lora *lora, const slao_training *training,
                                  cJSON *record, int64_t *tokens) {
    *tokens = training->tokens;
    SLAO_TRY(add_reals(record, "loss", training->losses, training->steps));
    SLAO_TRY(add_adapter_facts(record, lora, 1));
    return save_adapter(bench, step->key, lora);
}

static slao_status run_finetune(slao_workbench *bench, const slao_step *step, cJSON *record,
                                int64_t *tokens) {
    const slao_trial *trial = step->trial;
    const slao_model_config *config = &bench->parts.model->config;
    tokenised *task;
    SLAO_TRY(find_task(bench, step->task, trial->train.max_length, &task));
    SLAO_TRY(need_lessons(bench, task));
    const slao_lora *last = NULL;
    const slao_start_rule *start = slao_start_rule_find("fresh");
    if (step->n_parents == 1) {
        SLAO_TRY(adapter_of(bench, step->parents[0], &last));
        start = slao_start_rule_find(slao_method_start(&trial->method));
    }
    SLAO_INVARIANT(start && start->needs_last == (last != NULL));
    slao_lora *lora, *first = NULL; /* first: as training starts */
    slao_training training = {0};
    slao_lesson lesson = {.task = step->task,
                          .seed = (uint64_t)trial->seed,
                          .examples = task->train->sequences,
                          .n_examples = task->train->count};
    SLAO_TRY(slao_lora_new(&lora, &trial->lora, config));
    slao_status status = start->start(lora, last, (uint64_t)trial->seed);
    if (status == SLAO_OK)
        status = slao_lora_copy(&first, lora);
    if (status == SLAO_OK)
        status = slao_train(bench->pass, config, lora, &lesson, &trial->train, &training);
    if (status == SLAO_OK)
        status = slao_geometry_record_change(record, first, lora);
    if (status == SLAO_OK)
        status = save_finetuned(bench, step, lora, &training, record, tokens);
    slao_training_free(&training);
    slao_lora_free(first);
    if (status == SLAO_OK)
        remember(bench, step->key, lora);
    else
        slao_lora_free(lora);
    return status;
}

static slao_status run_merge(slao_workbench *bench, const slao_step *step, cJSON *record,
                             int64_t *tokens) {
    *tokens = 0;
    const slao_lora *before, *finetuned;
    SLAO_TRY(adapter_of(bench, step->parents[0], &before));
    SLAO_TRY(adapter_of(bench, step->parents[1], &finetuned));
    slao_merge_choice choice;
    SLAO_TRY(slao_merge_choose(&choice, step->trial->method.method->merge, "method"));
    double lambda = slao_schedule_value(&step->trial->lambda, step->position);
    slao_merge_moment moment = {.i = step->position, .lambda = lambda};
    slao_merge_state state = {{0}};
    slao_lora *merged;
    slao_status status = slao_merge_step(&merged, &choice, &moment, before, finetuned, &state);
    if (status == SLAO_OK)
        status = slao_json_add_real(record, "lambda", lambda);
    if (status == SLAO_OK)
        status = add_adapter_facts(record, merged, 2);
    if (status == SLAO_OK)
        status = save_adapter(bench, step->key, merged);
    if (status == SLAO_OK)
        remember(bench, step->key, merged);
    else
        slao_lora_free(merged);
    return status;
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

static slao_status run_evaluate(slao_workbench *bench, const slao_step *step, cJSON *record,
                                int64_t *tokens) {
    const slao_model_config *config = &bench->parts.model->config;
    tokenised *task;
    SLAO_TRY(find_task(bench, step->task, step->trial->train.max_length, &task));
    SLAO_TRY(need_questions(bench, task));
    slao_low_ranks pairs = {0};
    if (step->n_parents == 1) {
        const slao_lora *lora;
        SLAO_TRY(adapter_of(bench, step->parents[0], &lora));
        SLAO_TRY(slao_lora_view(&pairs, lora, NULL, config));
    }
    slao_score_settings score = bench->parts.plan->spec->score;
    if (!score.score)
        score.score = task->task->score;
    slao_judge judge = {.pass = bench->pass, .config = config, .tokenizer = bench->parts.tokenizer};
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
    return slao_json_add_text(record, "host", bench->parts.host);
}

static slao_status run_recorded(slao_workbench *bench, const slao_step *step, cJSON *record,
                                slao_step_cost *cost) {
    double start = slao_seconds();
    SLAO_TRY(begin_record(bench, step, record));
    SLAO_TRY(run_kind[step->kind](bench, step, record, &cost->tokens));
    SLAO_TRY(slao_json_add_real(record, "seconds", slao_seconds() - start));
    SLAO_TRY(slao_json_add_real(record, "tokens", (double)cost->tokens));
    SLAO_TRY(slao_json_add_real(record, "peak_memory_bytes", peak_memory_bytes()));
    return slao_store_put(bench->parts.store, step->key, record);
}

static slao_status run_step(void *context, int64_t index, slao_step_cost *cost) {
    slao_workbench *bench = context;
    const slao_step *step = &bench->parts.plan->steps[index];
    cJSON *record = cJSON_CreateObject();
    if (!record)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a step's record");
    slao_status status = run_recorded(bench, step, record, cost);
    cJSON_Delete(record);
    return status;
}

slao_runner slao_workbench_runner(slao_workbench *bench) {
    return (slao_runner){bench, run_step};
}
