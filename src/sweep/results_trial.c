#include "sweep/results_parts.h"

#include "sweep/key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH = 64 };
static slao_h5_label label_of(const slao_trial_writer *w, const slao_trial_row *row,
                              char path[PATH]) {
    int length = snprintf(path, PATH, "/trial/%s/%s", w->settings->id, row->name);
    SLAO_INVARIANT(length > 0 && length < PATH);
    return (slao_h5_label){path, row->description, row->units};
}

slao_status slao_trial_write_reals(const slao_trial_writer *w, const slao_trial_row *row,
                                   slao_h5_shape shape, const double *values) {
    char path[PATH];
    slao_h5_label label = label_of(w, row, path);
    return slao_h5_write_reals(w->file, &label, shape, values);
}

slao_status slao_trial_write_integers(const slao_trial_writer *w, const slao_trial_row *row,
                                      int64_t count, const int64_t *values) {
    char path[PATH];
    slao_h5_label label = label_of(w, row, path);
    return slao_h5_write_integers(w->file, &label, (slao_h5_shape){1, {count}}, values);
}

static slao_status write_texts(const slao_trial_writer *w, const slao_trial_row *row, int64_t count,
                               const char *const *texts) {
    char path[PATH];
    slao_h5_label label = label_of(w, row, path);
    return slao_h5_write_texts(w->file, &label, count, texts);
}

slao_status slao_trial_take_reals(const slao_trial_writer *w, int64_t count, double **values) {
    SLAO_TRY(slao_arena_take(w->outcome->arena, values, (size_t)count, sizeof **values));
    for (int64_t i = 0; i < count; i++)
        (*values)[i] = NAN;
    return SLAO_OK;
}

/* --- names and scores --- */

