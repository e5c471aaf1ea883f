/* What a decoder-only transformer of the Llama kind is made of. */
#ifndef SLAO_MODEL_CONFIG_H
#define SLAO_MODEL_CONFIG_H

#include "base/status.h"

#include <stdint.h>

/* The linear modules of a layer, in the order of their use; a LoRA pair can sit on any of them. */
typedef enum {
    SLAO_Q_PROJ,
    SLAO_K_PROJ,
    SLAO_V_PROJ,
    SLAO_O_PROJ,
    SLAO_GATE_PROJ,
    SLAO_UP_PROJ,
    SLAO_DOWN_PROJ,
    SLAO_N_MODULES
} slao_module;

/* "q_proj", and its place in a layer as Hugging Face names it, "self_attn.q_proj". */
const char *slao_module_name(slao_module module);
const char *slao_module_path(slao_module module);

/* The module called `name` ("q_proj"), or SLAO_N_MODULES. */
slao_module slao_module_by_name(const char *name);

typedef struct {
    int64_t hidden, layers, heads, kv_heads, head_dim, intermediate;
    int64_t vocabulary; /* rows of the embedding: may exceed the tokenizer's */
    int64_t max_positions;
    double rope_theta, rms_epsilon;
    bool tied_head;   /* the output head is the embedding */
    int64_t bos, eos; /* token ids; -1 where there is none */
} slao_model_config;

/* Input and output width of a module: its weight is d_out x d_in, row-major, y = W x. */
void slao_module_shape(const slao_model_config *config, slao_module module, int64_t *d_out,
                       int64_t *d_in);

#endif
