/* Products against sums in fp64, over sizes on both sides of every tile, part and choice. */
#include "test.h"

#include "base/random.h"
#include "linalg/matrix.h"
#include "linalg/threads.h"

#include <math.h>
#include <stdatomic.h>

enum { MOST_ROWS = 31, MOST_COLUMNS = 9, MOST_DEPTH = 131, PADDING = 3 };

static float a[MOST_ROWS * (MOST_DEPTH + PADDING)], b[MOST_COLUMNS * (MOST_DEPTH + PADDING)];
static float c[MOST_ROWS * (MOST_COLUMNS + PADDING)], before[MOST_ROWS * (MOST_COLUMNS + PADDING)];

static void fill(float *values, size_t n, const char *name) {
    slao_random random = slao_random_stream(1, "test", name, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)slao_random_bits(&random) * 0x1p-31F - 1.0F;
}

static void check(int64_t m, int64_t n, int64_t k, float alpha, float beta) {
    int64_t depth = k + PADDING, width = n + PADDING;
    memcpy(c, before, sizeof c);
    slao_multiply_transposed((slao_matrix_out){c, width}, (slao_matrix){a, depth},
                             (slao_matrix){b, depth}, m, n, k, alpha, beta);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < width; j++) {
            double sum = 0, old = (double)before[i * width + j];
            for (int64_t l = 0; l < k; l++)
                sum += (double)a[i * depth + l] * (double)b[j % n * depth + l];
            double expected = j < n ? (double)alpha * sum + (double)beta * old : old;
            if (fabs((double)c[i * width + j] - expected) > 1e-5)
                fail_msg("%d x %d x %d: element %d, %d is %g, not %g", (int)m, (int)n, (int)k,
                         (int)i, (int)j, (double)c[i * width + j], expected);
        }
    }
}

static void test_transposed_products(void **state) {
    (void)state;
    fill(a, sizeof a / sizeof *a, "a");
    fill(b, sizeof b / sizeof *b, "b");
    fill(before, sizeof before / sizeof *before, "c");
    static const int64_t rows[] = {0, 1, 2, 3, 4, 7, 23, 24, 25, MOST_ROWS};
    static const int64_t depths[] = {1, 8, 63, 64, 65, 71, 128, MOST_DEPTH};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int64_t n = 1; n <= MOST_COLUMNS; n++) {
            for (size_t l = 0; l < sizeof depths / sizeof *depths; l++) {
                check(rows[i], n, depths[l], 1, 0);
                check(rows[i], n, depths[l], 0.5F, 1);
            }
        }
    }
}

typedef void product_function(slao_matrix_out c, slao_matrix a, slao_matrix b, int64_t m, int64_t n,
                              int64_t k, float alpha, float beta);

/* Entry i, j of a product of depth k in fp64; a is m x k, or stored as its transpose (not a_rows), b
 * likewise k x n (b_rows: as its transpose). */
static double entry(const float *x, bool a_rows, int64_t m, const float *y, bool b_rows, int64_t n,
                    int64_t k, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t l = 0; l < k; l++)
        sum +=
            (double)x[a_rows ? i * k + l : l * m + i] * (double)y[b_rows ? j * k + l : l * n + j];
    return sum;
}

/* Results so wide that they are cut into pieces, the last of them narrower: the sums are right, and
 * the same bits by any number of threads. a_rows, b_rows: are a and b stored with m and n rows? */
static void check_wide(product_function *multiply, int64_t m, int64_t n, bool a_rows, bool b_rows) {
    enum { DEPTH = 70, MOST_M = 27, MOST_N = 4200 };
    static float x[MOST_M * DEPTH], y[MOST_N * DEPTH], first[MOST_M * MOST_N],
        again[MOST_M * MOST_N];
    assert_true(m <= MOST_M && n <= MOST_N);
    fill(x, sizeof x / sizeof *x, "x");
    fill(y, sizeof y / sizeof *y, "y");
    slao_matrix left = {x, a_rows ? DEPTH : m}, right = {y, b_rows ? DEPTH : n};
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(slao_threads_set(threads));
        multiply((slao_matrix_out){threads == 1 ? first : again, n}, left, right, m, n, DEPTH, 1,
                 0);
        if (threads > 1)
            assert_memory_equal(again, first, (size_t)(m * n) * sizeof *first);
    }
    assert_ok(slao_threads_set(1));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            assert_near((double)first[i * n + j], entry(x, a_rows, m, y, b_rows, n, DEPTH, i, j),
                        1e-5);
        }
    }
}

