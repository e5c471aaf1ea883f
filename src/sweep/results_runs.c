#include "sweep/results_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- /accuracy --- */

typedef struct {
    const char *trial, *task;
    int64_t after, examples, unanswerable;
    double score, token_exact;
} accuracy_row;

#define CELL(member) offsetof(accuracy_row, member)
static const slao_h5_column accuracy_columns[] = {
    {"trial", SLAO_H5_TEXT, CELL(trial), "id of the trial"},
    {"after", SLAO_H5_INTEGER, CELL(after), "tasks trained before; 0: the untrained model"},
    {"task", SLAO_H5_TEXT, CELL(task), "task evaluated on"},
    {"score", SLAO_H5_REAL, CELL(score), "fraction"},
    {"examples", SLAO_H5_INTEGER, CELL(examples), "test examples"},
    {"token_exact", SLAO_H5_REAL, CELL(token_exact),
     "fraction of examples whose greedy tokens are those of the reference; NaN where not recorded"},
    {"unanswerable", SLAO_H5_INTEGER, CELL(unanswerable),
     "test examples whose label is no label of the task: no answer is right, and they count as "
     "wrong"},
};
enum { N_ACCURACY_COLUMNS = sizeof accuracy_columns / sizeof *accuracy_columns };

typedef struct {
    accuracy_row *rows;
    size_t capacity;
    int64_t count;
} accuracy_rows;

/* Appends the cells of one row of a matrix that were evaluated. */
static slao_status add_cells(accuracy_rows *rows, const slao_outcome *outcome, int64_t index,
                             int64_t after) {
    const slao_trial *trial = &outcome->plan->spec->trials[index];
    const slao_trial_outcome *result = &outcome->trials[index];
    int64_t n = trial->order->n_tasks;
    for (int64_t i = 0; i < n; i++) {
        double score = after ? result->accuracy[(after - 1) * n + i] : result->base[i];
        if (isnan(score))
            continue;
        SLAO_TRY(
            slao_grow(&rows->rows, &rows->capacity, (size_t)rows->count + 1, sizeof *rows->rows));
        rows->rows[rows->count++] = (accuracy_row){
            .trial = trial->id,
            .task = trial->order->tasks[i],
            .after = after,
            .examples = result->examples[i],
            .unanswerable = slao_plan_task(outcome->plan, trial->order->tasks[i])->unanswerable,
            .score = score,
            .token_exact = after ? result->token_exact[(after - 1) * n + i] : NAN,
        };
    }
    return SLAO_OK;
}

slao_status slao_results_write_accuracy(slao_h5 file, const slao_outcome *outcome) {
    const slao_spec *spec = outcome->plan->spec;
    accuracy_rows rows = {0};
    slao_status status;
    for (int64_t k = 0; k < spec->n_trials; k++) {
        for (int64_t after = 0; after <= spec->trials[k].order->n_tasks; after++)
            SLAO_TRY_GOTO(status, add_cells(&rows, outcome, k, after), done);
    }
    SLAO_TRY_GOTO(status,
                  slao_h5_write_table(file, "/accuracy",
                                      "A row per evaluated cell of the trials' accuracy matrices.",
                                      accuracy_columns, N_ACCURACY_COLUMNS, rows.rows,
                                      sizeof *rows.rows, rows.count),
                  done);
done:
    free(rows.rows);
    return status;
}

/* --- /steps --- */

typedef struct {
    const char *key, *parent, *kind, *task, *started, *host;
    double seconds, state_bytes;
    int64_t tokens, mpi_rank, shared_by, seed, provenance;
} step_row;

#define STEP(member) offsetof(step_row, member)
static const slao_h5_column step_columns[] = {
    {"key", SLAO_H5_TEXT, STEP(key), "hash of all that its result depends on"},
    {"parent", SLAO_H5_TEXT, STEP(parent), "keys of the steps that it reads, joined by commas"},
    {"kind", SLAO_H5_TEXT, STEP(kind), "finetune, merge or evaluate"},
    {"task", SLAO_H5_TEXT, STEP(task), "task trained on, merged in, or evaluated on"},
    {"started", SLAO_H5_TEXT, STEP(started), "time, ISO 8601 in UTC"},
    {"seconds", SLAO_H5_REAL, STEP(seconds), "time it took, in s"},
    {"tokens", SLAO_H5_INTEGER, STEP(tokens), "tokens processed, without padding"},
    {"mpi_rank", SLAO_H5_INTEGER, STEP(mpi_rank), "rank that ran it"},
    {"host", SLAO_H5_TEXT, STEP(host), "host that ran it"},
    {"state_bytes", SLAO_H5_REAL, STEP(state_bytes),
     "state kept for the next task, in bytes; NaN where not recorded"},
    {"shared_by", SLAO_H5_INTEGER, STEP(shared_by), "trials that use it"},
    {"seed", SLAO_H5_INTEGER, STEP(seed), "of all that it draws; -1 of an evaluation"},
    {"provenance", SLAO_H5_INTEGER, STEP(provenance),
     "row of /provenance, from 0: program, libraries and machine that it ran with"},
};
enum { N_STEP_COLUMNS = sizeof step_columns / sizeof *step_columns };

static slao_status key_text(slao_arena *arena, slao_hash key, const char **text) {
    char *copy;
    SLAO_TRY(slao_arena_take(arena, &copy, SLAO_HASH_TEXT, 1));
    slao_hash_to_text(key, copy);
    *text = copy;
    return SLAO_OK;
}

static slao_status parent_text(slao_arena *arena, const slao_plan *plan, const slao_step *step,
                               const char **text) {
    char *copy;
    SLAO_TRY(
        slao_arena_take(arena, &copy, (size_t)step->n_parents * (size_t)SLAO_HASH_TEXT + 1, 1));
    *text = copy;
    *copy = '\0';
    for (int64_t i = 0; i < step->n_parents; i++) {
        copy = stpcpy(copy, i ? "," : "");
        slao_hash_to_text(plan->steps[step->parents[i]].key, copy);
        copy += SLAO_HASH_TEXT - 1;
    }
    return SLAO_OK;
}

slao_status slao_results_write_steps(slao_h5 file, const slao_outcome *outcome) {
    const slao_plan *plan = outcome->plan;
    step_row *rows;
    int64_t count = 0;
    SLAO_TRY(slao_arena_take(outcome->arena, &rows, (size_t)plan->n_steps, sizeof *rows));
    for (int64_t i = 0; i < plan->n_steps; i++) {
        const slao_step *step = &plan->steps[i];
        const slao_step_outcome *ran = &outcome->steps[i];
        if (!ran->recorded)
            continue;
        step_row *row = &rows[count++];
        *row = (step_row){
            .kind = slao_step_kind_name(step->kind),
            .task = step->task,
            .started = ran->started,
            .host = outcome->origins[ran->origin].host,
            .seed = ran->seed,
            .provenance = ran->origin,
            .seconds = ran->seconds,
            .state_bytes = ran->state_bytes,
            .tokens = ran->tokens,
            .mpi_rank = ran->mpi_rank,
            .shared_by = step->shared_by,
        };
        SLAO_TRY(key_text(outcome->arena, step->key, &row->key));
        SLAO_TRY(parent_text(outcome->arena, plan, step, &row->parent));
    }
    return slao_h5_write_table(file, "/steps", "A row per step that ran; parents come first.",
                               step_columns, N_STEP_COLUMNS, rows, sizeof *rows, count);
}
