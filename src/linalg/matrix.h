/* Products of row-major fp32 matrices, on the threads of linalg/threads.h.
 *
 * Computed by kernels of our own (linalg/vec.h), not by BLAS: an entry's bits depend on its row and
 * column alone, whatever the number of threads or of rows beside it, and a frozen weight is packed
 * once for all rows by threads that share its columns (docs/performance.md has the rates of both).
 * Where few rows are multiplied by a transposed matrix, dot products take its place: other bits.
 *
 * Every matrix comes with its leading dimension (the distance between rows), so that a block of
 * columns of a wider matrix can be an operand. beta 0 overwrites c, 1 adds to it. An empty product
 * does what the formula says: nothing, or c = beta c.
 */
#ifndef SLAO_LINALG_MATRIX_H
#define SLAO_LINALG_MATRIX_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    const float *values;
    int64_t stride;
} slao_matrix;

typedef struct {
    float *values;
    int64_t stride;
} slao_matrix_out;

/* c (m x n) = alpha a (m x k) b^T (n x k) + beta c : a linear layer forward, b its weight */
void slao_multiply_transposed(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta);

/* c (m x n) = alpha a (m x k) b (k x n) + beta c : a linear layer backward to its input */
void slao_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n, int64_t k,
                   float alpha, float beta);

/* c (m x n) = alpha a^T (k x m) b (k x n) + beta c : a gradient of a weight, k rows of a batch */
void slao_transposed_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta);

/* A frozen matrix (n x k), in memory or read where it is used: then `read` puts values from ..
 * from + columns - 1 of its rows row .. row + rows - 1 to rows that are `stride` apart. Threads
 * read at once; `read` computes no product. Owns nothing. */
typedef struct {
    slao_matrix values; /* in memory; values.values NULL: read */
    void (*read)(const void *context, float *to, int64_t stride, int64_t row, int64_t rows,
                 int64_t from, int64_t columns);
    const void *context;
} slao_frozen;

/* What the operands of a product are rounded to: bf16 to nearest, ties to even (2^-9 of each
 * value), with sums in fp32, on the CPU's unit for that: slao_bf16 (linalg/bf16.h) must have found
 * one. An entry's bits depend on its row and column alone, in bf16 for few rows, too. */
typedef enum { SLAO_PRECISION_FP32, SLAO_PRECISION_BF16 } slao_precision;
extern const char *const slao_precision_names[]; /* "fp32", "bf16", NULL */

/* y (m x n) = x (m x k) w^T + beta y : slao_multiply_transposed, with the same bits. A w that is
 * read is read in strips, so that it never lies in memory as a whole. */
void slao_frozen_forward(slao_matrix_out y, slao_matrix x, const slao_frozen *w, int64_t m,
                         int64_t n, int64_t k, float beta, slao_precision precision);

/* dx (m x k) = dy (m x n) w + beta dx : slao_multiply, likewise */
void slao_frozen_backward(slao_matrix_out dx, slao_matrix dy, const slao_frozen *w, int64_t m,
                          int64_t n, int64_t k, float beta, slao_precision precision);

/* How LAPACK's signs are settled: R with a positive diagonal makes Q unique (a zero counts as
 * positive). */
typedef enum { SLAO_SIGN_POSITIVE, SLAO_SIGN_LAPACK } slao_qr_sign;

/* Replaces the rows of `a` (r x n, r <= n) by an orthonormal basis of their span: Q^T of the
 * reduced QR decomposition of a^T. r_factor (r x r, upper triangular, row-major; may be NULL)
 * becomes R, with the signs of Q, so that a_old = R^T Q^T. Computed in fp32 by LAPACK (sgeqrf,
 * sorgqr). */
slao_status slao_orthonormal_rows(float *a, int64_t r, int64_t n, slao_qr_sign sign,
                                  float *r_factor);

#endif
