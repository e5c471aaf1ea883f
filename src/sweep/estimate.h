/* What a run would take: steps, tokens, time, memory, disk. For `slao plan` and `slao sweep
 * --dry-run`. */
#ifndef SLAO_SWEEP_ESTIMATE_H
#define SLAO_SWEEP_ESTIMATE_H

#include "sweep/footprint.h"
#include "sweep/speed.h"

typedef struct {
    int64_t steps[SLAO_N_STEP_KINDS];
    int64_t examples_trained, examples_scored; /* in all epochs */
    int64_t tokens_trained, tokens_scored;     /* the same, as if no prefix were shared */
} slao_estimate_work;

typedef struct {
    slao_estimate_work without, with; /* sharing: of the whole sweep */
    slao_estimate_work done, left;    /* of the part that this run is asked for */
    int64_t ranks, groups;            /* groups: of ranks_per_trial ranks, that run steps */
    slao_speed speed;
    /* Seconds, NaN where no speed is known; the time in which the model and the data are read is
     * not in them. `seconds` is what the schedule takes, `work_seconds` the sum over all steps,
     * `longest_seconds` the longest chain of steps that wait for one another. */
    double seconds, work_seconds, longest_seconds;
    double speed_up; /* at most, by the longest chain and by the ranks that are in groups */
    slao_footprint memory;
    double node_bytes; /* memory of a node that has all the ranks */
    double disk_bytes; /* that what is left adds to the store, and the results file */
} slao_estimate;

/* `store` may be NULL: none is there. `selection`: the part that is asked for. All that steps read
 * is tokenised, so what cannot be used is SLAO_BAD_INPUT here. */
slao_status slao_estimate_make(slao_estimate *estimate, const slao_study *study,
                               const slao_store *store, const slao_selection *selection,
                               int64_t ranks);

#endif
