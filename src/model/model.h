/* The frozen weights of a Llama-family transformer.
 *
 *   embedding  vocabulary x hidden
 *   per layer  input norm (hidden), q, k, v (stacked: one matrix of q+k+v rows), o,
 *              post-attention norm (hidden), gate, up (stacked), down; in families that have it
 *              the bias of q, k, v (stacked)
 *   final norm (hidden); head (vocabulary x hidden, or the embedding itself when tied)
 *
 * Either all of them lie in memory in fp32, in one allocation; or only the vectors do, and the
 * matrices stay in the mapped file, in the file's precision, expanded by the products that use them
 * (linalg/matrix.h). The expansion is exact and the products are the same: both give the same bits.
 */
#ifndef SLAO_MODEL_MODEL_H
#define SLAO_MODEL_MODEL_H

#include "linalg/matrix.h"
#include "model/checkpoint.h"
#include "model/config.h"

/* Where the matrices are. AUTO: in memory if all weights in fp32 take at most 8 GiB. */
typedef enum { SLAO_WEIGHTS_AUTO, SLAO_WEIGHTS_FP32, SLAO_WEIGHTS_FILE } slao_weights;
extern const char *const slao_weights_names[]; /* "auto", "fp32", "file", NULL */

typedef struct {
    const float *input_norm, *post_norm;
    const float *weights[SLAO_N_MODULES]; /* d_out x d_in each; q, k, v and gate, up lie one after
                                             another; NULL in a model of matrices in the file */
    slao_stored stored[SLAO_N_MODULES];   /* where they are in such a model */
    const float *qkv_bias;                /* q + k + v widths; NULL where there is none */
} slao_layer;

typedef struct {
    slao_model_config config;
    const float *embedding, *head; /* NULL in a model of matrices in the file */
    slao_stored stored_embedding, stored_head;
    const float *final_norm;
    slao_layer *layers;
    float *rope_frequencies;     /* head_dim / 2 */
    float *owned;                /* the values, if slao_model_new or _open allocated them */
    const slao_checkpoint *file; /* where the matrices are; NULL: in memory */
} slao_model;

/* How many fp32 values the model of this config has. */
slao_status slao_model_n_values(const slao_model_config *config, int64_t *n_values);

/* FP32 or FILE: AUTO is decided by the size of the model. */
slao_status slao_weights_decide(slao_weights *weights, const slao_model_config *config);

/* A model in fp32 over `values` (n_values of them, 64-byte aligned, which must outlive it), or over
 * memory of its own if `values` is NULL. The weights are whatever the memory holds. */
slao_status slao_model_new(slao_model **model, const slao_model_config *config, float *values);

/* Expands the checkpoint's tensors into the memory of a model in fp32; their pages in the file's
 * mapping are let go. Done by one process where several share it. */
slao_status slao_model_fill(slao_model *model, const slao_checkpoint *checkpoint);

/* A model whose matrices stay in the checkpoint, which must outlive it. Processes that open the
 * same files share them. */
slao_status slao_model_open(slao_model **model, const slao_checkpoint *checkpoint);

/* open, or new and fill into memory of its own, as `weights` says */
slao_status slao_model_load(slao_model **model, const slao_checkpoint *checkpoint,
                            slao_weights weights);

/* Bytes of the weights, where they are: in memory, or the file's tensors and the vectors. */
slao_status slao_model_bytes(const slao_model *model, size_t *bytes);

void slao_model_free(slao_model *model); /* NULL is allowed */

/* ---- Matrices, wherever they are ---- */

/* The weights of a layer's product: of q, k and v stacked (module q), of o, of gate and up stacked
 * (module gate), or of down; *d_out x *d_in. */
slao_frozen slao_model_weights(const slao_model *model, int64_t layer, slao_module module,
                               int64_t *d_out, int64_t *d_in);

/* values (d_out x d_in) = the weights of one module */
void slao_model_expand(const slao_model *model, int64_t layer, slao_module module, float *values);

/* vocabulary x hidden */
slao_frozen slao_model_head(const slao_model *model);

/* row (hidden) = the embedding of a token */
void slao_model_embed(const slao_model *model, int64_t id, float *row);

#endif
