/* A pretrained model on disk: a Hugging Face folder (config.json, model.safetensors or its shards)
 * or a GGUF file, presented alike.
 *
 * Tensors go by their Hugging Face names:
 *
 *   model.embed_tokens.weight                                   vocabulary x hidden
 *   model.layers.N.input_layernorm.weight                       hidden
 *   model.layers.N.self_attn.{q,k,v,o}_proj.weight              d_out x d_in (slao_module_shape)
 *   model.layers.N.self_attn.{q,k,v}_proj.bias                  d_out, in families that have it
 *   model.layers.N.post_attention_layernorm.weight              hidden
 *   model.layers.N.mlp.{gate,up,down}_proj.weight               d_out x d_in
 *   model.norm.weight                                           hidden
 *   lm_head.weight                                              vocabulary x hidden, unless tied
 *
 * In a GGUF file of the llama architecture the rows of each head of q and k are interleaved (first
 * half and second half of a head alternate: 0, h/2, 1, h/2 + 1, ...), so that RoPE turns
 * neighbours; they are expanded in Hugging Face's order; slao_checkpoint_tensors has them as they
 * lie. Its tensor rope_freqs.weight goes into the config (rope.factors).
 */
#ifndef SLAO_MODEL_CHECKPOINT_H
#define SLAO_MODEL_CHECKPOINT_H

#include "base/hash.h"
#include "model/config.h"
#include "model/tensor_list.h"

typedef struct slao_checkpoint slao_checkpoint;

/* Every tensor of the architecture must be there in its shape, and no other; only
 * `*.rotary_emb.inv_freq` of old files is passed over. All else is SLAO_BAD_INPUT naming file and
 * tensor. The number of rows of the embedding is the vocabulary, whatever the config says. A file
 * without a head of its own has a tied one, unless config.json denies it; one that has a head
 * though config.json says it is tied must hold the same values in both. */
slao_status slao_checkpoint_open(slao_checkpoint **checkpoint, const char *path);
void slao_checkpoint_close(slao_checkpoint *checkpoint); /* NULL is allowed */

/* Both live as long as the checkpoint; shared by threads without care. */
const slao_model_config *slao_checkpoint_config(const slao_checkpoint *checkpoint);
const slao_tensor_list *slao_checkpoint_tensors(const slao_checkpoint *checkpoint);

/* Row-major fp32, as many values as the tensor has. A name that is not there is SLAO_BAD_INPUT. */
slao_status slao_checkpoint_expand(const slao_checkpoint *checkpoint, const char *name,
                                   float *values);

/* A matrix where it lies, to be expanded in parts; as long as the checkpoint. */
typedef struct {
    const slao_tensor *tensor;
    int64_t heads; /* whose rows are interleaved; 0: none are */
} slao_stored;

/* A name that is not there is SLAO_BAD_INPUT. */
slao_status slao_checkpoint_find(slao_stored *stored, const slao_checkpoint *checkpoint,
                                 const char *name);

/* Values from .. from + columns - 1 of `count` rows from `row` on, in Hugging Face's order of rows,
 * to rows that are `stride` apart. */
void slao_stored_expand(const slao_stored *stored, float *to, int64_t stride, int64_t row,
                        int64_t count, int64_t from, int64_t columns);

/* The tensor is not read again soon: the pages of its mapping no longer count as this process's
 * memory. */
slao_status slao_checkpoint_let_go(const slao_checkpoint *checkpoint, const char *name);

/* Hash of all that a forward pass depends on: the config, and name, type, shape and bytes of each
 * tensor. The tokenizer is not part of it. Reads all weights; of a GiB or more only
 * when the files (device, inode, size, time of change) are not those of an earlier call. */
slao_status slao_checkpoint_hash(const slao_checkpoint *checkpoint, slao_hash *hash);

#endif
