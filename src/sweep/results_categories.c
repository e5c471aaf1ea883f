#include "sweep/results_parts.h"

#include <string.h>

/* --- /categories --- */

typedef struct {
    const char *trial, *category;
    int64_t n_tasks, examples;
    slao_metrics metrics;
} category_row;

#define CELL(member) offsetof(category_row, member)
static const slao_h5_column columns[] = {
    {"trial", SLAO_H5_TEXT, CELL(trial), "id of the trial"},
    {"category", SLAO_H5_TEXT, CELL(category),
     "kind of task: SuperNI's category, CL_Benchmark's group"},
    {"n_tasks", SLAO_H5_INTEGER, CELL(n_tasks), "tasks of the order that are of it"},
    {"examples", SLAO_H5_INTEGER, CELL(examples), "their test examples"},
    {"AA", SLAO_H5_REAL, CELL(metrics.aa), "mean final score of these tasks"},
    {"AA_micro", SLAO_H5_REAL, CELL(metrics.aa_micro), "the same, weighted by test examples"},
    {"BWT", SLAO_H5_REAL, CELL(metrics.bwt), "backward transfer on these tasks"},
    {"FWT", SLAO_H5_REAL, CELL(metrics.fwt), "forward transfer to these tasks"},
    {"fwt_individual", SLAO_H5_REAL, CELL(metrics.fwt_individual),
     "score right after training - score when trained alone, mean of these tasks"},
    {"forgetting", SLAO_H5_REAL, CELL(metrics.forgetting),
     "best score before the end - final score"},
    {"intransigence", SLAO_H5_REAL, CELL(metrics.intransigence),
     "score when trained alone - score right after training"},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

typedef struct {
    slao_arena *arena;
    category_row *rows;
    int64_t count;
} category_rows;

/* A row for the category of the trial's task `first`, unless an earlier task is of it too. */
static slao_status add_category(category_rows *rows, const slao_outcome *outcome, int64_t index,
                                int64_t first) {
    const slao_trial *trial = &outcome->plan->spec->trials[index];
    const slao_trial_outcome *result = &outcome->trials[index];
    const slao_order *order = trial->order;
    const char *category = slao_plan_task(outcome->plan, order->tasks[first])->group;
    bool *counted;
    slao_arena_mark mark = slao_arena_here(rows->arena);
    SLAO_TRY(slao_arena_take(rows->arena, &counted, (size_t)order->n_tasks, sizeof *counted));
    category_row row = {.trial = trial->id, .category = category};
    for (int64_t i = 0; i < order->n_tasks; i++) {
        counted[i] = strcmp(slao_plan_task(outcome->plan, order->tasks[i])->group, category) == 0;
        if (counted[i] && i < first)
            goto done;
        row.n_tasks += counted[i];
        row.examples += counted[i] ? result->examples[i] : 0;
    }
    row.metrics = slao_metrics_of(&(slao_scores){
        .n_tasks = order->n_tasks,
        .scores = result->accuracy,
        .base = result->base,
        .individual = result->individual,
        .examples = result->examples,
        .counted = counted,
        .diagonal = result->diagonal,
    });
    rows->rows[rows->count++] = row;
done:
    slao_arena_return(rows->arena, mark);
    return SLAO_OK;
}

slao_status slao_results_write_categories(slao_h5 file, const slao_outcome *outcome) {
    const slao_spec *spec = outcome->plan->spec;
    category_rows rows = {.arena = outcome->arena};
    size_t most = 0;
    slao_arena_mark mark = slao_arena_here(outcome->arena);
    for (int64_t i = 0; i < spec->n_trials; i++)
        most += (size_t)spec->trials[i].order->n_tasks;
    SLAO_TRY(slao_arena_take(outcome->arena, &rows.rows, most, sizeof *rows.rows));
    for (int64_t i = 0; i < spec->n_trials; i++) {
        for (int64_t first = 0; first < spec->trials[i].order->n_tasks; first++)
            SLAO_TRY(add_category(&rows, outcome, i, first));
    }
    SLAO_TRY(slao_h5_write_table(file, "/categories",
                                 "A row per trial and category of its tasks: the metrics of "
                                 "/trials over these tasks alone; NaN where undefined.",
                                 columns, N_COLUMNS, rows.rows, sizeof *rows.rows, rows.count));
    slao_arena_return(outcome->arena, mark);
    return SLAO_OK;
}
