/* A sweep's spec file, read and checked to the last key, and the trials it asks for.
 *
 * Every error names the file, the key's path and the nearest valid name. Settings are resolved in
 * this order: defaults, the file, presets and --set in the order given. Then the axes of `sweep`
 * are crossed; combinations that differ only where an axis means nothing (lambda for SeqLoRA) count
 * once.
 */
#ifndef SLAO_SWEEP_SPEC_H
#define SLAO_SWEEP_SPEC_H

#include "adapter/lora.h"
#include "adapter/schedule.h"
#include "base/json.h"
#include "continual/method.h"
#include "data/benchmark.h"
#include "learn/settings.h"
#include "model/model.h"

typedef struct {
    int64_t n_tasks;
    const char *const *tasks; /* as the benchmark spells them */
    const char *name;         /* "O4", or "" */
} slao_order;

enum { SLAO_TRIAL_ID = 13 };

/* One cell of the sweep. All texts belong to the spec. */
typedef struct {
    char id[SLAO_TRIAL_ID]; /* 12 hex digits: hash of the settings below; no paths, no names of
                               files */
    slao_method_choice method;
    const slao_order *order;
    slao_schedule lambda; /* text is "" where it means nothing */
    int64_t seed;
    slao_lora_settings lora;
    slao_train_settings train;
    const char *const *extra; /* canonical text per extra column, "" where it does not apply */
} slao_trial;

typedef struct {
    const char *name;
    const char *text;     /* the resolved spec as JSON, ${VARIABLES} as they were written: what the
                             results file keeps */
    const char *expanded; /* the same with their values: what runs */
    const char *model;    /* path */
    slao_weights weights;
    slao_precision precision; /* `matmul_precision` */
    slao_benchmark_settings benchmark;
    const slao_task_names *names; /* of the benchmark's tasks, if they are known without its folder;
                                     else NULL */
    slao_score_settings score;
    bool evaluate_every_task; /* `when`: every_task, or end */
    bool evaluate_all_tasks;  /* `tasks`: all, or seen */
    bool reference_base, reference_individual;
    int64_t ranks_per_trial;
    const char *store; /* path, or NULL for the default beside the results file */
    int64_t n_orders;
    slao_order *orders;
    int64_t n_skipped;
    const char *const
        *skipped; /* tasks of orders that the benchmark lacks, under missing_tasks: skip */
    int64_t n_extra;
    const char *const
        *extra_columns; /* swept keys beyond the standard ones, by dotted path: "lora.alpha" */
    int64_t n_trials;
    slao_trial *trials; /* sorted by id */
    cJSON *tree;        /* what `expanded` is printed from: texts above may lie in it */
    slao_arena *arena;
} slao_spec;

/* `settings` are the arguments of --set ("train.epochs=2", "preset=small"), in order. */
slao_status slao_spec_load(slao_spec **spec, const char *path, const char *const *settings,
                           int64_t n_settings);

/* The same from text (a rank that got spec->expanded from another one); relative paths count from
 * `folder`, and stay relative in spec->text. */
slao_status slao_spec_parse(slao_spec **spec, const char *text, const char *name,
                            const char *folder, const char *const *settings, int64_t n_settings);

/* The same of a sweep that was run, whose model and benchmark need not be there any more: `names`
 * are those of the benchmark's tasks, borrowed, and `written` what spec->text was. */
slao_status slao_spec_parse_again(slao_spec **spec, const char *expanded, const char *written,
                                  const char *name, const char *folder,
                                  const slao_task_names *names);

/* The same with another table of methods than slao_methods. */
slao_status slao_spec_parse_with(slao_spec **spec, const char *text, const char *name,
                                 const char *folder, const char *const *settings,
                                 int64_t n_settings, const slao_method *methods);
void slao_spec_free(slao_spec *spec); /* NULL is allowed */

#endif
