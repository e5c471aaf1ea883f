/* InfLoRA (arXiv 2404.00228): A spans what the task's inputs have outside the memory of gradients,
 * and is frozen; B is trained. The state is the memory of each input (continual/gradient_memory.h),
 * a tensor each:
 *
 *   memory.INPUT      a basis of it, a row per vector
 *   complement.INPUT  a basis of its complement; a row of zeros where nothing is left of that
 *
 * Modules that share an input share their A at the start of a task. */
#include "continual/tuning.h"

#include "continual/gradient_memory.h"

#include <stdlib.h>
#include <string.h>

static slao_status load_memory(const slao_state *state, const slao_gram *gram,
                               slao_gradient_memory *memory) {
    *memory = (slao_gradient_memory){.width = gram->width};
    char name[SLAO_TUNING_NAME];
    slao_tuning_name(name, "memory", gram->layer, gram->module, "");
    const slao_state_tensor *tensor = slao_state_find(state, name);
    if (!tensor) {
        slao_tuning_name(name, "complement", gram->layer, gram->module, "");
        tensor = slao_state_find(state, name);
        memory->complement = tensor != NULL;
    }
    if (!tensor)
        return state->count == 0
                   ? SLAO_OK
                   : slao_fail(SLAO_BAD_INPUT, "the state that InfLoRA left has no %s", name);
    if (tensor->columns != gram->width)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s in the state that InfLoRA left has %lld columns, not %lld", name,
                         (long long)tensor->columns, (long long)gram->width);
    memory->rows = tensor->rows;
    size_t n = (size_t)(tensor->rows * tensor->columns);
    SLAO_TRY(slao_allocate(&memory->basis, n, sizeof *memory->basis));
    for (size_t k = 0; k < n; k++)
        memory->basis[k] = (double)tensor->values[k];
    return SLAO_OK;
}

static slao_status save_memory(slao_state *state, const slao_gram *gram,
                               const slao_gradient_memory *memory) {
    char name[SLAO_TUNING_NAME];
    float *values;
    slao_tuning_name(name, memory->complement ? "complement" : "memory", gram->layer, gram->module,
                     "");
    SLAO_TRY(slao_state_add(state, name, memory->rows ? memory->rows : 1, memory->width, &values));
    for (int64_t k = 0; k < memory->rows * memory->width; k++)
        values[k] = (float)memory->basis[k];
    return SLAO_OK;
}

/* H, to be freed. */
static slao_status mean_of(const slao_gram *gram, double **h) {
    size_t n = (size_t)(gram->width * gram->width);
    SLAO_TRY(slao_allocate(h, n, sizeof **h));
    for (size_t k = 0; k < n; k++)
        (*h)[k] = gram->sum[k] / (double)gram->rows;
    return SLAO_OK;
}

/* Sets the A of every site that reads the input. */
static slao_status start_from(void *context, const slao_gram *gram) {
    const slao_tuning *tuning = context;
    const slao_lora *lora = tuning->lora;
    slao_gradient_memory memory;
    double *h = NULL;
    const slao_site *first = NULL;
    slao_status status = load_memory(tuning->before, gram, &memory);
    if (status == SLAO_OK)
        status = mean_of(gram, &h);
    for (int64_t i = 0; i < lora->n_sites && status == SLAO_OK; i++) {
        const slao_site *site = &lora->sites[i];
        if (site->layer != gram->layer || slao_input_module(site->module) != gram->module)
            continue;
        if (first)
            memcpy(site->a, first->a, (size_t)(site->rank * site->d_in) * sizeof *site->a);
        else
            status = slao_gradient_memory_subspace(&memory, h, site->rank, site->a);
        first = site;
    }
    free(h);
    slao_gradient_memory_free(&memory);
    return status;
}

static slao_status begin_inflora(slao_tuning *tuning) {
    SLAO_TRY(slao_tuning_need_state(tuning));
    tuning->lesson->frozen = SLAO_FACTOR_A;
    return slao_tuning_observe(tuning, start_from, tuning);
}

static slao_status remember(void *context, const slao_gram *gram) {
    slao_tuning *tuning = context;
    double from = slao_method_number(tuning->choice, "threshold", 0.98);
    double to = slao_method_number(tuning->choice, "threshold_end", 1);
    double e = from + (to - from) * (double)tuning->position / (double)tuning->n_tasks;
    slao_gradient_memory memory;
    double *h = NULL;
    slao_status status = load_memory(tuning->before, gram, &memory);
    if (status == SLAO_OK)
        status = mean_of(gram, &h);
    if (status == SLAO_OK)
        status = slao_gradient_memory_add(&memory, h, e);
    if (status == SLAO_OK)
        status = save_memory(tuning->state, gram, &memory);
    free(h);
    slao_gradient_memory_free(&memory);
    return status;
}

static slao_status end_inflora(slao_tuning *tuning) {
    return slao_tuning_observe(tuning, remember, tuning);
}

const slao_tuning_rule slao_tuning_inflora = {.name = "inflora",
                                              .from_first_task = true,
                                              .reads_n_tasks = true,
                                              .begin = begin_inflora,
                                              .end = end_inflora};
