/* The plan as the queue takes it: which steps a run runs, by what a store holds and what was asked
 * for. */
#ifndef SLAO_SWEEP_GRAPH_H
#define SLAO_SWEEP_GRAPH_H

#include "sweep/provenance.h"
#include "sweep/selection.h"
#include "sweep/store.h"

/* *graph, which the caller frees, is as plan->steps. `store` may be NULL: nothing is done. A record
 * that cannot be read is told of, and its step is not done; records of
 * another kind of machine than `machine` are told of (NULL: nobody asks). Costs are slao_work_of.
 */
slao_status slao_graph_new(slao_graph_step **graph, const slao_plan *plan, const slao_store *store,
                           const slao_selection *selection, const slao_machine *machine);

#endif
