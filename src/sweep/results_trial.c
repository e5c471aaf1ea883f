#include "sweep/results_parts.h"

#include "sweep/key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One trial being written. Its arrays lie in the outcome's arena until it is done. */
typedef struct {
    slao_h5 file;
    const slao_outcome *outcome;
    const slao_trial *settings;
    const slao_trial_steps *steps;
    const slao_trial_outcome *trial;
    int64_t n_tasks;
} writer;

/* Writes are many and alike: each is a row (name, description, units) and values. */
typedef struct {
    const char *name, *description, *units;
} row;

enum { PATH = 64 };
static slao_h5_label label_of(const writer *w, const row *r, char path[PATH]) {
    int length = snprintf(path, PATH, "/trial/%s/%s", w->settings->id, r->name);
    SLAO_INVARIANT(length > 0 && length < PATH);
    return (slao_h5_label){path, r->description, r->units};
}

static slao_status write_reals(const writer *w, const row *r, slao_h5_shape shape,
                               const double *values) {
    char path[PATH];
    slao_h5_label label = label_of(w, r, path);
    return slao_h5_write_reals(w->file, &label, shape, values);
}

static slao_status write_texts(const writer *w, const row *r, int64_t count,
                               const char *const *texts) {
    char path[PATH];
    slao_h5_label label = label_of(w, r, path);
    return slao_h5_write_texts(w->file, &label, count, texts);
}

static slao_status take_reals(const writer *w, int64_t count, double **values) {
    SLAO_TRY(slao_arena_take(w->outcome->arena, values, (size_t)count, sizeof **values));
    for (int64_t i = 0; i < count; i++)
        (*values)[i] = NAN;
    return SLAO_OK;
}

/* --- names and scores --- */

static slao_status write_names(const writer *w) {
    static const row tasks = {"tasks", "names of the tasks, in the order they are trained in",
                              NULL};
    static const row modules = {
        "modules", "adapted modules of a layer: the last axis of arrays by layer", NULL};
    SLAO_TRY(write_texts(w, &tasks, w->n_tasks, w->settings->order->tasks));
    const char *names[SLAO_N_MODULES];
    int64_t count = 0;
    for (int module = 0; module < SLAO_N_MODULES; module++) {
        if (w->settings->lora.targets[module])
            names[count++] = slao_module_name((slao_module)module);
    }
    return write_texts(w, &modules, count, names);
}

static slao_status write_scores(const writer *w) {
    static const row accuracy = {
        "accuracy",
        "scores: row j after training task j+1, column i on the i-th task; NaN where not evaluated",
        "fraction"};
    static const row base = {"accuracy_base", "scores of the untrained model, by task", "fraction"};
    static const row individual = {"accuracy_individual",
                                   "scores on each task after training on it alone", "fraction"};
    int64_t n = w->n_tasks;
    SLAO_TRY(write_reals(w, &accuracy, (slao_h5_shape){2, {n, n}}, w->trial->accuracy));
    SLAO_TRY(write_reals(w, &base, (slao_h5_shape){1, {n}}, w->trial->base));
    return write_reals(w, &individual, (slao_h5_shape){1, {n}}, w->trial->individual);
}

/* The list at `key` of the record of `step`; no rows if there is none. */
static slao_status read_array(const writer *w, int64_t step, const char *key,
                              slao_record_array *array) {
    *array = (slao_record_array){0};
    if (step < 0)
        return SLAO_OK;
    cJSON *record;
    SLAO_TRY(slao_outcome_record(w->outcome, step, &record));
    slao_status status = slao_outcome_array(w->outcome, record, key, array);
    cJSON_Delete(record);
    return status;
}

static slao_status write_example_scores(const writer *w) {
    static const row scores = {
        "example_scores",
        "score of each test example in the final evaluation, ragged by task, in the order of the "
        "test set",
        "fraction"};
    int64_t n = w->n_tasks;
    slao_h5_row *rows;
    SLAO_TRY(slao_arena_take(w->outcome->arena, &rows, (size_t)n, sizeof *rows));
    for (int64_t i = 0; i < n; i++) {
        int64_t after = w->trial->diagonal ? i : n - 1;
        slao_record_array array;
        SLAO_TRY(read_array(w, w->steps->accuracy[after * n + i], "example_scores", &array));
        rows[i] = (slao_h5_row){array.rows * array.columns, array.values};
    }
    char path[PATH];
    slao_h5_label label = label_of(w, &scores, path);
    return slao_h5_write_ragged(w->file, &label, n, rows);
}

/* --- losses --- */

