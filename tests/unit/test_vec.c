/* The element-wise kernels whose rounding shows in results, against fp64. */
#include "test.h"

#include "linalg/vec.h"

/* Logits of a large vocabulary: one token takes most of the mass, a hundred thousand others matter
 * only together. One sum of fp32 misses up to 3e-4 of them;
 * what the kernel sums in fp32 are 16 at a time, each off by at most 2^-24. */
static void test_sum_of_many_small_terms(void **state) {
    (void)state;
    enum { VOCABULARY = 131072 + 5 };
    static float x[VOCABULARY];
    static const float mass[] = {0.99F, 0.5F, 0.01F};
    for (size_t m = 0; m < sizeof mass / sizeof *mass; m++) {
        for (size_t place = 0; place < VOCABULARY; place += VOCABULARY - 1) {
            for (size_t i = 0; i < VOCABULARY; i++)
                x[i] = logf((1 - mass[m]) / VOCABULARY) + 0.25F * (float)(i % 7);
            x[place] = logf(mass[m]);
            double exact = 0, of_values = 0;
            for (size_t i = 0; i < VOCABULARY; i++)
                exact += exp((double)x[i] - 0.125);
            double sum = slao_vec()->exp_sum(x, 1, 0.125F, VOCABULARY);
            for (size_t i = 0; i < VOCABULARY; i++)
                of_values += (double)x[i];
            assert_near(sum / of_values, 1, 16 * 0x1p-24);
            assert_near(sum / exact, 1, 1e-6);
        }
    }
}

static void test_exponential(void **state) {
    (void)state;
    enum { COUNT = 4099 };
    static float x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        x[i] = y[i] = -86.0F + 86.0F * (float)i / (COUNT - 1);
    slao_vec()->exp_sum(y, 1, 0, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_near((double)y[i] / exp((double)x[i]), 1, 2.5e-7);
}

/* SLAO_VEC asks for a level: tests under its name run at it. */
static void test_level_asked_for(void **state) {
    (void)state;
    const char *asked = getenv("SLAO_VEC");
    if (asked)
        assert_string_equal(slao_vec()->name, asked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_asked_for),
        cmocka_unit_test(test_sum_of_many_small_terms),
        cmocka_unit_test(test_exponential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
