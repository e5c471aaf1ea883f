#include "adapter/entries.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Pruning ---- */

/* The bits of |x|: they are ordered as magnitudes are. */
static uint32_t magnitude(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffU;
}

/* Counts magnitudes whose upper bits are `upper` (all, if it is negative) by their next 16 bits. */
static void count_digits(int64_t *counts, const float *values, int64_t n, int64_t upper) {
    memset(counts, 0, (size_t)65536 * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = magnitude(values[i]);
        if (upper < 0)
            counts[bits >> 16]++;
        else if (bits >> 16 == (uint32_t)upper)
            counts[bits & 0xffffU]++;
    }
}

/* The digit in which the entry that is number *left from above falls; *left becomes its number
 * among those of that digit. */
static uint32_t digit_from_above(const int64_t *counts, int64_t *left) {
    uint32_t digit = 65535;
    while (counts[digit] < *left)
        *left -= counts[digit--];
    return digit;
}

/* Zeros all but the `kept` entries of largest magnitude, of equal ones the first: the smallest
 * magnitude kept is found digit by digit. */
static slao_status keep_largest(float *values, int64_t n, int64_t kept) {
    if (kept >= n)
        return SLAO_OK;
    if (kept == 0) {
        memset(values, 0, (size_t)n * sizeof *values);
        return SLAO_OK;
    }
    int64_t *counts, left = kept;
    SLAO_TRY(slao_allocate(&counts, 65536, sizeof *counts));
    count_digits(counts, values, n, -1);
    uint32_t upper = digit_from_above(counts, &left);
    count_digits(counts, values, n, upper);
    uint32_t threshold = upper << 16 | digit_from_above(counts, &left);
    free(counts);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = magnitude(values[i]);
        if (bits < threshold || (bits == threshold && left-- <= 0))
            values[i] = 0;
    }
    return SLAO_OK;
}

static void keep_at_random(float *values, int64_t n, double density, slao_random random) {
    for (int64_t i = 0; i < n; i++)
        values[i] =
            slao_random_uniform(&random) < density ? (float)((double)values[i] / density) : 0;
}

/* ---- Combining ---- */

typedef struct {
    float *merged, *tensor, *elected, *count; /* n each */
    const slao_entry_rule *rule;
    const slao_entry_tensors *tensors;
} merge_work;

/* Tensor t, pruned. */
static slao_status read_tensor(const merge_work *work, int64_t t) {
    const slao_entry_tensors *tensors = work->tensors;
    tensors->read(work->tensor, t, tensors->context);
    double density = work->rule->density;
    if (work->rule->prune == SLAO_PRUNE_MAGNITUDE)
        return keep_largest(work->tensor, tensors->n, (int64_t)(density * (double)tensors->n));
    if (work->rule->prune == SLAO_PRUNE_RANDOM)
        keep_at_random(work->tensor, tensors->n, density,
                       slao_random_stream(work->rule->seed, "dare", tensors->name, (uint64_t)t));
    return SLAO_OK;
}

static slao_status combine_sum(const merge_work *work) {
    for (int64_t t = 0; t < work->tensors->n_tensors; t++) {
        SLAO_TRY(read_tensor(work, t));
        float weight = (float)work->tensors->weights[t];
        for (int64_t i = 0; i < work->tensors->n; i++)
            work->merged[i] += weight * work->tensor[i];
    }
    return SLAO_OK;
}

static slao_status combine_agreeing(const merge_work *work) {
    int64_t n = work->tensors->n;
    for (int64_t t = 0; t < work->tensors->n_tensors; t++) {
        SLAO_TRY(read_tensor(work, t));
        for (int64_t i = 0; i < n; i++)
            work->elected[i] += work->tensor[i];
    }
    for (int64_t t = 0; t < work->tensors->n_tensors; t++) {
        SLAO_TRY(read_tensor(work, t));
        float weight = (float)work->tensors->weights[t];
        for (int64_t i = 0; i < n; i++) {
            if (work->elected[i] >= 0 ? work->tensor[i] > 0 : work->tensor[i] < 0) {
                work->merged[i] += weight * work->tensor[i];
                work->count[i]++;
            }
        }
    }
    for (int64_t i = 0; i < n; i++)
        work->merged[i] /= work->count[i] > 1 ? work->count[i] : 1;
    return SLAO_OK;
}

/* `elected` holds the largest |x_t| so far. */
static slao_status combine_largest(const merge_work *work) {
    for (int64_t t = 0; t < work->tensors->n_tensors; t++) {
        SLAO_TRY(read_tensor(work, t));
        float weight = (float)work->tensors->weights[t];
        for (int64_t i = 0; i < work->tensors->n; i++) {
            float size = fabsf(work->tensor[i]);
            if (size >= work->elected[i]) {
                work->elected[i] = size;
                work->merged[i] = weight * work->tensor[i];
            }
        }
    }
    return SLAO_OK;
}

static slao_status (*const combine[])(const merge_work *) = {
    [SLAO_COMBINE_SUM] = combine_sum,
    [SLAO_COMBINE_AGREEING] = combine_agreeing,
    [SLAO_COMBINE_LARGEST] = combine_largest,
};

slao_status slao_merge_entries(float *merged, const slao_entry_rule *rule,
                               const slao_entry_tensors *tensors) {
    SLAO_INVARIANT(rule->density > 0 && rule->density <= 1);
    size_t n = (size_t)tensors->n;
    merge_work work = {.merged = merged, .rule = rule, .tensors = tensors};
    memset(merged, 0, n * sizeof *merged);
    SLAO_TRY(slao_allocate(&work.tensor, 3 * n, sizeof(float)));
    work.elected = work.tensor + n;
    work.count = work.elected + n;
    slao_status status = combine[rule->combine](&work);
    free(work.tensor);
    return status;
}
