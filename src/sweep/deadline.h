/* When a run has to be over: by --time-limit, or by what the batch system tells in the environment.
 *
 *   SLURM_JOB_END_TIME   seconds since 1970
 *   PBS_WALLTIME         seconds of the whole job (Torque, OpenPBS): counted from the start of this
 *                        process, for when the job began is not told
 *
 * The earliest one counts. Some of the time is kept back for savepoints and the results file: a
 * tenth of what is left, a minute at most.
 */
#ifndef SLAO_SWEEP_DEADLINE_H
#define SLAO_SWEEP_DEADLINE_H

#include "base/status.h"

/* `minutes`: of --time-limit, from now on; 0: none. *deadline is by the clock of slao_seconds, 0 if
 * there is none; later calls than the program's start make it later. A variable that is there and
 * no number is SLAO_BAD_INPUT. */
slao_status slao_deadline(double *deadline, double minutes);

#endif
