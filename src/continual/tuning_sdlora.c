/* SD-LoRA (Wu et al., arXiv 2501.13198): with D = s B A,
 *
 *   W0 + sum over i < t of a_i D_i / (|B_i| |A_i|) + a_t D_t        |.| the Frobenius norm, site by
 * site
 *
 * The directions D_i of earlier tasks are frozen; a_1 .. a_t are trained with the new pair, one
 * number each for the whole model as in the authors' code, and start anew at every task. The state
 * is what they have become, `magnitudes`. The sum, a pair of t times the rank, is what is
 * evaluated. */
#include "continual/tuning.h"

#include "adapter/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t count;
    slao_lora **directions; /* of the earlier tasks, normalised */
} earlier;

static double norm(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (double)x[k] * (double)x[k];
    return sqrt(sum);
}

/* B <- B / (|B| |A|); a pair that is zero stays zero. */
static void normalise(const slao_lora *lora) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        int64_t n_a = site->rank * site->d_in, n_b = site->d_out * site->rank;
        double norms = norm(site->a, n_a) * norm(site->b, n_b);
        for (int64_t k = 0; k < n_b && norms > 0; k++)
            site->b[k] = (float)((double)site->b[k] / norms);
    }
}

static slao_status begin_sdlora(slao_tuning *tuning) {
    earlier *work;
    SLAO_TRY(slao_allocate(&work, 1, sizeof *work));
    tuning->work = work;
    SLAO_TRY(slao_allocate(&work->directions, (size_t)tuning->n_earlier, sizeof(slao_lora *)));
    for (; work->count < tuning->n_earlier; work->count++) {
        SLAO_TRY(slao_lora_copy(&work->directions[work->count], tuning->earlier[work->count]));
        normalise(work->directions[work->count]);
    }
    tuning->lesson->below = (slao_lora_stack){.count = work->count,
                                              .loras = (const slao_lora *const *)work->directions};
    tuning->lesson->magnitudes = true;
    return slao_lora_add_scalars(tuning->lora, work->count + 1,
                                 (float)slao_method_number(tuning->choice, "magnitude", 0.8));
}

static slao_status sum_up(slao_tuning *tuning, const slao_lora **all, double *weights) {
    const earlier *work = tuning->work;
    const float *scalars = slao_lora_scalars(tuning->lora);
    float *kept;
    SLAO_TRY(slao_state_add(tuning->state, "magnitudes", 1, work->count + 1, &kept));
    for (int64_t k = 0; k <= work->count; k++) {
        all[k] = k < work->count ? work->directions[k] : tuning->lora;
        weights[k] = (double)scalars[k];
        kept[k] = scalars[k];
    }
    return slao_merge_sum(&tuning->evaluated, all, work->count + 1, weights);
}

static slao_status end_sdlora(slao_tuning *tuning) {
    const earlier *work = tuning->work;
    size_t count = (size_t)work->count + 1;
    const slao_lora **all;
    double *weights = NULL;
    SLAO_TRY(slao_allocate(&all, count, sizeof *all));
    slao_status status = slao_allocate(&weights, count, sizeof *weights);
    if (status == SLAO_OK)
        status = sum_up(tuning, all, weights);
    free(weights);
    free(all);
    return status;
}

static void release_sdlora(slao_tuning *tuning) {
    earlier *work = tuning->work;
    for (int64_t k = 0; work && k < work->count; k++)
        slao_lora_free(work->directions[k]);
    if (work)
        free(work->directions);
    free(work);
}

const slao_tuning_rule slao_tuning_sdlora = {.name = "sdlora",
                                             .from_first_task = true,
                                             .own_evaluation = true,
                                             .begin = begin_sdlora,
                                             .end = end_sdlora,
                                             .release = release_sdlora};
