/* LoRM (Salami et al., arXiv 2410.17961): tasks are trained from theta_0 with one factor frozen,
 * the same for all, so that the other has a closed-form mean. With G_i = sum x x^T over the inputs
 * of a module on task i, the model fine-tuned on it,
 *
 *   lorm-ba   A shared, Kaiming; B starts at 0 and is trained:
 *             B = (sum B_i A G_i A^T) [A (sum G_i) A^T]^+
 *   lorm-ab   B shared, uniform within +-1/sqrt(d_out), what Kaiming is to A; A starts at 0 and is
 *             trained: A = (sum A_i G_i) (sum G_i)^+
 *
 * minimise sum_i ||B A X_i - B_i A_i X_i||^2 over the factor that is not shared. The authors
 * alternate the two between rounds of one task; for a sequence of tasks, each is a method. The
 * state is both sums: `numerator.MODULE`, and `gram.MODULE`, r x r and for lorm-ab d_in x d_in, of
 * the first module that reads the input; each with a tensor NAME.low of what fp32 rounds off.
 */
#include "continual/tuning.h"

#include "base/random.h"
#include "linalg/decomposition.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What rounding leaves of eigenvalues that should be 0, in a matrix with ones on its
 * diagonal. */
static double cutoff(int64_t n) {
    return DBL_EPSILON * (double)n;
}

/* A tensor that the tasks before left, checked for its shape. */
static slao_status find_kept(const slao_tuning *tuning, const char *name, int64_t rows,
                             int64_t columns, const slao_state_tensor **tensor) {
    *tensor = slao_state_find(tuning->before, name);
    if (!*tensor || (*tensor)->rows != rows || (*tensor)->columns != columns)
        return slao_fail(SLAO_BAD_INPUT, "the state that LoRM left has no %s of %lld x %lld", name,
                         (long long)rows, (long long)columns);
    return SLAO_OK;
}

/* values += the sum that the tasks before left, and the sum is kept for those to come: as a tensor
 * of fp32 and one of what that rounds off, since a closed form divides by it. */
static slao_status add_to_state(const slao_tuning *tuning, const char *name, int64_t rows,
                                int64_t columns, double *values) {
    char low_name[SLAO_TUNING_NAME + 8];
    snprintf(low_name, sizeof low_name, "%s.low", name);
    const slao_state_tensor *high = NULL, *low = NULL;
    float *kept_high, *kept_low;
    if (tuning->position > 1) {
        SLAO_TRY(find_kept(tuning, name, rows, columns, &high));
        SLAO_TRY(find_kept(tuning, low_name, rows, columns, &low));
    }
    SLAO_TRY(slao_state_add(tuning->state, name, rows, columns, &kept_high));
    SLAO_TRY(slao_state_add(tuning->state, low_name, rows, columns, &kept_low));
    for (int64_t k = 0; k < rows * columns; k++) {
        if (high)
            values[k] += (double)high->values[k] + (double)low->values[k];
        kept_high[k] = (float)values[k];
        kept_low[k] = (float)(values[k] - (double)kept_high[k]);
    }
    return SLAO_OK;
}

static slao_status widen(double **wide, const float *values, int64_t count) {
    SLAO_TRY(slao_allocate(wide, (size_t)count, sizeof **wide));
    for (int64_t k = 0; k < count; k++)
        (*wide)[k] = (double)values[k];
    return SLAO_OK;
}

static void narrow(float *values, const double *wide, int64_t count) {
    for (int64_t k = 0; k < count; k++)
        values[k] = (float)wide[k];
}

/* B of a site, in `merged`: numerator d_out x r, gram r x r. */
static slao_status merge_b(const slao_tuning *tuning, const slao_site *site,
                           const slao_site *merged, const slao_gram *gram) {
    int64_t r = site->rank, d = site->d_in, n = site->d_out;
    double *a = NULL, *b = NULL, *ag = NULL, *aga = NULL, *numerator = NULL;
    char name[SLAO_TUNING_NAME];
    slao_status status;
    SLAO_TRY_GOTO(status, widen(&a, site->a, r * d), done);
    SLAO_TRY_GOTO(status, widen(&b, site->b, n * r), done);
    SLAO_TRY_GOTO(status, slao_allocate(&ag, (size_t)(r * d), sizeof *ag), done);
    SLAO_TRY_GOTO(status, slao_allocate(&aga, (size_t)(r * r), sizeof *aga), done);
    SLAO_TRY_GOTO(status, slao_allocate(&numerator, (size_t)(n * r), sizeof *numerator), done);
    slao_multiply_f64(ag, a, gram->sum, r, d, d);
    slao_multiply_transposed_f64(aga, ag, a, r, r, d);
    slao_multiply_f64(numerator, b, aga, n, r, r);
    slao_tuning_name(name, "numerator", site->layer, site->module, "");
    SLAO_TRY_GOTO(status, add_to_state(tuning, name, n, r, numerator), done);
    slao_tuning_name(name, "gram", site->layer, site->module, "");
    SLAO_TRY_GOTO(status, add_to_state(tuning, name, r, r, aga), done);
    SLAO_TRY_GOTO(status, slao_divide_by_semidefinite(numerator, n, aga, r, cutoff(r)), done);
    narrow(merged->b, numerator, n * r);
done:
    free(a);
    free(b);
    free(ag);
    free(aga);
    free(numerator);
    return status;
}

