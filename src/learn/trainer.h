/* Fine-tuning of a LoRA adapter on one task.
 *
 * The order of the examples comes from the stream (seed, task name, epoch); batches of `batch_size`
 * are cut off it in turn, `accumulation` of them make an optimiser step, whose loss is the mean
 * over all their answer tokens. Optimiser state, learning-rate schedule and step count start anew.
 * The same inputs give the same bits.
 *
 * A team (linalg/team.h) trains together: each member computes a fixed part of the examples of
 * every batch, and all make the same optimiser step with the sum of their gradients.
 */
#ifndef SLAO_LEARN_TRAINER_H
#define SLAO_LEARN_TRAINER_H

#include "adapter/lora.h"
#include "data/packing.h"
#include "learn/settings.h"
#include "linalg/team.h"
#include "model/transformer.h"

/* What is added to the loss of the data once per optimiser step, whatever the accumulation: *value
 * becomes its value at the adapter's present values, its gradient is added to `gradients` (laid out
 * as lora->values), before clipping. It adds nothing to the gradient of a frozen factor. */
typedef struct {
    void *context;
    slao_status (*add)(void *context, const slao_lora *lora, float *gradients, double *value);
} slao_extra_loss;

typedef struct {
    const char *task; /* names the random streams */
    uint64_t seed;
    const slao_sequence *examples;
    int64_t n_examples;
    slao_factors frozen;   /* factors that are not trained: no gradient is computed of them */
    slao_lora_stack below; /* frozen adapters that the trained one comes on top of */
    slao_extra_loss extra; /* add NULL: none */
    bool magnitudes; /* the weights of the stack, the trained adapter's own as the last one, are
                        the adapter's scalars (below.count + 1) and are trained with it */
    slao_team *team; /* that all members of call slao_train; NULL: alone */
} slao_lesson;

typedef struct {
    int64_t steps;                   /* of the optimiser */
    double *losses;                  /* per step: before it, of the data */
    double *extra_losses;            /* per step: the extra loss; NULL where there is none */
    size_t capacity, extra_capacity; /* of losses and extra_losses */
    int64_t tokens;                  /* of all examples in all epochs, as if nothing were shared */
    double *gradient_norms; /* n_sites x 2: mean over the steps of the norm (before clipping) of the
                               gradient of a site's A, and of its B; 0 where frozen */
    double gradient_norm_a, gradient_norm_b; /* the same over all sites together */
} slao_training;

/* All that a training needs to go on from between two optimiser steps, bit for bit: everything else
 * follows from the seed and the number of steps. */
typedef struct {
    int64_t n_values;
    float *values, *first, *second; /* n_values each: the adapter, the optimiser's moments */
    int64_t n_norms;
    bool extra;              /* there are extra losses */
    slao_training *training; /* steps, losses, tokens so far; sums of the gradient norms, of which
                                gradient_norms has n_norms */
    int64_t total_steps;
} slao_training_state;

/* Who looks on; in a team its first member alone. `begin` may put back an earlier state, in place
 * (the moments are zeros otherwise); `after_step` is called after every optimiser step but the
 * last, and ends the training by any status but SLAO_OK. Either may be NULL. */
typedef struct {
    void *context;
    slao_status (*begin)(void *context, slao_training_state *state);
    slao_status (*after_step)(void *context, const slao_training_state *state);
} slao_training_watch;

/* Room for `count` losses, and for as many extra losses where there are any. */
slao_status slao_training_reserve(slao_training *training, int64_t count, bool extra);

/* As the pass takes it. */
slao_checkpointing slao_train_checkpointing(const slao_train_settings *settings);

/* Trains `lora` in place. A loss or gradient that is not finite is SLAO_FAILED naming the step.
 * `watch` may be NULL. `*training` is to be released with slao_training_free, also after a failure.
 */
slao_status slao_train(slao_pass *pass, const slao_model_config *config, slao_lora *lora,
                       const slao_lesson *lesson, const slao_train_settings *settings,
                       const slao_training_watch *watch, slao_training *training);
void slao_training_free(slao_training *training);

/* The loss of the lesson's first `n_examples` at `lora`, as one optimiser step would have it (the
 * mean over all their answer tokens), and its gradient (n_values, laid out as the values; 0 where
 * frozen): without dropout, and of the data alone. By each caller for itself, also in a team. */
slao_status slao_lesson_gradient(slao_pass *pass, const slao_model_config *config,
                                 const slao_lora *lora, const slao_lesson *lesson,
                                 const slao_train_settings *settings, int64_t n_examples,
                                 double *loss, float *gradients);

#endif
