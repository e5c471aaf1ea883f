/* The element-wise kernels at one vector level (lanes.h). */
#include "linalg/lanes.h"
#include "linalg/vec.h"

#include <math.h>

/* e^x to about 1 ulp: x = k ln 2 + r, |r| <= ln 2 / 2, a polynomial for e^r (Cephes' expf), 2^k by
 * its bits. Below -87 the result is 0, above 88 it is the largest power. */
static inline lanes exp_lanes(lanes x) {
    const lanes low = all(-87.0F), high = all(88.0F);
    int_lanes too_low = x < low;
    x = (lanes)(((int_lanes)x & ~too_low) | ((int_lanes)low & too_low));
    int_lanes too_high = x > high;
    x = (lanes)(((int_lanes)x & ~too_high) | ((int_lanes)high & too_high));
    const lanes magic = all(12582912.0F); /* 1.5 x 2^23: adding it rounds to a whole number */
    lanes k = (x * 1.44269504088896341F + magic) - magic;
    lanes r = x - k * 0.693359375F;
    r = r + k * 2.12194440e-4F;
    lanes p = all(1.9875691500e-4F);
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    int_lanes power = (__builtin_convertvector(k, int_lanes) + 127) << 23;
    lanes result = p * (lanes)power;
    return (lanes)((int_lanes)result & ~too_low);
}

static inline lanes sigmoid(lanes x) {
    return 1.0F / (1.0F + exp_lanes(-x));
}

static void add(float *y, const float *x, size_t n) {
    FOR_ROW(i, part, n)
    STORE(y, i, part, LOAD(y, i, part) + LOAD(x, i, part));
}

static void axpy(float *y, float a, const float *x, size_t n) {
    FOR_ROW(i, part, n)
    STORE(y, i, part, LOAD(y, i, part) + a * LOAD(x, i, part));
}

static void scale(float *y, float a, size_t n) {
    FOR_ROW(i, part, n)
    STORE(y, i, part, a * LOAD(y, i, part));
}

static float dot(const float *x, const float *y, size_t n) {
    lanes sum = {0};
    FOR_ROW(i, part, n)
    sum += LOAD(x, i, part) * LOAD(y, i, part);
    return sum_of(sum);
}

static float max(const float *x, size_t n) {
    lanes best = all(x[0]);
    FOR_ROW(i, part, n) {
        lanes v = part == LANES ? load(x + i) : load_part(x + i, part, x[0]);
        int_lanes larger = v > best;
        best = (lanes)(((int_lanes)v & larger) | ((int_lanes)best & ~larger));
    }
    float result = best[0];
    for (int i = 1; i < LANES; i++)
        result = best[i] > result ? best[i] : result;
    return result;
}

/* The tile of dot products that the registers hold. */
enum { TILE_A = 3, TILE_B = 4 };

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* sums[p][q] = the lanes of a[p] . b[q] */
static inline void tile_dots(lanes sums[TILE_A][TILE_B], const float *const a[TILE_A],
                             const float *const b[TILE_B], size_t k) {
    lanes held[TILE_A][TILE_B] = {{{0}}};
    FOR_ROW(i, part, k) {
        lanes x[TILE_A];
        for (int p = 0; p < TILE_A; p++)
            x[p] = LOAD(a[p], i, part);
        for (int q = 0; q < TILE_B; q++) {
            lanes y = LOAD(b[q], i, part);
            for (int p = 0; p < TILE_A; p++)
                held[p][q] += x[p] * y;
        }
    }
    memcpy(sums, held, sizeof held);
}

static void dots(float *c, size_t c_stride, const float *a, size_t a_stride, const float *b,
                 size_t b_stride, size_t m, size_t n, size_t k, float alpha, float beta) {
    enum { LINE = 16 }; /* values, of a cache */
    size_t tiles = m > 0 ? (m + TILE_A - 1) / TILE_A : 1;
    size_t ahead_of_each = (TILE_B + tiles - 1) / tiles;
    for (size_t j = 0; j < n; j += TILE_B) {
        const float *b_rows[TILE_B], *a_rows[TILE_A]; /* beyond the last row: that row again */
        for (size_t q = 0; q < TILE_B; q++)
            b_rows[q] = b + (j + q < n ? j + q : n - 1) * b_stride;
        for (size_t i = 0, ahead = j + TILE_B; i < m; i += TILE_A) {
            /* The rows that come next are on their way meanwhile. */
            for (size_t row = 0; row < ahead_of_each && ahead < least(j + 2 * TILE_B, n);
                 row++, ahead++)
                for (size_t l = 0; l < k; l += LINE)
                    __builtin_prefetch(b + ahead * b_stride + l);
            for (size_t p = 0; p < TILE_A; p++)
                a_rows[p] = a + (i + p < m ? i + p : m - 1) * a_stride;
            lanes sums[TILE_A][TILE_B];
            tile_dots(sums, a_rows, b_rows, k);
            for (size_t p = 0; p < TILE_A && i + p < m; p++) {
                for (size_t q = 0; q < TILE_B && j + q < n; q++) {
                    float *value = &c[(i + p) * c_stride + j + q];
                    float product = alpha * sum_of(sums[p][q]);
                    *value = beta == 0 ? product : product + beta * *value;
                }
            }
        }
    }
}

