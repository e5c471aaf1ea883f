/* What the inputs of an adapted module look like over a set of examples: sum x x^T, d_in x d_in.
 *
 * Modules that read the same input (q, k and v; gate and up) share one sum. Every token that is fed
 * in counts once per example it stands in, prompts included; of the last layer's o, gate, up and
 * down only the tokens that predict answers count (model/transformer.h). All is fp64, since
 * closed forms divide by these sums; the same inputs give the same bits.
 */
#ifndef SLAO_LEARN_OBSERVATION_H
#define SLAO_LEARN_OBSERVATION_H

#include "adapter/lora.h"
#include "data/packing.h"
#include "model/transformer.h"

typedef struct {
    int64_t layer;
    slao_module module; /* the first of those that share the input: q, o, gate or down */
    int64_t width;      /* d_in */
    int64_t rows;       /* tokens counted */
    const double *sum;  /* width x width, symmetric */
} slao_gram;

/* The module that stands for those with the same input. */
slao_module slao_input_module(slao_module module);

/* A number for the input of a module in a layer, from 0 on: the same for modules that share it. */
int64_t slao_input_index(int64_t layer, slao_module module);

typedef struct {
    const slao_sequence *examples;
    int64_t n_examples;
    int64_t batch_size; /* examples per pass */
    size_t memory; /* bytes that sums may take at a time; one is always held. The examples are gone
                      through as often as it takes. */
} slao_observation_settings;

/* Shows `take` the sum of every input that some site of `lora` reads, by layer and module, with the
 * model as it is under `pairs` (may be NULL). The sum lives until `take` returns. */
slao_status slao_observe_inputs(slao_pass *pass, const slao_model_config *config,
                                const slao_lora *lora, const slao_low_ranks *pairs,
                                const slao_observation_settings *settings,
                                slao_status (*take)(void *context, const slao_gram *gram),
                                void *context);

#endif
