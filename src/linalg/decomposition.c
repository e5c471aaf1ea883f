#include "linalg/decomposition.h"

#include "base/memory.h"

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

static slao_status check_finite(const double *a, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(a[i]))
            return slao_fail(SLAO_BAD_INPUT,
                             "a matrix to be decomposed holds values that are not finite");
    }
    return SLAO_OK;
}

/* Should this row be turned around? */
static bool wrong_sign(const double *row, int64_t n) {
    int64_t largest = 0;
    for (int64_t j = 1; j < n; j++) {
        if (fabs(row[j]) > fabs(row[largest]))
            largest = j;
    }
    return n > 0 && row[largest] < 0;
}

static void flip(double *x, int64_t count, int64_t stride) {
    for (int64_t i = 0; i < count; i++)
        x[i * stride] = -x[i * stride];
}

static void swap_rows(double *x, double *y, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double kept = x[j];
        x[j] = y[j];
        y[j] = kept;
    }
}

slao_status slao_symmetric_eigen(double *a, int64_t n, double *values) {
    SLAO_TRY(check_finite(a, n * n));
    /* The upper triangle row by row is the lower one column by column, and LAPACK's columns are our
     * rows. */
    lapack_int info =
        n ? LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', whole(n), a, whole(n), values) : 0;
    if (info != 0)
        return slao_fail(SLAO_BROKEN, "LAPACK's dsyevd failed with %d on a matrix of %lld rows",
                         (int)info, (long long)n);
    for (int64_t i = 0, j = n - 1; i < j; i++, j--) { /* they come ascending */
        swap_rows(a + i * n, a + j * n, n);
        swap_rows(values + i, values + j, 1);
    }
    for (int64_t i = 0; i < n; i++) {
        if (wrong_sign(a + i * n, n))
            flip(a + i * n, n, 1);
    }
    return SLAO_OK;
}

slao_status slao_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt) {
    SLAO_TRY(check_finite(a, m * n));
    int64_t k = m < n ? m : n;
    if (k == 0)
        return SLAO_OK;
    /* Row by row, `a` is a^T = V S U^T column by column: V and U^T come out as our V^T and U. */
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', whole(n), whole(m), a, whole(n), s, vt,
                                     whole(n), u, whole(k));
    if (info != 0)
        return slao_fail(SLAO_BROKEN, "LAPACK's dgesdd failed with %d on a %lld x %lld matrix",
                         (int)info, (long long)m, (long long)n);
    for (int64_t i = 0; i < k; i++) {
        if (!wrong_sign(vt + i * n, n))
            continue;
        flip(vt + i * n, n, 1);
        flip(u + i, m, k);
    }
    return SLAO_OK;
}

static void multiply(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, double *c,
                     const double *a, const double *b, int64_t m, int64_t n, int64_t k) {
    if (m == 0 || n == 0)
        return;
    if (k == 0) {
        memset(c, 0, (size_t)(m * n) * sizeof *c);
        return;
    }
    cblas_dgemm(CblasRowMajor, transpose_a, transpose_b, whole(m), whole(n), whole(k), 1, a,
                whole(transpose_a == CblasTrans ? m : k), b,
                whole(transpose_b == CblasTrans ? k : n), 0, c, whole(n));
}

void slao_multiply_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                       int64_t k) {
    multiply(CblasNoTrans, CblasNoTrans, c, a, b, m, n, k);
}

void slao_multiply_transposed_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                                  int64_t k) {
    multiply(CblasNoTrans, CblasTrans, c, a, b, m, n, k);
}

void slao_transposed_multiply_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                                  int64_t k) {
    multiply(CblasTrans, CblasNoTrans, c, a, b, m, n, k);
}

slao_status slao_divide_by_positive(double *b, int64_t m, double *a, int64_t n) {
    SLAO_TRY(check_finite(a, n * n));
    /* x a = b row by row is a x^T = b^T column by column. */
    lapack_int info =
        n ? LAPACKE_dposv(LAPACK_COL_MAJOR, 'L', whole(n), whole(m), a, whole(n), b, whole(n)) : 0;
    if (info > 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "a matrix to be inverted is not positive definite (at row %d)", (int)info);
    return info == 0 ? SLAO_OK : slao_fail(SLAO_BROKEN, "LAPACK's dposv failed with %d", (int)info);
}

slao_status slao_divide_by_semidefinite(double *b, int64_t m, double *a, int64_t n, double cutoff) {
    double *inverse_roots, *values, *turned;
    SLAO_TRY(slao_allocate(&inverse_roots, (size_t)(2 * n + m * n), sizeof *inverse_roots));
    values = inverse_roots + n;
    turned = values + n; /* m x n: b S^-1 in the basis of C's eigenvectors */
    for (int64_t i = 0; i < n; i++)
        inverse_roots[i] = a[i * n + i] > 0 ? 1 / sqrt(a[i * n + i]) : 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            a[i * n + j] *= inverse_roots[i] * inverse_roots[j];
    }
    for (int64_t k = 0; k < m * n; k++)
        b[k] *= inverse_roots[k % n];
    slao_status status = slao_symmetric_eigen(a, n, values);
    if (status == SLAO_OK) {
        slao_multiply_transposed_f64(turned, b, a, m, n, n);
        for (int64_t k = 0; k < m * n; k++)
            turned[k] = values[k % n] > cutoff ? turned[k] / values[k % n] : 0;
        slao_multiply_f64(b, turned, a, m, n, n);
        for (int64_t k = 0; k < m * n; k++)
            b[k] *= inverse_roots[k % n];
    }
    free(inverse_roots);
    return status;
}
