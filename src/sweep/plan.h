/* The sweep as a graph of steps with content keys.
 *
 *   fine-tune(1) ----> fine-tune(2) ----> fine-tune(3)     a trajectory: shared by all lambdas, its
 *        |                  |                  |           prefix by all orders that begin alike
 *        |---------------> merge(2) --------> merge(3)     one chain per schedule
 *        v                  v                  v
 *   evaluate x tasks   evaluate x tasks   evaluate x tasks
 *
 * That is SLAO; what its parts are for other methods is told in continual/method.h. A step's
 * parents are all steps whose results it reads, in this order:
 *
 *   fine-tune   in a sequence, the adapter that it starts from (fine-tuned, or merged under a start
 *               from the merged one; none for a fresh start); in a stack, the pairs of tasks 1 ..
 *               i-1
 *   merge       SLAO_MERGE_NEWEST: the merged adapter so far, the newest fine-tuned one (from task
 *               2 on: merging task 1 is the identity); SLAO_MERGE_ALL: the fine-tuned ones of tasks
 *               1 .. i
 *   evaluate    the adapters whose sum is evaluated: one, or all pairs of a stack; none for the
 *               untrained model
 *
 * A step's key is the hash of all that its result depends on: the numeric version of the code,
 * model and data by content, seed, the hyper-parameters it reads, and the keys of its parents. The
 * method's name is not in it, only how it trains and merges. Equal keys are one step; a key that is
 * in the store is not run again. Steps are ordered so that parents come before children.
 */
#ifndef SLAO_SWEEP_PLAN_H
#define SLAO_SWEEP_PLAN_H

#include "sweep/spec.h"

/* Raised whenever the numbers that a step computes change: old results are then never taken for new
 * ones. */
enum { SLAO_NUMERIC_VERSION = 10 };

typedef enum {
    SLAO_STEP_FINETUNE,
    SLAO_STEP_MERGE,
    SLAO_STEP_EVALUATE,
    SLAO_N_STEP_KINDS
} slao_step_kind;
const char *slao_step_kind_name(slao_step_kind kind); /* "finetune", "merge", "evaluate" */

typedef struct {
    slao_hash key;
    slao_step_kind kind;
    int64_t n_parents;
    const int64_t *parents; /* indices of steps, in the plan's arena */
    const slao_trial
        *trial;       /* one of those that need the step: its settings say all the step needs */
    int64_t position; /* of the adapter in the order, from 1; 0 for the untrained model */
    const char *task; /* trained on, merged in, or evaluated on; "a+b" where tasks are mixed */
    int64_t n_tasks;  /* 1, or how many are mixed */
    const char *const *tasks; /* their names, sorted */
    bool changed; /* fine-tune: as the trial's method has it from task 2 on (start, frozen factors,
                     what it comes on top of); otherwise from theta_0, both factors */
    bool ruled;   /* fine-tune: with the tuning rule of the trial's method, if it has one */
    int64_t shared_by; /* trials that use it */
} slao_step;

/* Does the step leave, beside its adapter, another one that is evaluated (continual/tuning.h)? */
bool slao_step_has_own_evaluation(const slao_step *step);

/* The initialisation rule of a fine-tune step. */
const slao_start_rule *slao_step_start(const slao_step *step);

/* Where a trial's results come from: indices of steps, or -1 where nothing was asked for. */
typedef struct {
    int64_t *adapters;  /* n_tasks: the step whose adapter is evaluated after task j+1; in a stack
                           the newest pair, on top of those before it */
    int64_t *finetunes; /* n_tasks: the fine-tune step of task j+1 */
    int64_t *accuracy;  /* n_tasks x n_tasks: row j after task j+1, column i-th task of the order */
    int64_t *base;      /* n_tasks: the untrained model */
    int64_t *individual; /* n_tasks: each task trained alone */
} slao_trial_steps;

/* The steps whose adapters, added up, the trial evaluates after its j-th task (1 for the first);
 * what is evaluated of each is its own adapter, or the one that slao_step_has_own_evaluation tells
 * of. Returns how many; 0: the method has nothing then. */
int64_t slao_trial_evaluated(const slao_trial *trial, const slao_trial_steps *steps, int64_t j,
                             const int64_t **adapters);

typedef struct {
    const slao_spec *spec;
    slao_hash model_hash;
    int64_t n_tasks;
    slao_task **tasks; /* every task that some order names, loaded */
    int64_t n_steps;
    slao_step *steps;
    slao_trial_steps *trials; /* as spec->trials */
    slao_arena *arena;
} slao_plan;

/* Loads the tasks and builds the graph. `model_hash` is slao_checkpoint_hash's. */
slao_status slao_plan_new(slao_plan **plan, const slao_spec *spec, slao_hash model_hash);
/* The same of tasks that are given (every task that some order names), which need no examples: only
 * their hashes are in the keys. The array stays the caller's, the tasks become the plan's, also
 * after a failure. */
slao_status slao_plan_new_of(slao_plan **plan, const slao_spec *spec, slao_hash model_hash,
                             slao_task *const *tasks, int64_t n_tasks);
void slao_plan_free(slao_plan *plan); /* NULL is allowed */

/* NULL if no order names the task. */
const slao_task *slao_plan_task(const slao_plan *plan, const char *name);

#endif
