#include "sweep/workbench_parts.h"

#include "continual/merging.h"
#include "learn/loss.h"
#include "sweep/geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a record, flat and in the order of sites where they are lists by layer; to be freed.
 */
static slao_status record_numbers(const cJSON *record, const char *key, int64_t wanted,
                                  double **values) {
    const cJSON *list = slao_json_find(record, key), *row, *item;
    int64_t count = 0;
    SLAO_TRY(slao_allocate(values, (size_t)wanted, sizeof **values));
    if (cJSON_IsNumber(list) && wanted > 0)
        (*values)[count++] = list->valuedouble;
    cJSON_ArrayForEach (row, list) {
        if (cJSON_IsNumber(row) && count < wanted)
            (*values)[count++] = row->valuedouble;
        cJSON_ArrayForEach (item, row) {
            if (cJSON_IsNumber(item) && count < wanted)
                (*values)[count++] = item->valuedouble;
        }
    }
    if (count == wanted)
        return SLAO_OK;
    free(*values);
    *values = NULL;
    return slao_fail(SLAO_BAD_INPUT,
                     "the record of a step that is merged has no %s as a merge needs it: take its "
                     "record away, and it runs again",
                     key);
}

/* What a fine-tune's record tells of its gradients. */
typedef struct {
    double *a, *b, *all_a, *all_b;
} gradient_record;

static slao_status read_gradients(const slao_workbench *bench, int64_t step, int64_t n_sites,
                                  gradient_record *gradients) {
    cJSON *record;
    *gradients = (gradient_record){0};
    SLAO_TRY(slao_store_get(bench->parts.store, bench->parts.plan->steps[step].key, &record));
    slao_status status = record_numbers(record, "gradient_a", n_sites, &gradients->a);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_b", n_sites, &gradients->b);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_norm_a", 1, &gradients->all_a);
    if (status == SLAO_OK)
        status = record_numbers(record, "gradient_norm_b", 1, &gradients->all_b);
    cJSON_Delete(record);
    return status;
}

static void free_gradients(gradient_record *gradients) {
    free(gradients->a);
    free(gradients->b);
    free(gradients->all_a);
    free(gradients->all_b);
}

static slao_gradient_norms norms_of(const gradient_record *gradients) {
    return (slao_gradient_norms){gradients->a, gradients->b, *gradients->all_a, *gradients->all_b};
}

/* The numbers that the merge before left in its record; NULL at task 2, before which is none. */
static slao_status read_merge_state(const slao_workbench *bench, const slao_step *step,
                                    const char *key, int64_t count, double **values) {
    cJSON *record;
    *values = NULL;
    if (step->position == 2)
        return SLAO_OK;
    SLAO_TRY(slao_store_get(bench->parts.store, bench->parts.plan->steps[step->parents[0]].key,
                            &record));
    slao_status status = record_numbers(record, key, count, values);
    cJSON_Delete(record);
    return status;
}

static slao_status adapt_lambda(const slao_workbench *bench, const slao_step *step,
                                const slao_workbench_adapters *inputs, slao_lambda *lambda) {
    const slao_trial *trial = step->trial;
    int64_t n_sites = inputs->loras[0]->n_sites;
    int64_t n_state = SLAO_LAMBDA_STATE * (trial->lambda.by_site ? n_sites : 1);
    gradient_record newest = {0}, first = {0};
    double *state = NULL;
    const char *merges = slao_method_merges(&trial->method);
    slao_status status = read_merge_state(bench, step, "lambda_state", n_state, &state);
    if (status == SLAO_OK)
        status = read_gradients(bench, step->parents[1], n_sites, &newest);
    if (status == SLAO_OK && !state)
        status = read_gradients(bench, step->parents[0], n_sites, &first);
    if (status == SLAO_OK) {
        slao_lambda_case of = {.schedule = &trial->lambda,
                               .i = step->position,
                               .merges = merges ? merges : "B",
                               .merged = inputs->loras[0],
                               .finetuned = inputs->loras[1],
                               .gradients = norms_of(&newest),
                               .state = state};
        if (!state)
            of.first = norms_of(&first);
        status = slao_lambda_adapt(lambda, &of);
    }
    free(state);
    free_gradients(&newest);
    free_gradients(&first);
    return status;
}

/* The mean over the tasks so far of the loss on their validation examples. */
static slao_status validation_loss(slao_workbench *bench, const slao_step *step,
                                   const slao_lora *lora, double *loss) {
    const slao_trial *trial = step->trial;
    slao_low_ranks pairs;
    SLAO_TRY(slao_lora_view(&pairs, lora, NULL, &bench->parts.model->config));
    slao_status status = SLAO_OK;
    *loss = 0;
    for (int64_t i = 0; i < step->position && status == SLAO_OK; i++) {
        slao_encoding *task;
        double part = 0;
        status = slao_encodings_validation(bench->parts.encodings, trial->order->tasks[i],
                                           trial->train.max_length, &task);
        if (status == SLAO_OK)
            status = slao_mean_loss(bench->pass, &pairs, task->validation->sequences,
                                    task->validation->count, trial->train.batch_size, &part);
        *loss += part / (double)step->position;
    }
    slao_lora_view_free(&pairs);
    return status;
}

