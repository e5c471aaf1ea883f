/* Products against sums in fp64, over sizes on both sides of every tile and of every choice. */
#include "test.h"

#include "base/random.h"
#include "linalg/matrix.h"

#include <math.h>

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
        cmocka_unit_test(test_transposed_products),
        cmocka_unit_test(test_overwriting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
