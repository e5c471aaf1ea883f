#include "learn/linearisation.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

slao_status slao_linearise(slao_pass *pass, const slao_model_config *config, const slao_lora *start,
                           const slao_lora *end, const slao_lesson *lesson,
                           const slao_train_settings *settings, int64_t n_examples,
                           slao_linearisation *linearisation) {
    SLAO_INVARIANT(slao_lora_same_shape(start, end) && start->n_values == end->n_values);
    int64_t n = n_examples < lesson->n_examples ? n_examples : lesson->n_examples;
    double before, after, predicted = 0;
    float *gradients;
    SLAO_TRY(slao_allocate(&gradients, (size_t)start->n_values, sizeof *gradients));
    slao_status status =
        slao_lesson_gradient(pass, config, end, lesson, settings, n, &after, gradients);
    if (status == SLAO_OK)
        status = slao_lesson_gradient(pass, config, start, lesson, settings, n, &before, gradients);
    for (int64_t i = 0; i < start->n_values && status == SLAO_OK; i++)
        predicted += (double)gradients[i] * ((double)end->values[i] - (double)start->values[i]);
    free(gradients);
    SLAO_TRY(status);
    double change = after - before;
    *linearisation = (slao_linearisation){
        .change = change,
        .predicted = predicted,
        .error = change != 0 ? fabs(change - predicted) / fabs(change) : NAN,
    };
    return SLAO_OK;
}
