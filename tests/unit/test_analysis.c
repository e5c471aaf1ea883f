/* continual/analysis, and its place in records (sweep/geometry): against products formed in full,
 * and cases worked out by hand. */
#include "test.h"

#include "base/random.h"
#include "continual/analysis.h"
#include "sweep/geometry.h"

static const slao_model_config config = {.hidden = 12,
                                         .layers = 2,
                                         .heads = 3,
                                         .kv_heads = 1,
                                         .head_dim = 4,
                                         .intermediate = 20,
                                         .vocabulary = 32,
                                         .max_positions = 64,
                                         .rope_theta = 1e4,
                                         .rms_epsilon = 1e-5};

static const slao_lora_settings settings = {
    .rank = 3, .alpha = 6, .targets = {[SLAO_Q_PROJ] = true, [SLAO_V_PROJ] = true}};

enum { SITES = 4 };

static slao_lora *lora_new(uint64_t index) {
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &settings, &config));
    assert_int_equal(lora->n_sites, SITES);
    slao_random random = slao_random_stream(1, "test", "analysis", index);
    for (int64_t i = 0; i < lora->n_values; i++)
        lora->values[i] = (float)slao_random_normal(&random);
    return lora;
}

/* The norm of X^T Y for X n x p, Y n x q given by their entries' places: a full product. */
static double product_norm(const float *x, const float *x_less, int64_t x_row, int64_t x_column,
                           const float *y, int64_t y_row, int64_t y_column, int64_t n, int64_t p,
                           int64_t q) {
    double squares = 0;
    for (int64_t i = 0; i < p; i++) {
        for (int64_t j = 0; j < q; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) {
                double left = x[k * x_row + i * x_column];
                left -= x_less ? x_less[k * x_row + i * x_column] : 0;
                sum += left * (double)y[k * y_row + j * y_column];
            }
            squares += sum * sum;
        }
    }
    return sqrt(squares);
}

static void test_distance_is_that_of_the_product(void **state) {
    (void)state;
    slao_lora *lora = lora_new(0);
    double squares = 0, distance;
    for (int64_t i = 0; i < SITES; i++) {
        const slao_site *site = &lora->sites[i];
        double norm =
            product_norm(site->b, NULL, 1, 3, site->a, site->d_in, 1, 3, site->d_out, site->d_in);
        squares += norm * norm;
    }
    assert_ok(slao_distance(lora, &distance));
    assert_near(distance, 2 * sqrt(squares), 1e-12 * distance); /* s = 6 / 3 */
    memset(lora->sites[0].b, 0, sizeof(float) * (size_t)(lora->sites[0].d_out * 3));
    double smaller;
    assert_ok(slao_distance(lora, &smaller));
    assert_true(smaller < distance);
    memset(lora->values, 0, sizeof(float) * (size_t)lora->n_values);
    assert_ok(slao_distance(lora, &distance));
    assert_near(distance, 0, 0);
    slao_lora_free(lora);
}

static void test_distance_from_a_start(void **state) {
    (void)state;
    slao_lora *start = lora_new(0), *end = lora_new(1);
    for (int tries = 0; tries < 2; tries++) {
        double squares = 0, distance;
        for (int64_t i = 0; i < SITES; i++) {
            const slao_site *from = &start->sites[i], *to = &end->sites[i];
            for (int64_t o = 0; o < from->d_out; o++) {
                for (int64_t k = 0; k < from->d_in; k++) {
                    double change = 0;
                    for (int64_t p = 0; p < 3; p++) {
                        change += (double)to->b[o * 3 + p] * (double)to->a[p * to->d_in + k];
                        change -= (double)from->b[o * 3 + p] * (double)from->a[p * from->d_in + k];
                    }
                    squares += change * change;
                }
            }
        }
        assert_ok(slao_distance_from(start, end, &distance));
        assert_near(distance, 2 * sqrt(squares), 1e-5 * distance); /* s = 6 / 3 */
        for (int64_t i = 0; i < end->n_values; i++) /* and where they hardly differ */
            end->values[i] = start->values[i] * (i % 3 ? 1.0001F : 1);
    }
    double none;
    assert_ok(slao_distance_from(start, start, &none));
    assert_near(none, 0, 0);
    slao_lora_free(start);
    slao_lora_free(end);
}

static void test_interference_is_that_of_the_products(void **state) {
    (void)state;
    slao_lora *before = lora_new(1), *after = lora_new(2);
    double a[SITES], b[SITES];
    slao_interference(before, after, a, b);
    for (int64_t i = 0; i < SITES; i++) {
        const slao_site *from = &before->sites[i], *to = &after->sites[i];
        double wanted_a =
            product_norm(to->a, from->a, 1, from->d_in, from->a, 1, from->d_in, from->d_in, 3, 3);
        double wanted_b = product_norm(to->b, from->b, 3, 1, from->b, 3, 1, from->d_out, 3, 3);
        assert_near(a[i], wanted_a, 1e-12 * wanted_a);
        assert_near(b[i], wanted_b, 1e-12 * wanted_b);
    }
    slao_interference(before, before, a, b);
    assert_near(a[0], 0, 0);
    assert_near(b[0], 0, 0);
    slao_lora_free(before);
    slao_lora_free(after);
}

