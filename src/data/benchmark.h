/* Benchmarks: tasks of (prompt, answer) examples read from disk in the layouts that published work
 * uses.
 *
 * A format is one row of a table (name, layout, finder, reader; data/format.h) and one file:
 *
 *   cl_benchmark   classification in the layout of O-LoRA (Wang et al., 2023; data/cl_benchmark.c)
 *   superni        free-form tasks of Super-NaturalInstructions (data/superni.c)
 *
 * Samples. Each split is shuffled by a stream keyed by (sample_seed, split, task name), never by a
 * trial's seed, and the first ones are taken: a smaller sample is the beginning of a larger one.
 * Validation samples are the train examples that follow the train samples in the shuffle. Fewer
 * examples than asked for are all taken; validation goes first then, so that it never overlaps with
 * what is trained on, and is refused if it would leave nothing to train on. The test split is
 * never drawn from for anything but testing.
 */
#ifndef SLAO_DATA_BENCHMARK_H
#define SLAO_DATA_BENCHMARK_H

#include "base/hash.h"
#include "base/memory.h"

#include <stdint.h>

typedef struct {
    const char *format; /* a name from slao_benchmark_formats */
    const char *path;
    int64_t train_samples, test_samples,
        validation_samples; /* per task; 0 means all (validation: none) */
    int64_t sample_seed;
    bool answer_space; /* the answer is encoded with a leading space, the natural token after
                          "Answer:"; means nothing where the prompt itself ends in a space */
} slao_benchmark_settings;

/* One example as text. The prompt comes in two parts so that a text too long for the model is cut
 * at the end of its sentence, never in the instruction or in the answer: head + sentence + tail,
 * then the answer. */
typedef struct {
    const char *head, *sentence,
        *tail;            /* "Task:TC\n...Option: World, ... \n", "...", "\nAnswer:" */
    const char *answer;   /* what is trained on: the first reference; " World" with answer_space */
    int64_t n_references; /* all that count as right: labels have one, free-form answers may have
                             several */
    const char *const *references;
} slao_example;

typedef struct {
    int64_t count;
    slao_example *examples; /* NUL-terminated texts in the task's arena */
} slao_examples;

typedef struct {
    const char *name, *group; /* "agnews", "TC"; SuperNI's group is its category */
    int64_t n_labels;
    const char *const *labels;  /* empty for free-form tasks */
    const char *const *answers; /* the labels as they are answered: with answer_space " World" */
    const char *score;          /* the score that fits the task by default: "exact" or "rouge_l" */
    slao_examples train, validation, test;
    int64_t
        unanswerable; /* test examples whose label is no label of the task: kept, counted wrong */
    slao_hash train_hash; /* of the selected examples in their order: all that training reads */
    slao_hash validation_hash; /* the same of the validation examples */
    slao_hash
        test_hash; /* the same of the test examples with their references, and of the labels */
    slao_arena *arena;
} slao_task;

/* Reads one task and draws its samples. Names are matched without regard to case and punctuation
 * ("sst2" is "SST-2"); an unknown one is SLAO_BAD_INPUT with the nearest and all there are. Files
 * that are missing, no JSON, of another shape or empty, and a train label that is not in
 * labels.json, are SLAO_BAD_INPUT naming the file and the example, counted from 0. */
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
