/* Element-wise kernels on fp32 rows, at the vector level of the CPU that the program runs on.
 *
 * One source (vec_kernels.c, in GCC's portable vector types) is compiled once per level; slao_vec()
 * gives the table of the best level that this CPU has. Results depend on the level, by rounding
 * alone, and on nothing else. Rows need no alignment; outputs may be the inputs where a comment
 * says "in place".
 */
#ifndef SLAO_LINALG_VEC_H
#define SLAO_LINALG_VEC_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name; /* "avx2" */

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

    /* fp16 and bf16 rows to fp32 */
    void (*from_f16)(float *y, const uint16_t *x, size_t n);
    void (*from_bf16)(float *y, const uint16_t *x, size_t n);
} slao_vec_table;

/* The table of this CPU. SLAO_VEC=baseline|avx2|avx512 in the environment asks for a lower level.
 */
const slao_vec_table *slao_vec(void);

#endif
