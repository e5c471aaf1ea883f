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

/* A training batch of `rows` rows. Or, where `trunk` is not 0, one in micro-batches
 * (model/micro_batches.h) of `rows` rows at most, one at a time, that have a trunk of so many in
 * common. */
double slao_activations_of_training(const slao_model_config *config,
                                    slao_checkpointing checkpointing, int64_t rows, int64_t trunk);

/* Each further micro-batch of `rows` rows at most that is computed beside it. */
double slao_activations_of_micro_batch(const slao_model_config *config,
                                       slao_checkpointing checkpointing, int64_t rows,
                                       int64_t trunk);

/* A batch of `rows` rows that is only read, without the cache. */
double slao_activations_of_reading(const slao_model_config *config, int64_t rows);

/* Keys and values (model/batch.h). */
double slao_activations_of_cache(const slao_model_config *config, int64_t slots);

#endif
