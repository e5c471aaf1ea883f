#include "sweep/launch.h"

#include <stdlib.h>

typedef struct {
    const char *size, *rank; /* variables */
    const char *who, *advice;
} launcher;

/* srun first. (Slurm sets SLURM_NTASKS in every batch shell; the number of a step is srun's
 * alone.) */
static const launcher launchers[] = {
    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun",
     "start them with mpirun, or with srun --mpi=pmix if `srun --mpi=list` has pmix"},
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "mpirun",
     "take the mpirun of the Open MPI that slao was built with (slao --version)"},
    {"PMI_SIZE", "PMI_RANK", "the mpiexec of another MPI",
     "take the mpirun of the Open MPI that slao was built with (slao --version)"},
};

static slao_status refuse(const launcher *by) {
    const char *started = getenv(by->size), *rank = getenv(by->rank);
    if (!started || atoi(started) <= 1)
        return SLAO_OK;
    if (rank && atoi(rank) != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s", "");
    return slao_fail(SLAO_BAD_INPUT, "%s started %s programs, but MPI sees one rank in each: %s",
                     by->who, started, by->advice);
}

slao_status slao_launch_check_step(void) {
    static const char *const means[] = {"PMIX_NAMESPACE", "PMI_FD", "PMI_RANK",
                                        "OMPI_COMM_WORLD_SIZE"};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        if (getenv(means[i]))
            return SLAO_OK;
    }
    return refuse(&launchers[0]);
}

slao_status slao_launch_check(int size) {
    for (size_t i = 0; size == 1 && i < sizeof launchers / sizeof *launchers; i++)
        SLAO_TRY(refuse(&launchers[i]));
    return SLAO_OK;
}
