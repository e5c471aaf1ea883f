#include "sweep/results_parts.h"

#include "base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- columns of a setting, which /trials and /orders share --- */

/* A swept key beyond the standard columns is a column of numbers if all its values are. */
static bool all_numbers(const slao_spec *spec, int64_t extra) {
    double value;
    bool some = false;
    for (int64_t i = 0; i < spec->n_trials; i++) {
        const char *text = spec->trials[i].extra[extra];
        if (*text && !slao_number_parse(&value, text))
            return false;
        some = some || *text;
    }
    return some;
}

/* Cells of the extra columns come after the struct of a row. */
typedef union {
    const char *text;
    double real;
} extra_cell;

/* Rows of a table under construction: `columns` are the table's own, with the extra columns put in
 * behind the one called "lora_rank". */
typedef struct {
    const slao_spec *spec;
    slao_h5_column *columns;
    int64_t n_columns;
    size_t fixed_size, row_size;
    unsigned char *rows;
} setting_table;

static slao_status setting_table_new(setting_table *table, const slao_spec *spec, slao_arena *arena,
                                     const slao_h5_column *own, int64_t n_own, size_t fixed_size,
                                     int64_t n_rows) {
    *table = (setting_table){
        .spec = spec,
        .fixed_size = fixed_size,
        .row_size = fixed_size + (size_t)spec->n_extra * sizeof(extra_cell),
    };
    SLAO_TRY(slao_arena_take(arena, &table->columns, (size_t)(n_own + spec->n_extra),
                             sizeof *table->columns));
    SLAO_TRY(slao_arena_take(arena, &table->rows, (size_t)n_rows, table->row_size));
    for (int64_t i = 0; i < n_own; i++) {
        table->columns[table->n_columns++] = own[i];
        if (strcmp(own[i].name, "lora_rank") != 0)
            continue;
        for (int64_t k = 0; k < spec->n_extra; k++) {
            bool numeric = all_numbers(spec, k);
            table->columns[table->n_columns++] = (slao_h5_column){
                .name = spec->extra_columns[k],
                .kind = numeric ? SLAO_H5_REAL : SLAO_H5_TEXT,
                .offset = fixed_size + (size_t)k * sizeof(extra_cell),
                .help = numeric ? "swept key of the spec; NaN where it means nothing"
                                : "swept key of the spec; empty where it means nothing",
            };
        }
    }
    return SLAO_OK;
}

static void *setting_table_row(const setting_table *table, int64_t index, const slao_trial *trial) {
    unsigned char *at = table->rows + (size_t)index * table->row_size;
    for (int64_t i = 0; i < table->n_columns; i++) {
        const slao_h5_column *column = &table->columns[i];
        if (column->offset < table->fixed_size)
            continue;
        const char *text = trial->extra[(column->offset - table->fixed_size) / sizeof(extra_cell)];
        extra_cell cell = {.text = text};
        if (column->kind == SLAO_H5_REAL && !slao_number_parse(&cell.real, text))
            cell.real = NAN;
        memcpy(at + column->offset, &cell, sizeof cell);
    }
    return at;
}

static slao_status setting_table_write(const setting_table *table, slao_h5 file, const char *path,
                                       const char *description, int64_t n_rows) {
    return slao_h5_write_table(file, path, description, table->columns, table->n_columns,
                               table->rows, table->row_size, n_rows);
}

/* --- /trials --- */

typedef struct {
    const char *id, *method, *order, *order_name, *lambda, *status;
    double learning_rate;
    int64_t seed, lora_rank, train_tokens;
    slao_metrics metrics;
    double train_seconds, eval_seconds, state_bytes, peak_memory_bytes;
} trial_row;

