/* A study: a spec with what it is about, opened: the base model's files, and the plan of steps.
 * What `slao plan`, `slao sweep` and `slao collect` begin with. */
#ifndef SLAO_SWEEP_STUDY_H
#define SLAO_SWEEP_STUDY_H

#include "model/checkpoint.h"
#include "sweep/plan.h"
#include "sweep/provenance.h"
#include "sweep/store.h"

typedef struct {
    slao_spec *spec;
    slao_checkpoint *checkpoint;
    slao_inputs inputs;
    slao_plan *plan;
} slao_study;

/* Takes over the spec, also on failure. The model's hash in all keys covers weights, config and
 * tokenizer. `study` is to be released with slao_study_close, also after a failure. */
slao_status slao_study_open(slao_study *study, slao_spec *spec);

/* The study of the results file `output` again, by the spec that its store keeps; model and
 * benchmark must be in their places. To be released as above. */
slao_status slao_study_reopen(slao_study *study, const slao_store *store, const char *output);
void slao_study_close(slao_study *study);

/* Hash of all keys of the plan: the same on all ranks that run the same study. */
slao_status slao_study_hash(const slao_study *study, slao_hash *hash);

#endif
