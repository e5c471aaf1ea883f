#include "sweep/outcome.h"

#include "base/file.h"
#include "sweep/needs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- records --- */

static slao_status number_or_nan(const cJSON *record, const char *key, double *value) {
    const cJSON *item = slao_json_find(record, key);
    *value = NAN;
    if (!item || cJSON_IsNull(item))
        return SLAO_OK;
    if (!cJSON_IsNumber(item))
        return slao_fail(SLAO_BAD_INPUT, "%s must be a number or null", key);
    *value = item->valuedouble;
    return SLAO_OK;
}

static const slao_json_field record_fields[] = {
    {"started", SLAO_JSON_TEXT, offsetof(slao_step_outcome, started), true, 0, 0},
    {"mpi_rank", SLAO_JSON_INTEGER, offsetof(slao_step_outcome, mpi_rank), true, 0, 0},
    {"tokens", SLAO_JSON_INTEGER, offsetof(slao_step_outcome, tokens), true, 0, 0},
    {"seconds", SLAO_JSON_REAL, offsetof(slao_step_outcome, seconds), true, 0, 0},
    {"adapter_hash", SLAO_JSON_TEXT, offsetof(slao_step_outcome, adapter_hash), false, 0, 0},
    {"examples", SLAO_JSON_INTEGER, offsetof(slao_step_outcome, examples), false, 0, 0},
    {"seed", SLAO_JSON_INTEGER, offsetof(slao_step_outcome, seed), false, 0, 0},
    {0},
};

static slao_status read_facts(slao_step_outcome *outcome, const cJSON *record, slao_step_kind kind,
                              slao_arena *arena) {
    outcome->adapter_hash = "";
    outcome->seed = -1;
    SLAO_TRY(slao_json_read(record, "record", record_fields, true, outcome));
    SLAO_TRY(number_or_nan(record, "state_bytes", &outcome->state_bytes));
    SLAO_TRY(number_or_nan(record, "peak_memory_bytes", &outcome->peak_memory_bytes));
    SLAO_TRY(number_or_nan(record, "lambda", &outcome->lambda));
    SLAO_TRY(number_or_nan(record, "distance", &outcome->distance));
    SLAO_TRY(number_or_nan(record, "score", &outcome->score));
    SLAO_TRY(number_or_nan(record, "token_exact", &outcome->token_exact));
    if (kind == SLAO_STEP_EVALUATE && isnan(outcome->score))
        return slao_fail(SLAO_BAD_INPUT, "an evaluation without a score");
    if (kind != SLAO_STEP_EVALUATE && !*outcome->adapter_hash)
        return slao_fail(SLAO_BAD_INPUT, "an adapter without an adapter_hash");
    SLAO_TRY(slao_arena_copy_text(arena, &outcome->started, outcome->started));
    return slao_arena_copy_text(arena, &outcome->adapter_hash, outcome->adapter_hash);
}

/* --- where they were computed --- */

#define ORIGIN(member) offsetof(slao_step_origin, member)
static const slao_json_field origin_fields[] = {
    {"host", SLAO_JSON_TEXT, ORIGIN(host), true, 0, 0},
    {"version", SLAO_JSON_TEXT, ORIGIN(version), false, 0, 0},
    {"commit", SLAO_JSON_TEXT, ORIGIN(commit), false, 0, 0},
    {"mpi", SLAO_JSON_TEXT, ORIGIN(mpi), false, 0, 0},
    {"blas", SLAO_JSON_TEXT, ORIGIN(blas), false, 0, 0},
    {"hdf5", SLAO_JSON_TEXT, ORIGIN(hdf5), false, 0, 0},
    {"cpu", SLAO_JSON_TEXT, ORIGIN(cpu), false, 0, 0},
    {"machine", SLAO_JSON_TEXT, ORIGIN(machine), false, 0, 0},
    {"numeric_version", SLAO_JSON_INTEGER, ORIGIN(numeric_version), false, 0, 0},
    {"threads", SLAO_JSON_INTEGER, ORIGIN(threads), false, 0, 0},
    {0},
};

