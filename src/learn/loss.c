#include "learn/loss.h"

/* Adds the losses of all answer tokens of a batch to *sum. */
static slao_status add_batch(slao_pass *pass, const slao_low_ranks *pairs,
                             const slao_sequence *examples, int64_t count, slao_arena *arena,
                             double *sum, int64_t *n_answers) {
    slao_arena_return(arena, (slao_arena_mark){0});
    slao_packed packed;
    slao_cache cache;
    double *losses;
    SLAO_TRY(slao_pack(&packed, examples, count, SLAO_SHARE_PREFIXES, NULL, arena));
    SLAO_TRY(slao_arena_take(arena, &losses, (size_t)packed.batch.n_answers, sizeof *losses));
    SLAO_TRY(slao_cache_take(&cache, &slao_pass_model(pass)->config, packed.batch.n_rows, arena));
    SLAO_TRY(slao_forward(pass, &packed.batch, pairs, &cache));
    SLAO_TRY(slao_loss(pass, losses, 0));
    for (int64_t i = 0; i < packed.batch.n_answers; i++)
        *sum += losses[i];
    *n_answers += packed.batch.n_answers;
    return SLAO_OK;
}

slao_status slao_mean_loss(slao_pass *pass, const slao_low_ranks *pairs,
                           const slao_sequence *examples, int64_t n_examples, int64_t batch_size,
                           double *loss) {
    slao_arena *arena;
    double sum = 0;
    int64_t n_answers = 0;
    SLAO_TRY(slao_arena_new(&arena));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < n_examples && status == SLAO_OK; i += batch_size) {
        int64_t count = n_examples - i < batch_size ? n_examples - i : batch_size;
        status = add_batch(pass, pairs, examples + i, count, arena, &sum, &n_answers);
    }
    slao_arena_free(arena);
    *loss = sum / (double)n_answers;
    return status;
}
