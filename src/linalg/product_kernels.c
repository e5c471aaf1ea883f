/* The kernels of matrix products at one vector level (lanes.h): a tile of the result stays in the
 * registers while the sum over k runs, as in BLIS (Van Zee and van de Geijn, 2015). */
#include "linalg/lanes.h"
#include "linalg/vec.h"

/* TILE_ROWS x TILE_VECTORS sums, a row of the panel and a value of the first operand fill the
 * registers: 32 of them or, before AVX-512, 16. Second caches are larger with AVX-512, too. */
#if defined(SLAO_VEC_LEVEL_avx512)
enum { TILE_ROWS = 8, TILE_VECTORS = 3, PACKED = 192 };
#else
enum { TILE_ROWS = 6, TILE_VECTORS = 2, PACKED = 128 };
#endif
enum { COLUMNS = TILE_VECTORS * LANES };
_Static_assert(PACKED % COLUMNS == 0, "what is packed is whole panels");

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Does something for each row, for each vector of a tile. The sums have to be named by constants,
 * not by a loop's variable: else the compiler keeps some of them on the stack. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define EACH_VECTOR(DO, i) DO(i, 0) DO(i, 1) DO(i, 2)
enum { MOST_ROWS = 8, MOST_VECTORS = 3 };
_Static_assert((int)TILE_ROWS <= (int)MOST_ROWS && (int)TILE_VECTORS <= (int)MOST_VECTORS,
               "each row and vector of a tile is named");

/* A tile of c: rows x n, where n values fill all of `vectors` but some lanes of the last. The
 * numbers of rows and of vectors are constants wherever it is called. */
static inline __attribute__((always_inline)) void tile(const size_t rows, const size_t vectors,
                                                       float *c, size_t c_stride, const float *a,
                                                       size_t a_stride, size_t a_step,
                                                       const float *b, size_t b_stride, size_t n,
                                                       size_t k, float alpha, float beta) {
    lanes sums[MOST_ROWS][MOST_VECTORS] = {{{0}}};
#define ADD(i, v)                                                                                  \
    if (v < vectors)                                                                               \
        sums[i][v] += x * y##v;
#define ADD_ROW(i)                                                                                 \
    if (i < rows) {                                                                                \
        lanes x = all(a[i * a_stride]);                                                            \
        EACH_VECTOR(ADD, i)                                                                        \
    }
    for (size_t l = 0; l < k; l++, a += a_step, b += b_stride) {
        lanes y0 = load(b), y1 = vectors > 1 ? load(b + LANES) : y0,
              y2 = vectors > 2 ? load(b + 2 * LANES) : y0;
        EACH_ROW(ADD_ROW)
    }
#define PUT(i, v)                                                                                  \
    if (v < vectors) {                                                                             \
        float *at = c + i * c_stride + v * LANES;                                                  \
        size_t part = v + 1 < vectors ? LANES : n - v * LANES;                                     \
        lanes value = alpha * sums[i][v];                                                          \
        if (beta != 0)                                                                             \
            value += beta * LOAD(at, 0, part);                                                     \
        STORE(at, 0, part, value);                                                                 \
    }
#define PUT_ROW(i)                                                                                 \
    if (i < rows) {                                                                                \
        EACH_VECTOR(PUT, i)                                                                        \
    }
    EACH_ROW(PUT_ROW)
#undef ADD
#undef ADD_ROW
#undef PUT
#undef PUT_ROW
}

typedef void tile_function(float *c, size_t c_stride, const float *a, size_t a_stride,
                           size_t a_step, const float *b, size_t b_stride, size_t n, size_t k,
                           float alpha, float beta);

#define TILE(rows, vectors)                                                                        \
    static void tile_##rows##_##vectors(                                                           \
        float *c, size_t c_stride, const float *a, size_t a_stride, size_t a_step, const float *b, \
        size_t b_stride, size_t n, size_t k, float alpha, float beta) {                            \
        tile(rows, vectors, c, c_stride, a, a_stride, a_step, b, b_stride, n, k, alpha, beta);     \
    }
