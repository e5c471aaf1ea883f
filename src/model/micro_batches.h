/* Loss and gradients of a training batch in micro-batches, so that the activations of some rows at
 * a time are kept, not those of all.
 *
 * The batch is a tree of segments (model/batch.h). Its trunk, the segments that others go on from,
 * is computed once; the leaves follow in micro-batches, whole segments in their order, each with
 * its forward, loss and backward on top of the trunk's keys and values. The gradients of those are
 * added up over the micro-batches, and the trunk's backward comes last. So nothing is computed
 * twice, and loss and gradients are those of the whole batch up to rounding.
 */
#ifndef SLAO_MODEL_MICRO_BATCHES_H
#define SLAO_MODEL_MICRO_BATCHES_H

#include "model/transformer.h"

/* slao_forward_training, slao_loss and slao_backward in one. A batch of more than `most_rows` rows
 * (0: no limit) is divided into micro-batches of no more rows, or of one segment that has more.
 * losses: n_answers. */
slao_status slao_gradients(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                           int64_t most_rows, double *losses, double gradient_scale);

#endif
