/* Forward and backward of a Llama-family decoder for the gradients of low-rank pairs.
 *
 *   x_0 = embedding[id]
 *   per layer:  a = x + W_o attention(rotate(W_q n), rotate(W_k n), W_v n),  n = rms_norm(x)
 *               (+ biases of q, k and v, in families that have them)
 *               x' = a + W_down (silu(W_gate m) * W_up m),                   m = rms_norm(a)
 *   logits = head rms_norm(x_L), at answer rows only
 *
 * A pass is the workspace: it keeps the activations that the backward needs, layer by layer, and
 * gives its memory back with each new forward. Rows are the tokens of a batch (model/batch.h).
 *
 * The backward goes no further down than the lowest module with a trained pair, computes no
 * gradient of frozen weights, and adds into the pairs' gradient buffers.
 */
#ifndef SLAO_MODEL_TRANSFORMER_H
#define SLAO_MODEL_TRANSFORMER_H

#include "linalg/matrix.h"
#include "model/batch.h"
#include "model/low_rank.h"
#include "model/model.h"

typedef struct slao_pass slao_pass;

/* Whether a training forward keeps all activations that the backward needs, or only what each layer
 * starts from, and its keys and values: the backward then computes the rest of a layer again before
 * it goes through it (activation checkpointing; Chen et al., 2016), for about a third more time.
 * The bits are the same. AUTO: where all would take over a GiB. */
typedef enum {
    SLAO_CHECKPOINTING_AUTO,
    SLAO_CHECKPOINTING_ON,
    SLAO_CHECKPOINTING_OFF
} slao_checkpointing;
extern const char *const slao_checkpointing_names[]; /* "auto", "on", "off", NULL */

slao_status slao_pass_new(slao_pass **pass, const slao_model *model);
void slao_pass_free(slao_pass *pass); /* NULL is allowed */

/* For the forwards to come; a new pass has AUTO. */
void slao_pass_set_checkpointing(slao_pass *pass, slao_checkpointing checkpointing);

/* The precision of the products with the matrices of layers, forward and back, for what is to come;
 * a new pass has FP32. All else is fp32: low-rank pairs, attention, norms, logits. SLAO_NO_RESOURCE
 * where this CPU cannot. */
slao_status slao_pass_set_precision(slao_pass *pass, slao_precision precision);

/* Computes the batch without a backward to come. Keys and values are read from and written to
 * `cache`. */
slao_status slao_forward(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                         slao_cache *cache);

/* Computes a training batch (spans are whole segments, slots are rows), keeping what slao_backward
 * needs. Applies dropout. */
slao_status slao_forward_training(slao_pass *pass, const slao_batch *batch,
                                  const slao_low_ranks *pairs);

/* Logits at answer rows first .. first+count-1 of the last forward: count x vocabulary,
 * overwritten. */
void slao_logits(slao_pass *pass, int64_t first, int64_t count, float *logits);

/* Cross-entropy of every answer token of the last forward, -log softmax(logits)[id], into losses
 * (n_answers). After slao_forward_training it also keeps the gradient of gradient_scale * (sum of
 * losses), for slao_backward. Logits exist for some rows at a time only. */
slao_status slao_loss(slao_pass *pass, double *losses, double gradient_scale);

/* Adds the gradients of gradient_scale * (sum of losses) to the pairs' buffers; once per training
 * forward and loss. `pairs` are those of the forward. */
slao_status slao_backward(slao_pass *pass, const slao_low_ranks *pairs);

/* Someone who is shown the inputs of modules, x (rows x d_in), as a forward computes with them,
 * before dropout. q, k and v are shown the same input, one after the other, and so are gate and up.
 * The last layer's o, gate, up and down run on the rows that predict answers alone, each once: the
 * others have no effect on the loss. */
typedef struct {
    slao_status (*see)(void *context, int64_t layer, slao_module module, slao_matrix x,
                       int64_t rows);
    void *context;
} slao_observer;

/* Shows the inputs of all forwards to come to the observer, which is borrowed; NULL: to nobody. Not
 * those of micro-batches (model/micro_batches.h), which must not be observed. */
void slao_pass_observe(slao_pass *pass, const slao_observer *observer);

/* The model that the pass computes. */
const slao_model *slao_pass_model(const slao_pass *pass);

/* Bytes of activations and scratch: the most that the pass needed so far. */
size_t slao_pass_bytes(const slao_pass *pass);

#endif
