/* Extra losses: values against their formulas in fp64 loops, gradients against finite differences.
 */
#include "tiny_model.h"

#include "base/memory.h"
#include "learn/penalty.h"

static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ, SLAO_DOWN_PROJ};

static slao_lora *other_lora(int64_t rank, const char *name) {
    slao_lora_settings settings = {.rank = rank, .alpha = 6};
    for (int i = 0; i < 3; i++)
        settings.targets[modules[i]] = true;
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &settings, &tiny_config));
    fill_random(lora->values, lora->n_values, 0.3, name);
    return lora;
}

static double value_of(const slao_penalty *penalty, const slao_lora *lora, float *gradients) {
    double value;
    assert_ok(slao_penalty_add(penalty, lora, gradients, &value));
    return value;
}

/* Central differences at some entries of every site; the step is small enough that no absolute
 * value of the (fixed) random entries changes its sign on the way. */
static void check_gradient(const slao_penalty *penalty, slao_lora *lora) {
    float *gradients, *unused;
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_ok(slao_allocate(&unused, (size_t)lora->n_values, sizeof *unused));
    for (int64_t i = 0; i < lora->n_values; i++)
        gradients[i] = 7; /* they are added */
    value_of(penalty, lora, gradients);
    int64_t checked = 0;
    for (int64_t i = 0; i < lora->n_values; i += 11, checked++) {
        float x = lora->values[i], step = 0x1p-16F;
        lora->values[i] = x + step;
        double above = value_of(penalty, lora, unused);
        lora->values[i] = x - step;
        double below = value_of(penalty, lora, unused);
        lora->values[i] = x;
        double expected = (above - below) / (2 * (double)step);
        assert_near((double)gradients[i] - 7, expected, 0.02 * fabs(expected) + 0.02);
    }
    assert_true(checked > 100);
    free(gradients);
    free(unused);
}

static void test_orthogonal(void **state) {
    (void)state;
    slao_lora *lora = tiny_lora_new(modules, 3, 0), *first = other_lora(3, "first"),
              *second = other_lora(2, "second");
    const slao_lora *old[] = {first, second};
    slao_penalty penalty = {.rule = slao_penalty_rule_find("orthogonal"),
                            .first = 0.5,
                            .second = 0.25,
                            .old = old,
                            .n_old = 2};
    double overlap = 0, norms = 0;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        for (int k = 0; k < 2; k++) {
            for (int64_t p = 0; p < old[k]->settings.rank; p++) {
                for (int64_t q = 0; q < 3; q++) {
                    double dot = 0;
                    for (int64_t j = 0; j < site->d_in; j++)
                        dot += (double)old[k]->sites[i].a[p * site->d_in + j] *
                               (double)site->a[q * site->d_in + j];
                    overlap += fabs(dot);
                }
            }
        }
        double a = 0, b = 0;
        for (int64_t j = 0; j < 3 * site->d_in; j++)
            a += pow((double)site->a[j], 2);
        for (int64_t j = 0; j < 3 * site->d_out; j++)
            b += pow((double)site->b[j], 2);
        norms += sqrt(a) + sqrt(b);
    }
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_near(value_of(&penalty, lora, gradients), 0.5 * overlap + 0.25 * norms, 1e-4);
    free(gradients);
    check_gradient(&penalty, lora);
    penalty.n_old = 0; /* the first task: nothing to be orthogonal to */
    penalty.second = 0;
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_near(value_of(&penalty, lora, gradients), 0, 0);
    for (int64_t i = 0; i < lora->n_values; i++)
        assert_true(gradients[i] == 0);
    free(gradients);
    slao_lora_free(lora);
    slao_lora_free(first);
    slao_lora_free(second);
}

static void test_sparse(void **state) {
    (void)state;
    slao_lora *lora = tiny_lora_new(modules, 3, 0);
    slao_penalty penalty = {.rule = slao_penalty_rule_find("sparse"), .first = 0.5};
    double sum = 0;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        for (int64_t p = 0; p < site->d_out; p++) {
            for (int64_t q = 0; q < site->d_in; q++) {
                double entry = 0;
                for (int64_t k = 0; k < 3; k++)
                    entry += (double)site->b[p * 3 + k] * (double)site->a[k * site->d_in + q];
                sum += fabs(entry);
            }
        }
    }
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_near(value_of(&penalty, lora, gradients), 0.5 * sum, 1e-4 * sum);
    memset(gradients, 0, (size_t)lora->n_values * sizeof *gradients);
    for (int64_t i = 0; i < lora->n_sites; i++) /* as a fresh pair has it: no direction to go in */
        memset(lora->sites[i].b, 0, (size_t)(3 * lora->sites[i].d_out) * sizeof(float));
    assert_near(value_of(&penalty, lora, gradients), 0, 0);
    for (int64_t i = 0; i < lora->n_values; i++)
        assert_true(gradients[i] == 0);
    free(gradients);
    slao_lora_free(lora);
    lora = tiny_lora_new(modules, 3, 0);
    check_gradient(&penalty, lora);
    slao_lora_free(lora);
}

static void test_importance(void **state) {
    (void)state;
    slao_lora *lora = tiny_lora_new(modules, 3, 0), *anchor = other_lora(3, "anchor"),
              *fisher = other_lora(3, "fisher");
    double sum = 0;
    for (int64_t i = 0; i < lora->n_values; i++) {
        fisher->values[i] *= fisher->values[i];
        sum +=
            (double)fisher->values[i] * pow((double)lora->values[i] - (double)anchor->values[i], 2);
    }
    slao_penalty penalty = {.rule = slao_penalty_rule_find("importance"),
                            .first = 3,
                            .anchor = anchor->values,
                            .importance = fisher->values};
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_near(value_of(&penalty, lora, gradients), 1.5 * sum, 1e-6 * sum);
    check_gradient(&penalty, lora);
    penalty.anchor = lora->values; /* at theta*: nothing pulls */
    memset(gradients, 0, (size_t)lora->n_values * sizeof *gradients);
    assert_near(value_of(&penalty, lora, gradients), 0, 0);
    for (int64_t i = 0; i < lora->n_values; i++)
        assert_true(gradients[i] == 0);
    free(gradients);
    slao_lora_free(lora);
    slao_lora_free(anchor);
    slao_lora_free(fisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orthogonal),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_importance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