/* The lambda out of 0.1, 0.2, ... 1 of the least loss; of equal ones the least. */
static slao_status choose_lambda(slao_workbench *bench, const slao_step *step,
                                 const slao_merge_choice *choice,
                                 const slao_workbench_adapters *inputs, slao_lambda *lambda) {
    enum { CHOICES = 10 };
    double least = INFINITY;
    const char *merges = slao_method_merges(&step->trial->method);
    for (int c = 1; c <= CHOICES; c++) {
        slao_lambda tried = {.value = c / (double)CHOICES};
        slao_merge_state state = {{0}};
        slao_lora *merged;
        double loss;
        SLAO_TRY(slao_merging_step(&merged, choice, merges, step->position, &tried,
                                   inputs->loras[0], inputs->loras[1], &state));
        slao_status status = validation_loss(bench, step, merged, &loss);
        slao_lora_free(merged);
        SLAO_TRY(status);
        if (loss < least) {
            least = loss;
            lambda->value = tried.value;
        }
    }
    return SLAO_OK;
}

static slao_status find_lambda(slao_workbench *bench, const slao_step *step,
                               const slao_merge_choice *choice,
                               const slao_workbench_adapters *inputs, slao_lambda *lambda) {
    const slao_schedule *schedule = &step->trial->lambda;
    if (!step->trial->method.method->uses_lambda)
        return SLAO_OK;
    switch (schedule->kind) {
    case SLAO_SCHEDULE_ADAPTIVE:
        return adapt_lambda(bench, step, inputs, lambda);
    case SLAO_SCHEDULE_VALIDATED:
        return choose_lambda(bench, step, choice, inputs, lambda);
    default:
        lambda->value = slao_schedule_value(schedule, step->position);
        return SLAO_OK;
    }
}

static slao_status record_lambda(cJSON *record, const slao_lora *merged,
                                 const slao_lambda *lambda) {
    SLAO_TRY(slao_json_add_real(record, "lambda", lambda->value));
    if (lambda->sites)
        SLAO_TRY(slao_geometry_record_sites(record, "lambda_by_layer", merged, lambda->sites));
    if (lambda->state)
        SLAO_TRY(slao_workbench_add_reals(record, "lambda_state", lambda->state,
                                          lambda->n_groups * SLAO_LAMBDA_STATE));
    return SLAO_OK;
}

/* The merged adapter so far, and the newest. */
static slao_status merge_newest(slao_workbench *bench, const slao_step *step,
                                const slao_merge_choice *choice,
                                const slao_workbench_adapters *inputs, slao_lambda *lambda,
                                slao_lora **merged, cJSON *record) {
    slao_merge_state state = {{0}};
    double *before;
    SLAO_TRY(read_merge_state(bench, step, "merge_state", SLAO_MERGE_STATE, &before));
    if (before)
        memcpy(state.values, before, sizeof state.values);
    free(before);
    SLAO_TRY(find_lambda(bench, step, choice, inputs, lambda));
    SLAO_TRY(slao_merging_step(merged, choice, slao_method_merges(&step->trial->method),
                               step->position, lambda, inputs->loras[0], inputs->loras[1], &state));
    if (step->trial->method.method->uses_lambda)
        SLAO_TRY(record_lambda(record, *merged, lambda));
    return slao_workbench_add_reals(record, "merge_state", state.values, SLAO_MERGE_STATE);
}

static slao_status merge(slao_workbench *bench, const slao_step *step,
                         const slao_workbench_adapters *inputs, slao_lora **merged, cJSON *record) {
    const slao_trial *trial = step->trial;
    const slao_method *method = trial->method.method;
    slao_merge_choice choice;
    size_t bytes = slao_workbench_bytes_of_all(inputs);
    SLAO_TRY(slao_method_merge_choice(&trial->method, (uint64_t)trial->seed, &choice));
    if (method->inputs == SLAO_MERGE_NEWEST) {
        slao_lambda lambda = {0};
        slao_status status = merge_newest(bench, step, &choice, inputs, &lambda, merged, record);
        slao_lambda_free(&lambda);
        SLAO_TRY(status);
        bytes = slao_workbench_adapter_bytes(*merged);
        if (method->lineage != SLAO_LINEAGE_ALONE)
            bytes += slao_workbench_adapter_bytes(inputs->loras[1]);
    } else {
        SLAO_TRY(slao_merge_list(merged, &choice, inputs->loras, inputs->count, NULL));
    }
    SLAO_TRY(slao_workbench_add_adapter_facts(record, *merged, *merged, bytes));
    return slao_workbench_save_adapter(bench, step->key, false, *merged);
}

slao_status slao_workbench_merge(slao_workbench *bench, const slao_step *step, cJSON *record,
                                 int64_t *tokens) {
    *tokens = 0;
    slao_workbench_adapters inputs;
    slao_lora *merged = NULL;
    slao_status status = slao_workbench_parents_of(bench, step, &inputs);
    if (status == SLAO_OK)
        status = merge(bench, step, &inputs, &merged, record);
    free(inputs.loras);
    if (status == SLAO_OK)
        slao_workbench_remember(bench, step->key, merged);
    else
        slao_lora_free(merged);
    return status;
}
