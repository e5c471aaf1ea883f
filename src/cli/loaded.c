#include "cli/loaded.h"

slao_status slao_load(slao_loaded *loaded, const char *model, const char *adapter,
                      const slao_load_options *options, bool with_tokenizer) {
    const char *weights = options->weights, *precision = options->precision;
    *loaded = (slao_loaded){0};
    SLAO_TRY(slao_check_name(weights, slao_weights_names, "", "--weights"));
    SLAO_TRY(slao_check_name(precision, slao_precision_names, "", "--matmul-precision"));
    SLAO_TRY(slao_checkpoint_open(&loaded->checkpoint, model));
    SLAO_TRY(slao_model_load(&loaded->model, loaded->checkpoint,
                             weights ? (slao_weights)slao_name_index(weights, slao_weights_names)
                                     : SLAO_WEIGHTS_AUTO));
    SLAO_TRY(slao_pass_new(&loaded->pass, loaded->model));
    if (precision)
        SLAO_TRY(slao_pass_set_precision(
            loaded->pass, (slao_precision)slao_name_index(precision, slao_precision_names)));
    if (with_tokenizer)
        SLAO_TRY(slao_tokenizer_load(&loaded->tokenizer, model));
    if (adapter)
        SLAO_TRY(slao_peft_load(&loaded->lora, adapter, &loaded->model->config));
    return SLAO_OK;
}

void slao_loaded_free(slao_loaded *loaded) {
    slao_lora_free(loaded->lora);
    slao_tokenizer_free(loaded->tokenizer);
    slao_pass_free(loaded->pass);
    slao_model_free(loaded->model);
    slao_checkpoint_close(loaded->checkpoint);
    *loaded = (slao_loaded){0};
}
