/* InfLoRA's memory of gradients and CorDA's pairs, by what defines them: the new subspace is
 * orthogonal to the memory, the memory holds what it was asked to and no vector too many, a basis
 * and its complement are the same memory; CorDA's first and last components add up to the weight.
 * (The methods as a whole against numpy: tests/cli/methods_numpy.sh.) */
#include "test.h"

#include "base/memory.h"
#include "base/random.h"
#include "continual/corda.h"
#include "continual/gradient_memory.h"
#include "linalg/decomposition.h"

enum { D = 24 };

/* mean x x^T of n random inputs whose coordinates fall off by `decay`, rotated by the task. */
static void make_inputs(double *h, int64_t n, double decay, uint64_t task) {
    double *x, *mix, *turned;
    assert_ok(slao_allocate(&x, (size_t)(n * D), sizeof *x));
    assert_ok(slao_allocate(&turned, (size_t)(n * D), sizeof *turned));
    assert_ok(slao_allocate(&mix, D * D, sizeof *mix));
    slao_random random = slao_random_stream(1, "inputs", "", task);
    for (int64_t i = 0; i < n * D; i++)
        x[i] = slao_random_normal(&random) * pow(decay, (double)(i % D));
    for (int i = 0; i < D * D; i++)
        mix[i] = slao_random_normal(&random);
    slao_multiply_f64(turned, x, mix, n, D, D);
    slao_transposed_multiply_f64(h, turned, turned, D, D, n);
    for (int i = 0; i < D * D; i++)
        h[i] /= (double)n;
    free(x);
    free(turned);
    free(mix);
}

/* The projection onto M, by its definition, D x D. */
static void projector_of(const slao_gradient_memory *memory, double *p) {
    for (int i = 0; i < D * D; i++)
        p[i] = memory->complement && i % (D + 1) == 0;
    for (int64_t k = 0; k < memory->rows; k++)
        for (int i = 0; i < D * D; i++)
            p[i] += (memory->complement ? -1 : 1) * memory->basis[k * D + i / D] *
                    memory->basis[k * D + i % D];
}

static double captured(const slao_gradient_memory *memory, const double *h) {
    double p[D * D], within[D * D], all = 0, held = 0;
    projector_of(memory, p);
    slao_multiply_f64(within, p, h, D, D, D);
    for (int i = 0; i < D * D; i++) {
        all += h[i] * h[i];
        held += within[i] * within[i];
    }
    return held / all;
}

static int64_t dimensions(const slao_gradient_memory *memory) {
    return memory->complement ? D - memory->rows : memory->rows;
}

static void check_orthonormal(const slao_gradient_memory *memory) {
    double gram[D * D];
    slao_multiply_transposed_f64(gram, memory->basis, memory->basis, memory->rows, memory->rows, D);
    for (int64_t i = 0; i < memory->rows * memory->rows; i++)
        assert_near(gram[i], i % (memory->rows + 1) == 0, 1e-9);
}

static void test_memory_over_tasks(void **state) {
    (void)state;
    static const double decays[] = {0.2, 0.8, 0.95};
    for (int decay = 0; decay < 3; decay++) {
        slao_gradient_memory memory = {.width = D};
        bool turned = false;
        for (uint64_t task = 1; task <= 5; task++) {
            double h[D * D], before[D * D];
            make_inputs(h, 40, decays[decay], task);
            projector_of(&memory, before);
            int64_t had = dimensions(&memory);
            float a[3 * D];
            assert_ok(slao_gradient_memory_subspace(&memory, h, 3, a));
            for (int k = 0; k < 3;
                 k++) { /* in R^d without M, of norm 1 / sqrt 3 unless nothing is left of it */
                double norm = 0, inside = 0;
                for (int i = 0; i < D; i++) {
                    double sum = 0;
                    for (int j = 0; j < D; j++)
                        sum += before[i * D + j] * (double)a[k * D + j];
                    inside += sum * sum;
                    norm += pow((double)a[k * D + i], 2);
                }
                assert_near(inside, 0, 1e-12);
                assert_near(norm, k < D - had ? 1.0 / 3 : 0, 1e-6);
            }
            double e = 0.945 + 0.01 * (double)task; /* at 1, rounding would tell */
            assert_ok(slao_gradient_memory_add(&memory, h, e));
            assert_true(captured(&memory, h) >= e - 1e-9);
            assert_true(dimensions(&memory) >= had);
            assert_int_equal(memory.complement, 2 * dimensions(&memory) > D);
            turned = turned || memory.complement;
            check_orthonormal(&memory);
            double after[D * D], kept[D * D];
            projector_of(&memory, after);
            slao_multiply_f64(kept, after, before, D, D, D); /* what was in it still is */
            for (int i = 0; i < D * D; i++)
                assert_near(kept[i], before[i], 1e-9);
        }
        assert_true(decay == 1 ||
                    turned == (decay == 2)); /* both ways of keeping it are gone through */
        slao_gradient_memory_free(&memory);
    }
}

