#include "model/tensor.h"

#include "linalg/vec.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are read as they lie");

/* The formats of ggml (ggml-quants.c). A block is a scale d in fp16, for the "_1" types a minimum m
 * in fp16, and the codes; two codes of 4 bits share a byte, the low halves coming first. All
 * products of a scale and a code but those of Q6_K are exact in fp32, so that the results do not
 * depend on whether a compiler fuses multiplication and addition. */
enum {
    BLOCK = 32,        /* elements of a block of the Q4_0 kind */
    SUPER_BLOCK = 256, /* elements of a block of the K kind, which holds sub-blocks */
    SCALES = 12        /* bytes that hold eight scales and eight minima of 6 bits */
};

static void from_halves(float *values, const unsigned char *data, size_t count) {
    uint16_t halves[2];
    memcpy(halves, data, count * sizeof *halves);
    slao_vec()->from_f16(values, halves, count);
}

static void expand_f32(float *values, const unsigned char *data, int64_t count) {
    memcpy(values, data, (size_t)count * sizeof *values);
}

/* Through a buffer, since a row of a safetensors file may start at an odd address. */
static void expand_16(float *values, const unsigned char *data, int64_t count,
                      void (*convert)(float *y, const uint16_t *x, size_t n)) {
    enum { PART = 1024 };
    uint16_t buffer[PART];
    for (int64_t i = 0; i < count; i += PART) {
        size_t part = (size_t)(count - i < PART ? count - i : PART);
        memcpy(buffer, data + 2 * i, part * sizeof *buffer);
        convert(values + i, buffer, part);
    }
}

static void expand_f16(float *values, const unsigned char *data, int64_t count) {
    expand_16(values, data, count, slao_vec()->from_f16);
}

static void expand_bf16(float *values, const unsigned char *data, int64_t count) {
    expand_16(values, data, count, slao_vec()->from_bf16);
}

/* Q4_0: d, 16 bytes of codes; value = d (code - 8) */
static void expand_q4_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 18, values += BLOCK) {
        const unsigned char *codes = data + 2;
        float d;
        from_halves(&d, data, 1);
        for (int j = 0; j < BLOCK / 2; j++)
            values[j] = d * (float)((codes[j] & 15) - 8);
        for (int j = 0; j < BLOCK / 2; j++)
            values[j + BLOCK / 2] = d * (float)((codes[j] >> 4) - 8);
    }
}

/* Q4_1: d, m, 16 bytes of codes; value = d code + m */
static void expand_q4_1(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 20, values += BLOCK) {
        const unsigned char *codes = data + 4;
        float scale[2];
        from_halves(scale, data, 2);
        float d = scale[0], m = scale[1];
        for (int j = 0; j < BLOCK / 2; j++)
            values[j] = d * (float)(codes[j] & 15) + m;
        for (int j = 0; j < BLOCK / 2; j++)
            values[j + BLOCK / 2] = d * (float)(codes[j] >> 4) + m;
    }
}

/* The codes of Q5_0 and Q5_1: 4 bytes with the fifth bit of each code, 16 bytes with the rest. */
static void join_5_bits(int32_t codes[BLOCK], const unsigned char *data) {
    uint32_t high;
    memcpy(&high, data, sizeof high);
    for (int j = 0; j < BLOCK / 2; j++) {
        codes[j] = (data[4 + j] & 15) | (int32_t)(high >> j & 1) << 4;
        codes[j + BLOCK / 2] = data[4 + j] >> 4 | (int32_t)(high >> (j + BLOCK / 2) & 1) << 4;
    }
}

/* Q5_0: d, codes; value = d (code - 16) */
static void expand_q5_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 22, values += BLOCK) {
        int32_t codes[BLOCK];
        float d;
        from_halves(&d, data, 1);
        join_5_bits(codes, data + 2);
        for (int j = 0; j < BLOCK; j++)
            values[j] = d * (float)(codes[j] - 16);
    }
}

/* Q5_1: d, m, codes; value = d code + m */
static void expand_q5_1(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 24, values += BLOCK) {
        int32_t codes[BLOCK];
        float scale[2];
        from_halves(scale, data, 2);
        join_5_bits(codes, data + 4);
        for (int j = 0; j < BLOCK; j++)
            values[j] = scale[0] * (float)codes[j] + scale[1];
    }
}

/* Q8_0: d, 32 signed bytes; value = d code */
static void expand_q8_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 34, values += BLOCK) {
        float d;
        from_halves(&d, data, 1);
        for (int j = 0; j < BLOCK; j++)
            values[j] = d * (float)(int8_t)data[2 + j];
    }
}

/* Scale and minimum of sub-block s of Q4_K and Q5_K: those of the first four lie in the low six
 * bits of bytes s and s + 4; of the others the low four bits share byte s + 4 and the high two are
 * the high bits of bytes s - 4 and s. */
