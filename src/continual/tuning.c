#include "continual/tuning.h"

#include <stdio.h>
#include <stdlib.h>

slao_status slao_tuning_need_state(const slao_tuning *tuning) {
    if (tuning->position == 1 || tuning->before->count)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT,
                     "the state that the task before left is gone (method_state.safetensors beside "
                     "its adapter in the store): put it back, or run with another store");
}

slao_status slao_tuning_view(const slao_tuning *tuning, slao_low_ranks *pairs) {
    const slao_lora_stack *below = &tuning->lesson->below;
    size_t count = (size_t)below->count + 1;
    const slao_lora **loras;
    double *weights = NULL;
    SLAO_TRY(slao_allocate(&loras, count, sizeof *loras));
    slao_status status = slao_allocate(&weights, count, sizeof *weights);
    if (status == SLAO_OK) {
        for (int64_t k = 0; k < below->count; k++) {
            loras[k] = below->loras[k];
            weights[k] = below->weights ? below->weights[k] : 1;
        }
        loras[below->count] = tuning->lora;
        weights[below->count] = 1;
        slao_lora_stack stack = {.count = below->count + 1, .loras = loras, .weights = weights};
        status = slao_lora_view_stack(pairs, &stack, NULL, SLAO_FACTOR_NONE, tuning->config);
    }
    free(weights);
    free(loras);
    return status;
}

slao_status slao_tuning_observe(const slao_tuning *tuning,
                                slao_status (*take)(void *context, const slao_gram *gram),
                                void *context) {
    enum { MEMORY = 512 << 20 };
    const slao_observation_settings settings = {.examples = tuning->lesson->examples,
                                                .n_examples = tuning->lesson->n_examples,
                                                .batch_size = tuning->settings->batch_size,
                                                .memory = MEMORY};
    slao_low_ranks pairs = {0};
    SLAO_TRY(slao_tuning_view(tuning, &pairs));
    slao_status status = slao_observe_inputs(tuning->pass, tuning->config, tuning->lora, &pairs,
                                             &settings, take, context);
    slao_lora_view_free(&pairs);
    return status;
}

void slao_tuning_name(char name[SLAO_TUNING_NAME], const char *prefix, int64_t layer,
                      slao_module module, const char *suffix) {
    snprintf(name, SLAO_TUNING_NAME, "%s.model.layers.%lld.%s%s", prefix, (long long)layer,
             slao_module_path(module), suffix);
}
