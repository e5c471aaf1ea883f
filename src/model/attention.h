/* Grouped-query causal attention of a batch's spans over a cache, one sequence chain and one head
 * at a time.
 *
 *   out_i = sum_j p_ij v_j,  p_ij = exp(q_i . k_j / sqrt(head_dim) - lse_i)
 *
 * Scores exist only for a block of queries at a time, and are computed again on the way back from
 * the stored log-sum-exp (Dao et al., FlashAttention, 2022).
 */
#ifndef SLAO_MODEL_ATTENTION_H
#define SLAO_MODEL_ATTENTION_H

#include "base/memory.h"
#include "model/batch.h"

/* queries, out: rows x heads x head_dim; keys, values: slots x kv_heads x head_dim (one layer of a
 * cache); lse: rows x heads. Scratch comes from the arena and is given back. */
slao_status slao_attention(const slao_model_config *config, const slao_batch *batch,
                           const float *queries, const float *keys, const float *values, float *out,
                           float *lse, slao_arena *arena);

/* The gradients of queries, keys and values (row stride `gradient_stride`; overwritten) of a
 * training batch, given those of `out`. */
slao_status slao_attention_backward(const slao_model_config *config, const slao_batch *batch,
                                    const float *queries, const float *keys, const float *values,
                                    const float *out, const float *lse, const float *d_out,
                                    float *d_queries, float *d_keys, float *d_values,
                                    int64_t gradient_stride, slao_arena *arena);

#endif
