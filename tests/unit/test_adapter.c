/* adapter/ and linalg/matrix: QR with a positive diagonal against Gram-Schmidt in fp64, SLAO's
 * start by its formula, settings that do not fit, PEFT folders read back. */
#include "tiny_model.h"

#include "adapter/peft.h"
#include "adapter/start.h"
#include "linalg/matrix.h"

enum { R = 5, N = 37 };

/* The rows of q become what Gram-Schmidt makes of those of a: r has a positive diagonal by
 * construction. */
static void gram_schmidt(double q[R][N], double r[R][R], float a[R][N]) {
    for (int i = 0; i < R; i++) {
        for (int k = 0; k < N; k++)
            q[i][k] = (double)a[i][k];
        for (int pass = 0; pass < 2; pass++) { /* twice is enough */
            for (int j = 0; j < i; j++) {
                double along = 0;
                for (int k = 0; k < N; k++)
                    along += q[j][k] * q[i][k];
                r[j][i] = (pass ? r[j][i] : 0) + along;
                for (int k = 0; k < N; k++)
                    q[i][k] -= along * q[j][k];
            }
        }
        double norm = 0;
        for (int k = 0; k < N; k++)
            norm += q[i][k] * q[i][k];
        r[i][i] = sqrt(norm);
        for (int k = 0; k < N; k++)
            q[i][k] /= r[i][i];
    }
}

static void test_qr_is_the_one_with_a_positive_diagonal(void **state) {
    (void)state;
    float a[R][N], kept[R][N], r_factor[R * R];
    double q[R][N], r[R][R];
    fill_random(&a[0][0], R * N, 1, "qr");
    memcpy(kept, a, sizeof a);
    gram_schmidt(q, r, kept);
    assert_ok(slao_orthonormal_rows(&a[0][0], R, N, SLAO_SIGN_POSITIVE, r_factor));
    for (int i = 0; i < R; i++) {
        assert_true(r_factor[i * R + i] > 0);
        for (int k = 0; k < N; k++)
            assert_near((double)a[i][k], q[i][k], 1e-6);
        for (int j = 0; j < R; j++)
            assert_near((double)r_factor[i * R + j], j < i ? 0 : r[i][j], 1e-5);
    }
    /* LAPACK's own signs differ from it by whole rows only. */
    memcpy(a, kept, sizeof a);
    assert_ok(slao_orthonormal_rows(&a[0][0], R, N, SLAO_SIGN_LAPACK, NULL));
    int flipped = 0;
    for (int i = 0; i < R; i++) {
        double sign = (double)a[i][0] * q[i][0] < 0 ? -1 : 1;
        flipped += sign < 0;
        for (int k = 0; k < N; k++)
            assert_near(sign * (double)a[i][k], q[i][k], 1e-6);
    }
    assert_true(flipped >
                0); /* Householder reflections turn the first row of random matrices, if no other */
}

static void test_qr_of_degenerate_rows(void **state) {
    (void)state;
    float zero[2 * 3] = {0};
    assert_ok(slao_orthonormal_rows(zero, 2, 3, SLAO_SIGN_POSITIVE, NULL));
    double dot = 0, norm = 0;
    for (int k = 0; k < 3; k++) {
        dot += (double)(zero[k] * zero[3 + k]);
        norm += (double)(zero[k] * zero[k]);
    }
    assert_near(dot, 0, 1e-6);
    assert_near(norm, 1, 1e-6);
    float poisoned[3] = {1, NAN, 2};
    assert_fails(slao_orthonormal_rows(poisoned, 1, 3, SLAO_SIGN_POSITIVE, NULL), SLAO_BAD_INPUT,
                 "not a number");
}

static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_DOWN_PROJ};

static void test_fresh_start_is_named_by_seed_and_tensor(void **state) {
    (void)state;
    slao_lora *one = tiny_lora_new(modules, 2, 0), *same = tiny_lora_new(modules, 2, 0);
    slao_lora *other = tiny_lora_new(modules, 2, 0), *alone = tiny_lora_new(modules + 1, 1, 0);
    const slao_start_rule *fresh = slao_start_rule_find("fresh");
    const slao_start with_3 = {.seed = 3, .task = "a"}, again_3 = {.seed = 3, .task = "b"},
                     with_4 = {.seed = 4, .task = "a"};
    assert_ok(fresh->set(one, &with_3));
    assert_ok(fresh->set(same, &again_3));
    assert_ok(fresh->set(other, &with_4));
    assert_ok(fresh->set(alone, &with_3));
    assert_memory_equal(one->values, same->values, (size_t)one->n_values * sizeof(float));
    assert_memory_not_equal(one->values, other->values, (size_t)one->n_values * sizeof(float));
    double largest = 0;
    for (int64_t i = 0; i < one->n_sites; i++) {
        const slao_site *site = &one->sites[i];
        for (int64_t k = 0; k < 3 * site->d_in; k++)
            largest = fmax(largest, fabs((double)site->a[k]) * sqrt((double)site->d_in));
        for (int64_t k = 0; k < 3 * site->d_out; k++)
            assert_true(site->b[k] == 0);
    }
    assert_true(largest <= 1 && largest > 0.95); /* uniform within +-1 / sqrt(d_in) */
    /* down_proj of layer 0 is the second site there, the first one here: the same tensor, the same
     * numbers */
    assert_memory_equal(one->sites[1].a, alone->sites[0].a,
                        (size_t)(3 * alone->sites[0].d_in) * sizeof(float));
    slao_lora_free(one);
    slao_lora_free(same);
    slao_lora_free(other);
    slao_lora_free(alone);
}

