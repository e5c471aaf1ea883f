/* The weights of a Hugging Face folder: model.safetensors or, where that is not there, the files
 * that model.safetensors.index.json shares them out to:
 *
 *   {"metadata": {...}, "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors", ...}}
 */
#ifndef SLAO_MODEL_SHARDS_H
#define SLAO_MODEL_SHARDS_H

#include "base/file.h"
#include "model/tensor_list.h"

typedef struct slao_shards slao_shards;

/* Nothing in the index is trusted: a shard's name must be that of a file in the folder itself,
 * every tensor must lie in the shard that the map names and nowhere else, and no shard may hold a
 * tensor that the map lacks. All else is SLAO_BAD_INPUT naming the file and the tensor. */
slao_status slao_shards_open(slao_shards **shards, const char *folder);
void slao_shards_close(slao_shards *shards); /* NULL is allowed */

/* Names and data live as long as the shards are open. */
const slao_tensor_list *slao_shards_tensors(const slao_shards *shards);

/* The files of weights, in a fixed order; NULL after the last. */
const slao_mapping *slao_shards_file(const slao_shards *shards, size_t index);

/* The file that says what tensors there are: model.safetensors or the index. */
const char *slao_shards_path(const slao_shards *shards);

#endif
