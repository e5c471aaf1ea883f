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

/* A frozen matrix that is read comes in strips of at most so many rows, before each is packed. */
enum { STRIP_ROWS = 32 };

/* Of the thread: what is packed of b, or rows of it for dot products; and a strip. */
enum { BUFFER = MOST_DEPTH * MOST_PACKED, STRIP = STRIP_ROWS * MOST_DEPTH };
static _Thread_local float packed[BUFFER] __attribute__((aligned(64)));
static _Thread_local float strip[STRIP] __attribute__((aligned(64)));

/* c = alpha a b + beta c, where a (m x k) and b (k x n) may each be given as its transpose. */
typedef struct {
    slao_matrix_out c;
    slao_matrix a, b;
    const slao_frozen *stored; /* in place of b; NULL: b lies in memory */
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

/* Packing b does not pay for few rows of a; as it is, it can be read where its rows are rows. Out
 * of memory that would be slow: of each row, far from the one before, a panel reads a little. */
static bool reads_unpacked(const product *p) {
    enum { FEW_ROWS = 24, IN_CACHE = 1 << 18 /* values */ };
    return !p->stored && !p->b_transposed && p->n * p->k <= IN_CACHE && p->m <= FEW_ROWS &&
           p->n % slao_vec()->lanes == 0;
}

/* A strip of b as it is given: `rows` of its rows from `row` on, `columns` values of each from
 * `from` on. */
static void read_strip(const product *p, float *to, int64_t row, int64_t rows, int64_t from,
                       int64_t columns) {
    p->stored->read(p->stored->context, to, columns, row, rows, from, columns);
}

/* `columns` columns of b from column j on, `depth` values of k from `from` on. */
static void pack(const product *p, int64_t j, int64_t columns, int64_t from, int64_t depth) {
    const slao_product_table *kernels = slao_vec()->product;
    int64_t width = kernels->columns, lanes = slao_vec()->lanes, panel = depth * width;
    if (!p->stored && p->b_transposed)
        kernels->pack_transposed(packed, (size_t)panel, p->b.values + j * p->b.stride + from,
                                 (size_t)p->b.stride, (size_t)columns, (size_t)depth);
    else if (!p->stored)
        kernels->pack(packed, (size_t)panel, p->b.values + from * p->b.stride + j,
                      (size_t)p->b.stride, (size_t)columns, (size_t)depth);
    else if (p->b_transposed)
        for (int64_t x = 0; x < columns; x += lanes) {
            int64_t rows = least(columns - x, lanes);
            read_strip(p, strip, j + x, rows, from, depth);
            kernels->pack_transposed(packed + x / width * panel + x % width, (size_t)panel, strip,
                                     (size_t)depth, (size_t)rows, (size_t)depth);
        }
    else
        for (int64_t y = 0; y < depth; y += STRIP_ROWS) {
            int64_t rows = least(depth - y, STRIP_ROWS);
            read_strip(p, strip, from + y, rows, j, columns);
            kernels->pack(packed + y * width, (size_t)panel, strip, (size_t)columns,
                          (size_t)columns, (size_t)rows);
        }
}

/* Adds depth values of k, beginning at `from`, to a block of c. */
static void multiply_block(const product *p, block at, int64_t from, int64_t depth) {
    const slao_product_table *kernels = slao_vec()->product;
    int64_t width = kernels->columns, end = at.column + at.columns;
    int64_t a_stride = p->a_transposed ? 1 : p->a.stride,
            a_step = p->a_transposed ? p->a.stride : 1;
    const float *a = p->a.values + at.row * a_stride + from * a_step;
    bool unpacked = reads_unpacked(p);
    const float *b = unpacked ? p->b.values + from * p->b.stride : NULL;
    SLAO_INVARIANT(depth <= MOST_DEPTH && kernels->packed <= MOST_PACKED &&
                   slao_vec()->lanes <= STRIP_ROWS);
    for (int64_t j = at.column; j < end; j += kernels->packed) {
        int64_t columns = least(end - j, kernels->packed);
        if (!unpacked)
            pack(p, j, columns, from, depth);
        kernels->multiply(p->c.values + at.row * p->c.stride + j, (size_t)p->c.stride, a,
                          (size_t)a_stride, (size_t)a_step, unpacked ? b + j : packed,
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
_Static_assert((int)SIDE *(int)MOST_BF16_DEPTH <= (int)STRIP &&
                   (int)SLAO_BF16_DEPTH * (int)MOST_BF16_COLUMNS <= (int)STRIP,
               "a strip has room for what is packed at a time");

static void pack_bf16(const product *p, uint16_t *b, int64_t j, int64_t columns, int64_t from,
                      int64_t depth) {
    const slao_bf16_unit *unit = slao_bf16();
    int64_t side = (depth + SLAO_BF16_DEPTH - 1) / SLAO_BF16_DEPTH * SLAO_BF16_SQUARE;
    if (!p->stored && p->b_transposed)
        unit->pack_transposed(b, p->b.values + j * p->b.stride + from, (size_t)p->b.stride,
                              (size_t)columns, (size_t)depth);
    else if (!p->stored)
        unit->pack_columns(b, p->b.values + from * p->b.stride + j, (size_t)p->b.stride,
                           (size_t)columns, (size_t)depth);
    else if (p->b_transposed)
        for (int64_t x = 0; x < columns; x += SIDE, b += side) {
            int64_t rows = least(columns - x, SIDE);
            read_strip(p, strip, j + x, rows, from, depth);
            unit->pack_transposed(b, strip, (size_t)depth, (size_t)rows, (size_t)depth);
        }
    else
        for (int64_t y = 0; y < depth; y += SLAO_BF16_DEPTH, b += SLAO_BF16_SQUARE) {
            int64_t rows = least(depth - y, SLAO_BF16_DEPTH);
            read_strip(p, strip, from + y, rows, j, columns);
            for (int64_t x = 0; x < columns; x += SIDE)
                unit->pack_columns(b + x / SIDE * side, strip + x, (size_t)columns,
                                   (size_t)least(columns - x, SIDE), (size_t)rows);
        }
}

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
        pack_bf16(p, b, at.column + j, columns, from, depth);
        for (int64_t x = 0; x < columns; x += SIDE) {
            for (int64_t y = 0; y < at.rows; y += SIDE)
                unit->multiply(p->c.values + (at.row + y) * p->c.stride + at.column + j + x,
                               (size_t)p->c.stride, a + (size_t)(y / SIDE) * side,
                               b + (size_t)(x / SIDE) * side, squares,
                               (size_t)least(at.rows - y, SIDE), (size_t)least(columns - x, SIDE),
                               from ? 1 : p->beta);
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
static void multiply_by_tiles(product p) {
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

/* How many rows of k values each are read at a time: whole tiles of dot products that stay in a
 * cache, but at least one. */
static int64_t rows_at_a_time(int64_t k) {
    enum { MOST = 16, TILE = 4 };
    int64_t tiles = least(STRIP / k, MOST) / TILE;
    return tiles ? tiles * TILE : least(TILE, BUFFER / k);
}

/* Columns from .. to - 1 of the transposed product by dot products. */
static void compute_dots(const product *p, int64_t from, int64_t to) {
    int64_t rows = p->stored ? rows_at_a_time(p->k) : to - from;
    for (; from < to; from += rows) {
        int64_t count = least(rows, to - from);
        if (p->stored)
            read_strip(p, packed, from, count, 0, p->k);
        slao_vec()->dots(p->c.values + from, (size_t)p->c.stride, p->a.values, (size_t)p->a.stride,
                         p->stored ? packed : p->b.values + from * p->b.stride,
                         (size_t)(p->stored ? p->k : p->b.stride), (size_t)p->m, (size_t)count,
                         (size_t)p->k, p->alpha, p->beta);
    }
}

static void multiply_by_dots(product p) {
    enum { PIECE = 16 };
    slao_profile_mark mark = slao_profile_begin();
    int64_t threads = slao_threads_for(2 * p.m * p.n * p.k);
#pragma omp parallel for num_threads((int)threads) if (threads > 1)
    for (int64_t i = 0; i < threads; i++)
        compute_dots(&p, part_begin(p.n, PIECE, i, threads),
                     part_begin(p.n, PIECE, i + 1, threads));
    slao_profile_end(mark, "dots", p.n, p.k, 2.0 * (double)p.m * (double)p.n * (double)p.k);
}

static void multiply(product p) {
    /* Up to so many rows packing b costs more than it gains, but for short sums; a row has to fit
     * where it is read to. */
    enum { FEW_ROWS = 24, LONG_ENOUGH = 64 };
    bool few = p.m <= FEW_ROWS && p.k >= LONG_ENOUGH && p.k <= BUFFER;
    if (p.m == 0 || p.n == 0)
        return;
    (few && p.b_transposed && !p.bf16 ? multiply_by_dots : multiply_by_tiles)(p);
}

void slao_multiply_transposed(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    multiply((product){.c = c,
                       .a = a,
                       .b = b,
                       .b_transposed = true,
                       .m = m,
                       .n = n,
                       .k = k,
                       .alpha = alpha,
                       .beta = beta});
}

void slao_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n, int64_t k,
                   float alpha, float beta) {
    multiply(
        (product){.c = c, .a = a, .b = b, .m = m, .n = n, .k = k, .alpha = alpha, .beta = beta});
}

void slao_transposed_multiply(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta) {
    multiply((product){.c = c,
                       .a = a,
                       .b = b,
                       .a_transposed = true,
                       .m = m,
                       .n = n,
                       .k = k,
                       .alpha = alpha,
                       .beta = beta});
}

void slao_frozen_forward(slao_matrix_out y, slao_matrix x, const slao_frozen *w, int64_t m,
                         int64_t n, int64_t k, float beta, slao_precision precision) {
    multiply((product){.c = y,
                       .a = x,
                       .b = w->values,
                       .stored = w->values.values ? NULL : w,
                       .b_transposed = true,
                       .m = m,
                       .n = n,
                       .k = k,
                       .alpha = 1,
                       .beta = beta,
                       .bf16 = precision == SLAO_PRECISION_BF16});
}

void slao_frozen_backward(slao_matrix_out dx, slao_matrix dy, const slao_frozen *w, int64_t m,
                          int64_t n, int64_t k, float beta, slao_precision precision) {
    multiply((product){.c = dx,
                       .a = dy,
                       .b = w->values,
                       .stored = w->values.values ? NULL : w,
                       .m = m,
                       .n = k,
                       .k = n,
                       .alpha = 1,
                       .beta = beta,
                       .bf16 = precision == SLAO_PRECISION_BF16});
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