static void test_slao_starts_from_the_last_pair(void **state) {
    (void)state;
    slao_lora *last = tiny_lora_new(modules, 2, 0), *next;
    assert_ok(slao_lora_copy(&next, last));
    slao_start start = {.last = last, .row_scale = 1};
    assert_ok(slao_start_rule_find("last-ft")->set(next, &start));
    for (int64_t s = 0; s < last->n_sites; s++) {
        const slao_site *from = &last->sites[s], *to = &next->sites[s];
        assert_memory_equal(to->b, from->b, (size_t)(3 * to->d_out) * sizeof(float));
        for (int i = 0; i < 3; i++) {
            double with_last = 0; /* (Q^T a_last)_ii = R_ii > 0 */
            for (int j = 0; j < 3; j++) {
                double dot = 0;
                for (int64_t k = 0; k < to->d_in; k++)
                    dot += (double)to->a[i * to->d_in + k] * (double)to->a[j * to->d_in + k];
                assert_near(dot, i == j, 1e-6);
            }
            for (int64_t k = 0; k < to->d_in; k++)
                with_last += (double)to->a[i * to->d_in + k] * (double)from->a[i * from->d_in + k];
            assert_true(with_last > 0);
        }
    }
    assert_ok(slao_start_rule_find("previous")->set(next, &start));
    assert_memory_equal(next->values, last->values, (size_t)last->n_values * sizeof(float));
    slao_lora_free(last);
    slao_lora_free(next);
}

static void test_settings_that_do_not_fit(void **state) {
    (void)state;
    slao_lora *lora;
    slao_lora_settings settings = {.rank = 17, .alpha = 1, .targets = {[SLAO_K_PROJ] = true}};
    assert_fails(slao_lora_new(&lora, &settings, &tiny_config), SLAO_BAD_INPUT, "between 1 and 16");
    settings = (slao_lora_settings){.rank = 4, .alpha = 1};
    assert_fails(slao_lora_new(&lora, &settings, &tiny_config), SLAO_BAD_INPUT, "no module");
    settings = (slao_lora_settings){.rank = 4, .alpha = 6};
    assert_near(slao_lora_scale(&settings), 1.5, 0);
    settings.rslora = true;
    assert_near(slao_lora_scale(&settings), 3, 0);
}

static void test_peft_folders_read_back(void **state) {
    (void)state;
    char folder[] = "/tmp/slao-adapter-XXXXXX";
    assert_non_null(mkdtemp(folder));
    slao_lora *lora = tiny_lora_new(modules, 2, 0.1), *back;
    assert_ok(slao_peft_save(lora, folder, "base"));
    assert_ok(slao_peft_load(&back, folder, &tiny_config));
    assert_true(slao_lora_same_shape(lora, back));
    assert_memory_equal(lora->values, back->values, (size_t)lora->n_values * sizeof(float));
    assert_near(back->settings.dropout, 0.1, 0);
    assert_near(back->settings.alpha, 6, 0);
    slao_lora_free(back);
    slao_model_config other = tiny_config;
    other.layers = 2;
    assert_fails(slao_peft_load(&back, folder, &other), SLAO_BAD_INPUT, "tensors");
    other = tiny_config;
    other.intermediate = 48;
    assert_fails(slao_peft_load(&back, folder, &other), SLAO_BAD_INPUT, "must be 3 x 48");
    char command[128];
    snprintf(command, sizeof command,
             "sed -i 's/\"bias\"/\"use_dora\":true,\"bias\"/' %s/adapter_config.json", folder);
    assert_int_equal(system(command), 0);
    assert_fails(slao_peft_load(&back, folder, &tiny_config), SLAO_BAD_INPUT, "use_dora");
    slao_lora_free(lora);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qr_is_the_one_with_a_positive_diagonal),
        cmocka_unit_test(test_qr_of_degenerate_rows),
        cmocka_unit_test(test_fresh_start_is_named_by_seed_and_tensor),
        cmocka_unit_test(test_slao_starts_from_the_last_pair),
        cmocka_unit_test(test_settings_that_do_not_fit),
        cmocka_unit_test(test_peft_folders_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
