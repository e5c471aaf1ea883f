#include "sweep/crew.h"

#include "sweep/coordinator.h"

slao_status slao_crew_run(const slao_ranks *ranks, const slao_graph_step *steps, int64_t n_steps,
                          const slao_runner *runner, slao_listener listener) {
    slao_coordinator *coordinator = NULL;
    slao_status status = SLAO_OK;
    if (ranks->rank == 0)
        status = slao_coordinator_start(&coordinator, ranks, steps, n_steps, listener);
    SLAO_TRY(slao_ranks_agree(ranks, status));
    status = slao_worker_run(ranks, runner);
    return coordinator ? slao_coordinator_finish(coordinator) : status;
}
