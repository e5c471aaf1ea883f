#include "adapter/start.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The stream of a tensor; `task` is NULL where all tasks draw the same. */
static slao_status stream_of(slao_random *random, const slao_site *site, const slao_start *start,
                             const char *purpose, const char *task) {
    char name[SLAO_LORA_NAME], *text;
    slao_lora_tensor_name(name, site, 'A');
    if (!task) {
        *random = slao_random_stream(start->seed, purpose, name, 0);
        return SLAO_OK;
    }
    SLAO_TRY(slao_format(&text, "%s for %s", name, task));
    *random = slao_random_stream(start->seed, purpose, text, 0);
    free(text);
    return SLAO_OK;
}

/* A Kaiming, B zero. */
static slao_status set_kaiming(slao_lora *lora, const slao_start *start, const char *task) {
    memset(lora->values, 0, (size_t)lora->n_values * sizeof *lora->values);
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        slao_random random;
        SLAO_TRY(stream_of(&random, site, start, "lora_A", task));
        double bound = 1.0 / sqrt((double)site->d_in);
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)((2.0 * slao_random_uniform(&random) - 1.0) * bound);
    }
    return SLAO_OK;
}

static slao_status set_fresh(slao_lora *lora, const slao_start *start) {
    return set_kaiming(lora, start, NULL);
}

static slao_status set_random(slao_lora *lora, const slao_start *start) {
    return set_kaiming(lora, start, start->task);
}

static slao_status set_previous(slao_lora *lora, const slao_start *start) {
    SLAO_INVARIANT(slao_lora_same_shape(lora, start->last));
    memcpy(lora->values, start->last->values, (size_t)lora->n_values * sizeof *lora->values);
    return SLAO_OK;
}

static slao_status set_zero(slao_lora *lora, const slao_start *start) {
    SLAO_TRY(set_previous(lora, start));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        memset(site->a, 0, (size_t)(site->rank * site->d_in) * sizeof *site->a);
    }
    return SLAO_OK;
}

/* The rows of the site's A become c times an orthonormal basis; r_factor as
 * slao_orthonormal_rows. */
static slao_status make_orthonormal(const slao_site *site, const slao_start *start,
                                    float *r_factor) {
    SLAO_TRY_IN(slao_orthonormal_rows(site->a, site->rank, site->d_in, start->sign, r_factor),
                "layer %lld, %s", (long long)site->layer, slao_module_name(site->module));
    if (start->row_scale != 1) {
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)(start->row_scale * (double)site->a[k]);
    }
    return SLAO_OK;
}

static slao_status set_orthonormal(slao_lora *lora, const slao_start *start) {
    SLAO_TRY(set_previous(lora, start));
    for (int64_t i = 0; i < lora->n_sites; i++)
        SLAO_TRY(make_orthonormal(&lora->sites[i], start, NULL));
    return SLAO_OK;
}

static slao_status set_random_orthonormal(slao_lora *lora, const slao_start *start) {
    SLAO_TRY(set_previous(lora, start));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        slao_random random;
        SLAO_TRY(stream_of(&random, site, start, "orthonormal lora_A", start->task));
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)slao_random_normal(&random);
        SLAO_TRY(make_orthonormal(site, start, NULL));
    }
    return SLAO_OK;
}

/* B <- B R^T / c, row by row in fp64. */
static void carry_over(const slao_site *site, int64_t rank, const float *r_factor, double *row,
                       double row_scale) {
    for (int64_t i = 0; i < site->d_out; i++) {
        float *b = site->b + i * rank;
        for (int64_t j = 0; j < rank; j++) {
            row[j] = 0;
            for (int64_t k = j; k < rank; k++) /* R is upper triangular */
                row[j] += (double)b[k] * (double)r_factor[j * rank + k];
        }
        for (int64_t j = 0; j < rank; j++)
            b[j] = (float)(row[j] / row_scale);
    }
}

static slao_status set_function_preserving(slao_lora *lora, const slao_start *start) {
    int64_t rank = lora->settings.rank;
    float *r_factor;
    double *row;
    SLAO_TRY(set_previous(lora, start));
    SLAO_TRY(slao_allocate(&r_factor, (size_t)(rank * rank), sizeof *r_factor));
    slao_status status = slao_allocate(&row, (size_t)rank, sizeof *row);
    for (int64_t i = 0; i < lora->n_sites && status == SLAO_OK; i++) {
        status = make_orthonormal(&lora->sites[i], start, r_factor);
        if (status == SLAO_OK)
            carry_over(&lora->sites[i], rank, r_factor, row, start->row_scale);
    }
    free(row);
    free(r_factor);
    return status;
}

const slao_start_rule slao_start_rules[] = {
    {"fresh", "A Kaiming-uniform, B zero, the same for every task", "fresh", SLAO_FROM_NOTHING,
     false, set_fresh},
    {"random", "A Kaiming-uniform, drawn anew for each task, B zero", "random", SLAO_FROM_NOTHING,
     false, set_random},
    {"zero", "A zero, B the last fine-tuned B", "zero", SLAO_FROM_FINETUNED, false, set_zero},
    {"previous", "the last fine-tuned pair as it is", "previous", SLAO_FROM_FINETUNED, false,
     set_previous},
    {"last-ft", "A orthonormal by QR of the last fine-tuned A, B the last fine-tuned B",
     "orthonormal", SLAO_FROM_FINETUNED, true, set_orthonormal},
    {"last-merge", "A orthonormal by QR of the merged A, B the merged B", "orthonormal",
     SLAO_FROM_MERGED, true, set_orthonormal},
    {"random-orthonormal", "A random with orthonormal rows, B the last fine-tuned B",
     "random-orthonormal", SLAO_FROM_FINETUNED, true, set_random_orthonormal},
    {"function-preserving", "A orthonormal by QR of the last fine-tuned A, B R^T: B A as it was",
     "function-preserving", SLAO_FROM_FINETUNED, true, set_function_preserving},
    {0},
};

const slao_start_rule *slao_start_rule_find(const char *name) {
    for (const slao_start_rule *rule = slao_start_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}
