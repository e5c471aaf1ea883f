#include "linalg/matrix.h"

#include "base/memory.h"
#include "base/profile.h"
#include "linalg/bf16.h"
#include "linalg/threads.h"
#include "linalg/vec.h"

#include <lapacke.h>
#include <limits.h>
#include <stdlib.h>

const char *const slao_precision_names[] = {"fp32", "bf16", NULL};

/* So many values of k are summed up in the registers before the sum goes to c. With them, the
 * columns of b that are packed at a time fill a good part of a core's second cache. */
enum { MOST_DEPTH = 768, MOST_PACKED = 192 };

/* c = alpha a b + beta c, where a (m x k) and b (k x n) may each be given as its transpose. */
typedef struct {
    slao_matrix_out c;
    slao_matrix a, b;
    bool a_transposed, b_transposed;
    int64_t m, n, k;
    float alpha, beta;
    bool bf16; /* operands rounded to it; then a is not transposed */
} product;

/* A block of c: rows x columns, at row, column. */
typedef struct {
    int64_t row, rows, column, columns;
} block;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Packing b does not pay for few rows of a; as it is, it can be read where its rows are rows. */
static bool reads_unpacked(const product *p) {
    enum { FEW_ROWS = 24 };
    return !p->b_transposed && p->m <= FEW_ROWS && p->n % slao_vec()->lanes == 0;
}

/* Adds depth values of k, beginning at `from`, to a block of c. */
static void multiply_block(const product *p, block at, int64_t from, int64_t depth) {
    static _Thread_local float panels[MOST_DEPTH * MOST_PACKED] __attribute__((aligned(64)));
    const slao_product_table *kernels = slao_vec()->product;
    int64_t width = kernels->columns, end = at.column + at.columns;
    int64_t a_stride = p->a_transposed ? 1 : p->a.stride,
            a_step = p->a_transposed ? p->a.stride : 1;
    int64_t b_stride = p->b_transposed ? 1 : p->b.stride,
            b_step = p->b_transposed ? p->b.stride : 1;
    const float *a = p->a.values + at.row * a_stride + from * a_step;
    const float *b = p->b.values + from * b_stride;
    bool unpacked = reads_unpacked(p);
    SLAO_INVARIANT(depth <= MOST_DEPTH && kernels->packed <= MOST_PACKED);
    for (int64_t j = at.column; j < end; j += kernels->packed) {
        int64_t columns = least(end - j, kernels->packed);
        if (!unpacked)
            (p->b_transposed ? kernels->pack_transposed : kernels->pack)(
                panels, b + j * b_step, (size_t)p->b.stride, (size_t)columns, (size_t)depth);
        kernels->multiply(p->c.values + at.row * p->c.stride + j, (size_t)p->c.stride, a,
                          (size_t)a_stride, (size_t)a_step, unpacked ? b + j : panels,
                          (size_t)(unpacked ? width : depth * width),
                          (size_t)(unpacked ? p->b.stride : width), (size_t)at.rows,
                          (size_t)columns, (size_t)depth, p->alpha, from ? 1 : p->beta);
    }
}

static void compute(const product *p, block at) {
    int64_t blocks = (p->k + MOST_DEPTH - 1) / MOST_DEPTH, from = 0;
    for (int64_t i = 1; i <= blocks || i == 1; i++) {
        int64_t to = blocks ? p->k * i / blocks : 0;
        multiply_block(p, at, from, to - from);
        from = to;
    }
}

/* So many values of k of rows of a, and of columns of b, are packed at a time: they fill a good
 * part of a core's second cache. */
enum {
    MOST_BF16_DEPTH = 768,
    MOST_BF16_ROWS = 384,
    MOST_BF16_COLUMNS = 192,
    SIDE = SLAO_BF16_SIDE
};

