/* What a decoder-only transformer of the Llama kind is made of. */
#ifndef SLAO_MODEL_CONFIG_H
#define SLAO_MODEL_CONFIG_H

#include "model/gguf.h"

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

/* How a config.json speaks of a sliding window. */
typedef enum {
    SLAO_NO_WINDOW,      /* a `sliding_window` is refused */
    SLAO_WINDOW,         /* in every layer, unless `sliding_window` is null */
    SLAO_OPTIONAL_WINDOW /* in the layers from `max_window_layers` on, if `use_sliding_window` */
} slao_window_rule;

/* A family of models: one row of the table in config.c. */
typedef struct {
    const char *name;       /* "llama" */
    const char *model_type; /* in config.json */
    const char *gguf_name;  /* general.architecture, and the first part of its keys; NULL: its files
                               go by another row's */
    bool gguf_permutes_qk;  /* rows of q and k lie in another order there (see checkpoint.h) */
    bool qkv_bias;
    slao_window_rule window;
    /* What a config.json means that lacks num_key_value_heads (0: all heads), or
     * max_position_embeddings. */
    int64_t default_kv_heads, default_max_positions;
} slao_model_family;

enum { SLAO_MAX_LAYERS = 1 << 12, SLAO_MAX_END_TOKENS = 8, SLAO_MAX_ROPE_FACTORS = 256 };

/* How the frequencies of RoPE are stretched for long texts; formulas in rope.h. */
typedef enum { SLAO_ROPE_DEFAULT, SLAO_ROPE_LINEAR, SLAO_ROPE_LLAMA3, SLAO_N_ROPES } slao_rope_type;

typedef struct {
    slao_rope_type type;
    double factor;                        /* LINEAR, LLAMA3 */
    double low_frequency, high_frequency; /* LLAMA3: low_freq_factor, high_freq_factor */
    int64_t original_positions;           /* LLAMA3 */
    int64_t n_factors;                    /* 0, or head_dim / 2: a GGUF file has */
    float factors[SLAO_MAX_ROPE_FACTORS]; /* the scaling as one divisor a frequency */
} slao_rope_scaling;

typedef struct {
    const slao_model_family *family;
    int64_t hidden, layers, heads, kv_heads, head_dim, intermediate;
    int64_t vocabulary; /* rows of the embedding: may exceed the tokenizer's */
    int64_t max_positions;
    double rope_theta, rms_epsilon;
    slao_rope_scaling rope;
    int64_t window;       /* tokens that a token sees, itself included; 0: all before it */
    int64_t window_layer; /* the first layer of those that have the window */
    bool tied_head;       /* the output head is the embedding */
    int64_t bos, eos;     /* token ids; -1 where there is none */
    /* All tokens that end a text: eos first, then others that the model's files name. */
    int64_t end_tokens[SLAO_MAX_END_TOKENS], n_end_tokens;
} slao_model_config;

bool slao_model_ends_at(const slao_model_config *config, int64_t token);

/* The window of a layer, 0 for none. */
int64_t slao_model_window(const slao_model_config *config, int64_t layer);

/* Reads `folder`/config.json and, where it is there, generation_config.json, whose tokens win. Keys
 * that slao does not know are fine, but what would change the results and is not supported (another
 * architecture, other scalings of RoPE, other biases and activations) is SLAO_BAD_INPUT by name.
 * RoPE's scaling is read from `rope_scaling` or `rope_parameters`, with `rope_type` or `type`; a
 * file that has both must say the same in both. `vocabulary` and `tied_head` are what the file
 * says: the tensors have the last word (checkpoint.h); *tied_said tells whether the file says
 * anything about the head. */
slao_status slao_config_from_folder(slao_model_config *config, bool *tied_said, const char *folder);

/* The same from GGUF metadata. `vocabulary`, `tied_head` and the factors of RoPE are left 0: the
 * tensors tell. A file of Mistral's says that it is a llama, and has a window only if it says so.
 */
slao_status slao_config_from_gguf(slao_model_config *config, const slao_gguf *gguf,
                                  const char *path);

/* Input and output width of a module: its weight is d_out x d_in, row-major, y = W x. */
void slao_module_shape(const slao_model_config *config, slao_module module, int64_t *d_out,
                       int64_t *d_in);

#endif
