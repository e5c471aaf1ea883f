/* Fine-tuning of a LoRA adapter on one task.
 *
 * The order of the examples comes from the stream (seed, task name, epoch); batches of `batch_size`
 * are cut off it in turn, `accumulation` of them make an optimiser step, whose loss is the mean
 * over all their answer tokens. Optimiser state, learning-rate schedule and step count start anew.
 * The same inputs give the same bits.
 */
#ifndef SLAO_LEARN_TRAINER_H
#define SLAO_LEARN_TRAINER_H

#include "adapter/lora.h"
#include "data/packing.h"
#include "learn/settings.h"
#include "model/transformer.h"

typedef struct {
    const char *task; /* names the random streams */
    uint64_t seed;
    const slao_sequence *examples;
    int64_t n_examples;
} slao_lesson;

typedef struct {
    int64_t steps;   /* of the optimiser */
    double *losses;  /* per step: before it */
    size_t capacity; /* of losses */
    int64_t tokens;  /* of all examples in all epochs, as if nothing were shared */
} slao_training;

/* All that a training needs to go on from between two optimiser steps, bit for bit: everything else
 * follows from the seed and the number of steps. */
typedef struct {
    int64_t n_values;
    float *values, *first, *second; /* n_values each: the adapter, the optimiser's moments */
    slao_training *training;        /* steps, losses, tokens so far */
    int64_t total_steps;
} slao_training_state;

/* Who looks on. `begin` may put back an earlier state, in place (the moments are zeros otherwise);
 * `after_step` is called after every optimiser step but the last, and ends the training by any
 * status but SLAO_OK. Either may be NULL. */
typedef struct {
    void *context;
    slao_status (*begin)(void *context, slao_training_state *state);
    slao_status (*after_step)(void *context, const slao_training_state *state);
} slao_training_watch;

/* Room for `count` losses. */
slao_status slao_training_reserve(slao_training *training, int64_t count);

/* Trains `lora` in place. A loss or gradient that is not finite is SLAO_FAILED naming the step.
 * `watch` may be NULL.
 * `*training` is to be released with slao_training_free, also after a failure. */
slao_status slao_train(slao_pass *pass, const slao_model_config *config, slao_lora *lora,
                       const slao_lesson *lesson, const slao_train_settings *settings,
                       const slao_training_watch *watch, slao_training *training);
void slao_training_free(slao_training *training);

#endif
