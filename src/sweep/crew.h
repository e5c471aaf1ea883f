/* The crew: all ranks together run one graph of steps. This is how the pieces fit together:
 *
 *                       rank 0                            rank 1 ...
 *   listener <-- coordinator <---- protocol ----> worker --> runner
 *   (journal,    (a thread, with       ^                       |
 *    progress)    the queue)           '--> worker --> runner  |
 *                                                        |     |
 *                               store (shared files) <---'-----'
 */
#ifndef SLAO_SWEEP_CREW_H
#define SLAO_SWEEP_CREW_H

#include "sweep/coordinator.h"
#include "sweep/worker.h"

/* Collective. The graph, the listener and the limits (NULL: none) are rank 0's; the other ranks'
 * are not looked at. Returns the same on all ranks, with the message on rank 0 alone (as
 * slao_ranks_agree): see slao_coordinator_finish. Sets ranks->some_lost. */
slao_status slao_crew_run(slao_ranks *ranks, const slao_graph_step *steps, int64_t n_steps,
                          const slao_runner *runner, slao_listener listener,
                          const slao_crew_limits *limits);

#endif
