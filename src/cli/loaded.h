/* A model loaded for a command: weights, tokenizer, adapter. */
#ifndef SLAO_CLI_LOADED_H
#define SLAO_CLI_LOADED_H

#include "adapter/peft.h"
#include "model/tokenizer.h"
#include "model/transformer.h"

typedef struct {
    slao_checkpoint *checkpoint;
    slao_model *model;
    slao_pass *pass;
    slao_tokenizer *tokenizer; /* NULL if it was not asked for */
    slao_lora *lora;           /* NULL without an adapter */
} slao_loaded;

/* Loads the model at `model` (folder or GGUF file), and the PEFT folder `adapter` unless it is
 * NULL. `loaded` is to be released with slao_loaded_free, also after a failure. */
slao_status slao_load(slao_loaded *loaded, const char *model, const char *adapter,
                      bool with_tokenizer);
void slao_loaded_free(slao_loaded *loaded);

#endif
