/* Kernels at the vector level of the CPU that the program runs on: of fp32 rows, what products are
 * made of, and the expansion of model files' numbers.
 *
 * Their sources (in GCC's portable vector types: lanes.h) are compiled once per level; slao_vec()
 * gives the table of the best level that this CPU has. Results depend on the level, by rounding
 * alone, and on nothing else. Rows need no alignment; outputs may be the inputs where a comment
 * says "in place".
 */
#ifndef SLAO_LINALG_VEC_H
#define SLAO_LINALG_VEC_H

#include "linalg/expansion.h"

#include <stddef.h>
#include <stdint.h>

/* What products of matrices are made of (linalg/matrix.c). The second operand b (k x n) goes in
 * panels of some columns, each k rows of `columns` values. Beyond the last column nothing is read
 * but the rest of a vector. An entry of the result is one sum over k in order: its bits depend on
 * nothing else. */
typedef struct {
    int64_t columns; /* of a panel */
    int64_t packed;  /* columns that are packed at a time: some panels */
    int64_t rows;    /* of a tile: of the first operand, so many are multiplied at a time */

    /* panels, which are panel_stride apart = n columns of b, whose rows are b_stride apart */
    void (*pack)(float *panels, size_t panel_stride, const float *b, size_t b_stride, size_t n,
                 size_t k);
    /* panels = n columns of b, given as rows of b^T that are b_stride apart */
    void (*pack_transposed)(float *panels, size_t panel_stride, const float *b, size_t b_stride,
                            size_t n, size_t k);

    /* c (m x n) = alpha a (m x k) b + beta c, m >= 1: b in panels that are panel_stride apart and
     * whose rows are b_stride apart (in b itself: a panel of its columns; then n is a whole number
     * of vectors). a's entries of a row are a_step apart, so that a may be transposed. */
    void (*multiply)(float *c, size_t c_stride, const float *a, size_t a_stride, size_t a_step,
                     const float *b, size_t panel_stride, size_t b_stride, size_t m, size_t n,
                     size_t k, float alpha, float beta);
} slao_product_table;

typedef struct {
    const char *name; /* "avx2" */
    int64_t lanes;    /* of a vector */
    const slao_product_table *product;

    void (*add)(float *y, const float *x, size_t n);           /* y += x */
    void (*axpy)(float *y, float a, const float *x, size_t n); /* y += a x */
    void (*scale)(float *y, float a, size_t n);                /* y *= a */
    float (*dot)(const float *x, const float *y, size_t n);
    float (*max)(const float *x, size_t n); /* n >= 1 */

    /* c (m x n) = alpha a (m x k) b^T (n x k) + beta c, with the distances between rows: dot
     * products in tiles. What slao_multiply_transposed does for few rows of a, where packing b
     * would cost more than the product. */
    void (*dots)(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b,
                 size_t b_stride, size_t m, size_t n, size_t k, float alpha, float beta);

    /* RMSNorm (Zhang and Sennrich, 2019): y = x w / rms, 1/rms is returned. */
    float (*rms_norm)(float *y, const float *x, const float *w, float epsilon, size_t n);
    /* y = x w inverse_rms, with what rms_norm returned */
    void (*rms_apply)(float *y, const float *x, const float *w, float inverse_rms, size_t n);
    /* dx += the gradient of rms_norm's input, given dy */
    void (*rms_norm_backward)(float *dx, const float *dy, const float *x, const float *w,
                              float inverse_rms, size_t n);

    /* SwiGLU (Shazeer, 2020): y = silu(gate) up; y may be gate. */
    void (*swiglu)(float *y, const float *gate, const float *up, size_t n);
    /* In place: gate becomes its gradient, up becomes its gradient, given dy. */
    void (*swiglu_backward)(float *gate, float *up, const float *dy, size_t n);

    /* x becomes exp(a x - shift), its sum (in fp64 but for short stretches) is returned. */
    double (*exp_sum)(float *x, float a, float shift, size_t n);
    /* Softmax backward, in place: dp becomes a p (dp - mean) */
    void (*softmax_backward)(float *dp, const float *p, float a, float mean, size_t n);

    /* Rotary embedding (Su et al., 2021) in the half-split layout of Hugging Face: pairs (x_i,
     * x_{i+n/2}) turned by the angle whose cosine and sine are given; n/2 of each. sign -1 turns
     * back. In place. */
    void (*rotate)(float *x, const float *cosine, const float *sine, float sign, size_t n);

    /* AdamW (Loshchilov and Hutter, 2019): x -= decay x; m, v are the moments (in place);
     * x -= step_size m / (sqrt(v) inverse_root2 + epsilon), g scaled by g_scale before use. */
    void (*adamw)(float *x, float *m, float *v, const float *g, float g_scale, float beta1,
                  float beta2, float step_size, float inverse_root2, float epsilon, float decay,
                  size_t n);

    slao_expand_function *const *expand; /* by slao_dtype */
} slao_vec_table;

/* The table of this CPU. SLAO_VEC=baseline|avx2|avx512 in the environment asks for a lower level.
 */
const slao_vec_table *slao_vec(void);

#endif
