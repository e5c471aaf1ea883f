/* Decompositions of dense fp64 matrices by LAPACK, row-major, on one BLAS thread.
 *
 * They are for what is computed once per step and site (a merge, a start, a memory of gradients),
 * not for training. Signs that LAPACK leaves open are settled, so that they do not hang on the BLAS
 * kernel: of each vector that is made first (eigenvectors; right singular vectors) the entry of
 * largest absolute value, the first of equal ones, is positive. Values that are not finite are
 * SLAO_BAD_INPUT.
 */
#ifndef SLAO_LINALG_DECOMPOSITION_H
#define SLAO_LINALG_DECOMPOSITION_H

#include "base/status.h"

#include <stdint.h>

/* A symmetric matrix a (n x n, its upper triangle is read) = sum over k of values[k] v_k v_k^T,
 * values descending. Row k of `a` becomes v_k. */
slao_status slao_symmetric_eigen(double *a, int64_t n, double *values);

/* a (m x n) = u (m x k) diag(s) vt (k x n), k = min(m, n), s descending; `a` is overwritten. */
slao_status slao_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt);

/* b (m x n) <- b a^-1 for a symmetric positive definite `a` (n x n), which is overwritten. One that
 * is not is SLAO_BAD_INPUT. */
slao_status slao_divide_by_positive(double *b, int64_t m, double *a, int64_t n);

/* b (m x n) <- b a^+ for a symmetric positive semidefinite `a` (n x n), which is overwritten; a^+
 * is its inverse where it has one, otherwise a matrix with a a^+ a = a: with S = sqrt(diag a) and C
 * = S^-1 a S^-1, whose diagonal is 1, it is S^-1 C^+ S^-1. Eigenvalues of C up to `cutoff` count as
 * 0, and so do the rows and columns of a zero on the diagonal. */
slao_status slao_divide_by_semidefinite(double *b, int64_t m, double *a, int64_t n, double cutoff);

/* c (m x n) = a (m x k) b (k x n), and with b (n x k) or a (k x m) transposed. */
void slao_multiply_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                       int64_t k);
void slao_multiply_transposed_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                                  int64_t k);
void slao_transposed_multiply_f64(double *c, const double *a, const double *b, int64_t m, int64_t n,
                                  int64_t k);

#endif
