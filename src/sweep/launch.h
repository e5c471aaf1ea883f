/* How this program was started, as those who start many of it tell in the environment. */
#ifndef SLAO_SWEEP_LAUNCH_H
#define SLAO_SWEEP_LAUNCH_H

#include "base/status.h"

/* Were several programs started that know nothing of each other, in place of the ranks of one? They
 * would run the same sweep side by side: SLAO_BAD_INPUT, with advice on the first of them and an
 * empty message on the others.
 *
 * Before MPI starts, which would end them with advice for who builds Slurm: did srun start them
 * without anything by which ranks find each other? */
slao_status slao_launch_check_step(void);

/* Afterwards; `size`: of MPI_COMM_WORLD. */
slao_status slao_launch_check(int size);

#endif