static slao_status write_names(const slao_trial_writer *w) {
    static const slao_trial_row tasks = {
        "tasks", "names of the tasks, in the order they are trained in", NULL};
    static const slao_trial_row modules = {
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

static slao_status write_scores(const slao_trial_writer *w) {
    static const slao_trial_row accuracy = {
        "accuracy",
        "scores: row j after training task j+1, column i on the i-th task; NaN where not evaluated",
        "fraction"};
    static const slao_trial_row base = {"accuracy_base", "scores of the untrained model, by task",
                                        "fraction"};
    static const slao_trial_row individual = {
        "accuracy_individual", "scores on each task after training on it alone", "fraction"};
    int64_t n = w->n_tasks;
    SLAO_TRY(slao_trial_write_reals(w, &accuracy, (slao_h5_shape){2, {n, n}}, w->trial->accuracy));
    SLAO_TRY(slao_trial_write_reals(w, &base, (slao_h5_shape){1, {n}}, w->trial->base));
    return slao_trial_write_reals(w, &individual, (slao_h5_shape){1, {n}}, w->trial->individual);
}

static slao_status write_example_scores(const slao_trial_writer *w) {
    static const slao_trial_row scores = {
        "example_scores",
        "score of each test example in the final evaluation, ragged by task, in the order of the "
        "test set",
        "fraction"};
    int64_t n = w->n_tasks;
    slao_h5_row *rows;
    SLAO_TRY(slao_arena_take(w->outcome->arena, &rows, (size_t)n, sizeof *rows));
    for (int64_t i = 0; i < n; i++) {
        int64_t final = slao_outcome_final_step(w->outcome->plan, w->index, i);
        slao_record_array array = slao_outcome_array(w->outcome, final, "example_scores");
        rows[i] = (slao_h5_row){array.rows * array.columns, array.values};
    }
    char path[PATH];
    slao_h5_label label = label_of(w, &scores, path);
    return slao_h5_write_ragged(w->file, &label, n, rows);
}

/* --- merging --- */

static slao_status write_merging(const slao_trial_writer *w) {
    static const slao_trial_row lambda_row = {
        "lambda",
        "weight with which each task entered the merged adapter: 1 for the first, which is taken "
        "whole; NaN where nothing is merged",
        NULL};
    static const slao_trial_row distance_row = {
        "distance",
        "||theta - theta_0||: Frobenius norm of s B A over all adapted modules, of the "
        "adapter evaluated after each task",
        NULL};
    static const slao_trial_row state_row = {
        "state_bytes",
        "what the method keeps after each task: the adapters and other state from which both the "
        "evaluated adapter and all later training follow",
        "B"};
    double *lambda, *distance, *state;
    SLAO_TRY(slao_trial_take_reals(w, w->n_tasks, &state));
    SLAO_TRY(slao_trial_take_reals(w, w->n_tasks, &lambda));
    SLAO_TRY(slao_trial_take_reals(w, w->n_tasks, &distance));
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
    SLAO_TRY(slao_trial_write_reals(w, &state_row, (slao_h5_shape){1, {w->n_tasks}}, state));
    SLAO_TRY(slao_trial_write_reals(w, &lambda_row, (slao_h5_shape){1, {w->n_tasks}}, lambda));
    return slao_trial_write_reals(w, &distance_row, (slao_h5_shape){1, {w->n_tasks}}, distance);
}

static slao_status write_lambda_by_layer(const slao_trial_writer *w) {
    static const slao_trial_by_layer lambda = {
        {"lambda_by_layer",
         "lambda by task, layer and module, where the schedule has one for each; NaN for the first "
         "task, which is taken whole, and under other schedules",
         NULL},
        "lambda_by_layer"};
    return slao_trial_write_by_layer(w, &lambda, w->steps->adapters);
}

slao_status slao_trial_write_by_layer(const slao_trial_writer *w, const slao_trial_by_layer *what,
                                      const int64_t *steps) {
    int64_t layers = w->config->layers, modules = w->n_modules;
    double *values;
    SLAO_TRY(slao_trial_take_reals(w, w->n_tasks * layers * modules, &values));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_record_array array = slao_outcome_array(w->outcome, steps[j], what->key);
        if (array.rows == 0)
            continue;
        if (array.rows != layers || array.columns != modules)
            return slao_fail(SLAO_BAD_INPUT,
                             "trial %s: %s of task %s is of %lld layers and %lld modules, but the "
                             "model has %lld and %lld: its record is not of this model",
                             w->settings->id, what->key, w->settings->order->tasks[j],
                             (long long)array.rows, (long long)array.columns, (long long)layers,
                             (long long)modules);
        memcpy(&values[j * layers * modules], array.values,
               (size_t)(layers * modules) * sizeof *values);
    }
    return slao_trial_write_reals(w, &what->row, (slao_h5_shape){3, {w->n_tasks, layers, modules}},
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

static void hash_adapter(slao_hasher *hasher, const slao_trial_writer *w, int64_t step) {
    bool known = step >= 0 && w->outcome->steps[step].recorded;
    slao_hash_text(hasher, known ? w->outcome->steps[step].adapter_hash : "");
}

static void hash_trial(slao_hasher *hasher, const slao_trial_writer *w) {
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

static int64_t count_modules(const slao_lora_settings *settings) {
    int64_t count = 0;
    for (int module = 0; module < SLAO_N_MODULES; module++)
        count += settings->targets[module];
    return count;
}

slao_status slao_results_write_trial(slao_h5 file, const slao_outcome *outcome,
                                     const slao_model_config *config, int64_t index,
                                     slao_hasher *fingerprint) {
    const slao_trial *settings = &outcome->plan->spec->trials[index];
    slao_trial_writer w = {
        .file = file,
        .outcome = outcome,
        .config = config,
        .index = index,
        .settings = settings,
        .steps = &outcome->plan->trials[index],
        .trial = &outcome->trials[index],
        .n_tasks = settings->order->n_tasks,
        .n_modules = count_modules(&settings->lora),
    };
    slao_arena_mark mark = slao_arena_here(outcome->arena);
    hash_trial(fingerprint, &w);
    slao_trial_hash_losses(fingerprint, &w);
    SLAO_TRY(write_names(&w));
    SLAO_TRY(write_scores(&w));
    SLAO_TRY(write_example_scores(&w));
    SLAO_TRY(write_merging(&w));
    SLAO_TRY(write_lambda_by_layer(&w));
    SLAO_TRY(slao_trial_write_training(&w));
    slao_arena_return(outcome->arena, mark);
    return SLAO_OK;
}
