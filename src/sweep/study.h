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
    slao_inputs inputs;
    slao_model_config config;    /* of a study that was reopened: widths and numbers of layers and
                                    heads alone */
    slao_checkpoint *checkpoint; /* NULL in one that was reopened; so are its tasks' examples */
    slao_plan *plan;
    struct slao_archive *archive; /* private: what it was reopened from */
} slao_study;

/* Takes over the spec, also on failure. The model's hash in all keys covers weights, config and
 * tokenizer. `study` is to be released with slao_study_close, also after a failure. */
slao_status slao_study_open(slao_study *study, slao_spec *spec);

/* Keeps in the store what the study of the results file `output` can be reopened from; `folder` is
 * what the spec's relative paths count from. */
slao_status slao_study_keep(const slao_study *study, slao_store *store, const char *output,
                            const char *folder);

/* The study of the results file `output` again, by what its store keeps; neither model nor
 * benchmark is looked at. To be released as above. */
slao_status slao_study_reopen(slao_study *study, const slao_store *store, const char *output);
void slao_study_close(slao_study *study);

/* Hash of all keys of the plan: the same on all ranks that run the same study. */
slao_status slao_study_hash(const slao_study *study, slao_hash *hash);

#endif