/* Adds depth values of k, beginning at `from`, to a block of c of so many rows. */
static void multiply_block_bf16(const product *p, block at, int64_t from, int64_t depth) {
    static _Thread_local uint16_t a[MOST_BF16_ROWS * MOST_BF16_DEPTH] __attribute__((aligned(64))),
        b[MOST_BF16_COLUMNS * MOST_BF16_DEPTH] __attribute__((aligned(64)));
    const slao_bf16_unit *unit = slao_bf16();
    size_t squares = (size_t)((depth + SLAO_BF16_DEPTH - 1) / SLAO_BF16_DEPTH);
    size_t side = squares * SLAO_BF16_SQUARE;
    unit->pack_rows(a, p->a.values + at.row * p->a.stride + from, (size_t)p->a.stride,
                    (size_t)at.rows, (size_t)depth);
    for (int64_t j = 0; j < at.columns; j += MOST_BF16_COLUMNS) {
        int64_t columns = least(at.columns - j, MOST_BF16_COLUMNS);
        if (p->b_transposed)
            unit->pack_transposed(b, p->b.values + (at.column + j) * p->b.stride + from,
                                  (size_t)p->b.stride, (size_t)columns, (size_t)depth);
        else
            unit->pack_columns(b, p->b.values + from * p->b.stride + at.column + j,
                               (size_t)p->b.stride, (size_t)columns, (size_t)depth);
        for (int64_t x = 0; x < columns; x += SIDE) {
            for (int64_t y = 0; y < at.rows; y += SIDE)
                unit->multiply(p->c.values + (at.row + y) * p->c.stride + at.column + j + x,
                               (size_t)p->c.stride, a + (size_t)(y / SIDE) * side,
                               b + (size_t)(x / SIDE) * side, squares,
                               (size_t)least(at.rows - y, SIDE), (size_t)least(columns - x, SIDE),
                               p->alpha, from ? 1 : p->beta);
        }
    }
}

static void compute_bf16(const product *p, block at) {
    slao_bf16()->begin();
    for (int64_t row = at.row, end = at.row + at.rows; row < end; row += MOST_BF16_ROWS) {
        block some = {row, least(end - row, MOST_BF16_ROWS), at.column, at.columns};
        for (int64_t from = 0; from < p->k || from == 0; from += MOST_BF16_DEPTH)
            multiply_block_bf16(p, some, from, least(p->k - from, MOST_BF16_DEPTH));
    }
    slao_bf16()->end();
}

/* Part `i` of `parts` of count things that come in units; the last unit may not be whole. */
static int64_t part_begin(int64_t count, int64_t unit, int64_t i, int64_t parts) {
    int64_t units = (count + unit - 1) / unit;
    return least(units * i / parts * unit, count);
}

/* Piece i of `pieces`: of the columns and, where those are few, of the rows. */
static void compute_piece(const product *p, int64_t i, int64_t pieces) {
    const slao_product_table *kernels = slao_vec()->product;
    int64_t rows = p->bf16 ? SIDE : kernels->rows, columns = p->bf16 ? SIDE : kernels->columns;
    int64_t across = least(pieces, (p->n + columns - 1) / columns);
    while (pieces % across)
        across--;
    int64_t x = i % across, y = i / across, down = pieces / across;
    block at = {.row = part_begin(p->m, rows, y, down),
                .column = part_begin(p->n, columns, x, across)};
    at.rows = part_begin(p->m, rows, y + 1, down) - at.row;
    at.columns = part_begin(p->n, columns, x + 1, across) - at.column;
    if (at.rows && at.columns)
        (p->bf16 ? compute_bf16 : compute)(p, at);
}

/* Threads take a piece each; in a piece of work of its own a thread gets help from those that have
 * none left. */
static void multiply(product p) {
    if (p.m == 0 || p.n == 0)
        return;
    slao_profile_mark mark = slao_profile_begin();
    int64_t operations = 2 * p.m * p.n * p.k;
    int64_t threads = slao_threads_for(operations), helped = 1 + slao_helpers_for(operations);
    if (helped > 1) {
#pragma omp taskloop grainsize(1)
        for (int64_t i = 0; i < helped; i++)
            compute_piece(&p, i, helped);
    } else {
#pragma omp parallel for num_threads((int)threads) if (threads > 1)
        for (int64_t i = 0; i < threads; i++)
            compute_piece(&p, i, threads);
    }
    slao_profile_end(mark, "product", p.n, p.k, 2.0 * (double)p.m * (double)p.n * (double)p.k);
}