/* A of a site, in `merged`: numerator r x d_in. `sum` is sum G_i, d_in x d_in, and is overwritten.
 */
static slao_status merge_a(const slao_tuning *tuning, const slao_site *site,
                           const slao_site *merged, const slao_gram *gram, double *sum) {
    int64_t r = site->rank, d = site->d_in;
    double *a = NULL, *numerator = NULL;
    char name[SLAO_TUNING_NAME];
    slao_status status;
    SLAO_TRY_GOTO(status, widen(&a, site->a, r * d), done);
    SLAO_TRY_GOTO(status, slao_allocate(&numerator, (size_t)(r * d), sizeof *numerator), done);
    slao_multiply_f64(numerator, a, gram->sum, r, d, d);
    slao_tuning_name(name, "numerator", site->layer, site->module, "");
    SLAO_TRY_GOTO(status, add_to_state(tuning, name, r, d, numerator), done);
    SLAO_TRY_GOTO(status, slao_divide_by_semidefinite(numerator, r, sum, d, cutoff(d)), done);
    narrow(merged->a, numerator, r * d);
done:
    free(a);
    free(numerator);
    return status;
}

/* For every site that reads the input. */
static slao_status merge_input(void *context, const slao_gram *gram, bool shares_a) {
    const slao_tuning *tuning = context;
    const slao_lora *lora = tuning->lora;
    size_t n = (size_t)(gram->width * gram->width);
    double *total = NULL, *sum = NULL;
    slao_status status = SLAO_OK;
    if (!shares_a) {
        char name[SLAO_TUNING_NAME];
        slao_tuning_name(name, "gram", gram->layer, gram->module, "");
        SLAO_TRY_GOTO(status, slao_allocate(&total, n, sizeof *total), done);
        SLAO_TRY_GOTO(status, slao_allocate(&sum, n, sizeof *sum), done);
        memcpy(total, gram->sum, n * sizeof *total);
        SLAO_TRY_GOTO(status, add_to_state(tuning, name, gram->width, gram->width, total), done);
    }
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i], *merged = &tuning->evaluated->sites[i];
        if (site->layer != gram->layer || slao_input_module(site->module) != gram->module)
            continue;
        if (!shares_a)
            memcpy(sum, total, n * sizeof *sum);
        SLAO_TRY_GOTO(status,
                      shares_a ? merge_b(tuning, site, merged, gram)
                               : merge_a(tuning, site, merged, gram, sum),
                      done);
    }
done:
    free(total);
    free(sum);
    return status;
}

static slao_status merge_input_b(void *context, const slao_gram *gram) {
    return merge_input(context, gram, true);
}

static slao_status merge_input_a(void *context, const slao_gram *gram) {
    return merge_input(context, gram, false);
}

static slao_status begin_ba(slao_tuning *tuning) {
    SLAO_TRY(slao_tuning_need_state(tuning));
    tuning->lesson->frozen = SLAO_FACTOR_A;
    return SLAO_OK;
}

static slao_status begin_ab(slao_tuning *tuning) {
    SLAO_TRY(slao_tuning_need_state(tuning));
    tuning->lesson->frozen = SLAO_FACTOR_B;
    const slao_lora *lora = tuning->lora;
    memset(lora->values, 0, (size_t)lora->n_values * sizeof *lora->values);
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        char name[SLAO_LORA_NAME];
        slao_lora_tensor_name(name, site, 'B');
        slao_random random = slao_random_stream(tuning->lesson->seed, "lora_B", name, 0);
        double bound = 1 / sqrt((double)site->d_out);
        for (int64_t k = 0; k < site->d_out * site->rank; k++)
            site->b[k] = (float)((2 * slao_random_uniform(&random) - 1) * bound);
    }
    return SLAO_OK;
}

static slao_status end_ba(slao_tuning *tuning) {
    SLAO_TRY(slao_lora_copy(&tuning->evaluated, tuning->lora));
    return slao_tuning_observe(tuning, merge_input_b, tuning);
}

static slao_status end_ab(slao_tuning *tuning) {
    SLAO_TRY(slao_lora_copy(&tuning->evaluated, tuning->lora));
    return slao_tuning_observe(tuning, merge_input_a, tuning);
}

const slao_tuning_rule slao_tuning_lorm_ba = {.name = "lorm-ba",
                                              .from_first_task = true,
                                              .own_evaluation = true,
                                              .begin = begin_ba,
                                              .end = end_ba};
const slao_tuning_rule slao_tuning_lorm_ab = {.name = "lorm-ab",
                                              .from_first_task = true,
                                              .own_evaluation = true,
                                              .begin = begin_ab,
                                              .end = end_ab};
