/* A tensor as it lies in a model file, and its expansion to fp32. */
#ifndef SLAO_MODEL_TENSOR_H
#define SLAO_MODEL_TENSOR_H

#include "base/status.h"
#include "linalg/expansion.h"

#include <stdint.h>

const char *slao_dtype_name(slao_dtype dtype); /* "Q4_1" */

/* The type of that name, and the one that ggml numbers so; SLAO_N_DTYPES where there is none. */
slao_dtype slao_dtype_by_name(const char *name);
slao_dtype slao_dtype_by_ggml_number(uint32_t number);

/* Elements that are coded together: 1 for the float types. */
int64_t slao_dtype_block(slao_dtype dtype);

enum { SLAO_MAX_DIMS = 4 };

/* Row-major: shape[0] is the slowest dimension. The bytes belong to the file's mapping. */
typedef struct {
    const char *name;
    slao_dtype dtype;
    int n_dims;
    int64_t shape[SLAO_MAX_DIMS];
    const unsigned char *data;
    size_t bytes;
} slao_tensor;

int64_t slao_tensor_count(const slao_tensor *tensor); /* elements */

/* Bytes of `count` elements; a count that is no whole number of the type's blocks is
 * SLAO_BAD_INPUT. */
slao_status slao_dtype_bytes(size_t *bytes, slao_dtype dtype, int64_t count);

/* Expands `count` elements at `data` to fp32 (linalg/expansion.h). `count` is a whole number of
 * blocks; `data` needs no alignment. */
void slao_expand(float *values, slao_dtype dtype, const unsigned char *data, int64_t count);

/* Elements from .. from + count - 1 of a row at `data`, wherever its blocks begin. */
void slao_expand_part(float *values, slao_dtype dtype, const unsigned char *data, int64_t from,
                      int64_t count);

#endif
