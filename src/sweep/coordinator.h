/* The coordinator: hands the steps of a graph to the workers of all groups and hears what became of
 * them. It is a thread of rank 0 beside that rank's own worker, and asleep nearly always.
 *
 * A failed step fails its descendants only. A step that fails for want of a resource
 * (SLAO_NO_RESOURCE), a failing listener and a request to drain (sweep/drain.h, on any rank) stop
 * the handing out: what runs is finished and heard of. Results never depend on who ran what.
 */
#ifndef SLAO_SWEEP_COORDINATOR_H
#define SLAO_SWEEP_COORDINATOR_H

#include "sweep/event.h"
#include "sweep/ranks.h"

typedef struct slao_coordinator slao_coordinator;

/* On rank 0; `ranks` and what the listener needs must outlive it. The graph is copied. */
slao_status slao_coordinator_start(slao_coordinator **coordinator, const slao_ranks *ranks,
                                   const slao_graph_step *steps, int64_t n_steps,
                                   slao_listener listener);

/* Waits for the end of the run and releases the coordinator. SLAO_OK if every step is done;
 * otherwise with a message: what stopped the run, SLAO_DRAINED if steps are left for the next time,
 * SLAO_FAILED if some failed. */
slao_status slao_coordinator_finish(slao_coordinator *coordinator);

#endif
