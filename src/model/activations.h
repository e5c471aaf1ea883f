/* Memory that forward and backward take, told by shapes alone, before anything is computed. Counted
 * are the large parts: fp32 values that go with rows x width; not tables, attention's blocks, and
 * what low-rank pairs are computed in. Bytes, as doubles. */
#ifndef SLAO_MODEL_ACTIVATIONS_H
#define SLAO_MODEL_ACTIVATIONS_H

#include "model/transformer.h"

/* Does the backward of so many rows compute activations again? (AUTO: where all of them would be
 * over a GiB. Attention's output counts, whether a pair needs it or not: what is decided depends on
 * the shape alone.) */
bool slao_activations_recomputed(const slao_model_config *config, slao_checkpointing checkpointing,
                                 int64_t rows);

/* A training batch of `rows` rows, computed whole. */
double slao_activations_of_training(const slao_model_config *config,
                                    slao_checkpointing checkpointing, int64_t rows);

/* A batch in micro-batches (model/micro_batches.h), which have a trunk in common. */
typedef struct {
    int64_t trunk;     /* its rows */
    int64_t rows;      /* of a micro-batch, at most */
    int64_t long_rows; /* of one that has more, or `rows` */
    int64_t strands;   /* so many are computed at a time ... */
    int64_t outputs;   /* ... and so many have results that are not yet gathered */
} slao_micro_batch_shape;

/* What the pass itself holds, whose strand is the first; and what else there is: the trunk, other
 * strands, keys and values, gradients of the trunk's, but not those of low-rank pairs. */
double slao_activations_of_micro_batch(const slao_model_config *config,
                                       slao_checkpointing checkpointing,
                                       const slao_micro_batch_shape *shape);
double slao_activations_beside(const slao_model_config *config, slao_checkpointing checkpointing,
                               const slao_micro_batch_shape *shape);

/* A batch of `rows` rows that is only read, without the cache. */
double slao_activations_of_reading(const slao_model_config *config, int64_t rows);

/* Keys and values (model/batch.h). */
double slao_activations_of_cache(const slao_model_config *config, int64_t slots);

#endif
