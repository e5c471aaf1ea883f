/* The steps that trials need, each once: those of their matrices and references, and all that these
 * depend on. */
#ifndef SLAO_SWEEP_NEEDS_H
#define SLAO_SWEEP_NEEDS_H

#include "sweep/plan.h"

typedef struct {
    const slao_plan *plan;
    bool *seen;     /* by step */
    int64_t *steps; /* those seen, in the order of being added */
    int64_t count;
} slao_needs;

slao_status slao_needs_new(slao_needs *needs, const slao_plan *plan); /* of nothing */
void slao_needs_free(slao_needs *needs);                              /* zeroed is allowed */
void slao_needs_clear(slao_needs *needs);

/* What a trial itself trains, merges and evaluates; and what it is compared with: the untrained
 * model and the individual runs. */
void slao_needs_add_own(slao_needs *needs, int64_t trial);
void slao_needs_add_references(slao_needs *needs, int64_t trial);

#endif
