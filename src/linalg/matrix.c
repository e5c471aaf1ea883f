#include "linalg/matrix.h"

#include "base/memory.h"
#include "base/profile.h"
#include "linalg/threads.h"
#include "linalg/vec.h"

#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* After cblas.h, whose complex types lapacke.h would define again. */
#include <lapacke.h>

static blasint whole(int64_t value) {
    SLAO_INVARIANT(value >= 0 && value <= INT_MAX);
    return (blasint)value;
}

/* The width of the pieces that n columns are cut into: 1, 2, 4, 8 ... of them, for as many threads.
 * Every piece packs the other matrix anew, so they are wide (docs/performance.md). */
static int64_t piece_width(int64_t n) {
    enum { CUT_FROM = 512, TOO_WIDE = 2048, TILE = 48 }; /* TILE: whole tiles of BLAS's kernels */
    int64_t pieces = n < CUT_FROM ? 1 : 2;
    while (n / pieces >= TOO_WIDE)
        pieces *= 2;
    return (n + pieces * TILE - 1) / (pieces * TILE) * TILE;
}

static void multiply(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, slao_matrix_out c,
                     slao_matrix a, slao_matrix b, int64_t m, int64_t n, int64_t k, float alpha,
                     float beta) {
    if (m == 0 || n == 0)
        return;
    slao_profile_mark mark = slao_profile_begin();
    int64_t width = piece_width(n), b_step = transpose_b == CblasTrans ? b.stride : 1;
#pragma omp parallel for num_threads(slao_threads_for(2 * m * n * k))
    for (int64_t from = 0; from < n; from += width)
        cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, whole(m),
                    whole(n - from < width ? n - from : width), whole(k), alpha, a.values,
                    whole(a.stride), b.values + from * b_step, whole(b.stride), beta,
                    c.values + from, whole(c.stride));
    slao_profile_end(mark, "sgemm", n, k, 2.0 * (double)m * (double)n * (double)k);
}

void slao_multiply_transposed(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    /* Below these, packing b costs BLAS more than it gains (docs/performance.md). */
    enum { FEW_ROWS = 24, LONG_ENOUGH = 64 };
    if (m > FEW_ROWS || k < LONG_ENOUGH) {
        multiply(CblasNoTrans, CblasTrans, c, a, b, m, n, k, alpha, beta);
        return;
    }
    slao_profile_mark mark = slao_profile_begin();
    int64_t width = piece_width(n);
#pragma omp parallel for num_threads(slao_threads_for(2 * m * n * k))
    for (int64_t from = 0; from < n; from += width)
        slao_vec()->dots(c.values + from, (size_t)c.stride, a.values, (size_t)a.stride,
                         b.values + from * b.stride, (size_t)b.stride, (size_t)m,
                         (size_t)(n - from < width ? n - from : width), (size_t)k, alpha, beta);
    slao_profile_end(mark, "dots", n, k, 2.0 * (double)m * (double)n * (double)k);
}

void slao_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n, int64_t k,
                   float alpha, float beta) {
    multiply(CblasNoTrans, CblasNoTrans, c, a, b, m, n, k, alpha, beta);
}

void slao_transposed_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    multiply(CblasTrans, CblasNoTrans, c, a, b, m, n, k, alpha, beta);
}

slao_status slao_orthonormal_rows(float *a, int64_t r, int64_t n, slao_qr_sign sign,
                                  float *r_factor) {
    SLAO_INVARIANT(r > 0 && r <= n);
    /* A row-major r x n is a^T column-major n x r: LAPACK sees what is to be decomposed, in place.
     */
    lapack_int rows = whole(n), columns = whole(r);
    float *tau;
    bool *flip;
    SLAO_TRY(slao_allocate(&tau, (size_t)r, sizeof *tau));
    slao_status status = slao_allocate(&flip, (size_t)r, sizeof *flip);
    if (status == SLAO_OK && LAPACKE_sgeqrf(LAPACK_COL_MAJOR, rows, columns, a, rows, tau) != 0)
        status = slao_fail(SLAO_BAD_INPUT, "the QR decomposition met a value that is not a number");
    if (status == SLAO_OK) {
        for (int64_t i = 0; i < r; i++)
            flip[i] = sign == SLAO_SIGN_POSITIVE && a[i * n + i] < 0;
        for (int64_t i = 0; r_factor && i < r; i++) {
            for (int64_t j = 0; j < r; j++)
                r_factor[i * r + j] = j < i ? 0 : flip[i] ? -a[j * n + i] : a[j * n + i];
        }
        if (LAPACKE_sorgqr(LAPACK_COL_MAJOR, rows, columns, columns, a, rows, tau) != 0)
            status = slao_fail(SLAO_BROKEN, "LAPACK's sorgqr failed");
    }
    for (int64_t i = 0; status == SLAO_OK && i < r; i++) {
        for (int64_t j = 0; flip[i] && j < n; j++)
            a[i * n + j] = -a[i * n + j];
    }
    free(flip);
    free(tau);
    return status;
}