static void test_wide_products(void **state) {
    (void)state;
    static const int64_t columns[] = {511, 512, 577, 2047, 4096, 4200};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        check_wide(slao_multiply_transposed, 27, columns[i], true, true); /* by tiles */
        check_wide(slao_multiply_transposed, 5, columns[i], true, true);  /* by dot products */
        check_wide(slao_multiply, 27, columns[i], true, false);
        check_wide(slao_multiply, 5, columns[i], true, false); /* unpacked, where that goes */
        check_wide(slao_transposed_multiply, 8, columns[i], false, false);
    }
}

/* Sums so long that they are made in parts, added to what is there; and rows that are a part of a
 * taller product have the same bits as in it. */
static void check_deep(product_function *multiply, int64_t n, bool a_rows, bool b_rows) {
    enum { M = 61, FEW = 26, DEPTH = 1700, MOST_N = 200 };
    static float x[M * DEPTH], y[MOST_N * DEPTH], old[M * MOST_N], all[M * MOST_N],
        some[M * MOST_N];
    assert_true(n <= MOST_N);
    fill(x, sizeof x / sizeof *x, "x");
    fill(y, sizeof y / sizeof *y, "y");
    fill(old, sizeof old / sizeof *old, "c");
    memcpy(all, old, sizeof all);
    memcpy(some, old, sizeof some);
    slao_matrix left = {x, a_rows ? DEPTH : M}, right = {y, b_rows ? DEPTH : n};
    multiply((slao_matrix_out){all, n}, left, right, M, n, DEPTH, 0.5F, 2);
    multiply((slao_matrix_out){some, n}, left, right, FEW, n, DEPTH, 0.5F, 2);
    assert_memory_equal(all, some, (size_t)(FEW * n) * sizeof *all);
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = entry(x, a_rows, M, y, b_rows, n, DEPTH, i, j);
            assert_near((double)all[i * n + j], 0.5 * sum + 2 * (double)old[i * n + j], 1e-4);
        }
    }
}

static void test_deep_products(void **state) {
    (void)state;
    static const int64_t columns[] = {1, 8, 16, 33, 48, 64, 97, 200};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        check_deep(slao_multiply_transposed, columns[i], true, true);
        check_deep(slao_multiply, columns[i], true, false);
        check_deep(slao_transposed_multiply, columns[i], false, false);
    }
}

/* Rows of a matrix of so many columns, as something that has to be read. */
typedef struct {
    const float *values;
    int64_t rows, columns;
} readable;

static atomic_bool read_outside; /* an assertion would not leave another thread */

static void read_rows(const void *context, float *to, int64_t stride, int64_t row, int64_t rows,
                      int64_t from, int64_t columns) {
    const readable *matrix = context;
    bool there = row >= 0 && rows > 0 && row + rows <= matrix->rows && from >= 0 && columns > 0 &&
                 from + columns <= matrix->columns && stride >= columns;
    if (!there)
        read_outside = true;
    for (int64_t i = 0; there && i < rows; i++)
        memcpy(to + i * stride, matrix->values + (row + i) * matrix->columns + from,
               (size_t)columns * sizeof *to);
}

/* A frozen matrix that is read gives the bits of one in memory, by any number of threads. */
static void check_frozen(int64_t m, int64_t n, int64_t k) {
    enum { MOST_M = 31, MOST_N = 1601, MOST_K = 1601, MOST = 800 * 1601 };
    static float x[MOST_M * MOST_K], w[MOST], old[MOST_M * MOST_N], wanted[MOST_M * MOST_N],
        y[MOST_M * MOST_N];
    assert_true(m <= MOST_M && n <= MOST_N && k <= MOST_K && n * k <= MOST);
    fill(x, sizeof x / sizeof *x, "x");
    fill(w, sizeof w / sizeof *w, "w");
    fill(old, sizeof old / sizeof *old, "c");
    readable matrix = {w, n, k};
    const slao_frozen in_memory = {.values = {w, k}},
                      read = {.read = read_rows, .context = &matrix};
    for (int threads = 1; threads <= 3; threads++) {
        assert_ok(slao_threads_set(threads));
        const slao_frozen *const ways[] = {&in_memory, &read};
        for (int way = 0; way < 2; way++) {
            memcpy(y, old, sizeof y);
            slao_frozen_forward((slao_matrix_out){y, n}, (slao_matrix){x, k}, ways[way], m, n, k, 1,
                                SLAO_PRECISION_FP32);
            if (way == 0 && threads == 1)
                memcpy(wanted, y, sizeof y);
            assert_memory_equal(y, wanted, sizeof y);
        }
    }
    slao_matrix dy = {x, n};
    for (int threads = 1; threads <= 3; threads++) {
        assert_ok(slao_threads_set(threads));
        memcpy(wanted, old, sizeof y);
        memcpy(y, old, sizeof y);
        slao_multiply((slao_matrix_out){wanted, k}, dy, in_memory.values, m, k, n, 1, 1);
        slao_frozen_backward((slao_matrix_out){y, k}, dy, &read, m, n, k, 1, SLAO_PRECISION_FP32);
        assert_memory_equal(y, wanted, sizeof y);
    }
    assert_ok(slao_threads_set(1));
}

