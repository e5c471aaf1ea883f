/* What a pass of the transformer consists of, for the files that compute it: transformer.c (forward
 * and loss), pass_backward.c, pass.c (rows), pass_pairs.c (low-rank pairs). Within model/ only. */
#ifndef SLAO_MODEL_PASS_PARTS_H
#define SLAO_MODEL_PASS_PARTS_H

#include "linalg/matrix.h"
#include "model/transformer.h"

/* What the backward needs of one layer. Widths: hidden; q = heads x head_dim; kv = kv_heads x
 * head_dim. `upper` rows: see slao_pass_upper. */
typedef struct {
    float *input;      /* rows x hidden: the residual stream before the layer */
    float *input_rms;  /* rows: 1 / rms of it */
    float *queries;    /* upper x q, rotated */
    float *lse;        /* upper x heads */
    float *attended;   /* upper x q; NULL where no pair is trained that reads it */
    float *middle;     /* upper x hidden: the residual stream after attention */
    float *middle_rms; /* upper */
    float *gate_up;    /* upper x 2 intermediate */
} slao_kept_layer;

struct slao_pass {
    const slao_model *model;
    slao_arena *arena;
    const slao_batch *batch; /* of the last forward */
    slao_batch answering;    /* the rows of it that predict answers, in order */
    int64_t *answering_rows; /* which rows they are */
    bool training;
    slao_precision precision;
    slao_checkpointing checkpointing; /* what is asked for */
    bool recomputes;                  /* what was decided: see slao_checkpointing */
    slao_kept_layer *layers;          /* where it recomputes, all share memory but for `input` */
    slao_cache own_cache;
    slao_cache *cache;   /* keys and values of a training batch */
    slao_cache *d_trunk; /* the gradients of those in its first slots, which the trunk and the
                            micro-batches share; NULL: slots are rows */
    float *stream;       /* the residual stream: rows x hidden; at last the answering rows only */
    float *final_rms;    /* n_answers */
    float *answers;      /* n_answers x hidden: normed stream at the answer rows */
    float *d_answers;    /* their gradient, once slao_loss has been asked for it */
    float *cosines, *sines; /* rows x head_dim / 2 */
    const slao_observer *observer;
    slao_pass *trunk;    /* computes the trunk of a batch in micro-batches */
    slao_pass **strands; /* compute beside this one */
    size_t n_strands, strands_capacity;
    slao_arena *division; /* what micro-batches share */
};

/* For micro_batches.c. Passes of the same model that belong to `pass`, with the settings that it
 * has now: for another strand (linalg/threads.h), where strand 0 is `pass` itself and the others
 * are asked for in their order; and for the trunk. */
slao_status slao_pass_strand(slao_pass *pass, int index, slao_pass **strand);
slao_status slao_pass_trunk(slao_pass *pass, slao_pass **trunk);

/* slao_forward_training of a part of a batch, whose segments have slots in `cache`. The trunk's are
 * the first: as many as `d_trunk` has. A micro-batch finds the trunk's keys and values there, and
 * its slao_backward adds their gradients to `d_trunk`; the trunk's own, which comes last, begins
 * with those. */
slao_status slao_forward_part(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                              slao_cache *cache, slao_cache *d_trunk);

/* Computes a layer's activations again, from its input, into its kept layer. */
slao_status slao_pass_recompute(slao_pass *pass, int64_t layer, const slao_low_ranks *pairs);

/* rows x width values, until the arena is returned to a mark before */
slao_status slao_pass_take(slao_pass *pass, float **values, int64_t rows, int64_t width);

/* y (rows x d_out) = x W^T + beta y, where W is a layer's weights as slao_model_weights gives them
 * for the module: those of q, k and v stacked, of o, of gate and up stacked, or of down. */
void slao_pass_forward_product(slao_pass *pass, int64_t layer, slao_module module, slao_matrix x,
                               slao_matrix_out y, int64_t rows, float beta);

/* dx (rows x d_in) = dy W */
void slao_pass_backward_product(slao_pass *pass, int64_t layer, slao_module module, slao_matrix dy,
                                slao_matrix_out dx, int64_t rows);

/* ---- The rows of a layer ---- */

bool slao_pass_is_last(const slao_pass *pass, int64_t layer);

/* The rows that a layer computes above its keys and values: of the last layer only those that
 * predict answers, since nothing else is read of it. */
const slao_batch *slao_pass_upper(const slao_pass *pass, int64_t layer);

/* The rows on which a module runs. The last layer's queries are computed with its keys and values,
 * in one product, for all rows. */
const slao_batch *slao_pass_module_rows(const slao_pass *pass, int64_t layer, slao_module module);

/* y (upper rows of the layer x width) = the same rows of x. In place is allowed. */
void slao_pass_pick_upper(const slao_pass *pass, int64_t layer, float *y, slao_matrix x,
                          int64_t width);

/* The answering rows of y = the rows of x, one after another. */
void slao_pass_spread_answering(const slao_pass *pass, slao_matrix_out y, const float *x,
                                int64_t width);

/* RMSNorm of rows x hidden; rms keeps 1 / rms of each. */
void slao_pass_norm(const slao_pass *pass, int64_t rows, float *y, const float *x,
                    const float *weight, float *rms);

/* The normed rows again, from the rms kept. */
void slao_pass_norm_again(const slao_pass *pass, int64_t rows, float *y, const float *x,
                          const float *weight, const float *rms);

/* y (rows x intermediate) = silu(gate) up */
void slao_pass_swiglu(const slao_pass *pass, int64_t rows, float *y, const float *gate_up);

/* Turns `heads` heads of each row of x by its position, or (sign -1) back. */
void slao_pass_rotate(const slao_pass *pass, slao_matrix_out x, int64_t heads, float sign);

/* ---- Low-rank pairs on a module ---- */

const slao_low_rank_list *slao_pairs_of(const slao_low_ranks *pairs, int64_t layer,
                                        slao_module module);
bool slao_pairs_trained(const slao_low_rank_list *list);

/* y += the pairs' part of the module; shows x to the observer. Called for every module, with pairs
 * or without. */
slao_status slao_pairs_add(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                           slao_module module, slao_matrix x, slao_matrix_out y);

/* Gradients of a module's pairs, given x and dy; dx (NULL: not wanted) += what flows through the
 * pairs. */
slao_status slao_pairs_backward(slao_pass *pass, const slao_low_ranks *pairs, int64_t layer,
                                slao_module module, slao_matrix x, slao_matrix dy,
                                slao_matrix_out *dx);

#endif