static const char **origin_texts(slao_step_origin *origin, int i) {
    const char **texts[] = {&origin->host, &origin->version, &origin->commit, &origin->mpi,
                            &origin->blas, &origin->hdf5,    &origin->cpu,    &origin->machine};
    return i < (int)(sizeof texts / sizeof *texts) ? texts[i] : NULL;
}

static bool same_origin(slao_step_origin *a, slao_step_origin *b) {
    for (int i = 0; origin_texts(a, i); i++) {
        if (strcmp(*origin_texts(a, i), *origin_texts(b, i)) != 0)
            return false;
    }
    return a->numeric_version == b->numeric_version && a->threads == b->threads;
}

/* There are few, and the newest is asked for most. */
static slao_status read_origin(slao_outcome *outcome, const cJSON *record, int64_t *found) {
    slao_step_origin origin = {.numeric_version = -1, .threads = -1};
    for (int i = 0; origin_texts(&origin, i); i++)
        *origin_texts(&origin, i) = "";
    SLAO_TRY(slao_json_read(record, "record", origin_fields, true, &origin));
    int64_t at = outcome->n_origins - 1;
    while (at >= 0 && !same_origin(&outcome->origins[at], &origin))
        at--;
    if (at < 0) {
        for (int i = 0; origin_texts(&origin, i); i++)
            SLAO_TRY(slao_arena_copy_text(outcome->arena, origin_texts(&origin, i),
                                          *origin_texts(&origin, i)));
        at = outcome->n_origins;
        SLAO_TRY(slao_grow(&outcome->origins, &outcome->origins_capacity, (size_t)at + 1,
                           sizeof *outcome->origins));
        outcome->origins[outcome->n_origins++] = origin;
    }
    outcome->origins[at].n_steps++;
    *found = at;
    return SLAO_OK;
}

/* The record of a step, out of the first store that has it; NULL without one. */
static slao_status find_record(const slao_outcome *outcome, int64_t step, cJSON **record) {
    slao_hash key = outcome->plan->steps[step].key;
    *record = NULL;
    for (int64_t i = 0; i < outcome->n_stores; i++) {
        if (slao_store_has(outcome->stores[i], key))
            return slao_store_get(outcome->stores[i], key, record);
    }
    return SLAO_OK;
}

static slao_status has_log(const slao_outcome *outcome, slao_hash key, bool *found) {
    *found = false;
    for (int64_t i = 0; i < outcome->n_stores && !*found; i++) {
        char *path;
        SLAO_TRY(slao_store_log_path(outcome->stores[i], key, &path));
        *found = slao_is_file(path);
        free(path);
    }
    return SLAO_OK;
}

/* --- their arrays --- */

static const char *const array_keys[] = {
    "loss",
    "extra_loss",
    "orthogonality",
    "interference_a",
    "interference_b",
    "gradient_a",
    "gradient_b",
    "distance_from_start",
    "loss_change",
    "loss_change_predicted",
    "linearisation_error",
    "lambda_by_layer",
    "example_scores",
};
enum { N_ARRAYS = sizeof array_keys / sizeof *array_keys };

slao_record_array slao_outcome_array(const slao_outcome *outcome, int64_t step, const char *key) {
    int k = 0;
    while (strcmp(array_keys[k], key) != 0) {
        k++;
        SLAO_INVARIANT(k < N_ARRAYS);
    }
    return step >= 0 && outcome->steps[step].arrays ? outcome->steps[step].arrays[k]
                                                    : (slao_record_array){0};
}

static slao_status number_of_list(const cJSON *item, const char *key, double *value) {
    if (!cJSON_IsNumber(item) && !cJSON_IsNull(item))
        return slao_fail(SLAO_BAD_INPUT, "record.%s must hold numbers, or null", key);
    *value = cJSON_IsNull(item) ? NAN : item->valuedouble;
    return SLAO_OK;
}

