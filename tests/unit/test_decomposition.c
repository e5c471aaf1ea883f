/* Decompositions against what defines them: factors that give the matrix again, orthonormal
 * vectors, values in order, signs settled; over shapes that are wide, tall, square, of low rank and
 * empty. */
#include "test.h"

#include "base/memory.h"
#include "base/random.h"
#include "linalg/decomposition.h"

static double *random_matrix(int64_t count, const char *name) {
    double *values;
    assert_ok(slao_allocate(&values, (size_t)count, sizeof *values));
    slao_random random = slao_random_stream(3, "matrix", name, (uint64_t)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = slao_random_normal(&random);
    return values;
}

static double *copy_of(const double *a, int64_t count) {
    double *copy;
    assert_ok(slao_allocate(&copy, (size_t)count, sizeof *copy));
    memcpy(copy, a, (size_t)count * sizeof *copy);
    return copy;
}

/* Rows (rows x n) are orthonormal, and each one's largest entry is positive if signs are settled on
 * them. */
static void check_rows(const double *x, int64_t rows, int64_t n, bool settled) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < rows; j++) {
            double dot = 0;
            for (int64_t k = 0; k < n; k++)
                dot += x[i * n + k] * x[j * n + k];
            assert_near(dot, i == j, 1e-12);
        }
        double largest = 0;
        for (int64_t k = 0; k < n; k++)
            largest = fabs(x[i * n + k]) > fabs(largest) ? x[i * n + k] : largest;
        assert_true(!settled || largest > 0);
    }
}

static void test_symmetric_eigen(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 2, 7, 33};
    for (int s = 0; s < 4; s++) {
        int64_t n = sizes[s], rank = n > 2 ? n - 2 : n;
        double *half = random_matrix(n * rank, "half"), *a = random_matrix(n * n, "a"),
               *values = random_matrix(n, "v");
        slao_multiply_transposed_f64(a, half, half, n, n, rank); /* two eigenvalues are 0 */
        a[0] -= 1;                                               /* and one may be negative */
        double *whole = copy_of(a, n * n);
        for (int64_t i = 0; i < n; i++) /* the lower triangle is not read */
            for (int64_t j = 0; j < i; j++)
                a[i * n + j] = 99;
        assert_ok(slao_symmetric_eigen(a, n, values));
        check_rows(a, n, n, true);
        for (int64_t i = 0; i < n; i++) {
            assert_true(i == 0 || values[i] <= values[i - 1]);
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t k = 0; k < n; k++)
                    sum += values[k] * a[k * n + i] * a[k * n + j];
                assert_near(sum, whole[i * n + j], 1e-11);
            }
        }
        free(half);
        free(a);
        free(values);
        free(whole);
    }
    assert_ok(slao_symmetric_eigen(NULL, 0, NULL));
}

static void test_svd(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {5, 3}, {3, 5}, {17, 17}, {40, 9}, {1, 6}, {6, 1}};
    for (int s = 0; s < 7; s++) {
        int64_t m = shapes[s][0], n = shapes[s][1], k = m < n ? m : n;
        double *a = random_matrix(m * n, "a"), *whole = copy_of(a, m * n);
        double *u = random_matrix(m * k, "u"), *values = random_matrix(k, "s"),
               *vt = random_matrix(k * n, "vt");
        double *ut = random_matrix(m * k, "ut");
        assert_ok(slao_svd(a, m, n, u, values, vt));
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < k; j++)
                ut[j * m + i] = u[i * k + j];
        check_rows(ut, k, m, false);
        check_rows(vt, k, n, true);
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum += u[i * k + l] * values[l] * vt[l * n + j];
                assert_near(sum, whole[i * n + j], 1e-12);
            }
        }
        for (int64_t l = 0; l < k; l++)
            assert_true(values[l] >= 0 && (l == 0 || values[l] <= values[l - 1]));
        free(a);
        free(whole);
        free(u);
        free(ut);
        free(values);
        free(vt);
    }
}