/* Rows so long that few of them, or none, are read at a time. */
static void check_long_rows(int64_t k) {
    enum { M = 2, N = 5, MOST_K = 150000 };
    static float x[M * MOST_K], w[N * MOST_K];
    float y[2][M * N];
    assert_true(k <= MOST_K);
    fill(x, sizeof x / sizeof *x, "x");
    fill(w, sizeof w / sizeof *w, "w");
    readable matrix = {w, N, k};
    const slao_frozen in_memory = {.values = {w, k}},
                      read = {.read = read_rows, .context = &matrix};
    slao_frozen_forward((slao_matrix_out){y[0], N}, (slao_matrix){x, k}, &in_memory, M, N, k, 0,
                        SLAO_PRECISION_FP32);
    slao_frozen_forward((slao_matrix_out){y[1], N}, (slao_matrix){x, k}, &read, M, N, k, 0,
                        SLAO_PRECISION_FP32);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    for (int64_t j = 0; j < N; j++)
        assert_near((double)y[0][j], entry(x, true, M, w, true, N, k, 0, j), 0.05);
}

static void test_frozen_matrices(void **state) {
    (void)state;
    static const int64_t lengths[] = {6144, 6145, 36864, 53248, 147456, 147457};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_long_rows(lengths[i]);
    static const int64_t sizes[][3] = {
        {1, 1, 1},     {5, 33, 63},   {5, 33, 64},  {24, 577, 96},  {25, 577, 96}, {31, 193, 31},
        {27, 47, 768}, {27, 50, 769}, {3, 5, 1601}, {31, 64, 1601}, {8, 769, 70},  {31, 1601, 49}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_frozen(sizes[i][0], sizes[i][1], sizes[i][2]);
    assert_false(read_outside);
    /* of no rows nothing is read */
    readable nothing = {NULL, 0, 0};
    const slao_frozen never = {.read = read_rows, .context = &nothing};
    slao_frozen_forward((slao_matrix_out){c, 70}, (slao_matrix){a, 70}, &never, 0, 70, 70, 0,
                        SLAO_PRECISION_FP32);
    slao_frozen_backward((slao_matrix_out){c, 70}, (slao_matrix){a, 70}, &never, 0, 70, 70, 0,
                         SLAO_PRECISION_FP32);
    assert_false(read_outside);
}

/* An empty sum leaves beta c. */
static void test_empty_sums(void **state) {
    (void)state;
    float c3[3] = {1, 2, 3};
    slao_multiply((slao_matrix_out){c3, 3}, (slao_matrix){a, 1}, (slao_matrix){b, 3}, 1, 3, 0, 1,
                  2);
    assert_true(c3[0] == 2 && c3[1] == 4 && c3[2] == 6);
    slao_transposed_multiply((slao_matrix_out){c3, 3}, (slao_matrix){a, 1}, (slao_matrix){b, 3}, 1,
                             3, 0, 1, 0);
    assert_true(c3[0] == 0 && c3[1] == 0 && c3[2] == 0);
}

/* beta 0 overwrites, whatever was there */
static void test_overwriting(void **state) {
    (void)state;
    static const float ones[128] = {[0] = 1, [64] = 1};
    float product[2] = {NAN, INFINITY};
    slao_multiply_transposed((slao_matrix_out){product, 1}, (slao_matrix){ones, 64},
                             (slao_matrix){ones, 64}, 2, 1, 64, 1, 0);
    assert_true(product[0] == 1 && product[1] == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transposed_products), cmocka_unit_test(test_wide_products),
        cmocka_unit_test(test_deep_products),       cmocka_unit_test(test_empty_sums),
        cmocka_unit_test(test_overwriting),         cmocka_unit_test(test_frozen_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
