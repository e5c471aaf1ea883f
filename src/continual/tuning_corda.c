/* CorDA (arXiv 2406.05223) in a sequence: before the first task each adapted weight is split by
 * that task's inputs (continual/corda.h), W = (W - s B0 A0) + s B A with B A starting at B0 A0;
 * then one pair goes on from task to task. The model's own W stays as it is: the pair B0 A0 is
 * kept, and subtracted, as the state
 *
 *   subtracted.TENSOR   A0 and B0 of each site
 *
 * and W + s B A - s B0 A0, a pair of twice the rank, is what is evaluated. */
#include "continual/tuning.h"

#include "adapter/merge.h"
#include "continual/corda.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    slao_lora *subtracted;
    const slao_lora *below[1];
    double weights[1];
} split;

static slao_status split_weights(void *context, const slao_gram *gram) {
    const slao_tuning *tuning = context;
    const slao_model *model = slao_pass_model(tuning->pass);
    bool last = strcmp(slao_method_text(tuning->choice, "components"), "last") == 0;
    size_t n = (size_t)(gram->width * gram->width);
    double *mean;
    SLAO_TRY(slao_allocate(&mean, n, sizeof *mean));
    for (size_t k = 0; k < n; k++)
        mean[k] = gram->sum[k] / (double)gram->rows;
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < tuning->lora->n_sites && status == SLAO_OK; i++) {
        const slao_site *site = &tuning->lora->sites[i];
        if (site->layer != gram->layer || slao_input_module(site->module) != gram->module)
            continue;
        float *weight;
        status = slao_allocate(&weight, (size_t)(site->d_out * site->d_in), sizeof *weight);
        if (status != SLAO_OK)
            break;
        slao_model_expand(model, site->layer, site->module, weight);
        status = slao_corda_pair(weight, site->d_out, site->d_in, mean, site->rank, site->scale,
                                 last, site->a, site->b);
        free(weight);
    }
    free(mean);
    return status;
}

/* Reads the pair that is subtracted from the state, or writes it there. */
static slao_status exchange(const slao_lora *lora, const slao_state *from, slao_state *to) {
    for (int64_t i = 0; i < 2 * lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i / 2];
        bool is_b = i % 2;
        float *factor = is_b ? site->b : site->a, *kept;
        int64_t rows = is_b ? site->d_out : site->rank, columns = is_b ? site->rank : site->d_in;
        size_t bytes = (size_t)(rows * columns) * sizeof *factor;
        char name[SLAO_TUNING_NAME];
        slao_tuning_name(name, "subtracted", site->layer, site->module,
                         is_b ? ".lora_B.weight" : ".lora_A.weight");
        if (to) {
            SLAO_TRY(slao_state_add(to, name, rows, columns, &kept));
            memcpy(kept, factor, bytes);
            continue;
        }
        const slao_state_tensor *tensor = slao_state_find(from, name);
        if (!tensor || tensor->rows != rows || tensor->columns != columns)
            return slao_fail(SLAO_BAD_INPUT, "the state that CorDA left has no %s of %lld x %lld",
                             name, (long long)rows, (long long)columns);
        memcpy(factor, tensor->values, bytes);
    }
    return SLAO_OK;
}

static slao_status begin_corda(slao_tuning *tuning) {
    split *work;
    SLAO_TRY(slao_tuning_need_state(tuning));
    SLAO_TRY(slao_allocate(&work, 1, sizeof *work));
    tuning->work = work;
    if (tuning->position == 1)
        SLAO_TRY(slao_tuning_observe(tuning, split_weights,
                                     tuning)); /* B is still zero: the base model's inputs */
    SLAO_TRY(slao_lora_copy(&work->subtracted, tuning->lora));
    if (tuning->position > 1)
        SLAO_TRY(exchange(work->subtracted, tuning->before, NULL));
    work->below[0] = work->subtracted;
    work->weights[0] = -1;
    tuning->lesson->below =
        (slao_lora_stack){.count = 1, .loras = work->below, .weights = work->weights};
    return SLAO_OK;
}

static slao_status end_corda(slao_tuning *tuning) {
    const split *work = tuning->work;
    const slao_lora *both[] = {tuning->lora, work->subtracted};
    static const double weights[] = {1, -1};
    SLAO_TRY(exchange(work->subtracted, NULL, tuning->state));
    return slao_merge_sum(&tuning->evaluated, both, 2, weights);
}

static void release_corda(slao_tuning *tuning) {
    split *work = tuning->work;
    if (work)
        slao_lora_free(work->subtracted);
    free(work);
}

const slao_tuning_rule slao_tuning_corda = {.name = "corda",
                                            .from_first_task = true,
                                            .own_evaluation = true,
                                            .begin = begin_corda,
                                            .end = end_corda,
                                            .release = release_corda};
