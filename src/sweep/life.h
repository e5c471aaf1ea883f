/* Signs of life: every rank tells rank 0 every second that it lives and what it does, and rank 0
 * tells every rank that it does.
 *
 * MPI reports a rank that was killed, or a host that is gone, in some ways of running only, and a
 * cut link never; so silence is what tells. It is measured from the last sign, and not over a time
 * in which this process itself stood still (suspended with its job). After a lease of silence
 * (sweep/lease.h)
 *
 *   - a rank that misses rank 0 lets its step stop where that can be gone on from, and leaves;
 *   - rank 0 tells the coordinator of a rank that it misses (sweep/coordinator.h); outside of a
 *     crew's run, where all ranks wait for one another, it says so and ends the job.
 *
 * A thread of each rank does this from slao_ranks_start to slao_ranks_finish. It also passes on
 * rank 0's word that all ranks shall stop what runs.
 */
#ifndef SLAO_SWEEP_LIFE_H
#define SLAO_SWEEP_LIFE_H

#include "base/status.h"

#include <stdint.h>

struct slao_ranks;
typedef struct slao_life slao_life;

/* By slao_ranks_start and slao_ranks_finish. */
slao_status slao_life_start(slao_life **life, struct slao_ranks *ranks);
void slao_life_stop(slao_life *life); /* NULL is allowed */

/* What this rank does: `at` of `of` units of work of a step (-1: of none). From any thread. */
void slao_life_tell(slao_life *life, int64_t step, int64_t at, int64_t of);

/* Rank 0: what it last heard of a rank. */
typedef struct {
    double silence; /* seconds since then */
    int64_t step, at, of;
} slao_sign;
slao_sign slao_life_sign(slao_life *life, int rank);
double slao_life_lease(const slao_life *life);

/* Between these two the coordinator looks after lost ranks. */
void slao_life_enter_crew(slao_life *life);
void slao_life_leave_crew(slao_life *life);

/* Rank 0: from now on all ranks are asked to drain (sweep/drain.h). */
void slao_life_halt(slao_life *life);

#endif