#if defined(SLAO_VEC_LEVEL_avx512)
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)
#define NAMES(rows)                                                                                \
    { tile_##rows##_1, tile_##rows##_2, tile_##rows##_3 }
#else
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define NAMES(rows)                                                                                \
    { tile_##rows##_1, tile_##rows##_2 }
#endif

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
#if defined(SLAO_VEC_LEVEL_avx512)
TILES(7)
TILES(8)
#endif

static tile_function *const tiles[TILE_ROWS][TILE_VECTORS] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if defined(SLAO_VEC_LEVEL_avx512)
    NAMES(7), NAMES(8),
#endif
};

static void multiply(float *c, size_t c_stride, const float *a, size_t a_stride, size_t a_step,
                     const float *b, size_t panel_stride, size_t b_stride, size_t m, size_t n,
                     size_t k, float alpha, float beta) {
    for (size_t i = 0; i < m; i += TILE_ROWS) {
        tile_function *const *of_rows = tiles[least(m - i, TILE_ROWS) - 1];
        const float *panel = b;
        for (size_t j = 0; j < n; j += COLUMNS, panel += panel_stride) {
            size_t width = least(n - j, COLUMNS);
            of_rows[(width - 1) / LANES](c + i * c_stride + j, c_stride, a + i * a_stride, a_stride,
                                         a_step, panel, b_stride, width, k, alpha, beta);
        }
    }
}

/* Row by row, for b's rows are long and its columns far apart. */
static void pack(float *panels, size_t panel_stride, const float *b, size_t b_stride, size_t n,
                 size_t k) {
    for (size_t l = 0; l < k; l++, b += b_stride) {
        float *to = panels + l * COLUMNS;
        for (size_t j = 0; j < n; j += COLUMNS, to += panel_stride) {
            for (size_t v = 0; v < COLUMNS; v += LANES)
                store(to + v, j + v + LANES <= n ? load(b + j + v)
                              : j + v < n        ? load_part(b + j + v, n - j - v, 0.0F)
                                                 : all(0.0F));
        }
    }
}

/* Which lanes of two vectors, counted through, make the lower or upper half of the two interleaved.
 */
#if defined(SLAO_VEC_LEVEL_avx512)
static const int_lanes lower = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
static const int_lanes upper = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
#elif defined(SLAO_VEC_LEVEL_avx2)
static const int_lanes lower = {0, 8, 1, 9, 2, 10, 3, 11};
static const int_lanes upper = {4, 12, 5, 13, 6, 14, 7, 15};
#else
static const int_lanes lower = {0, 4, 1, 5};
static const int_lanes upper = {2, 6, 3, 7};
#endif

/* LANES rows of LANES values become columns: interleaving each row with the one half of them
 * further down brings every value one bit of its place nearer. */
static inline void transpose(lanes rows[LANES]) {
    for (size_t step = 1; step < LANES; step *= 2) {
        lanes next[LANES];
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES / 2; i++) {
            next[2 * i] = __builtin_shuffle(rows[i], rows[i + LANES / 2], lower);
            next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + LANES / 2], upper);
        }
        memcpy(rows, next, sizeof next);
    }
}

static void pack_transposed(float *panels, size_t panel_stride, const float *b, size_t b_stride,
                            size_t n, size_t k) {
    for (size_t j = 0; j < n; j += LANES) {
        float *to = panels + j / COLUMNS * panel_stride + j % COLUMNS;
        for (size_t l = 0; l < k; l += LANES) {
            size_t part = least(k - l, LANES);
            lanes block[LANES];
            for (size_t i = 0; i < LANES; i++)
                block[i] = j + i < n ? LOAD(b + (j + i) * b_stride, l, part) : all(0.0F);
            transpose(block);
            for (size_t i = 0; i < part; i++)
                store(to + (l + i) * COLUMNS, block[i]);
        }
    }
}

extern const slao_product_table JOIN(slao_product_, SLAO_VEC_LEVEL);
const slao_product_table JOIN(slao_product_, SLAO_VEC_LEVEL) = {
    .columns = COLUMNS,
    .packed = PACKED,
    .rows = TILE_ROWS,
    .pack = pack,
    .pack_transposed = pack_transposed,
    .multiply = multiply,
};
