/* The diagonal of the empirical Fisher information of an adapter (Kirkpatrick et al., arXiv
 * 1612.00796):
 *
 *   F = mean over examples of (d log p(answer | prompt) / d theta)^2
 *
 * entry by entry over A and B, each example by itself (not per batch), log p summed over the
 * answer's tokens and the end token, at the reference answers; without dropout.
 */
#ifndef SLAO_LEARN_FISHER_H
#define SLAO_LEARN_FISHER_H

#include "adapter/lora.h"
#include "data/packing.h"
#include "model/transformer.h"

/* fisher (n_values, laid out as the values of `lora`) becomes F. One forward and backward per
 * example. */
slao_status slao_fisher(slao_pass *pass, const slao_model_config *config, const slao_lora *lora,
                        const slao_sequence *examples, int64_t n_examples, float *fisher);

#endif
