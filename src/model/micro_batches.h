/* Loss and gradients of a training batch in micro-batches, so that the activations of some rows at
 * a time are kept, not those of all, and so that threads can compute beside each other.
 *
 * The batch's trunk, what others go on from, is computed once. The micro-batches (model/division.h)
 * follow, each with its forward, loss and backward on top of the trunk's keys and values. Their
 * gradients, and those of the trunk's keys and values, are added up in the order of the
 * micro-batches, and the trunk's backward comes last. So nothing is computed twice, and loss and
 * gradients are those of the whole batch up to rounding.
 *
 * Threads take a micro-batch each (linalg/threads.h: slao_pieces_run). The trunk they compute
 * together, and a segment of more rows than a micro-batch may have. The bits are the same for any
 * number of threads.
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