static void test_orthogonality(void **state) {
    (void)state;
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &settings, &config));
    double error[SITES];
    for (int64_t i = 0; i < SITES; i++) {
        for (int64_t p = 0; p < 3; p++)
            lora->sites[i].a[p * lora->sites[i].d_in + p + i] = 1;
    }
    slao_orthogonality_error(lora, error);
    for (int64_t i = 0; i < SITES; i++)
        assert_near(error[i], 0, 0);
    /* One row twice as long: 4 - 1. Two equal rows: off-diagonal 1, twice. No rows at all: -I. */
    lora->sites[0].a[0] = 2;
    lora->sites[1].a[1 * lora->sites[1].d_in + 2] = 0;
    lora->sites[1].a[1 * lora->sites[1].d_in + 1] = 1;
    memset(lora->sites[2].a, 0, sizeof(float) * (size_t)(lora->sites[2].d_in * 3));
    slao_orthogonality_error(lora, error);
    assert_near(error[0], 3, 0);
    assert_near(error[1], sqrt(2), 1e-15);
    assert_near(error[2], sqrt(3), 1e-15);
    assert_near(error[3], 0, 0);
    slao_lora_free(lora);
}

static void test_cosine(void **state) {
    (void)state;
    slao_lora *x = lora_new(3), *y;
    assert_ok(slao_lora_copy(&y, x));
    double a[SITES], b[SITES];
    slao_cosine_similarity(x, y, a, b);
    for (int64_t i = 0; i < SITES; i++) {
        assert_near(a[i], 1, 1e-15);
        assert_near(b[i], 1, 1e-15);
    }
    /* Turned round and made longer; all zeros; (3, 4) against (4, 3): 24/25. */
    for (int64_t k = 0; k < 3 * y->sites[0].d_in; k++)
        y->sites[0].a[k] *= -2;
    memset(y->sites[1].b, 0, sizeof(float) * (size_t)(y->sites[1].d_out * 3));
    memset(x->sites[2].b, 0, sizeof(float) * (size_t)(x->sites[2].d_out * 3));
    memset(y->sites[2].b, 0, sizeof(float) * (size_t)(y->sites[2].d_out * 3));
    x->sites[2].b[0] = y->sites[2].b[5] = 3;
    x->sites[2].b[5] = y->sites[2].b[0] = 4;
    slao_cosine_similarity(x, y, a, b);
    assert_near(a[0], -1, 1e-15);
    assert_true(isnan(b[1]));
    assert_near(b[2], 0.96, 1e-15);
    slao_lora_free(x);
    slao_lora_free(y);
}

static double at(const cJSON *record, const char *key, int layer, int module) {
    const cJSON *layers = slao_json_find(record, key);
    assert_int_equal(cJSON_GetArraySize(layers), 2);
    const cJSON *modules = cJSON_GetArrayItem(layers, layer);
    assert_int_equal(cJSON_GetArraySize(modules), 2);
    return cJSON_GetArrayItem(modules, module)->valuedouble;
}

static void test_records_are_by_layer_and_module(void **state) {
    (void)state;
    slao_lora *start = lora_new(4), *finetuned = lora_new(5);
    cJSON *record = cJSON_CreateObject();
    assert_ok(slao_geometry_record_change(record, start, finetuned));
    assert_ok(slao_geometry_record_distance(record, finetuned));
    double orthogonality[SITES], a[SITES], b[SITES], distance;
    slao_orthogonality_error(start, orthogonality);
    slao_interference(start, finetuned, a, b);
    assert_ok(slao_distance(finetuned, &distance));
    for (int i = 0; i < SITES; i++) {
        assert_near(at(record, "orthogonality", i / 2, i % 2), orthogonality[i], 0);
        assert_near(at(record, "interference_a", i / 2, i % 2), a[i], 0);
        assert_near(at(record, "interference_b", i / 2, i % 2), b[i], 0);
    }
    assert_near(slao_json_find(record, "distance")->valuedouble, distance, 0);
    cJSON_Delete(record);
    slao_lora_free(start);
    slao_lora_free(finetuned);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_is_that_of_the_product),
        cmocka_unit_test(test_distance_from_a_start),
        cmocka_unit_test(test_interference_is_that_of_the_products),
        cmocka_unit_test(test_orthogonality),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_records_are_by_layer_and_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