static slao_status read_array(slao_record_array *array, const cJSON *record, const char *key,
                              slao_arena *arena) {
    *array = (slao_record_array){0};
    const cJSON *list = slao_json_find(record, key);
    if (!list || cJSON_IsNull(list))
        return SLAO_OK;
    if (!cJSON_IsArray(list))
        return slao_fail(SLAO_BAD_INPUT, "record.%s must be a list", key);
    bool nested = cJSON_IsArray(list->child);
    array->rows = cJSON_GetArraySize(list);
    array->columns = nested ? cJSON_GetArraySize(list->child) : 1;
    SLAO_TRY(slao_arena_take(arena, &array->values, (size_t)(array->rows * array->columns),
                             sizeof(double)));
    double *value = array->values;
    const cJSON *row, *item;
    cJSON_ArrayForEach (row, list) {
        if (!nested) {
            SLAO_TRY(number_of_list(row, key, value++));
            continue;
        }
        if (!cJSON_IsArray(row) || cJSON_GetArraySize(row) != array->columns)
            return slao_fail(SLAO_BAD_INPUT, "record.%s must hold lists of one length", key);
        cJSON_ArrayForEach (item, row)
            SLAO_TRY(number_of_list(item, key, value++));
    }
    return SLAO_OK;
}

static slao_status read_arrays(slao_step_outcome *facts, const cJSON *record, slao_arena *arena) {
    SLAO_TRY(slao_arena_take(arena, &facts->arrays, N_ARRAYS, sizeof *facts->arrays));
    for (int k = 0; k < N_ARRAYS; k++)
        SLAO_TRY(read_array(&facts->arrays[k], record, array_keys[k], arena));
    return SLAO_OK;
}

int64_t slao_outcome_final_step(const slao_plan *plan, int64_t trial, int64_t task) {
    const slao_trial *settings = &plan->spec->trials[trial];
    int64_t n = settings->order->n_tasks;
    int64_t after = slao_method_is_diagonal(settings->method.method) ? task : n - 1;
    return plan->trials[trial].accuracy[after * n + task];
}

static void mark(bool *marks, int64_t step) {
    if (step >= 0)
        marks[step] = true;
}

/* The steps whose arrays the results file shows: most steps, evaluations on the way, have none. */
static slao_status mark_shown(const slao_plan *plan, bool **shown) {
    SLAO_TRY(slao_allocate(shown, (size_t)plan->n_steps, sizeof **shown));
    for (int64_t k = 0; k < plan->spec->n_trials; k++) {
        for (int64_t j = 0; j < plan->spec->trials[k].order->n_tasks; j++) {
            mark(*shown, plan->trials[k].finetunes[j]);
            mark(*shown, plan->trials[k].adapters[j]);
            mark(*shown, slao_outcome_final_step(plan, k, j));
        }
    }
    return SLAO_OK;
}

/* --- steps --- */

static slao_status read_record(slao_outcome *outcome, int64_t index, const cJSON *record,
                               bool shown) {
    slao_step_outcome *facts = &outcome->steps[index];
    SLAO_TRY(read_facts(facts, record, outcome->plan->steps[index].kind, outcome->arena));
    SLAO_TRY(read_origin(outcome, record, &facts->origin));
    return shown ? read_arrays(facts, record, outcome->arena) : SLAO_OK;
}

static slao_status read_step(slao_outcome *outcome, int64_t index, bool shown) {
    const slao_step *step = &outcome->plan->steps[index];
    slao_step_outcome *facts = &outcome->steps[index];
    cJSON *record;
    SLAO_TRY(find_record(outcome, index, &record));
    *facts = (slao_step_outcome){.recorded = record != NULL};
    if (!record)
        return has_log(outcome, step->key, &facts->failed);
    slao_status status = read_record(outcome, index, record, shown);
    cJSON_Delete(record);
    if (status != SLAO_OK) {
        char key[SLAO_HASH_TEXT];
        slao_hash_to_text(step->key, key);
        return slao_fail_context(status, "the record of step %s (%s %s)", key,
                                 slao_step_kind_name(step->kind), step->task);
    }
    return SLAO_OK;
}

