/* The low-rank pairs that a pass applies on top of frozen weights, and the buffers for their
 * gradients, as plain views: who owns them, and what method they serve, is not the model's
 * business.
 *
 *   y = W x + sum over pairs of scale B (A x~)      A: rank x d_in, B: d_out x rank, row-major
 *
 * x~ is x, or x under dropout in a training pass (each element kept with probability 1 - dropout
 * and divided by it), as PEFT has it.
 */
#ifndef SLAO_MODEL_LOW_RANK_H
#define SLAO_MODEL_LOW_RANK_H

#include "model/config.h"

typedef struct {
    const float *a, *b;
    float *grad_a,
        *grad_b;        /* of the same shapes; gradients are added; NULL: the factor is frozen */
    double *grad_scale; /* the gradient of `scale`, added; NULL: the scale is not trained */
    int64_t rank;
    float scale, dropout;
} slao_low_rank;

typedef struct {
    int64_t count;
    const slao_low_rank *pairs;
} slao_low_rank_list;

/* The pairs of a whole model: lists[layer * SLAO_N_MODULES + module]. NULL: no pairs at all. */
typedef struct {
    const slao_low_rank_list *lists;
    uint64_t noise_seed; /* of dropout: a pass with the same seed and the same tokens drops the same
                            elements */
} slao_low_ranks;

#endif
