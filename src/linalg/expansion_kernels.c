/* The numbers of model files expanded (linalg/expansion.h), at one vector level (lanes.h). */
#include "linalg/expansion.h"

#include "linalg/lanes.h"
#include "linalg/vec.h"

#include <stdbool.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are read as they lie");

static inline float float_of(uint32_t bits) {
    union {
        uint32_t bits;
        float value;
    } both = {bits};
    return both.value;
}

static inline float from_f16(uint16_t x) {
    uint32_t body = x & 0x7fff;
    /* Infinity and NaN keep their payload; for all else the exponent is rebiased by a product that
     * is exact, subnormals included. */
    float magnitude =
        body >= 0x7c00 ? float_of(0x7f800000U | body << 13) : float_of(body << 13) * 0x1p112F;
    return x & 0x8000 ? -magnitude : magnitude;
}

/* Of two bytes at any address: a row of a safetensors file may start at an odd one. */
static inline uint16_t half_at(const unsigned char *data) {
    uint16_t half;
    memcpy(&half, data, sizeof half);
    return half;
}

static inline float f16_at(const unsigned char *data) {
    return from_f16(half_at(data));
}

typedef uint16_t half_lanes __attribute__((vector_size(2 * LANES)));
typedef uint8_t byte_lanes __attribute__((vector_size(LANES)));
typedef int16_t signed_half_lanes __attribute__((vector_size(2 * LANES)));
typedef int8_t signed_byte_lanes __attribute__((vector_size(LANES)));

static inline int_lanes halves_at(const unsigned char *data) {
    half_lanes halves;
    memcpy(&halves, data, sizeof halves);
    return __builtin_convertvector(halves, int_lanes);
}

/* In two steps, each of which is an instruction or a few. */
static inline int_lanes bytes_at(const unsigned char *data) {
    byte_lanes bytes;
    memcpy(&bytes, data, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, half_lanes), int_lanes);
}

static inline int_lanes signed_bytes_at(const unsigned char *data) {
    signed_byte_lanes bytes;
    memcpy(&bytes, data, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, signed_half_lanes), int_lanes);
}

static inline lanes to_float(int_lanes x) {
    return __builtin_convertvector(x, lanes);
}

static void expand_f32(float *restrict values, const unsigned char *restrict data, int64_t count) {
    memcpy(values, data, (size_t)count * sizeof *values);
}

static void expand_f16(float *restrict values, const unsigned char *restrict data, int64_t count) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        int_lanes x = halves_at(data + 2 * i), body = x & 0x7fff, special = body >= 0x7c00;
        lanes magnitude = (lanes)(body << 13) * 0x1p112F;
        int_lanes bits = ((int_lanes)magnitude & ~special) | ((0x7f800000 | body << 13) & special);
        store(values + i, (lanes)(bits | (x & 0x8000) << 16));
    }
    for (; i < count; i++)
        values[i] = f16_at(data + 2 * i);
}

static void expand_bf16(float *restrict values, const unsigned char *restrict data, int64_t count) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        store(values + i, (lanes)(halves_at(data + 2 * i) << 16));
    for (; i < count; i++)
        values[i] = float_of((uint32_t)half_at(data + 2 * i) << 16);
}

/* The formats of ggml (ggml-quants.c). A block is a scale d in fp16, for the "_1" types a minimum m
 * in fp16, and the codes; two codes of 4 bits share a byte, the low halves coming first. All
 * products of a scale and a code but those of Q6_K are exact in fp32, so that the results do not
 * depend on whether a compiler fuses multiplication and addition. */
enum {
    BLOCK = SLAO_BLOCK,
    HALF_BLOCK = BLOCK / 2,
    SUPER_BLOCK = SLAO_SUPER_BLOCK, /* holds sub-blocks */
    SUB_BLOCK = 32,
    SCALES = 12 /* bytes that hold eight scales and eight minima of 6 bits */
};

/* Q4_0: d, 16 bytes of codes; value = d (code - 8) */
static void expand_q4_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 18, values += BLOCK) {
        float d = f16_at(data);
        for (int j = 0; j < HALF_BLOCK; j += LANES) {
            int_lanes codes = bytes_at(data + 2 + j);
            store(values + j, d * to_float((codes & 15) - 8));
            store(values + j + HALF_BLOCK, d * to_float((codes >> 4) - 8));
        }
    }
}

/* Q4_1: d, m, 16 bytes of codes; value = d code + m */
static void expand_q4_1(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 20, values += BLOCK) {
        float d = f16_at(data), m = f16_at(data + 2);
        for (int j = 0; j < HALF_BLOCK; j += LANES) {
            int_lanes codes = bytes_at(data + 4 + j);
            store(values + j, d * to_float(codes & 15) + m);
            store(values + j + HALF_BLOCK, d * to_float(codes >> 4) + m);
        }
    }
}

/* Bits from .. from + LANES - 1 of 4 bytes, as the fifth bits of codes. */
static inline int_lanes fifth_bits(const unsigned char *data, int from) {
    uint32_t bits;
    memcpy(&bits, data, sizeof bits);
    int_lanes place;
    for (int i = 0; i < LANES; i++)
        place[i] = 1 << i;
    int_lanes every = (int_lanes){0} + (int32_t)(bits >> from);
    return ((every & place) != 0) & 16;
}

