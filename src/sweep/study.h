/* A study: a spec with what it is about, opened: the base model's files, and the plan of steps.
 * What `slao plan`, `slao sweep` and `slao collect` begin with. */
#ifndef SLAO_SWEEP_STUDY_H
#define SLAO_SWEEP_STUDY_H

#include "model/checkpoint.h"
#include "sweep/plan.h"

typedef struct {
    slao_spec *spec;
    slao_checkpoint *checkpoint;
    slao_plan *plan;
} slao_study;

/* Takes over the spec, also on failure. The model's hash in all keys covers weights, config and
 * tokenizer. `study` is to be released with slao_study_close, also after a failure. */
slao_status slao_study_open(slao_study *study, slao_spec *spec);
void slao_study_close(slao_study *study);

/* Hash of all keys of the plan: the same on all ranks that run the same study. */
slao_status slao_study_hash(const slao_study *study, slao_hash *hash);

#endif
