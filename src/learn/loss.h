/* The loss of a model with its adapters on examples that are not trained on. */
#ifndef SLAO_LEARN_LOSS_H
#define SLAO_LEARN_LOSS_H

#include "data/packing.h"
#include "model/transformer.h"

/* *loss is the mean of -log p over all answer tokens of the examples, without dropout, in batches
 * of `batch_size` in their order. `pairs` must be frozen. */
slao_status slao_mean_loss(slao_pass *pass, const slao_low_ranks *pairs,
                           const slao_sequence *examples, int64_t n_examples, int64_t batch_size,
                           double *loss);

#endif
