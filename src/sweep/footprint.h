/* What memory a sweep takes, told by the shapes and lengths of what is left to run, before anything
 * is computed: for `slao plan`, and for `slao sweep`'s look at where it runs. */
#ifndef SLAO_SWEEP_FOOTPRINT_H
#define SLAO_SWEEP_FOOTPRINT_H

#include "sweep/encodings.h"
#include "sweep/study.h"

/* Bytes. */
typedef struct {
    double weights; /* once on every node: in memory, or pages of the mapped file */
    double rank;    /* of each rank beside them: activations of the largest batch, adapters with
                       gradients and moments, the program itself. Not what some methods keep for
                       themselves (gradient memories, Fisher), which is smaller. */
} slao_footprint;

/* `left`, by step: which are to run. Their texts are tokenised. */
slao_status slao_footprint_make(slao_footprint *footprint, const slao_study *study,
                                slao_encodings *encodings, const bool *left);

/* Bytes of an adapter with these settings; *sites (may be NULL) becomes how many modules it is on.
 */
double slao_footprint_of_adapter(const slao_model_config *config, const slao_lora_settings *lora,
                                 double *sites);

#endif
