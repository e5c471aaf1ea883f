/* Benchmarks: tasks of (prompt, answer) examples read from disk in the layouts that published work
 * uses.
 *
 * A format is one row of a table (name, help, reader); the formats are `cl_benchmark` (O-LoRA, Wang
 * et al., 2023) and, in time, `superni`.
 */
#ifndef SLAO_DATA_BENCHMARK_H
#define SLAO_DATA_BENCHMARK_H

#include "base/hash.h"
#include "base/memory.h"

#include <stdint.h>

typedef struct {
    const char *format; /* "cl_benchmark" */
    const char *path;
    int64_t train_samples, test_samples,
        validation_samples; /* per task; 0 means all (validation: none) */
    int64_t sample_seed;
    bool answer_space; /* the answer is encoded with a leading space, the natural token after
                          "Answer:" */
} slao_benchmark_settings;

/* One example as text. The prompt comes in two parts so that a text too long for the model is cut
 * at the end of its sentence, never in the instruction or in the answer: head + sentence + tail,
 * then the answer. */
typedef struct {
    const char *head, *sentence,
        *tail;          /* "Task:TC\n...Option: World, ... \n", "...", "\nAnswer:" */
    const char *answer; /* " World" with answer_space */
} slao_example;

typedef struct {
    int64_t count;
    slao_example *examples; /* NUL-terminated texts in the task's arena */
} slao_examples;

typedef struct {
    const char *name, *group; /* "agnews", "TC" */
    int64_t n_labels;
    const char *const *labels; /* empty for free-form tasks */
    const char *score;         /* the score that fits the task by default: "exact" or "rouge_l" */
    slao_examples train, validation, test;
    int64_t
        unanswerable; /* test examples whose label is no label of the task: kept, counted wrong */
    slao_hash train_hash,
        test_hash; /* of the selected examples: everything that training or scoring reads */
    slao_arena *arena;
} slao_task;

/* Reads one task. Names are matched without regard to case and punctuation ("sst2" is "SST-2"); an
 * unknown one is SLAO_BAD_INPUT listing the nearest. Draws of samples follow a shuffle keyed by
 * (sample_seed, task name); validation samples come from the rest of train. Fewer examples than
 * asked for are all taken. */
slao_status slao_task_load(slao_task **task, const slao_benchmark_settings *settings,
                           const char *name);
void slao_task_free(slao_task *task); /* NULL is allowed */

/* The names of all tasks of the benchmark, sorted, as its folders spell them; the caller frees them
 * with slao_task_names_free. */
typedef struct {
    int64_t count;
    char **names;
} slao_task_names;
slao_status slao_task_names_load(slao_task_names *names, const slao_benchmark_settings *settings);
void slao_task_names_free(slao_task_names *names);

/* The name in `names` that `word` means (see slao_task_load), or NULL. */
const char *slao_task_names_find(const slao_task_names *names, const char *word);

/* NULL-terminated names of the formats, for help texts and messages. */
extern const char *const slao_benchmark_formats[];

#endif