#define TRIAL(member) offsetof(trial_row, member)
static const slao_h5_column trial_columns[] = {
    {"id", SLAO_H5_TEXT, TRIAL(id), "hash of the trial's settings; its arrays are in /trial/ID"},
    {"method", SLAO_H5_TEXT, TRIAL(method), "name of the method"},
    {"order", SLAO_H5_TEXT, TRIAL(order), "names of the tasks, joined by commas"},
    {"order_name", SLAO_H5_TEXT, TRIAL(order_name), "published name of the order, or empty"},
    {"lambda", SLAO_H5_TEXT, TRIAL(lambda), "merge schedule; empty where it means nothing"},
    {"learning_rate", SLAO_H5_REAL, TRIAL(learning_rate), "of the optimiser"},
    {"seed", SLAO_H5_INTEGER, TRIAL(seed), "of initialisation, shuffling and dropout"},
    {"lora_rank", SLAO_H5_INTEGER, TRIAL(lora_rank), "rank of the adapters"},
    {"status", SLAO_H5_TEXT, TRIAL(status),
     "done: everything it needs ran; failed: a step of it failed; partial: some steps did not run; "
     "missing: none ran"},
    {"AA", SLAO_H5_REAL, TRIAL(metrics.aa), "mean of the final scores over tasks, as a fraction"},
    {"AA_micro", SLAO_H5_REAL, TRIAL(metrics.aa_micro), "the same weighted by test examples"},
    {"BWT", SLAO_H5_REAL, TRIAL(metrics.bwt),
     "backward transfer: mean over tasks but the last of final score - score when just trained"},
    {"FWT", SLAO_H5_REAL, TRIAL(metrics.fwt),
     "forward transfer: mean over tasks but the first of score just before training it - score of "
     "the untrained model"},
    {"fwt_individual", SLAO_H5_REAL, TRIAL(metrics.fwt_individual),
     "mean over tasks of score when just trained - score when trained alone"},
    {"forgetting", SLAO_H5_REAL, TRIAL(metrics.forgetting),
     "mean over tasks but the last of best score before the end - final score"},
    {"intransigence", SLAO_H5_REAL, TRIAL(metrics.intransigence),
     "mean over tasks of score when trained alone - score when just trained"},
    {"train_seconds", SLAO_H5_REAL, TRIAL(train_seconds),
     "time of fine-tuning and merging, in s; steps shared with other trials count in each"},
    {"eval_seconds", SLAO_H5_REAL, TRIAL(eval_seconds),
     "time of evaluation, in s; shared steps count in each trial, references in none"},
    {"train_tokens", SLAO_H5_INTEGER, TRIAL(train_tokens),
     "tokens trained on, without padding; shared steps count in each trial"},
    {"state_bytes", SLAO_H5_REAL, TRIAL(state_bytes),
     "largest state kept from one task to the next, in bytes"},
    {"peak_memory_bytes", SLAO_H5_REAL, TRIAL(peak_memory_bytes),
     "largest memory of a process that ran a step of it, in bytes; NaN where not recorded"},
};
enum { N_TRIAL_COLUMNS = sizeof trial_columns / sizeof *trial_columns };

/* The tasks of an order joined by commas, in the arena. */
static slao_status join_tasks(const slao_order *order, slao_arena *arena, const char **joined) {
    size_t size = 1;
    for (int64_t i = 0; i < order->n_tasks; i++)
        size += strlen(order->tasks[i]) + 1;
    char *text;
    SLAO_TRY(slao_arena_take(arena, &text, size, 1));
    *joined = text;
    *text = '\0';
    for (int64_t i = 0; i < order->n_tasks; i++) {
        text = stpcpy(text, i ? "," : "");
        text = stpcpy(text, order->tasks[i]);
    }
    return SLAO_OK;
}

slao_status slao_results_write_trials(slao_h5 file, const slao_outcome *outcome) {
    const slao_spec *spec = outcome->plan->spec;
    setting_table table;
    SLAO_TRY(setting_table_new(&table, spec, outcome->arena, trial_columns, N_TRIAL_COLUMNS,
                               sizeof(trial_row), spec->n_trials));
    for (int64_t i = 0; i < spec->n_trials; i++) {
        const slao_trial *trial = &spec->trials[i];
        const slao_trial_outcome *result = &outcome->trials[i];
        trial_row *row = setting_table_row(&table, i, trial);
        *row = (trial_row){
            .id = trial->id,
            .method = trial->method.method->name,
            .order_name = trial->order->name,
            .lambda = trial->lambda.text,
            .status = result->status,
            .learning_rate = trial->train.learning_rate,
            .seed = trial->seed,
            .lora_rank = trial->lora.rank,
            .train_tokens = result->train_tokens,
            .metrics = result->metrics,
            .train_seconds = result->train_seconds,
            .eval_seconds = result->eval_seconds,
            .state_bytes = result->state_bytes,
            .peak_memory_bytes = result->peak_memory_bytes,
        };
        SLAO_TRY(join_tasks(trial->order, outcome->arena, &row->order));
    }
    return setting_table_write(&table, file, "/trials", "A row per trial. Scores are fractions.",
                               spec->n_trials);
}

/* --- /orders --- */

typedef struct {
    const char *method, *lambda;
    double learning_rate;
    int64_t seed, lora_rank, n_orders, n_planned, n_common;
    double mopd, aopd, aa_mean, aa_sd;
} order_row;

