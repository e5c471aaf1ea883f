/* AMX_BF16 (Intel, Architecture Instruction Set Extensions: Advanced Matrix Extensions), and
 * packing by AVX512_BF16, which CPUs with AMX have: compiled with their flags, run where
 * linalg/bf16.c finds them. */
#include "linalg/bf16.h"

#include <immintrin.h>

enum { TILE_SIDE = 16, TILE = TILE_SIDE * SLAO_BF16_DEPTH }; /* rows or columns, values */

static __mmask16 first_lanes(size_t n) {
    return (__mmask16)(n >= 16 ? 0xFFFF : (1U << n) - 1);
}

/* y (rows x columns, of a square) = square + beta y */
static void put(float *y, size_t stride, const float *square, size_t rows, size_t columns,
                float beta) {
    for (size_t i = 0; i < rows; i++, y += stride, square += SLAO_BF16_SIDE) {
        for (size_t j = 0; j < columns; j += 16) {
            __mmask16 there = first_lanes(columns - j);
            __m512 value = _mm512_load_ps(square + j);
            if (beta != 0)
                value = _mm512_fmadd_ps(_mm512_set1_ps(beta), _mm512_maskz_loadu_ps(there, y + j),
                                        value);
            _mm512_mask_storeu_ps(y + j, there, value);
        }
    }
}

/* ---- Tiles ---- */

/* Eight tiles of 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles __attribute__((aligned(64))) = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

static void begin(void) {
    _tile_loadconfig(&tiles);
}

static void end(void) {
    _tile_release();
}

static void multiply(float *c, size_t stride, const uint16_t *a, const uint16_t *b, size_t squares,
                     size_t rows, size_t columns, float beta) {
    float square[SLAO_BF16_SIDE * SLAO_BF16_SIDE] __attribute__((aligned(64)));
    enum { ROW = SLAO_BF16_DEPTH * sizeof(uint16_t), C_ROW = SLAO_BF16_SIDE * sizeof(float) };
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t i = 0; i < squares; i++, a += SLAO_BF16_SQUARE, b += SLAO_BF16_SQUARE) {
        _tile_loadd(4, a, ROW);
        _tile_loadd(6, b, ROW);
        _tile_loadd(5, a + TILE, ROW);
        _tile_loadd(7, b + TILE, ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, square, C_ROW);
    _tile_stored(1, square + TILE_SIDE, C_ROW);
    _tile_stored(2, square + TILE_SIDE * SLAO_BF16_SIDE, C_ROW);
    _tile_stored(3, square + TILE_SIDE * SLAO_BF16_SIDE + TILE_SIDE, C_ROW);
    put(c, stride, square, rows, columns, beta);
}

/* ---- Packing ---- */

/* 32 values of a row as bf16; beyond the n-th they are 0 */
static __m512i row_of(const float *x, size_t n) {
    __m512 low = _mm512_maskz_loadu_ps(first_lanes(n), x);
    __m512 high = n > 16 ? _mm512_maskz_loadu_ps(first_lanes(n - 16), x + 16) : _mm512_setzero_ps();
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static size_t squares_of(size_t k) {
    return (k + SLAO_BF16_DEPTH - 1) / SLAO_BF16_DEPTH;
}

/* Row or column i of the squares of all sides, at the first value of k. */
static uint16_t *line_of(uint16_t *squares, size_t i, size_t k) {
    return squares + i / SLAO_BF16_SIDE * squares_of(k) * SLAO_BF16_SQUARE +
           i % SLAO_BF16_SIDE * SLAO_BF16_DEPTH;
}

/* The lines up to the end of the last side are filled up with zeros. */
static size_t whole_sides(size_t n) {
    return (n + SLAO_BF16_SIDE - 1) / SLAO_BF16_SIDE * SLAO_BF16_SIDE;
}

static void pack_rows(uint16_t *squares, const float *x, size_t stride, size_t rows, size_t k) {
    for (size_t i = 0; i < whole_sides(rows); i++) {
        uint16_t *to = line_of(squares, i, k);
        for (size_t l = 0; l < k; l += SLAO_BF16_DEPTH, to += SLAO_BF16_SQUARE)
            _mm512_store_si512(to, i < rows ? row_of(x + i * stride + l, k - l)
                                            : _mm512_setzero_si512());
    }
}

/* Rows become columns; an entry is a pair of bf16. By halves: of 1, 2, 4 and 8 rows. */
static void transpose(__m512i rows[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            rows[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
            rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    }
    for (int i = 0; i < 16; i += 8) {
        for (int j = 0; j < 4; j++) {
            t[i + j] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0x88);
            t[i + j + 4] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0xDD);
        }
    }
    for (int j = 0; j < 8; j++) {
        rows[j] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0x88);
        rows[j + 8] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0xDD);
    }
}

static void pack_transposed(uint16_t *squares, const float *x, size_t stride, size_t columns,
                            size_t k) {
    for (size_t first = 0; first < whole_sides(columns); first += TILE_SIDE) {
        uint16_t *to = line_of(squares, first, k);
        for (size_t l = 0; l < k; l += SLAO_BF16_DEPTH, to += SLAO_BF16_SQUARE) {
            __m512i tile[TILE_SIDE];
            for (size_t i = 0; i < TILE_SIDE; i++)
                tile[i] = first + i < columns ? row_of(x + (first + i) * stride + l, k - l)
                                              : _mm512_setzero_si512();
            transpose(tile);
            for (size_t i = 0; i < TILE_SIDE; i++)
                _mm512_store_si512(to + i * SLAO_BF16_DEPTH, tile[i]);
        }
    }
}

/* Row by row, for x's rows are long and its columns far apart. */
static void pack_columns(uint16_t *squares, const float *x, size_t stride, size_t columns,
                         size_t k) {
    /* 0, 16, 1, 17, ...: what two rows become where they are one vector, one after the other */
    static const uint16_t order[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i pairs = _mm512_loadu_si512(order);
    for (size_t l = 0; l < squares_of(k) * SLAO_BF16_DEPTH; l += 2) {
        size_t into =
            l / SLAO_BF16_DEPTH * SLAO_BF16_SQUARE + l % SLAO_BF16_DEPTH / 2 * SLAO_BF16_DEPTH;
        for (size_t first = 0; first < whole_sides(columns); first += TILE_SIDE) {
            __mmask16 there = first < columns ? first_lanes(columns - first) : 0;
            const float *row = x + l * stride + first;
            __m512 upper = _mm512_maskz_loadu_ps(l < k ? there : 0, row),
                   lower = _mm512_maskz_loadu_ps(l + 1 < k ? there : 0, row + stride);
            _mm512_store_si512(
                line_of(squares, first, k) + into,
                _mm512_permutexvar_epi16(pairs, (__m512i)_mm512_cvtne2ps_pbh(lower, upper)));
        }
    }
}

const slao_bf16_unit slao_bf16_amx = {"amx",           begin,        end,     pack_rows,
                                      pack_transposed, pack_columns, multiply};