/* The transposed product by dot products, for few rows. */
static void multiply_by_dots(product p) {
    enum { PIECE = 16 };
    slao_profile_mark mark = slao_profile_begin();
    int64_t threads = slao_threads_for(2 * p.m * p.n * p.k);
#pragma omp parallel for num_threads((int)threads) if (threads > 1)
    for (int64_t i = 0; i < threads; i++) {
        int64_t from = part_begin(p.n, PIECE, i, threads),
                to = part_begin(p.n, PIECE, i + 1, threads);
        slao_vec()->dots(p.c.values + from, (size_t)p.c.stride, p.a.values, (size_t)p.a.stride,
                         p.b.values + from * p.b.stride, (size_t)p.b.stride, (size_t)p.m,
                         (size_t)(to - from), (size_t)p.k, p.alpha, p.beta);
    }
    slao_profile_end(mark, "dots", p.n, p.k, 2.0 * (double)p.m * (double)p.n * (double)p.k);
}

void slao_multiply_transposed(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    /* Up to so many rows packing b costs more than it gains, but for short sums. */
    enum { FEW_ROWS = 24, LONG_ENOUGH = 64 };
    product p = {c, a, b, false, true, m, n, k, alpha, beta, false};
    (m <= FEW_ROWS && k >= LONG_ENOUGH ? multiply_by_dots : multiply)(p);
}

void slao_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n, int64_t k,
                   float alpha, float beta) {
    multiply((product){c, a, b, false, false, m, n, k, alpha, beta, false});
}

void slao_transposed_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    multiply((product){c, a, b, true, false, m, n, k, alpha, beta, false});
}

void slao_multiply_transposed_bf16(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m,
                                   int64_t n, int64_t k, float alpha, float beta) {
    multiply((product){c, a, b, false, true, m, n, k, alpha, beta, true});
}

void slao_multiply_bf16(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                        int64_t k, float alpha, float beta) {
    multiply((product){c, a, b, false, false, m, n, k, alpha, beta, true});
}

slao_status slao_orthonormal_rows(float *a, int64_t r, int64_t n, slao_qr_sign sign,
                                  float *r_factor) {
    SLAO_INVARIANT(r > 0 && r <= n);
    /* A row-major r x n is a^T column-major n x r: LAPACK sees what is to be decomposed, in place.
     */
    SLAO_INVARIANT(n <= INT_MAX);
    lapack_int rows = (lapack_int)n, columns = (lapack_int)r;
    float *tau;
    bool *flip;
    SLAO_TRY(slao_allocate(&tau, (size_t)r, sizeof *tau));
    slao_status status = slao_allocate(&flip, (size_t)r, sizeof *flip);
    if (status == SLAO_OK && LAPACKE_sgeqrf(LAPACK_COL_MAJOR, rows, columns, a, rows, tau) != 0)
        status = slao_fail(SLAO_BAD_INPUT, "the QR decomposition met a value that is not a number");
    if (status == SLAO_OK) {
        for (int64_t i = 0; i < r; i++)
            flip[i] = sign == SLAO_SIGN_POSITIVE && a[i * n + i] < 0;
        for (int64_t i = 0; r_factor && i < r; i++) {
            for (int64_t j = 0; j < r; j++)
                r_factor[i * r + j] = j < i ? 0 : flip[i] ? -a[j * n + i] : a[j * n + i];
        }
        if (LAPACKE_sorgqr(LAPACK_COL_MAJOR, rows, columns, columns, a, rows, tau) != 0)
            status = slao_fail(SLAO_BROKEN, "LAPACK's sorgqr failed");
    }
    for (int64_t i = 0; status == SLAO_OK && i < r; i++) {
        for (int64_t j = 0; flip[i] && j < n; j++)
            a[i * n + j] = -a[i * n + j];
    }
    free(flip);
    free(tau);
    return status;
}