static slao_status write_losses(const writer *w, slao_hasher *fingerprint) {
    static const row loss_row = {"loss",
                                 "mean loss over the answer tokens of each optimiser step; the "
                                 "tasks one after the other, loss_steps of each",
                                 "nat per token"};
    static const row steps_row = {"loss_steps", "optimiser steps of each task: the parts of loss",
                                  NULL};
    int64_t *counts, total = 0;
    slao_record_array *losses;
    slao_arena *arena = w->outcome->arena;
    SLAO_TRY(slao_arena_take(arena, &counts, (size_t)w->n_tasks, sizeof *counts));
    SLAO_TRY(slao_arena_take(arena, &losses, (size_t)w->n_tasks, sizeof *losses));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        SLAO_TRY(read_array(w, w->steps->finetunes[j], "loss", &losses[j]));
        counts[j] = losses[j].rows * losses[j].columns;
        total += counts[j];
    }
    double *loss;
    SLAO_TRY(take_reals(w, total, &loss));
    int64_t at = 0;
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_hash_integer(fingerprint, counts[j]);
        for (int64_t k = 0; k < counts[j]; k++) {
            slao_hash_real(fingerprint, losses[j].values[k]);
            loss[at++] = losses[j].values[k];
        }
    }
    SLAO_TRY(write_reals(w, &loss_row, (slao_h5_shape){1, {total}}, loss));
    char path[PATH];
    slao_h5_label label = label_of(w, &steps_row, path);
    return slao_h5_write_integers(w->file, &label, (slao_h5_shape){1, {w->n_tasks}}, counts);
}

/* What a method adds to the loss; only where it adds something. */
static slao_status write_extra_losses(const writer *w) {
    static const row extra = {"extra_loss",
                              "what the method added to each step's loss: the parts are those of "
                              "loss, zero for tasks without",
                              NULL};
    slao_record_array loss, added;
    int64_t total = 0, at = 0;
    bool any = false;
    for (int64_t j = 0; j < w->n_tasks; j++) {
        SLAO_TRY(read_array(w, w->steps->finetunes[j], "loss", &loss));
        SLAO_TRY(read_array(w, w->steps->finetunes[j], "extra_loss", &added));
        total += loss.rows * loss.columns;
        any = any || added.rows * added.columns > 0;
    }
    if (!any)
        return SLAO_OK;
    double *values;
    SLAO_TRY(take_reals(w, total, &values));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        SLAO_TRY(read_array(w, w->steps->finetunes[j], "loss", &loss));
        SLAO_TRY(read_array(w, w->steps->finetunes[j], "extra_loss", &added));
        for (int64_t k = 0; k < loss.rows * loss.columns; k++)
            values[at++] = k < added.rows * added.columns ? added.values[k] : 0;
    }
    return write_reals(w, &extra, (slao_h5_shape){1, {total}}, values);
}

/* --- merging and geometry --- */

static slao_status write_merging(const writer *w) {
    static const row lambda_row = {
        "lambda",
        "weight with which each task entered the merged adapter: 1 for the first, which is taken "
        "whole; NaN where nothing is merged",
        NULL};
    static const row distance_row = {
        "distance",
        "||theta - theta_0||: Frobenius norm of s B A over all adapted modules, of the "
        "adapter evaluated after each task",
        NULL};
    static const row state_row = {
        "state_bytes",
        "what the method keeps after each task: the adapters and other state from which both the "
        "evaluated adapter and all later training follow",
        "B"};
    double *lambda, *distance, *state;
    SLAO_TRY(take_reals(w, w->n_tasks, &state));
    SLAO_TRY(take_reals(w, w->n_tasks, &lambda));
    SLAO_TRY(take_reals(w, w->n_tasks, &distance));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        int64_t index = w->steps->adapters[j];
        if (index < 0 || !w->outcome->steps[index].recorded)
            continue;
        const slao_step_outcome *step = &w->outcome->steps[index];
        bool merges = w->settings->method.method->uses_lambda;
        lambda[j] = merges && j == 0 ? 1 : step->lambda;
        distance[j] = step->distance;
        state[j] = step->state_bytes;
    }
    SLAO_TRY(write_reals(w, &state_row, (slao_h5_shape){1, {w->n_tasks}}, state));
    SLAO_TRY(write_reals(w, &lambda_row, (slao_h5_shape){1, {w->n_tasks}}, lambda));
    return write_reals(w, &distance_row, (slao_h5_shape){1, {w->n_tasks}}, distance);
}

/* Numbers by layer and module that fine-tune steps record, or the steps whose adapters are
 * evaluated: a dataset task x layer x module each. */
typedef struct {
    row dataset;
    const char *key; /* in the record */
    bool of_adapters;
} by_layer;

