/* A model loaded for a command: weights, tokenizer, adapter. */
#ifndef SLAO_CLI_LOADED_H
#define SLAO_CLI_LOADED_H

#include "adapter/peft.h"
#include "cli/options.h"
#include "model/tokenizer.h"
#include "model/transformer.h"

/* How a command's model is to be computed: names, NULL where the default is meant. */
typedef struct {
    const char *weights;   /* of slao_weights_names */
    const char *precision; /* of slao_precision_names */
} slao_load_options;

/* The rows of a command's options for them. */
#define SLAO_OPTIONS_OF_MODEL(options)                                                             \
    {"--weights",                                                                                  \
     NULL,                                                                                         \
     SLAO_OPTION_TEXT,                                                                             \
     "WHERE",                                                                                      \
     "fp32: in memory; file: mapped, in the file's precision; auto (default): fp32 up to 8 GiB",   \
     &(options).weights,                                                                           \
     false},                                                                                       \
    {                                                                                              \
        "--matmul-precision", NULL, SLAO_OPTION_TEXT, "P",                                         \
            "fp32 (default), or bf16: of the products with the model's matrices",                  \
            &(options).precision, false                                                            \
    }

typedef struct {
    slao_checkpoint *checkpoint;
    slao_model *model;
    slao_pass *pass;
    slao_tokenizer *tokenizer; /* NULL if it was not asked for */
    slao_lora *lora;           /* NULL without an adapter */
} slao_loaded;

/* Loads the model at `model` (folder or GGUF file) as the options say, and the PEFT folder `adapter`
 * unless it is NULL. `loaded` is to be released with slao_loaded_free, also after a failure. */
slao_status slao_load(slao_loaded *loaded, const char *model, const char *adapter,
                      const slao_load_options *options, bool with_tokenizer);
void slao_loaded_free(slao_loaded *loaded);

#endif
