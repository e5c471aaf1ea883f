/* Products in bf16 against sums in fp64 of operands rounded here, over sizes on both sides of every tile, side and block.
 * Where this CPU has no unit for them, that is what has to be said. */
#include "test.h"

#include "base/random.h"
#include "linalg/bf16.h"
#include "linalg/matrix.h"
#include "linalg/threads.h"

#include <math.h>

enum { MOST_ROWS = 400, MOST_COLUMNS = 420, MOST_DEPTH = 1600, PADDING = 3 };

static float a[MOST_ROWS * (MOST_DEPTH + PADDING)];
static float b[(MOST_COLUMNS + PADDING) * (MOST_DEPTH + PADDING)];
static float before[MOST_ROWS * (MOST_COLUMNS + PADDING)],
    all[MOST_ROWS * (MOST_COLUMNS + PADDING)], again[MOST_ROWS * (MOST_COLUMNS + PADDING)];

static void fill(float *values, size_t n, const char *name) {
    slao_random random = slao_random_stream(1, "test", name, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)slao_random_bits(&random) * 0x1p-31F - 1.0F;
}

/* To nearest, ties to even: bf16 is the upper half of fp32. */
static double rounded(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += 0x7FFF + (bits >> 16 & 1);
    bits &= 0xFFFF0000U;
    memcpy(&x, &bits, sizeof bits);
    return (double)x;
}

/* Rows of b, depth or width values apart, as a frozen matrix that is read. */
static void read_b(const void *context, float *to, int64_t stride, int64_t row, int64_t rows,
                   int64_t from, int64_t columns) {
    const int64_t *apart = context;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * stride, b + (row + i) * *apart + from, (size_t)columns * sizeof *b);
}

static void multiply(bool transposed, slao_matrix_out c, slao_matrix x, const slao_frozen *w,
                     int64_t m, int64_t n, int64_t k) {
    if (transposed)
        slao_frozen_forward(c, x, w, m, n, k, 2, SLAO_PRECISION_BF16);
    else
        slao_frozen_backward(c, x, w, m, k, n, 2, SLAO_PRECISION_BF16);
}

static void check(bool transposed, int64_t m, int64_t n, int64_t k) {
    int64_t width = n + PADDING, depth = k + PADDING, apart = transposed ? depth : width;
    slao_matrix left = {a, depth};
    const slao_frozen right = {.values = {b, apart}}, read = {.read = read_b, .context = &apart};
    memcpy(all, before, sizeof all);
    multiply(transposed, (slao_matrix_out){all, width}, left, &right, m, n, k);
    for (int64_t i = 0; i < m; i += 7) { /* a number of rows that meets all rows of a tile */
        for (int64_t j = 0; j < width; j++) {
            double sum = 0, old = (double)before[i * width + j];
            for (int64_t l = 0; l < k && j < n; l++)
                sum += rounded(a[i * depth + l]) *
                       rounded(b[transposed ? j * depth + l : l * width + j]);
            assert_near((double)all[i * width + j], j < n ? sum + 2 * old : old, 1e-4);
        }
    }
    /* the same bits by any number of threads, in fewer rows, and of a matrix that is read */
    int64_t some = m / 2 + 1;
    const slao_frozen *const ways[] = {&right, &read};
    for (int i = 0; i < 6; i++) {
        assert_ok(slao_threads_set(i / 2 + 1));
        memcpy(again, before, sizeof again);
        multiply(transposed, (slao_matrix_out){again, width}, left, ways[i % 2], some, n, k);
        assert_memory_equal(again, all, (size_t)(some * width) * sizeof *all);
    }
    assert_ok(slao_threads_set(1));
}

static void test_products(void **state) {
    (void)state;
    if (!slao_bf16())
        return; /* test_need */
    fill(a, sizeof a / sizeof *a, "a");
    fill(b, sizeof b / sizeof *b, "b");
    fill(before, sizeof before / sizeof *before, "c");
    static const struct {
        int64_t m, n, k;
    } sizes[] = {{1, 1, 1},     {1, 33, 2},    {2, 16, 31},   {15, 17, 32},
                 {16, 15, 33},  {17, 31, 63},  {31, 32, 64},  {32, 191, 65},
                 {33, 192, 97}, {7, 193, 767}, {40, 48, 768}, {5, 420, 769},
                 {383, 20, 40}, {385, 33, 35}, {9, 40, 1600}, {400, 64, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check(true, sizes[i].m, sizes[i].n, sizes[i].k);
        check(false, sizes[i].m, sizes[i].n, sizes[i].k);
    }
}

/* beta 0 overwrites, whatever was there; what is not a number stays it, what is too large for bf16 becomes infinite */
static void test_overwriting(void **state) {
    (void)state;
    if (!slao_bf16())
        return;
    float x[4] = {1, NAN, INFINITY, 3.4e38F}, one = 1, y[4] = {NAN, 1, NAN, INFINITY};
    const slao_frozen w = {.values = {&one, 1}};
    slao_frozen_forward((slao_matrix_out){y, 1}, (slao_matrix){x, 1}, &w, 4, 1, 1, 0,
                        SLAO_PRECISION_BF16);
    assert_true(y[0] == 1 && isnan(y[1]) && isinf(y[2]) && isinf(y[3]));
}

static void test_need(void **state) {
    (void)state;
    assert_ok(slao_precision_need(SLAO_PRECISION_FP32));
    if (slao_bf16())
        assert_ok(slao_precision_need(SLAO_PRECISION_BF16));
    else
        assert_fails(slao_precision_need(SLAO_PRECISION_BF16), SLAO_NO_RESOURCE,
                     "no unit for products in bf16");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_overwriting),
        cmocka_unit_test(test_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
