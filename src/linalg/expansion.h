/* The numbers of model files, and their expansion to fp32: exactly as ggml (ggml-quants.c) and
 * safetensors define each format, so alike at every vector level (linalg/vec.h). */
#ifndef SLAO_LINALG_EXPANSION_H
#define SLAO_LINALG_EXPANSION_H

#include <stdint.h>

typedef enum {
    SLAO_F32,
    SLAO_F16,
    SLAO_BF16,
    SLAO_Q4_0,
    SLAO_Q4_1,
    SLAO_Q5_0,
    SLAO_Q5_1,
    SLAO_Q8_0,
    SLAO_Q4_K,
    SLAO_Q5_K,
    SLAO_Q6_K,
    SLAO_N_DTYPES
} slao_dtype;

/* Elements that the quantised types code together. */
enum { SLAO_BLOCK = 32, SLAO_SUPER_BLOCK = 256 /* Q4_K, Q5_K, Q6_K */ };

/* `count` elements, a whole number of blocks; `data` needs no alignment. */
typedef void slao_expand_function(float *restrict values, const unsigned char *restrict data,
                                  int64_t count);

#endif
