/* What a results file (sweep/results.h) tells at a glance, read back. */
#ifndef SLAO_SWEEP_RESULTS_READ_H
#define SLAO_SWEEP_RESULTS_READ_H

#include "base/memory.h"

#include <stdint.h>

typedef struct {
    const char *id, *method, *order, *lambda, *status;
    double learning_rate, aa, bwt;
    int64_t seed;
} slao_result_row;

typedef struct {
    const char *name, *fingerprint, *version, *finished;
    int64_t n_trials;
    slao_result_row *trials;
} slao_results_summary;

/* Texts and rows lie in `arena`. A file that is no results file of slao is SLAO_BAD_INPUT. */
slao_status slao_results_read(slao_results_summary *summary, const char *path, slao_arena *arena);

#endif