/* The codes of Q5_0 and Q5_1 from j on: 4 bytes with the fifth bit of each code, 16 bytes with the
 * rest; *upper is half a block further. */
static inline int_lanes join_5_bits(const unsigned char *data, int j, int_lanes *upper) {
    int_lanes codes = bytes_at(data + 4 + j);
    *upper = codes >> 4 | fifth_bits(data, j + HALF_BLOCK);
    return (codes & 15) | fifth_bits(data, j);
}

/* Q5_0: d, codes; value = d (code - 16) */
static void expand_q5_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 22, values += BLOCK) {
        float d = f16_at(data);
        for (int j = 0; j < HALF_BLOCK; j += LANES) {
            int_lanes upper, lower = join_5_bits(data + 2, j, &upper);
            store(values + j, d * to_float(lower - 16));
            store(values + j + HALF_BLOCK, d * to_float(upper - 16));
        }
    }
}

/* Q5_1: d, m, codes; value = d code + m */
static void expand_q5_1(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 24, values += BLOCK) {
        float d = f16_at(data), m = f16_at(data + 2);
        for (int j = 0; j < HALF_BLOCK; j += LANES) {
            int_lanes upper, lower = join_5_bits(data + 4, j, &upper);
            store(values + j, d * to_float(lower) + m);
            store(values + j + HALF_BLOCK, d * to_float(upper) + m);
        }
    }
}

/* Q8_0: d, 32 signed bytes; value = d code */
static void expand_q8_0(float *restrict values, const unsigned char *restrict data, int64_t count) {
    for (int64_t i = 0; i < count; i += BLOCK, data += 34, values += BLOCK) {
        float d = f16_at(data);
        for (int j = 0; j < BLOCK; j += LANES)
            store(values + j, d * to_float(signed_bytes_at(data + 2 + j)));
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
static inline void expand_k(float *restrict values, const unsigned char *restrict data,
                            int64_t count, bool fifth_bit) {
    const int size = 4 + SCALES + (fifth_bit ? SUB_BLOCK : 0) + SUPER_BLOCK / 2;
    for (int64_t i = 0; i < count; i += SUPER_BLOCK, data += size) {
        const unsigned char *high = data + 4 + SCALES;
        const unsigned char *codes = high + (fifth_bit ? SUB_BLOCK : 0);
        float d = f16_at(data), d_min = f16_at(data + 2);
        for (int s = 0; s < SUPER_BLOCK / SUB_BLOCK; s++, values += SUB_BLOCK) {
            int scale, minimum;
            sub_block_scale(s, data + 4, &scale, &minimum);
            float step = d * (float)scale, low = d_min * (float)minimum;
            for (int j = 0; j < SUB_BLOCK; j += LANES) {
                int_lanes code = bytes_at(codes + s / 2 * SUB_BLOCK + j) >> (s % 2 * 4) & 15;
                if (fifth_bit)
                    code |= (bytes_at(high + j) >> s & 1) << 4;
                store(values + j, step * to_float(code) - low);
            }
        }
    }
}

static void expand_q4_k(float *restrict values, const unsigned char *restrict data, int64_t count) {
    expand_k(values, data, count, false);
}

static void expand_q5_k(float *restrict values, const unsigned char *restrict data, int64_t count) {
    expand_k(values, data, count, true);
}

/* Q6_K: 128 bytes with the low four bits of the codes, 64 bytes with the high two, 16 signed scales
 * (one per 16 elements), d; value = d scale (code - 32). Each half of a block is four runs of 32:
 * runs r and r + 2 share low bytes, all four share high bytes. */
static void expand_q6_k(float *restrict values, const unsigned char *restrict data, int64_t count) {
    enum { HALF = SUPER_BLOCK / 2, RUN = 32, OF_A_SCALE = 16 };
    for (int64_t i = 0; i < count; i += SUPER_BLOCK, data += 210) {
        float d = f16_at(data + 208);
        for (int run = 0; run < SUPER_BLOCK / RUN; run++, values += RUN) {
            int half = run * RUN / HALF, r = run % 4;
            const unsigned char *low = data + half * HALF / 2 + r % 2 * RUN;
            const unsigned char *high = data + HALF + half * RUN;
            const unsigned char *scales = data + 192 + run * 2;
            for (int j = 0; j < RUN; j += LANES) {
                int_lanes code = (bytes_at(low + j) >> (r / 2 * 4) & 15) |
                                 (bytes_at(high + j) >> (2 * r) & 3) << 4;
                float step = d * (float)(int8_t)scales[j / OF_A_SCALE];
                store(values + j, step * to_float(code - 32));
            }
        }
    }
}

extern slao_expand_function *const JOIN(slao_expand_, SLAO_VEC_LEVEL)[SLAO_N_DTYPES];
slao_expand_function *const JOIN(slao_expand_, SLAO_VEC_LEVEL)[SLAO_N_DTYPES] = {
    [SLAO_F32] = expand_f32,   [SLAO_F16] = expand_f16,   [SLAO_BF16] = expand_bf16,
    [SLAO_Q4_0] = expand_q4_0, [SLAO_Q4_1] = expand_q4_1, [SLAO_Q5_0] = expand_q5_0,
    [SLAO_Q5_1] = expand_q5_1, [SLAO_Q8_0] = expand_q8_0, [SLAO_Q4_K] = expand_q4_k,
    [SLAO_Q5_K] = expand_q5_k, [SLAO_Q6_K] = expand_q6_k,
};