#define ORDER(member) offsetof(order_row, member)
static const slao_h5_column order_columns[] = {
    {"method", SLAO_H5_TEXT, ORDER(method), "name of the method"},
    {"lambda", SLAO_H5_TEXT, ORDER(lambda), "merge schedule; empty where it means nothing"},
    {"learning_rate", SLAO_H5_REAL, ORDER(learning_rate), "of the optimiser"},
    {"seed", SLAO_H5_INTEGER, ORDER(seed), "of initialisation, shuffling and dropout"},
    {"lora_rank", SLAO_H5_INTEGER, ORDER(lora_rank), "rank of the adapters"},
    {"n_orders", SLAO_H5_INTEGER, ORDER(n_orders), "orders with all final scores: those compared"},
    {"n_orders_planned", SLAO_H5_INTEGER, ORDER(n_planned), "orders that the sweep asks for"},
    {"n_tasks", SLAO_H5_INTEGER, ORDER(n_common), "tasks that all compared orders have"},
    {"MOPD", SLAO_H5_REAL, ORDER(mopd), "largest over tasks of largest - least final score"},
    {"AOPD", SLAO_H5_REAL, ORDER(aopd), "mean over tasks of largest - least final score"},
    {"AA_mean", SLAO_H5_REAL, ORDER(aa_mean), "mean over orders of the mean final score"},
    {"AA_sd", SLAO_H5_REAL, ORDER(aa_sd), "its standard deviation (n - 1)"},
};
enum { N_ORDER_COLUMNS = sizeof order_columns / sizeof *order_columns };

/* A trial and the hash of its setting; trials of one setting are brought together by sorting. */
typedef struct {
    slao_hash setting;
    int64_t trial;
} member;

static int compare_hashes(slao_hash a, slao_hash b) {
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

static int compare_members(const void *left, const void *right) {
    const member *a = left, *b = right;
    int by_setting = compare_hashes(a->setting, b->setting);
    return by_setting ? by_setting : a->trial < b->trial ? -1 : a->trial > b->trial;
}

static slao_status sort_by_setting(const slao_spec *spec, member *members) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    for (int64_t i = 0; i < spec->n_trials; i++) {
        slao_hasher_reset(hasher);
        slao_results_hash_setting(hasher, spec, &spec->trials[i]);
        members[i] = (member){slao_hash_value(hasher), i};
    }
    slao_hasher_free(hasher);
    qsort(members, (size_t)spec->n_trials, sizeof *members, compare_members);
    return SLAO_OK;
}

static bool has_all_final_scores(const slao_trial_outcome *trial, int64_t n_tasks) {
    for (int64_t i = 0; i < n_tasks; i++) {
        if (isnan(trial->final[i]))
            return false;
    }
    return true;
}

static void fill_order_row(order_row *row, const slao_outcome *outcome, const member *members,
                           int64_t n_members, slao_order_scores *orders) {
    const slao_trial *setting = &outcome->plan->spec->trials[members[0].trial];
    int64_t count = 0;
    for (int64_t i = 0; i < n_members; i++) {
        const slao_order *order = outcome->plan->spec->trials[members[i].trial].order;
        const slao_trial_outcome *trial = &outcome->trials[members[i].trial];
        if (has_all_final_scores(trial, order->n_tasks))
            orders[count++] = (slao_order_scores){order->n_tasks, order->tasks, trial->final};
    }
    slao_order_metrics metrics = slao_order_metrics_of(orders, count);
    *row = (order_row){
        .method = setting->method.method->name,
        .lambda = setting->lambda.text,
        .learning_rate = setting->train.learning_rate,
        .seed = setting->seed,
        .lora_rank = setting->lora.rank,
        .n_orders = count,
        .n_planned = n_members,
        .n_common = metrics.n_common,
        .mopd = metrics.mopd,
        .aopd = metrics.aopd,
        .aa_mean = metrics.aa_mean,
        .aa_sd = metrics.aa_sd,
    };
}

slao_status slao_results_write_orders(slao_h5 file, const slao_outcome *outcome) {
    const slao_spec *spec = outcome->plan->spec;
    size_t n = (size_t)spec->n_trials;
    member *members;
    slao_order_scores *orders;
    setting_table table;
    SLAO_TRY(slao_arena_take(outcome->arena, &members, n, sizeof *members));
    SLAO_TRY(slao_arena_take(outcome->arena, &orders, n, sizeof *orders));
    SLAO_TRY(setting_table_new(&table, spec, outcome->arena, order_columns, N_ORDER_COLUMNS,
                               sizeof(order_row), spec->n_trials));
    SLAO_TRY(sort_by_setting(spec, members));
    int64_t n_rows = 0, end;
    for (int64_t i = 0; i < spec->n_trials; i = end) {
        for (end = i + 1; end < spec->n_trials; end++) {
            if (!slao_hash_equal(members[i].setting, members[end].setting))
                break;
        }
        order_row *row = setting_table_row(&table, n_rows++, &spec->trials[members[i].trial]);
        fill_order_row(row, outcome, &members[i], end - i, orders);
    }
    return setting_table_write(&table, file, "/orders",
                               "A row per setting: how much the order of the tasks matters, over "
                               "the tasks that all its orders have; NaN below two orders.",
                               n_rows);
}
