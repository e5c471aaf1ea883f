#include "linalg/product_svd.h"

#include "base/memory.h"
#include "linalg/decomposition.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* After cblas.h, whose complex types lapacke.h would define again. */
#include <lapacke.h>

static lapack_int whole(int64_t value) {
    SLAO_INVARIANT(value >= 0 && value <= INT_MAX);
    return (lapack_int)value;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static slao_status check_finite(const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return slao_fail(SLAO_BAD_INPUT,
                             "a matrix to decompose holds a value that is not a finite number");
    }
    return SLAO_OK;
}

/* A copy of a, to be overwritten by LAPACK. */
static slao_status copy_of(double **copy, const double *a, int64_t count) {
    SLAO_TRY(check_finite(a, count));
    SLAO_TRY(slao_allocate(copy, (size_t)count, sizeof **copy));
    memcpy(*copy, a, (size_t)count * sizeof *a);
    return SLAO_OK;
}

/* What is row-major m x n to us is column-major n x m to LAPACK, so our QR is its LQ:
 * a^T = l q', q = q'^T, r = l^T. */
slao_status slao_qr_f64(double *q, double *r, const double *a, int64_t m, int64_t n) {
    int64_t k = smaller(m, n);
    double *work, *tau;
    if (k == 0)
        return SLAO_OK;
    SLAO_TRY(copy_of(&work, a, m * n));
    slao_status status = slao_allocate(&tau, (size_t)k, sizeof *tau);
    if (status == SLAO_OK &&
        LAPACKE_dgelqf(LAPACK_COL_MAJOR, whole(n), whole(m), work, whole(n), tau) != 0)
        status = slao_fail(SLAO_BROKEN, "LAPACK's dgelqf failed");
    for (int64_t i = 0; status == SLAO_OK && i < k; i++) {
        for (int64_t j = 0; j < n; j++)
            r[i * n + j] = j < i ? 0 : work[i * n + j];
    }
    if (status == SLAO_OK &&
        LAPACKE_dorglq(LAPACK_COL_MAJOR, whole(k), whole(m), whole(k), work, whole(n), tau) != 0)
        status = slao_fail(SLAO_BROKEN, "LAPACK's dorglq failed");
    for (int64_t i = 0; status == SLAO_OK && i < m; i++)
        memcpy(q + i * k, work + i * n, (size_t)k * sizeof *q);
    free(tau);
    free(work);
    return status;
}

slao_status slao_svd_of_product(double *u, double *s, double *vt, const double *b, const double *a,
                                int64_t m, int64_t n, int64_t r) {
    int64_t k_b = smaller(m, r), k_a = smaller(n, r), k = smaller(k_b, k_a);
    if (k == 0)
        return SLAO_OK;
    double *memory;
    size_t n_b = (size_t)(m * k_b), n_a = (size_t)(n * k_a), n_t = (size_t)(n * r);
    size_t n_rb = (size_t)(k_b * r), n_ra = (size_t)(k_a * r), n_core = (size_t)(k_b * k_a);
    size_t n_uc = (size_t)(k_b * k), n_vc = (size_t)(k * k_a);
    SLAO_TRY(slao_allocate(&memory, n_b + n_a + n_t + n_rb + n_ra + n_core + n_uc + n_vc,
                           sizeof *memory));
    double *q_b = memory, *q_a = q_b + n_b, *a_t = q_a + n_a, *r_b = a_t + n_t, *r_a = r_b + n_rb;
    double *core = r_a + n_ra, *u_core = core + n_core, *v_core = u_core + n_uc;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < r; j++)
            a_t[i * r + j] = a[j * n + i];
    }
    slao_status status = slao_qr_f64(q_b, r_b, b, m, r);
    if (status == SLAO_OK)
        status = slao_qr_f64(q_a, r_a, a_t, n, r);
    if (status == SLAO_OK) {
        slao_multiply_transposed_f64(core, r_b, r_a, k_b, k_a, r);
        status = slao_svd(core, k_b, k_a, u_core, s, v_core);
    }
    if (status == SLAO_OK) {
        slao_multiply_f64(u, q_b, u_core, m, k, k_b);
        slao_multiply_transposed_f64(vt, v_core, q_a, k, n, k_a);
    }
    free(memory);
    return status;
}
