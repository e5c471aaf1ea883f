/* Vectors of fp32 at one vector level, for the kernels that are compiled once per level
 * (vec_kernels.c, product_kernels.c, expansion_kernels.c) with that level's flags and with
 * SLAO_VEC_LEVEL set to its name. Lanes hold partial results, added in a fixed order, so that a
 * level always gives the same bits. */
#ifndef SLAO_LINALG_LANES_H
#define SLAO_LINALG_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(SLAO_VEC_LEVEL_avx512)
enum { LANES = 16 };
#elif defined(SLAO_VEC_LEVEL_avx2)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t int_lanes __attribute__((vector_size(4 * LANES)));

static inline lanes load(const float *x) {
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(float *x, lanes v) {
    memcpy(x, &v, sizeof v);
}

static inline lanes all(float a) {
    return a - (lanes){0};
}

static inline float sum_of(lanes v) {
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++)
            v[i] += v[i + half];
    }
    return v[0];
}

/* The tail of a row goes through the same lane arithmetic as its body, so that a value does not
 * depend on where in the row it stands; missing lanes are filled with `fill`. */
static inline lanes load_part(const float *x, size_t n, float fill) {
    lanes v = all(fill);
    memcpy(&v, x, n * sizeof *x);
    return v;
}

static inline void store_part(float *x, lanes v, size_t n) {
    memcpy(x, &v, n * sizeof *x);
}

/* Runs `body` over the row in steps of LANES: i is where, part how many lanes are real (LANES but
 * at the end). */
#define FOR_ROW(i, part, n)                                                                        \
    for (size_t i = 0, part; i < (n) && (part = (n)-i < LANES ? (n)-i : LANES, 1); i += LANES)

#define LOAD(x, i, part) ((part) == LANES ? load((x) + (i)) : load_part((x) + (i), part, 0.0F))
#define STORE(x, i, part, v)                                                                       \
    do {                                                                                           \
        if ((part) == LANES)                                                                       \
            store((x) + (i), v);                                                                   \
        else                                                                                       \
            store_part((x) + (i), v, part);                                                        \
    } while (0)

#define QUOTE_NAME(name) #name
#define QUOTE(name) QUOTE_NAME(name)
#define JOIN_NAMES(a, b) a##b
#define JOIN(a, b) JOIN_NAMES(a, b)

#endif
