/* The worker of a rank: asks the coordinator for steps, runs them, and says what became of them. In
 * a group (sweep/group.h) the first rank does that, and the other members run what it runs. */
#ifndef SLAO_SWEEP_WORKER_H
#define SLAO_SWEEP_WORKER_H

#include "sweep/ranks.h"

typedef struct {
    int64_t tokens; /* trained on, or evaluated */
} slao_step_cost;

/* How a step is run: by training and evaluating a model, or by a dummy that tests the scheduling.
 * Before `run` returns SLAO_OK the step's results must be in the store, for the next step may run
 * on another host. A failure's message goes to the coordinator. All members of a group run it, each
 * by its own runner, but what the first one returns is what counts. While
 * slao_drain_requested (sweep/drain.h), a long step returns SLAO_DRAINED as soon as running it
 * again costs little. */
typedef struct {
    void *context;
    slao_status (*run)(void *context, int64_t step, slao_step_cost *cost);
} slao_runner;

/* Works until the coordinator says stop; returns how the whole run ended, without a message. */
slao_status slao_worker_run(slao_ranks *ranks, const slao_runner *runner);

#endif