/* At the first task the answer is known: eigenvectors of H, as many as reach e. */
static void test_first_task(void **state) {
    (void)state;
    double h[D * D], vectors[D * D], values[D];
    make_inputs(h, 100, 0.7, 9);
    memcpy(vectors, h, sizeof h);
    assert_ok(slao_symmetric_eigen(vectors, D, values));
    slao_gradient_memory memory = {.width = D};
    float a[4 * D];
    assert_ok(slao_gradient_memory_subspace(&memory, h, 4, a));
    for (int k = 0; k < 4; k++) {
        double dot = 0;
        for (int i = 0; i < D; i++)
            dot += (double)a[k * D + i] * vectors[k * D + i];
        assert_near(fabs(dot), 1 / sqrt(3), 1e-6);
    }
    double total = 0, sum = 0;
    for (int k = 0; k < D; k++)
        total += values[k] * values[k];
    int64_t fewest = 0;
    while (sum < 0.98 * total) {
        sum += values[fewest] * values[fewest];
        fewest++;
    }
    assert_ok(slao_gradient_memory_add(&memory, h, 0.98));
    assert_int_equal(dimensions(&memory), fewest);
    assert_ok(slao_gradient_memory_add(&memory, h, 0.98)); /* it is there already */
    assert_int_equal(dimensions(&memory), fewest);
    slao_gradient_memory_free(&memory);
}

/* Fewer inputs than rows are asked for, and a memory that is full. */
static void test_what_is_left_over_is_zero(void **state) {
    (void)state;
    double h[D * D];
    make_inputs(h, 2, 1, 3);
    slao_gradient_memory memory = {.width = D};
    assert_ok(slao_gradient_memory_add(&memory, h, 1));
    assert_true(captured(&memory, h) > 1 - 1e-9);
    make_inputs(h, 200, 1, 4);
    assert_ok(slao_gradient_memory_add(&memory, h, 1));
    assert_int_equal(dimensions(&memory), D);
    float a[2 * D];
    assert_ok(slao_gradient_memory_subspace(&memory, h, 2, a));
    for (int i = 0; i < 2 * D; i++)
        assert_true(a[i] == 0);
    slao_gradient_memory_free(&memory);
}

static void test_corda_components(void **state) {
    (void)state;
    enum { OUT = 10, FIRST = 4, LAST = OUT - FIRST };
    double h[D * D];
    make_inputs(h, 50, 0.8, 5);
    float weight[OUT * D], a1[FIRST * D], b1[OUT * FIRST], a2[LAST * D], b2[OUT * LAST];
    slao_random random = slao_random_stream(1, "weight", "", 0);
    for (int i = 0; i < OUT * D; i++)
        weight[i] = (float)slao_random_normal(&random);
    assert_ok(slao_corda_pair(weight, OUT, D, h, FIRST, 2, false, a1, b1));
    assert_ok(slao_corda_pair(weight, OUT, D, h, LAST, 2, true, a2, b2));
    double error = 0, norm = 0;
    for (int i = 0; i < OUT; i++) {
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int k = 0; k < FIRST; k++)
                sum += 2 * (double)b1[i * FIRST + k] * (double)a1[k * D + j];
            for (int k = 0; k < LAST; k++)
                sum += 2 * (double)b2[i * LAST + k] * (double)a2[k * D + j];
            error += pow(sum - (double)weight[i * D + j], 2);
            norm += pow((double)weight[i * D + j], 2);
        }
    }
    assert_near(sqrt(error / norm), 0, 1e-5);
    double last_squares = INFINITY; /* columns of B: orthogonal, in descending order of S / s */
    for (int k = 0; k < OUT; k++) {
        double squares = 0;
        for (int l = 0; l < OUT; l++) {
            double dot = 0;
            for (int i = 0; i < OUT; i++) {
                double x = k < FIRST ? (double)b1[i * FIRST + k] : (double)b2[i * LAST + k - FIRST];
                double y = l < FIRST ? (double)b1[i * FIRST + l] : (double)b2[i * LAST + l - FIRST];
                dot += x * y;
            }
            squares = k == l ? dot : squares;
            assert_true(k == l || fabs(dot) < 1e-4);
        }
        assert_true(squares <= last_squares);
        last_squares = squares;
    }
    assert_fails(slao_corda_pair(weight, OUT, D, h, FIRST, 0, false, a1, b1), SLAO_BAD_INPUT,
                 "lora.alpha is 0");
    memset(h, 0, sizeof h);
    assert_fails(slao_corda_pair(weight, OUT, D, h, FIRST, 2, false, a1, b1), SLAO_BAD_INPUT,
                 "not positive definite");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_over_tasks),
        cmocka_unit_test(test_first_task),
        cmocka_unit_test(test_what_is_left_over_is_zero),
        cmocka_unit_test(test_corda_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
