/* A model loaded for a command: weights, tokenizer, adapter. */
#ifndef SLAO_CLI_LOADED_H
#define SLAO_CLI_LOADED_H

#include "adapter/peft.h"
#include "cli/options.h"
#include "model/tokenizer.h"
#include "model/transformer.h"

/* The option of commands that load a model; `target`: a const char *, NULL without it. */
#define SLAO_OPTION_WEIGHTS(target)                                                                \
    {                                                                                              \
        "--weights", NULL, SLAO_OPTION_TEXT, "WHERE",                                              \
            "fp32: in memory; file: mapped, in the file's precision; auto (default): fp32 up to "  \
            "8 GiB",                                                                               \
            target, false                                                                          \
    }

typedef struct {
    slao_checkpoint *checkpoint;
    slao_model *model;
    slao_pass *pass;
    slao_tokenizer *tokenizer; /* NULL if it was not asked for */
    slao_lora *lora;           /* NULL without an adapter */
} slao_loaded;

/* Loads the model at `model` (folder or GGUF file), its weights as `weights` says (a name of
 * slao_weights_names; NULL: auto), and the PEFT folder `adapter` unless it is NULL. `loaded` is to
 * be released with slao_loaded_free, also after a failure. */
slao_status slao_load(slao_loaded *loaded, const char *model, const char *adapter,
                      const char *weights, bool with_tokenizer);
void slao_loaded_free(slao_loaded *loaded);

#endif