static slao_status read_steps(slao_outcome *outcome) {
    bool *shown;
    SLAO_TRY(mark_shown(outcome->plan, &shown));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < outcome->plan->n_steps && status == SLAO_OK; i++)
        status = read_step(outcome, i, shown[i]);
    free(shown);
    return status;
}

/* --- trials --- */

static const char *status_of(const slao_outcome *outcome, const slao_needs *needed) {
    int64_t recorded = 0;
    bool failed = false;
    for (int64_t i = 0; i < needed->count; i++) {
        recorded += outcome->steps[needed->steps[i]].recorded;
        failed = failed || outcome->steps[needed->steps[i]].failed;
    }
    if (recorded == needed->count)
        return "done";
    return failed ? "failed" : recorded > 0 ? "partial" : "missing";
}

static void add_costs(const slao_outcome *outcome, const slao_needs *own,
                      slao_trial_outcome *trial) {
    trial->state_bytes = trial->peak_memory_bytes = NAN;
    for (int64_t i = 0; i < own->count; i++) {
        const slao_step_outcome *step = &outcome->steps[own->steps[i]];
        if (!step->recorded)
            continue;
        if (outcome->plan->steps[own->steps[i]].kind == SLAO_STEP_EVALUATE) {
            trial->eval_seconds += step->seconds;
        } else {
            trial->train_seconds += step->seconds;
            trial->train_tokens += step->tokens;
        }
        /* fmax takes the number where the other is NaN */
        trial->state_bytes = fmax(trial->state_bytes, step->state_bytes);
        trial->peak_memory_bytes = fmax(trial->peak_memory_bytes, step->peak_memory_bytes);
    }
}

static void read_scores(const slao_outcome *outcome, const int64_t *steps, int64_t count,
                        double *scores, double *token_exact) {
    for (int64_t i = 0; i < count; i++) {
        bool known = steps[i] >= 0 && outcome->steps[steps[i]].recorded;
        scores[i] = known ? outcome->steps[steps[i]].score : NAN;
        if (token_exact)
            token_exact[i] = known ? outcome->steps[steps[i]].token_exact : NAN;
    }
}

/* The test examples of the i-th task, from any evaluation on it. */
static int64_t examples_of(const slao_outcome *outcome, const slao_trial_steps *steps,
                           int64_t n_tasks, int64_t task) {
    for (int64_t row = 0; row < n_tasks + 2; row++) {
        const int64_t *from = row < n_tasks    ? &steps->accuracy[row * n_tasks]
                              : row == n_tasks ? steps->base
                                               : steps->individual;
        if (from[task] >= 0 && outcome->steps[from[task]].recorded)
            return outcome->steps[from[task]].examples;
    }
    return 0;
}

static slao_status take_arrays(slao_trial_outcome *trial, int64_t n_tasks, slao_arena *arena) {
    size_t n = (size_t)n_tasks;
    SLAO_TRY(slao_arena_take(arena, &trial->accuracy, n * n, sizeof(double)));
    SLAO_TRY(slao_arena_take(arena, &trial->token_exact, n * n, sizeof(double)));
    SLAO_TRY(slao_arena_take(arena, &trial->base, n, sizeof(double)));
    SLAO_TRY(slao_arena_take(arena, &trial->individual, n, sizeof(double)));
    SLAO_TRY(slao_arena_take(arena, &trial->examples, n, sizeof(int64_t)));
    return slao_arena_take(arena, &trial->final, n, sizeof(double));
}

