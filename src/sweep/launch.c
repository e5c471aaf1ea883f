#include "sweep/launch.h"

#include <stdlib.h>

typedef struct {
    const char *size, *rank; /* variables */
    const char *who, *advice;
} launcher;

/* Slurm sets SLURM_NTASKS in every batch shell; that of a step is srun's alone. */
static const launcher launchers[] = {
    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun",
     "start them with mpirun, or with srun --mpi=pmix if `srun --mpi=list` has pmix"},
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "mpirun",
     "take the mpirun of the Open MPI that slao was built with (slao --version)"},
    {"PMI_SIZE", "PMI_RANK", "the mpiexec of another MPI",
     "take the mpirun of the Open MPI that slao was built with (slao --version)"},
};

slao_status slao_launch_check(int size) {
    for (size_t i = 0; size == 1 && i < sizeof launchers / sizeof *launchers; i++) {
        const char *started = getenv(launchers[i].size), *rank = getenv(launchers[i].rank);
        if (!started || atoi(started) <= 1)
            continue;
        if (rank && atoi(rank) != 0)
            return slao_fail(SLAO_BAD_INPUT, "%s", "");
        return slao_fail(SLAO_BAD_INPUT,
                         "%s started %s programs, but MPI sees one rank in each: %s",
                         launchers[i].who, started, launchers[i].advice);
    }
    return SLAO_OK;
}