static void rms_apply(float *y, const float *x, const float *w, float inverse_rms, size_t n) {
    FOR_ROW(i, part, n)
    STORE(y, i, part, LOAD(x, i, part) * inverse_rms * LOAD(w, i, part));
}

static float rms_norm(float *y, const float *x, const float *w, float epsilon, size_t n) {
    float inverse_rms = 1.0F / sqrtf(dot(x, x, n) / (float)n + epsilon);
    rms_apply(y, x, w, inverse_rms, n);
    return inverse_rms;
}

static void rms_norm_backward(float *dx, const float *dy, const float *x, const float *w,
                              float inverse_rms, size_t n) {
    lanes sum = {0};
    FOR_ROW(i, part, n)
    sum += LOAD(dy, i, part) * LOAD(w, i, part) * LOAD(x, i, part);
    float along = sum_of(sum) * inverse_rms * inverse_rms / (float)n;
    FOR_ROW(i, part, n) {
        lanes inner = LOAD(dy, i, part) * LOAD(w, i, part) - along * LOAD(x, i, part);
        STORE(dx, i, part, LOAD(dx, i, part) + inverse_rms * inner);
    }
}

static void swiglu(float *y, const float *gate, const float *up, size_t n) {
    FOR_ROW(i, part, n) {
        lanes g = LOAD(gate, i, part);
        STORE(y, i, part, g * sigmoid(g) * LOAD(up, i, part));
    }
}

static void swiglu_backward(float *gate, float *up, const float *dy, size_t n) {
    FOR_ROW(i, part, n) {
        lanes g = LOAD(gate, i, part), u = LOAD(up, i, part), d = LOAD(dy, i, part);
        lanes s = sigmoid(g);
        lanes silu = g * s;
        STORE(gate, i, part, d * u * (s + silu * (1.0F - s)));
        STORE(up, i, part, d * silu);
    }
}

/* Each of n sums loses up to 2^-24 of what its lane holds, so over a large vocabulary the loss and
 * its gradient would be off by more than all else rounds: after this many, lanes go to fp64. */
enum { SUMMED = 16 * LANES };

static double exp_sum(float *x, float a, float shift, size_t n) {
    double total = 0;
    for (size_t from = 0; from < n; from += SUMMED) {
        float *block = x + from;
        lanes sum = {0};
        FOR_ROW(i, part, n - from < SUMMED ? n - from : SUMMED) {
            lanes e = exp_lanes(a * LOAD(block, i, part) - shift);
            STORE(block, i, part, e);
            sum += part == LANES ? e : load_part(block + i, part, 0.0F);
        }
        total += (double)sum_of(sum);
    }
    return total;
}

static void softmax_backward(float *dp, const float *p, float a, float mean, size_t n) {
    FOR_ROW(i, part, n)
    STORE(dp, i, part, a * LOAD(p, i, part) * (LOAD(dp, i, part) - mean));
}

static void rotate(float *x, const float *cosine, const float *sine, float sign, size_t n) {
    size_t half = n / 2;
    FOR_ROW(i, part, half) {
        lanes first = LOAD(x, i, part), second = LOAD(x + half, i, part);
        lanes c = LOAD(cosine, i, part), s = sign * LOAD(sine, i, part);
        STORE(x, i, part, first * c - second * s);
        STORE(x + half, i, part, second * c + first * s);
    }
}

static inline lanes root(lanes x) {
    lanes y;
    for (int i = 0; i < LANES; i++)
        y[i] = sqrtf(x[i]);
    return y;
}

static void adamw(float *x, float *m, float *v, const float *g, float g_scale, float beta1,
                  float beta2, float step_size, float inverse_root2, float epsilon, float decay,
                  size_t n) {
    FOR_ROW(i, part, n) {
        lanes gradient = LOAD(g, i, part) * g_scale;
        lanes first = beta1 * LOAD(m, i, part) + (1.0F - beta1) * gradient;
        lanes second = beta2 * LOAD(v, i, part) + (1.0F - beta2) * gradient * gradient;
        STORE(m, i, part, first);
        STORE(v, i, part, second);
        lanes value = LOAD(x, i, part);
        value -= decay * value;
        STORE(x, i, part, value - step_size * first / (root(second) * inverse_root2 + epsilon));
    }
}

extern const slao_product_table JOIN(slao_product_, SLAO_VEC_LEVEL);
extern slao_expand_function *const JOIN(slao_expand_, SLAO_VEC_LEVEL)[SLAO_N_DTYPES];
extern const slao_vec_table JOIN(slao_vec_, SLAO_VEC_LEVEL);
const slao_vec_table JOIN(slao_vec_, SLAO_VEC_LEVEL) = {
    .name = QUOTE(SLAO_VEC_LEVEL),
    .lanes = LANES,
    .product = &JOIN(slao_product_, SLAO_VEC_LEVEL),
    .add = add,
    .axpy = axpy,
    .scale = scale,
    .dot = dot,
    .max = max,
    .dots = dots,
    .rms_norm = rms_norm,
    .rms_apply = rms_apply,
    .rms_norm_backward = rms_norm_backward,
    .swiglu = swiglu,
    .swiglu_backward = swiglu_backward,
    .exp_sum = exp_sum,
    .softmax_backward = softmax_backward,
    .rotate = rotate,
    .adamw = adamw,
    .expand = JOIN(slao_expand_, SLAO_VEC_LEVEL),
};
