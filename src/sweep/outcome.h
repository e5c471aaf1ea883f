/* What came of a plan: of each step, as its record tells, and of each trial, put together from its
 * steps.
 *
 * Records are looked for in one store or several (the shards of a sweep), in the order given; the
 * first that has a step's record counts. Nothing here runs or writes anything.
 */
#ifndef SLAO_SWEEP_OUTCOME_H
#define SLAO_SWEEP_OUTCOME_H

#include "continual/metrics.h"
#include "sweep/plan.h"
#include "sweep/store.h"

/* The numbers of a list, or of a list of equally long lists, row-major; null is NaN. A list gives
 * one column. */
typedef struct {
    int64_t rows, columns;
    double *values;
} slao_record_array;

typedef struct {
    bool recorded;       /* its record is in a store; nothing below means anything otherwise */
    bool failed;         /* no record, but a log of why it failed */
    const char *started; /* ISO 8601, UTC */
    int64_t mpi_rank, tokens;
    double seconds;
    double state_bytes, peak_memory_bytes; /* NaN where the record has none */
    double lambda, distance;               /* likewise */
    const char *adapter_hash;              /* "" where the step leaves no adapter */
    double score, token_exact;             /* of an evaluation; NaN otherwise */
    int64_t examples;
    int64_t seed;              /* -1 where nothing is drawn */
    int64_t origin;            /* which of the outcome's */
    slao_record_array *arrays; /* for slao_outcome_array */
} slao_step_outcome;

/* What computed steps: those with all of this the same have one origin. "" or -1 where a record
 * does not tell. */
typedef struct {
    const char *host, *version, *commit, *mpi, *blas, *hdf5, *cpu, *machine;
    int64_t numeric_version, threads;
    int64_t n_steps;
} slao_step_origin;

typedef struct {
    /* "done": every step that the trial needs has its record; "failed": some has none but the log
     * of a failure; "partial": some have none; "missing": all of them. */
    const char *status;
    double *accuracy, *token_exact; /* n_tasks x n_tasks, NaN where not evaluated */
    double *base, *individual;      /* n_tasks */
    int64_t *examples;              /* n_tasks, test examples; 0 if no evaluation tells */
    double *final;                  /* n_tasks: the final scores that AA averages */
    bool diagonal;                  /* each task was trained by itself (metrics.h) */
    int64_t
        trained_as; /* the first trial with the same fine-tune steps: an earlier one, or itself */
    slao_metrics metrics;
    /* Over the trial's own steps: its fine-tuning, merges and the evaluations of its matrix, not
     * the references (untrained model, individual runs). A step that several trials share counts in
     * each of them. */
    double train_seconds, eval_seconds;
    int64_t train_tokens;
    double state_bytes, peak_memory_bytes; /* the largest of any own step; NaN if none tells */
} slao_trial_outcome;

typedef struct {
    const slao_plan *plan;
    const slao_store *const *stores;
    int64_t n_stores;
    slao_step_outcome *steps;   /* as plan->steps */
    slao_trial_outcome *trials; /* as plan->trials */
    int64_t n_origins;
    size_t origins_capacity;
    slao_step_origin *origins;
    slao_arena *arena;
} slao_outcome;

/* Reads each record once, and keeps of it what the results file shows. One that is damaged or lacks
 * what its kind must have is SLAO_BAD_INPUT. The plan and the stores must outlive the outcome. */
slao_status slao_outcome_new(slao_outcome **outcome, const slao_plan *plan,
                             const slao_store *const *stores, int64_t n_stores);
void slao_outcome_free(slao_outcome *outcome); /* NULL is allowed */

/* The numbers at `key` of the record of a step: "loss", "extra_loss", "orthogonality",
 * "interference_a", "interference_b", "gradient_a", "gradient_b", "distance_from_start",
 * "loss_change", "loss_change_predicted" and "linearisation_error" of the fine-tune steps of
 * trials, "lambda_by_layer" of the steps whose adapters are evaluated, "example_scores" of final
 * evaluations. An absent key, a null in place of the list, no record, or no step (-1), gives no
 * rows. */
slao_record_array slao_outcome_array(const slao_outcome *outcome, int64_t step, const char *key);

/* The evaluation of the i-th task that is the trial's final one; -1 if none was asked for. */
int64_t slao_outcome_final_step(const slao_plan *plan, int64_t trial, int64_t task);

#endif
