/* The coordinator: hands the steps of a graph to the workers of all groups and hears what became of
 * them. It is a thread of rank 0 beside that rank's own worker, and asleep nearly always.
 *
 * A failed step is tried again max_retries times, then it fails its descendants, and those only. A
 * step that fails for want of a resource (SLAO_NO_RESOURCE) and a failing listener stop the handing
 * out: what runs is finished and heard of. A request to drain (sweep/drain.h, on any rank) and the
 * deadline stop what runs, too, where it can be gone on from. Before the deadline nothing is
 * started that would not end in time, by the speed of the run so far, unless it can be stopped.
 *
 * A rank that is silent for a lease (sweep/life.h) is lost, and its step is ready again. If mpirun
 * was told to go on without it (--enable-recovery) the others go on, and it may come back;
 * otherwise the run ends. A step under which three ranks were lost has failed. Results never depend
 * on who ran what.
 */
#ifndef SLAO_SWEEP_COORDINATOR_H
#define SLAO_SWEEP_COORDINATOR_H

#include "sweep/event.h"
#include "sweep/ranks.h"

typedef struct slao_coordinator slao_coordinator;

typedef struct {
    int64_t max_retries;
    double deadline; /* by the clock of slao_seconds; 0: none */
} slao_crew_limits;

/* On rank 0; `ranks`, the graph and what the listener needs must outlive it. */
slao_status slao_coordinator_start(slao_coordinator **coordinator, const slao_ranks *ranks,
                                   const slao_graph_step *steps, int64_t n_steps,
                                   slao_listener listener, const slao_crew_limits *limits);

/* Waits for the end of the run and releases the coordinator. SLAO_OK if every step is done;
 * otherwise with a message: what stopped the run, SLAO_DRAINED if steps are left for the next time,
 * SLAO_FAILED if some failed, SLAO_BROKEN if the loss of ranks ended it. *some_lost: ranks are lost
 * at the end. */
slao_status slao_coordinator_finish(slao_coordinator *coordinator, bool *some_lost);

#endif
