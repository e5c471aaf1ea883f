#include "learn/fisher.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The gradient of the sum of an example's losses, which is -log p, into `gradients`. */
static slao_status gradient_of(slao_pass *pass, const slao_low_ranks *pairs,
                               const slao_sequence *example, slao_arena *arena) {
    slao_arena_return(arena, (slao_arena_mark){0});
    slao_packed packed;
    double *losses;
    SLAO_TRY(slao_pack(&packed, example, 1, SLAO_SHARE_NOTHING, NULL, arena));
    SLAO_TRY(slao_arena_take(arena, &losses, (size_t)packed.batch.n_answers, sizeof *losses));
    SLAO_TRY(slao_forward_training(pass, &packed.batch, pairs));
    SLAO_TRY(slao_loss(pass, losses, 1));
    return slao_backward(pass, pairs);
}

slao_status slao_fisher(slao_pass *pass, const slao_model_config *config, const slao_lora *lora,
                        const slao_sequence *examples, int64_t n_examples, float *fisher) {
    slao_lora quiet = *lora; /* the same values without dropout */
    quiet.settings.dropout = 0;
    size_t n = (size_t)lora->n_values;
    slao_low_ranks pairs = {0};
    slao_arena *arena = NULL;
    float *gradients = NULL;
    double *squares = NULL;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_arena_new(&arena), done);
    SLAO_TRY_GOTO(status, slao_allocate(&gradients, n, sizeof *gradients), done);
    SLAO_TRY_GOTO(status, slao_allocate(&squares, n, sizeof *squares), done);
    SLAO_TRY_GOTO(status, slao_lora_view(&pairs, &quiet, gradients, config), done);
    for (int64_t i = 0; i < n_examples; i++) {
        memset(gradients, 0, n * sizeof *gradients);
        SLAO_TRY_GOTO(status, gradient_of(pass, &pairs, &examples[i], arena), done);
        for (size_t k = 0; k < n; k++)
            squares[k] += (double)gradients[k] * (double)gradients[k];
    }
    for (size_t k = 0; k < n; k++) {
        fisher[k] = (float)(squares[k] / (double)n_examples);
        if (!isfinite(fisher[k])) {
            status = slao_fail(SLAO_FAILED,
                               "the Fisher information of the adapter is not finite: training has "
                               "diverged; try a smaller learning rate");
            goto done;
        }
    }
done:
    slao_lora_view_free(&pairs);
    free(squares);
    free(gradients);
    slao_arena_free(arena);
    return status;
}
