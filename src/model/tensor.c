#include "model/tensor.h"

#include "linalg/vec.h"

#include <string.h>

typedef struct {
    const char *name;
    uint32_t ggml_number;
    int64_t block; /* elements */
    size_t block_bytes;
} dtype_row;

static const dtype_row dtypes[SLAO_N_DTYPES] = {
    [SLAO_F32] = {"F32", 0, 1, 4},
    [SLAO_F16] = {"F16", 1, 1, 2},
    [SLAO_BF16] = {"BF16", 30, 1, 2},
    [SLAO_Q4_0] = {"Q4_0", 2, SLAO_BLOCK, 18},
    [SLAO_Q4_1] = {"Q4_1", 3, SLAO_BLOCK, 20},
    [SLAO_Q5_0] = {"Q5_0", 6, SLAO_BLOCK, 22},
    [SLAO_Q5_1] = {"Q5_1", 7, SLAO_BLOCK, 24},
    [SLAO_Q8_0] = {"Q8_0", 8, SLAO_BLOCK, 34},
    [SLAO_Q4_K] = {"Q4_K", 12, SLAO_SUPER_BLOCK, 144},
    [SLAO_Q5_K] = {"Q5_K", 13, SLAO_SUPER_BLOCK, 176},
    [SLAO_Q6_K] = {"Q6_K", 14, SLAO_SUPER_BLOCK, 210},
};

const char *slao_dtype_name(slao_dtype dtype) {
    return dtypes[dtype].name;
}

slao_dtype slao_dtype_by_name(const char *name) {
    slao_dtype dtype = 0;
    while (dtype < SLAO_N_DTYPES && strcmp(dtypes[dtype].name, name) != 0)
        dtype++;
    return dtype;
}

slao_dtype slao_dtype_by_ggml_number(uint32_t number) {
    slao_dtype dtype = 0;
    while (dtype < SLAO_N_DTYPES && dtypes[dtype].ggml_number != number)
        dtype++;
    return dtype;
}

int64_t slao_dtype_block(slao_dtype dtype) {
    return dtypes[dtype].block;
}

int64_t slao_tensor_count(const slao_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        count *= tensor->shape[i];
    return count;
}

slao_status slao_dtype_bytes(size_t *bytes, slao_dtype dtype, int64_t count) {
    const dtype_row *row = &dtypes[dtype];
    if (count < 0 || count % row->block != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%lld elements are no whole number of %s blocks (%lld elements each)",
                         (long long)count, row->name, (long long)row->block);
    if (__builtin_mul_overflow((size_t)(count / row->block), row->block_bytes, bytes))
        return slao_fail(SLAO_BAD_INPUT, "%lld elements of %s are more than any file can hold",
                         (long long)count, row->name);
    return SLAO_OK;
}

void slao_expand(float *values, slao_dtype dtype, const unsigned char *data, int64_t count) {
    slao_vec()->expand[dtype](values, data, count);
}

/* `count` elements of the block at `data`, from the element `from` on. */
static void expand_within(float *values, slao_dtype dtype, const unsigned char *data, int64_t from,
                          int64_t count) {
    float block[SLAO_SUPER_BLOCK];
    slao_expand(block, dtype, data, dtypes[dtype].block);
    memcpy(values, block + from, (size_t)count * sizeof *values);
}

void slao_expand_part(float *values, slao_dtype dtype, const unsigned char *data, int64_t from,
                      int64_t count) {
    int64_t block = dtypes[dtype].block, begun = from % block;
    data += (size_t)(from / block) * dtypes[dtype].block_bytes;
    if (begun) {
        int64_t first = count < block - begun ? count : block - begun;
        expand_within(values, dtype, data, begun, first);
        data += dtypes[dtype].block_bytes;
        values += first;
        count -= first;
    }
    int64_t whole = count / block * block;
    slao_expand(values, dtype, data, whole);
    if (whole < count)
        expand_within(values + whole, dtype,
                      data + (size_t)(whole / block) * dtypes[dtype].block_bytes, 0, count - whole);
}
