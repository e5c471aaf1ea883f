#include "continual/corda.h"

#include "base/memory.h"
#include "linalg/decomposition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    double *covariance, *weight, *product, *u, *s, *vt;
} work;

static slao_status take_work(work *w, int64_t d_out, int64_t d_in) {
    int64_t k = d_out < d_in ? d_out : d_in;
    SLAO_TRY(slao_allocate(&w->covariance, (size_t)(d_in * d_in), sizeof(double)));
    SLAO_TRY(slao_allocate(&w->weight, (size_t)(d_out * d_in), sizeof(double)));
    SLAO_TRY(slao_allocate(&w->product, (size_t)(d_out * d_in), sizeof(double)));
    SLAO_TRY(slao_allocate(&w->u, (size_t)(d_out * k), sizeof(double)));
    SLAO_TRY(slao_allocate(&w->s, (size_t)k, sizeof(double)));
    return slao_allocate(&w->vt, (size_t)(k * d_in), sizeof(double));
}

static void work_free(work *w) {
    free(w->covariance);
    free(w->weight);
    free(w->product);
    free(w->u);
    free(w->s);
    free(w->vt);
}

static void damp(double *covariance, const double *mean, int64_t n) {
    double trace = 0;
    for (int64_t i = 0; i < n; i++)
        trace += mean[i * n + i];
    memcpy(covariance, mean, (size_t)(n * n) * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        covariance[i * n + i] += 0.01 * trace / (double)n;
}

slao_status slao_corda_pair(const float *weight, int64_t d_out, int64_t d_in, const double *mean,
                            int64_t rank, double scale, bool last, float *a, float *b) {
    int64_t k = d_out < d_in ? d_out : d_in;
    SLAO_INVARIANT(rank <= k);
    if (!(scale > 0))
        return slao_fail(
            SLAO_BAD_INPUT,
            "lora.alpha is 0: a pair whose scale is 0 cannot carry components of a weight");
    work w = {0};
    slao_status status = take_work(&w, d_out, d_in);
    if (status == SLAO_OK) {
        for (int64_t i = 0; i < d_out * d_in; i++)
            w.weight[i] = (double)weight[i];
        damp(w.covariance, mean, d_in);
        slao_multiply_f64(w.product, w.weight, w.covariance, d_out, d_in, d_in);
        status = slao_svd(w.product, d_out, d_in, w.u, w.s, w.vt);
    }
    int64_t first = last ? k - rank : 0;
    double *rows = w.vt ? w.vt + first * d_in : NULL; /* rank x d_in of V^T, soon of V^T C^-1 */
    if (status == SLAO_OK)
        status = slao_divide_by_positive(rows, rank, w.covariance, d_in);
    for (int64_t i = 0; i < rank && status == SLAO_OK; i++) {
        double root = sqrt(w.s[first + i] / scale);
        for (int64_t j = 0; j < d_in; j++)
            a[i * d_in + j] = (float)(root * rows[i * d_in + j]);
        for (int64_t j = 0; j < d_out; j++)
            b[j * rank + i] = (float)(root * w.u[j * k + first + i]);
    }
    work_free(&w);
    return status;
}
