/* How a training batch is divided into parts.
 *
 * The batch is a tree of segments (model/batch.h). Part 0 is its trunk, the segments that others go
 * on from. The leaves are dealt out to micro-batches, whole segments of at most so many rows
 * together, or one that has more: an even number of micro-batches where there are enough leaves, as
 * nearly equal as whole segments allow and largest first, so that two threads that take one each
 * are done at about the same time. The division depends on the batch alone.
 */
#ifndef SLAO_MODEL_DIVISION_H
#define SLAO_MODEL_DIVISION_H

#include "model/batch.h"

/* A part as a batch of its own, with the segments of all parts. Its slots are those of a cache that
 * holds the trunk first, then one micro-batch. answers[i]: the place of its answer i in the whole.
 */
typedef struct {
    slao_batch batch;
    int64_t *answers;
    double *losses; /* room for one of each answer */
} slao_part;

typedef struct {
    int64_t n_micro_batches;
    slao_part trunk, *micro_batches; /* the one with most rows first */
} slao_division;

/* `batch` is one that slao_forward_training takes. The division lives in the arena and borrows
 * nothing of the batch. */
slao_status slao_divide(slao_division *division, const slao_batch *batch, int64_t most_rows,
                        slao_arena *arena);

#endif
