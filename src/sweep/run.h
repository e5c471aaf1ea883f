/* A sweep, from the spec file to the results file, on all ranks of an mpirun.
 *
 *   spec -> plan -> model once per node -> crew (coordinator and workers) -> results file
 *
 * Every step that is finished is in the store, whatever happens; the same call goes on from there.
 * Requests to stop are the caller's to watch for (sweep/drain.h), from before the ranks are
 * started.
 */
#ifndef SLAO_SWEEP_RUN_H
#define SLAO_SWEEP_RUN_H

#include "sweep/progress.h"
#include "sweep/ranks.h"
#include "sweep/selection.h"

typedef struct {
    const char *spec;            /* path */
    const char *output;          /* results file; NULL: results/NAME.h5 */
    const char *store;           /* NULL: the spec's, or the output's path with .store for .h5 */
    const char *model_copy;      /* path to read the model from instead of the spec's; or NULL */
    const char *const *settings; /* arguments of --set, in order */
    int64_t n_settings;
    slao_progress_mode progress;
    slao_selection selection;
    int64_t max_fails, max_retries; /* of steps; 0: none */
    double time_limit;              /* minutes; 0: what the batch system says, if it does */
    double checkpoint_seconds;
} slao_sweep_choices;

/* Collective. SLAO_OK, SLAO_FAILED, SLAO_NO_RESOURCE and SLAO_DRAINED leave a results file of all
 * that is finished; rank 0 prints where it is on stdout. The message of a failure is on rank 0
 * alone. */
slao_status slao_sweep_run(slao_ranks *ranks, const slao_sweep_choices *choices);

/* Where the sweep's results file and its store are; the caller frees both, also after a failure. */
slao_status slao_sweep_places(const slao_sweep_choices *choices, const slao_spec *spec,
                              char **output, char **store);

/* The default places, for all commands: "results/NAME.h5", and X.store for X.h5. The caller frees
 * them. */
slao_status slao_default_output(char **output, const char *name);
slao_status slao_default_store(char **store, const char *output);

#endif
