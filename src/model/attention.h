/* Grouped-query causal attention of a batch's spans over a cache, one sequence chain and one head
 * of keys and values at a time, with all heads of queries that share it.
 *
 *   out_i = sum_j p_ij v_j,  p_ij = exp(q_i . k_j / sqrt(head_dim) - lse_i)
 *
 * Scores exist only for a block of queries at a time, and are computed again on the way back from
 * the stored log-sum-exp (Dao et al., FlashAttention, 2022).
 */
#ifndef SLAO_MODEL_ATTENTION_H
#define SLAO_MODEL_ATTENTION_H

#include "base/memory.h"
#include "linalg/matrix.h"
#include "model/batch.h"

/* `window`: how many tokens a token sees, itself included; 0: all before it.
 * queries, out: rows x heads x head_dim; keys, values: slots x kv_heads x head_dim (one layer of a
 * cache); lse: rows x heads. Scratch comes from the arena and is given back. */
slao_status slao_attention(const slao_model_config *config, int64_t window, const slao_batch *batch,
                           const float *queries, const float *keys, const float *values, float *out,
                           float *lse, slao_arena *arena);

/* The gradients of a training batch, given those of `out`: of the queries (overwritten), of keys
 * and values (added to what is there). */
slao_status slao_attention_backward(const slao_model_config *config, int64_t window,
                                    const slao_batch *batch, const float *queries,
                                    const float *keys, const float *values, const float *lse,
                                    const float *d_out, slao_matrix_out d_queries,
                                    slao_matrix_out d_keys, slao_matrix_out d_values,
                                    slao_arena *arena);

#endif
