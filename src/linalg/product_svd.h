/* The QR decomposition in fp64 (row-major, thin, by LAPACK), and by it the SVD of a product out of
 * its factors. Outputs are the caller's and overlap nothing. Values that are not finite are
 * SLAO_BAD_INPUT.
 */
#ifndef SLAO_LINALG_PRODUCT_SVD_H
#define SLAO_LINALG_PRODUCT_SVD_H

#include "base/status.h"

#include <stdint.h>

/* a (m x n) = q (m x k) r (k x n), k = min(m, n): q's columns orthonormal, r upper triangular
 * (trapezoidal where n > m). Signs are LAPACK's. */
slao_status slao_qr_f64(double *q, double *r, const double *a, int64_t m, int64_t n);

/* The SVD of b (m x r) a (r x n), in O((m + n) r^2): with b = q_b r_b and a^T = q_a r_a, that of
 * r_b r_a^T gives it. k = min(m, n, r): u (m x k), s (k, falling), vt (k x n). */
slao_status slao_svd_of_product(double *u, double *s, double *vt, const double *b, const double *a,
                                int64_t m, int64_t n, int64_t r);

#endif