static slao_status read_trial(slao_outcome *outcome, int64_t index, slao_needs *needed) {
    const slao_trial *settings = &outcome->plan->spec->trials[index];
    const slao_trial_steps *steps = &outcome->plan->trials[index];
    int64_t n = settings->order->n_tasks;
    slao_trial_outcome *trial = &outcome->trials[index];
    *trial = (slao_trial_outcome){0};
    SLAO_TRY(take_arrays(trial, n, outcome->arena));

    slao_needs_add_own(needed, index);
    add_costs(outcome, needed, trial);
    slao_needs_add_references(needed, index);
    trial->status = status_of(outcome, needed);
    slao_needs_clear(needed);

    read_scores(outcome, steps->accuracy, n * n, trial->accuracy, trial->token_exact);
    read_scores(outcome, steps->base, n, trial->base, NULL);
    read_scores(outcome, steps->individual, n, trial->individual, NULL);
    for (int64_t i = 0; i < n; i++)
        trial->examples[i] = examples_of(outcome, steps, n, i);
    const slao_method *method = settings->method.method;
    trial->diagonal = slao_method_is_diagonal(method);
    slao_scores scores = {
        .n_tasks = n,
        .scores = trial->accuracy,
        .base = trial->base,
        .individual = trial->individual,
        .examples = trial->examples,
        .diagonal = trial->diagonal,
    };
    trial->metrics = slao_metrics_of(&scores);
    slao_final_scores(&scores, trial->final);
    return SLAO_OK;
}

/* A trial and its training; trials that are trained alike are brought together by sorting. */
typedef struct {
    int64_t trial, n_tasks;
    const int64_t *finetunes;
} trained;

static int compare_trained(const void *left, const void *right) {
    const trained *a = left, *b = right;
    if (a->n_tasks != b->n_tasks)
        return a->n_tasks < b->n_tasks ? -1 : 1;
    return memcmp(a->finetunes, b->finetunes, (size_t)a->n_tasks * sizeof *a->finetunes);
}

static int compare_trained_then_trials(const void *left, const void *right) {
    const trained *a = left, *b = right;
    int by_training = compare_trained(a, b);
    return by_training ? by_training : a->trial < b->trial ? -1 : a->trial > b->trial;
}

static slao_status find_trained_alike(slao_outcome *outcome) {
    int64_t n = outcome->plan->spec->n_trials;
    trained *list;
    SLAO_TRY(slao_allocate(&list, (size_t)n, sizeof *list));
    for (int64_t i = 0; i < n; i++)
        list[i] = (trained){i, outcome->plan->spec->trials[i].order->n_tasks,
                            outcome->plan->trials[i].finetunes};
    qsort(list, (size_t)n, sizeof *list, compare_trained_then_trials);
    for (int64_t i = 0, first = 0; i < n; i++) {
        if (compare_trained(&list[first], &list[i]) != 0)
            first = i;
        outcome->trials[list[i].trial].trained_as = list[first].trial;
    }
    free(list);
    return SLAO_OK;
}

/* --- all of it --- */

static slao_status read_all(slao_outcome *outcome) {
    const slao_plan *plan = outcome->plan;
    size_t n_steps = (size_t)plan->n_steps, n_trials = (size_t)plan->spec->n_trials;
    SLAO_TRY(slao_arena_new(&outcome->arena));
    SLAO_TRY(slao_arena_take(outcome->arena, &outcome->steps, n_steps, sizeof *outcome->steps));
    SLAO_TRY(slao_arena_take(outcome->arena, &outcome->trials, n_trials, sizeof *outcome->trials));
    SLAO_TRY(read_steps(outcome));
    slao_needs needed;
    SLAO_TRY(slao_needs_new(&needed, plan));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < plan->spec->n_trials && status == SLAO_OK; i++)
        status = read_trial(outcome, i, &needed);
    slao_needs_free(&needed);
    return status == SLAO_OK ? find_trained_alike(outcome) : status;
}

slao_status slao_outcome_new(slao_outcome **outcome, const slao_plan *plan,
                             const slao_store *const *stores, int64_t n_stores) {
    SLAO_TRY(slao_allocate(outcome, 1, sizeof **outcome));
    **outcome = (slao_outcome){.plan = plan, .stores = stores, .n_stores = n_stores};
    slao_status status = read_all(*outcome);
    if (status != SLAO_OK) {
        slao_outcome_free(*outcome);
        *outcome = NULL;
    }
    return status;
}

void slao_outcome_free(slao_outcome *outcome) {
    if (!outcome)
        return;
    slao_arena_free(outcome->arena);
    free(outcome->origins);
    free(outcome);
}
