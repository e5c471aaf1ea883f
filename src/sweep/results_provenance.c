#include "sweep/results_parts.h"

#include <string.h>

/* --- /provenance --- */

#define ORIGIN(member) offsetof(slao_step_origin, member)
static const slao_h5_column origin_columns[] = {
    {"version", SLAO_H5_TEXT, ORIGIN(version), "of slao"},
    {"commit", SLAO_H5_TEXT, ORIGIN(commit),
     "of the source that slao was built from; +dirty: with changes beside it"},
    {"numeric_version", SLAO_H5_INTEGER, ORIGIN(numeric_version),
     "raised whenever the numbers that steps compute change"},
    {"mpi", SLAO_H5_TEXT, ORIGIN(mpi), "library and version"},
    {"blas", SLAO_H5_TEXT, ORIGIN(blas), "library, version and kernel"},
    {"hdf5", SLAO_H5_TEXT, ORIGIN(hdf5), "library and version"},
    {"cpu", SLAO_H5_TEXT, ORIGIN(cpu), "model, and the vector level that slao used"},
    {"machine", SLAO_H5_TEXT, ORIGIN(machine),
     "what the last bits of results may depend on: BLAS kernel and vector level"},
    {"threads", SLAO_H5_INTEGER, ORIGIN(threads), "that a rank computed on"},
    {"host", SLAO_H5_TEXT, ORIGIN(host), "name of the host"},
    {"steps", SLAO_H5_INTEGER, ORIGIN(n_steps), "steps that ran with it"},
};

slao_status slao_results_write_provenance(slao_h5 file, const slao_outcome *outcome) {
    return slao_h5_write_table(file, "/provenance",
                               "A row per program, machine and host that steps ran with; empty, or "
                               "-1, where the record of "
                               "a step does not tell.",
                               origin_columns, sizeof origin_columns / sizeof *origin_columns,
                               outcome->origins, sizeof *outcome->origins, outcome->n_origins);
}

/* --- /inputs --- */

typedef struct {
    const char *input, *task, *hash;
    int64_t examples;
} input_row;

#define INPUT(member) offsetof(input_row, member)
static const slao_h5_column input_columns[] = {
    {"input", SLAO_H5_TEXT, INPUT(input),
     "model (weights and config), tokenizer, or a task's train, validation or test"},
    {"task", SLAO_H5_TEXT, INPUT(task), "name of the task, or empty"},
    {"hash", SLAO_H5_TEXT, INPUT(hash),
     "of the content: of the examples that were drawn, in order"},
    {"examples", SLAO_H5_INTEGER, INPUT(examples), "how many were drawn; 0 of model and tokenizer"},
};

static slao_status add_input(input_row **end, slao_arena *arena, const char *input,
                             const char *task, slao_hash hash, int64_t examples) {
    char *text;
    SLAO_TRY(slao_arena_take(arena, &text, SLAO_HASH_TEXT, 1));
    slao_hash_to_text(hash, text);
    *(*end)++ = (input_row){input, task, text, examples};
    return SLAO_OK;
}

slao_status slao_results_write_inputs(slao_h5 file, const slao_outcome *outcome,
                                      const slao_inputs *inputs) {
    const slao_plan *plan = outcome->plan;
    slao_arena *arena = outcome->arena;
    input_row *rows, *end;
    SLAO_TRY(slao_arena_take(arena, &rows, 2 + 3 * (size_t)plan->n_tasks, sizeof *rows));
    end = rows;
    SLAO_TRY(add_input(&end, arena, "model", "", inputs->model, 0));
    SLAO_TRY(add_input(&end, arena, "tokenizer", "", inputs->tokenizer, 0));
    for (int64_t i = 0; i < plan->n_tasks; i++) {
        const slao_task *task = plan->tasks[i];
        SLAO_TRY(add_input(&end, arena, "train", task->name, task->train_hash, task->train.count));
        if (task->validation.count > 0)
            SLAO_TRY(add_input(&end, arena, "validation", task->name, task->validation_hash,
                               task->validation.count));
        SLAO_TRY(add_input(&end, arena, "test", task->name, task->test_hash, task->test.count));
    }
    return slao_h5_write_table(file, "/inputs", "A row per input of the sweep, by its content.",
                               input_columns, sizeof input_columns / sizeof *input_columns, rows,
                               sizeof *rows, end - rows);
}