static void sub_block_scale(int s, const unsigned char packed[SCALES], int *scale, int *minimum) {
    if (s < 4) {
        *scale = packed[s] & 63;
        *minimum = packed[s + 4] & 63;
    } else {
        *scale = (packed[s + 4] & 15) | packed[s - 4] >> 6 << 4;
        *minimum = packed[s + 4] >> 4 | packed[s] >> 6 << 4;
    }
}

/* Q4_K and Q5_K: d, dmin, scales; for Q5_K 32 bytes whose bit s is the fifth bit of the codes of
 * sub-block s; 128 bytes of codes, two sub-blocks of 32 sharing 32 bytes.
 * value = d scale code - dmin minimum */
static void expand_k(float *restrict values, const unsigned char *restrict data, int64_t count,
                     bool fifth_bit) {
    enum { SUB_BLOCK = 32 };
    const int size = 4 + SCALES + (fifth_bit ? SUB_BLOCK : 0) + SUPER_BLOCK / 2;
    for (int64_t i = 0; i < count; i += SUPER_BLOCK, data += size) {
        const unsigned char *high = data + 4 + SCALES;
        const unsigned char *codes = high + (fifth_bit ? SUB_BLOCK : 0);
        float d[2];
        from_halves(d, data, 2);
        for (int s = 0; s < SUPER_BLOCK / SUB_BLOCK; s++, values += SUB_BLOCK) {
            int scale, minimum;
            sub_block_scale(s, data + 4, &scale, &minimum);
            float step = d[0] * (float)scale, low = d[1] * (float)minimum;
            const unsigned char *pairs = codes + s / 2 * SUB_BLOCK;
            int shift = s % 2 * 4;
            for (int j = 0; j < SUB_BLOCK; j++) {
                int code = pairs[j] >> shift & 15;
                if (fifth_bit)
                    code |= (high[j] >> s & 1) << 4;
                values[j] = step * (float)code - low;
            }
        }
    }
}

static void expand_q4_k(float *values, const unsigned char *data, int64_t count) {
    expand_k(values, data, count, false);
}

static void expand_q5_k(float *values, const unsigned char *data, int64_t count) {
    expand_k(values, data, count, true);
}

/* Q6_K: 128 bytes with the low four bits of the codes, 64 bytes with the high two, 16 signed scales
 * (one per 16 elements), d; value = d scale (code - 32). Each half of a block is four runs of 32:
 * runs r and r + 2 share low bytes, all four share high bytes. */
static void expand_q6_k(float *restrict values, const unsigned char *restrict data, int64_t count) {
    enum { RUN = 32, HALF = 128 };
    for (int64_t i = 0; i < count; i += SUPER_BLOCK, data += 210) {
        float d;
        from_halves(&d, data + 208, 1);
        for (int run = 0; run < SUPER_BLOCK / RUN; run++, values += RUN) {
            int half = run * RUN / HALF, r = run % 4;
            const unsigned char *low = data + half * 64 + r % 2 * RUN;
            const unsigned char *high = data + 128 + half * RUN;
            const unsigned char *scales = data + 192 + run * 2;
            for (int j = 0; j < RUN; j++) {
                int code = (low[j] >> (r / 2 * 4) & 15) | (high[j] >> (2 * r) & 3) << 4;
                values[j] = d * (float)(int8_t)scales[j / 16] * (float)(code - 32);
            }
        }
    }
}

typedef struct {
    const char *name;
    uint32_t ggml_number;
    int64_t block; /* elements */
    size_t block_bytes;
    void (*expand)(float *values, const unsigned char *data, int64_t count);
} dtype_row;

static const dtype_row dtypes[SLAO_N_DTYPES] = {
    [SLAO_F32] = {"F32", 0, 1, 4, expand_f32},
    [SLAO_F16] = {"F16", 1, 1, 2, expand_f16},
    [SLAO_BF16] = {"BF16", 30, 1, 2, expand_bf16},
    [SLAO_Q4_0] = {"Q4_0", 2, BLOCK, 18, expand_q4_0},
    [SLAO_Q4_1] = {"Q4_1", 3, BLOCK, 20, expand_q4_1},
    [SLAO_Q5_0] = {"Q5_0", 6, BLOCK, 22, expand_q5_0},
    [SLAO_Q5_1] = {"Q5_1", 7, BLOCK, 24, expand_q5_1},
    [SLAO_Q8_0] = {"Q8_0", 8, BLOCK, 34, expand_q8_0},
    [SLAO_Q4_K] = {"Q4_K", 12, SUPER_BLOCK, 144, expand_q4_k},
    [SLAO_Q5_K] = {"Q5_K", 13, SUPER_BLOCK, 176, expand_q5_k},
    [SLAO_Q6_K] = {"Q6_K", 14, SUPER_BLOCK, 210, expand_q6_k},
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
    dtypes[dtype].expand(values, data, count);
}