static const by_layer geometry[] = {
    {{"orthogonality",
      "||A0 A0^T - I||_F of the A that each task started from, by task, layer and module", NULL},
     "orthogonality",
     false},
    {{"interference_A",
      "||A dA^T||_F, A at the start of each task and dA its change, by task, layer and module",
      NULL},
     "interference_a",
     false},
    {{"interference_B",
      "||dB^T B||_F, B at the start of each task and dB its change, by task, layer and module",
      NULL},
     "interference_b",
     false},
    {{"gradient_A",
      "mean over the optimiser steps of ||dL/dA||_F before clipping, by task, layer and module",
      NULL},
     "gradient_a",
     false},
    {{"gradient_B",
      "mean over the optimiser steps of ||dL/dB||_F before clipping, by task, layer and module",
      NULL},
     "gradient_b",
     false},
    {{"lambda_by_layer",
      "lambda by task, layer and module, where the schedule has one for each; NaN for the first "
      "task, which is taken whole",
      NULL},
     "lambda_by_layer",
     true},
};

static slao_status write_by_layer(const writer *w, const by_layer *what) {
    int64_t layers = 0, modules = 0;
    double *values = NULL;
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_record_array array;
        const int64_t *steps = what->of_adapters ? w->steps->adapters : w->steps->finetunes;
        SLAO_TRY(read_array(w, steps[j], what->key, &array));
        if (array.rows == 0)
            continue;
        if (!values) {
            layers = array.rows;
            modules = array.columns;
            SLAO_TRY(take_reals(w, w->n_tasks * layers * modules, &values));
        }
        if (array.rows != layers || array.columns != modules)
            return slao_fail(SLAO_BAD_INPUT,
                             "trial %s: %s of its tasks are of different shapes: their records are "
                             "not of one model",
                             w->settings->id, what->key);
        memcpy(&values[j * layers * modules], array.values,
               (size_t)(layers * modules) * sizeof *values);
    }
    if (!values)
        return SLAO_OK;
    return write_reals(w, &what->dataset, (slao_h5_shape){3, {w->n_tasks, layers, modules}},
                       values);
}

/* --- fingerprint --- */

void slao_results_hash_setting(slao_hasher *hasher, const slao_spec *spec,
                               const slao_trial *trial) {
    const slao_method *method = trial->method.method;
    slao_hash_text(hasher, method->name);
    slao_method_option option;
    for (int i = 0; slao_method_option_at(method, i, &option); i++) {
        slao_hash_text(hasher, option.key);
        slao_hash_text(hasher, trial->method.values[i]);
    }
    slao_hash_text(hasher, trial->lambda.text);
    slao_hash_integer(hasher, trial->seed);
    slao_hash_lora(hasher, &trial->lora);
    slao_hash_train(hasher, &trial->train);
    for (int64_t i = 0; i < spec->n_extra; i++)
        slao_hash_text(hasher, trial->extra[i]);
}

static void hash_reals(slao_hasher *hasher, const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        slao_hash_real(hasher, values[i]);
}

static void hash_adapter(slao_hasher *hasher, const writer *w, int64_t step) {
    bool known = step >= 0 && w->outcome->steps[step].recorded;
    slao_hash_text(hasher, known ? w->outcome->steps[step].adapter_hash : "");
}

static void hash_trial(slao_hasher *hasher, const writer *w) {
    slao_results_hash_setting(hasher, w->outcome->plan->spec, w->settings);
    int64_t n = w->n_tasks;
    slao_hash_integer(hasher, n);
    for (int64_t i = 0; i < n; i++)
        slao_hash_text(hasher, w->settings->order->tasks[i]);
    hash_reals(hasher, w->trial->accuracy, n * n);
    hash_reals(hasher, w->trial->base, n);
    hash_reals(hasher, w->trial->individual, n);
    hash_adapter(hasher, w, w->steps->finetunes[n - 1]);
    hash_adapter(hasher, w, w->steps->adapters[n - 1]);
}

slao_status slao_results_write_trial(slao_h5 file, const slao_outcome *outcome, int64_t index,
                                     slao_hasher *fingerprint) {
    const slao_trial *settings = &outcome->plan->spec->trials[index];
    writer w = {
        .file = file,
        .outcome = outcome,
        .settings = settings,
        .steps = &outcome->plan->trials[index],
        .trial = &outcome->trials[index],
        .n_tasks = settings->order->n_tasks,
    };
    slao_arena_mark mark = slao_arena_here(outcome->arena);
    hash_trial(fingerprint, &w);
    SLAO_TRY(write_names(&w));
    SLAO_TRY(write_scores(&w));
    SLAO_TRY(write_example_scores(&w));
    SLAO_TRY(write_losses(&w, fingerprint));
    SLAO_TRY(write_extra_losses(&w));
    SLAO_TRY(write_merging(&w));
    for (size_t i = 0; i < sizeof geometry / sizeof *geometry; i++)
        SLAO_TRY(write_by_layer(&w, &geometry[i]));
    slao_arena_return(outcome->arena, mark);
    return SLAO_OK;
}
