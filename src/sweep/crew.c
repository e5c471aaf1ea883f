#include "sweep/crew.h"

#include "sweep/life.h"

slao_status slao_crew_run(slao_ranks *ranks, const slao_graph_step *steps, int64_t n_steps,
                          const slao_runner *runner, slao_listener listener,
                          const slao_crew_limits *limits) {
    const slao_crew_limits none = {0};
    slao_coordinator *coordinator = NULL;
    slao_status status = SLAO_OK;
    slao_life_enter_crew(ranks->life);
    if (ranks->rank == 0)
        status = slao_coordinator_start(&coordinator, ranks, steps, n_steps, listener,
                                        limits ? limits : &none);
    status = slao_ranks_agree(ranks, status);
    if (status == SLAO_OK) {
        status = slao_worker_run(ranks, runner);
        if (coordinator)
            status = slao_coordinator_finish(coordinator, &ranks->some_lost);
    }
    slao_life_leave_crew(ranks->life);
    return status;
}
