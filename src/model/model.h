/* The frozen weights of a Llama-family transformer in fp32, in one allocation.
 *
 *   embedding  vocabulary x hidden
 *   per layer  input norm (hidden), q, k, v (stacked: one matrix of q+k+v rows), o,
 *              post-attention norm (hidden), gate, up (stacked), down; in families that have it
 *              the bias of q, k, v (stacked)
 *   final norm (hidden); head (vocabulary x hidden, or the embedding itself when tied)
 */
#ifndef SLAO_MODEL_MODEL_H
#define SLAO_MODEL_MODEL_H

#include "model/checkpoint.h"
#include "model/config.h"

typedef struct {
    const float *input_norm, *post_norm;
    const float *
        weights[SLAO_N_MODULES]; /* d_out x d_in each; q, k, v and gate, up lie one after another */
    const float *qkv_bias;       /* q + k + v widths; NULL where there is none */
} slao_layer;

typedef struct {
    slao_model_config config;
    const float *embedding, *final_norm, *head;
    slao_layer *layers;
    float *rope_frequencies; /* head_dim / 2 */
    float *owned;            /* the values, if slao_model_new allocated them */
} slao_model;

/* How many fp32 values the model of this config has. */
slao_status slao_model_n_values(const slao_model_config *config, int64_t *n_values);

/* A model over `values` (n_values of them, 64-byte aligned, which must outlive it), or over memory
 * of its own if `values` is NULL. The weights are whatever the memory holds. */
slao_status slao_model_new(slao_model **model, const slao_model_config *config, float *values);

/* Expands the checkpoint's tensors into the model's memory. Done by one process where several share
 * it. */
slao_status slao_model_fill(slao_model *model, const slao_checkpoint *checkpoint);

/* new + fill into memory of its own */
slao_status slao_model_load(slao_model **model, const slao_checkpoint *checkpoint);

void slao_model_free(slao_model *model); /* NULL is allowed */

#endif
