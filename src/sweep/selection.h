/* Which steps of a plan one run runs: all that is not done, or the part of it that was asked for.
 *
 * --shard k/n: trials are put in the order of their trajectories, so that those which share work
 * are neighbours, and cut into n parts of about the same work that is not shared within the part.
 * What parts have in common each of them runs, unless they are run one after the other over one
 * store.
 *
 * --only failed, missing: the trials of which a step failed, and the other ones that are not done.
 * Without it, all; but a step that failed in an earlier run is not run again without `failed`: it
 * failed as often as it was to be tried.
 *
 * --fresh: what is chosen by the above runs as if it never had.
 */
#ifndef SLAO_SWEEP_SELECTION_H
#define SLAO_SWEEP_SELECTION_H

#include "sweep/plan.h"
#include "sweep/queue.h"

typedef struct {
    int64_t shard, shards; /* from 1, and how many; 0 of 0: all */
    bool failed, missing;  /* --only: neither means both, as said above */
    bool fresh;
} slao_selection;

/* Reads "2/8", and "failed,missing". */
slao_status slao_selection_read_shard(slao_selection *selection, const char *text);
slao_status slao_selection_read_only(slao_selection *selection, const char *text);

/* Chooses by `graph`, as plan->steps, in which cost, done and failed (of every step that did, in an
 * earlier run) are set. Sets left_out, and takes `done` and `failed` back where the step is to run.
 */
slao_status slao_selection_apply(const slao_selection *selection, const slao_plan *plan,
                                 slao_graph_step *graph);

#endif