static void test_products(void **state) {
    (void)state;
    enum { M = 4, N = 3, K = 5 };
    double *a = random_matrix(M * K, "a"), *b = random_matrix(K * N, "b"), at[K * M], bt[N * K],
           c[3][M * N];
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++)
            at[k * M + i] = a[i * K + k];
    for (int k = 0; k < K; k++)
        for (int j = 0; j < N; j++)
            bt[j * K + k] = b[k * N + j];
    slao_multiply_f64(c[0], a, b, M, N, K);
    slao_multiply_transposed_f64(c[1], a, bt, M, N, K);
    slao_transposed_multiply_f64(c[2], at, b, M, N, K);
    for (int i = 0; i < M * N; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++)
            sum += a[i / N * K + k] * b[k * N + i % N];
        for (int which = 0; which < 3; which++)
            assert_near(c[which][i], sum, 1e-13);
    }
    slao_multiply_f64(c[0], a, b, M, N, 0);
    for (int i = 0; i < M * N; i++)
        assert_true(c[0][i] == 0);
    free(a);
    free(b);
}

static void test_division(void **state) {
    (void)state;
    enum { N = 9, M = 4 };
    for (int64_t rank = 6; rank <= N + 2; rank++) {
        double *half = random_matrix(N * rank, "half"), *x = random_matrix(M * N, "x"), a[N * N],
               whole[N * N];
        double b[M * N], again[M * N], kept[M * N];
        for (int64_t k = 0; k < N * rank; k++)
            half[k] *= pow(10, (double)(k / rank) - 4); /* rows of very different size */
        slao_multiply_transposed_f64(whole, half, half, N, N, rank);
        slao_multiply_f64(kept, x, whole, M, N, N); /* within the range of a, whatever its rank */
        memcpy(b, kept, sizeof b);
        memcpy(a, whole, sizeof a);
        assert_ok(slao_divide_by_semidefinite(b, M, a, N, 1e-12));
        slao_multiply_f64(again, b, whole, M, N, N);
        for (int i = 0; i < M * N; i++)
            assert_near(again[i] / sqrt(whole[i % N * (N + 1)]),
                        kept[i] / sqrt(whole[i % N * (N + 1)]), 1e-6);
        if (rank >= N) { /* then it is the inverse, and so for the other function */
            double solved[M * N];
            memcpy(solved, kept, sizeof solved);
            memcpy(a, whole, sizeof a);
            assert_ok(slao_divide_by_positive(solved, M, a, N));
            for (int i = 0; i < M * N; i++) {
                assert_near(b[i], x[i], 1e-5 * (1 + fabs(x[i])));
                assert_near(solved[i], x[i], 1e-5 * (1 + fabs(x[i])));
            }
        }
        free(half);
        free(x);
    }
    double zero[4] = {4, 0, 0, 0}, b[2] = {8, 5};
    assert_ok(slao_divide_by_semidefinite(b, 1, zero, 2, 1e-12));
    assert_near(b[0], 2, 1e-15);
    assert_near(b[1], 0, 0);
    double indefinite[4] = {1, 2, 2, 1};
    assert_fails(slao_divide_by_positive(b, 1, indefinite, 2), SLAO_BAD_INPUT,
                 "not positive definite");
}

static void test_values_that_are_not_finite(void **state) {
    (void)state;
    double a[4] = {1, NAN, 0, 1}, u[4], s[2], vt[4];
    assert_fails(slao_symmetric_eigen(a, 2, s), SLAO_BAD_INPUT, "not finite");
    a[1] = INFINITY;
    assert_fails(slao_svd(a, 2, 2, u, s, vt), SLAO_BAD_INPUT, "not finite");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symmetric_eigen),
        cmocka_unit_test(test_svd),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_division),
        cmocka_unit_test(test_values_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
