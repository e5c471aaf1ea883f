/* Rules of tuning that add a penalty (learn/penalty.h) to the loss. */
#include "continual/tuning.h"

#include "learn/fisher.h"
#include "learn/penalty.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    slao_penalty penalty;
    float *anchor, *importance; /* of EWC: n_values each */
} penalised;

static slao_status add_penalty(void *context, const slao_lora *lora, float *gradients,
                               double *value) {
    const penalised *work = context;
    return slao_penalty_add(&work->penalty, lora, gradients, value);
}

/* Sets the rule's own work, with the penalty in the lesson. */
static slao_status begin_penalty(slao_tuning *tuning, const char *rule, penalised **work) {
    SLAO_TRY(slao_allocate(work, 1, sizeof **work));
    tuning->work = *work;
    (*work)->penalty.rule = slao_penalty_rule_find(rule);
    SLAO_INVARIANT((*work)->penalty.rule);
    tuning->lesson->extra = (slao_extra_loss){*work, add_penalty};
    return SLAO_OK;
}

static void release_penalty(slao_tuning *tuning) {
    penalised *work = tuning->work;
    if (!work)
        return;
    free(work->anchor);
    free(work->importance);
    free(work);
}

/* ---- O-LoRA, N-LoRA ---- */

static slao_status begin_olora(slao_tuning *tuning) {
    penalised *work;
    SLAO_TRY(begin_penalty(tuning, "orthogonal", &work));
    work->penalty.first = slao_method_number(tuning->choice, "l1", 0);
    work->penalty.second = slao_method_number(tuning->choice, "l2", 0);
    work->penalty.old = tuning->earlier;
    work->penalty.n_old = tuning->n_earlier;
    return SLAO_OK;
}

const slao_tuning_rule slao_tuning_olora = {
    .name = "olora", .begin = begin_olora, .release = release_penalty};

static slao_status begin_nlora(slao_tuning *tuning) {
    penalised *work;
    SLAO_TRY(begin_penalty(tuning, "sparse", &work));
    work->penalty.first = slao_method_number(tuning->choice, "l", 0);
    return SLAO_OK;
}

const slao_tuning_rule slao_tuning_nlora = {
    .name = "nlora", .from_first_task = true, .begin = begin_nlora, .release = release_penalty};

/* ---- EWC: the state is the Fisher information, a tensor per factor ---- */

/* Each factor of each site with its place among the values. */
typedef struct {
    char name[SLAO_TUNING_NAME];
    int64_t at, rows, columns;
} factor_place;

static factor_place place_of(const slao_lora *lora, int64_t site_index, bool is_b) {
    const slao_site *site = &lora->sites[site_index];
    factor_place place = {.at = (is_b ? site->b : site->a) - lora->values,
                          .rows = is_b ? site->d_out : site->rank,
                          .columns = is_b ? site->rank : site->d_in};
    slao_tuning_name(place.name, "fisher", site->layer, site->module,
                     is_b ? ".lora_B.weight" : ".lora_A.weight");
    return place;
}

/* F of the tasks before, laid out as the values of `lora`. */
static slao_status read_fisher(const slao_state *state, const slao_lora *lora, float *fisher) {
    for (int64_t i = 0; i < 2 * lora->n_sites; i++) {
        factor_place place = place_of(lora, i / 2, i % 2);
        const slao_state_tensor *tensor = slao_state_find(state, place.name);
        if (!tensor || tensor->rows != place.rows || tensor->columns != place.columns)
            return slao_fail(SLAO_BAD_INPUT, "the state that EWC left has no %s of %lld x %lld",
                             place.name, (long long)place.rows, (long long)place.columns);
        memcpy(fisher + place.at, tensor->values,
               (size_t)(place.rows * place.columns) * sizeof *fisher);
    }
    return SLAO_OK;
}

static slao_status begin_ewc(slao_tuning *tuning) {
    SLAO_TRY(slao_tuning_need_state(tuning));
    if (tuning->position == 1)
        return SLAO_OK; /* the first task: nothing matters yet */
    const slao_lora *lora = tuning->lora;
    size_t n = (size_t)lora->n_values;
    penalised *work;
    SLAO_TRY(begin_penalty(tuning, "importance", &work));
    SLAO_TRY(slao_allocate(&work->anchor, n, sizeof *work->anchor));
    SLAO_TRY(slao_allocate(&work->importance, n, sizeof *work->importance));
    memcpy(work->anchor, lora->values, n * sizeof *work->anchor); /* it starts from the last pair */
    work->penalty.first = slao_method_number(tuning->choice, "l", 0);
    work->penalty.anchor = work->anchor;
    work->penalty.importance = work->importance;
    return read_fisher(tuning->before, lora, work->importance);
}

static slao_status end_ewc(slao_tuning *tuning) {
    const slao_lora *lora = tuning->lora;
    const penalised *work = tuning->work;
    double gamma = slao_method_number(tuning->choice, "gamma", 1);
    float *fisher;
    SLAO_TRY(slao_allocate(&fisher, (size_t)lora->n_values, sizeof *fisher));
    slao_status status = slao_fisher(tuning->pass, tuning->config, lora, tuning->lesson->examples,
                                     tuning->lesson->n_examples, fisher);
    for (int64_t k = 0; k < lora->n_values && work && status == SLAO_OK; k++)
        fisher[k] = (float)(gamma * (double)work->importance[k] + (double)fisher[k]);
    for (int64_t i = 0; i < 2 * lora->n_sites && status == SLAO_OK; i++) {
        factor_place place = place_of(lora, i / 2, i % 2);
        float *values;
        status = slao_state_add(tuning->state, place.name, place.rows, place.columns, &values);
        if (status == SLAO_OK)
            memcpy(values, fisher + place.at,
                   (size_t)(place.rows * place.columns) * sizeof *values);
    }
    free(fisher);
    return status;
}

const slao_tuning_rule slao_tuning_ewc = {.name = "ewc",
                                          .from_first_task = true,
                                          .begin = begin_ewc,
                                          .end = end_ewc,
                                          .release = release_penalty};
