/* learn/linearisation: against finite differences of the loss, alone, on top of others, and with
 * trained magnitudes. */
#include "tiny_model.h"

#include "learn/linearisation.h"
#include "learn/loss.h"

enum { N_EXAMPLES = 5, LENGTH = 9 };
static int32_t ids[N_EXAMPLES][LENGTH];
static slao_sequence examples[N_EXAMPLES];
static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
static const slao_train_settings settings = {.batch_size = 2};

typedef struct {
    slao_model *model;
    slao_pass *pass;
    slao_lora *start, *direction, *below;
    slao_lesson lesson;
} fixture;

static int set_up(void **state) {
    static fixture f;
    slao_random random = slao_random_stream(5, "ids", "", 0);
    for (int i = 0; i < N_EXAMPLES; i++) {
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = (int32_t)slao_random_below(&random, 61);
        examples[i] = (slao_sequence){ids[i], LENGTH - i % 3, LENGTH - 2 - i % 3};
    }
    f = (fixture){.model = tiny_model_new(),
                  .start = tiny_lora_new(modules, 2, 0.5), /* dropout is left out */
                  .direction = tiny_lora_new(modules, 2, 0),
                  .below = tiny_lora_new(modules, 2, 0),
                  .lesson = {.task = "t", .examples = examples, .n_examples = N_EXAMPLES}};
    assert_ok(slao_pass_new(&f.pass, f.model));
    fill_random(f.start->values, f.start->n_values, 0.1, "start");
    fill_random(f.below->values, f.below->n_values, 0.1, "below");
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    slao_pass_free(f->pass);
    slao_model_free(f->model);
    slao_lora_free(f->start);
    slao_lora_free(f->direction);
    slao_lora_free(f->below);
    return 0;
}

static slao_lora *moved(const fixture *f, double step) {
    slao_lora *lora;
    assert_ok(slao_lora_copy(&lora, f->start));
    for (int64_t i = 0; i < lora->n_values; i++)
        lora->values[i] += (float)(step * (double)f->direction->values[i]);
    return lora;
}

/* The loss of the first `n` examples at start + step x direction, by a frozen view. */
static double loss_at(const fixture *f, double step, int64_t n) {
    slao_lora *lora = moved(f, step);
    const slao_lora *loras[] = {f->below, lora};
    double weights[] = {1, 1}, loss;
    if (f->lesson.magnitudes) {
        for (int k = 0; k < 2; k++)
            weights[k] = (double)slao_lora_scalars(lora)[k];
    }
    slao_lora_stack stack = {2, loras, weights, NULL};
    slao_low_ranks pairs;
    if (f->lesson.below.count)
        assert_ok(slao_lora_view_stack(&pairs, &stack, NULL, SLAO_FACTOR_NONE, &tiny_config));
    else
        assert_ok(slao_lora_view(&pairs, lora, NULL, &tiny_config));
    assert_ok(slao_mean_loss(f->pass, &pairs, examples, n, 3, &loss));
    slao_lora_view_free(&pairs);
    slao_lora_free(lora);
    return loss;
}

static slao_linearisation linearised(const fixture *f, double step, int64_t n) {
    slao_lora *end = moved(f, step);
    slao_linearisation found;
    assert_ok(
        slao_linearise(f->pass, &tiny_config, f->start, end, &f->lesson, &settings, n, &found));
    slao_lora_free(end);
    return found;
}

static void check(fixture *f) {
    fill_random(f->direction->values, f->direction->n_values, 0.1, "direction");
    const double h = 1e-2;
    double slope = (loss_at(f, h, N_EXAMPLES) - loss_at(f, -h, N_EXAMPLES)) / (2 * h);
    slao_linearisation far = linearised(f, 1, 100), near = linearised(f, 0.1, N_EXAMPLES);
    assert_true(fabs(slope) > 1e-3);
    assert_near(far.predicted, slope, 2e-2 * fabs(slope)); /* of fp32 differences */
    assert_near(near.predicted, 0.1 * far.predicted, 1e-5 * fabs(far.predicted));
    assert_near(far.change, loss_at(f, 1, N_EXAMPLES) - loss_at(f, 0, N_EXAMPLES), 1e-6);
    assert_near(far.error, fabs(far.change - far.predicted) / fabs(far.change), 1e-12);
    assert_true(near.error < 0.5 * far.error); /* what is not linear is of second order */
    slao_linearisation few = linearised(f, 1, 2);
    assert_near(few.change, loss_at(f, 1, 2) - loss_at(f, 0, 2), 1e-6);
    assert_true(fabs(few.change - far.change) > 1e-5);
    assert_true(isnan(linearised(f, 0, N_EXAMPLES).error));
}

static void test_one_pair(void **state) {
    check(*state);
}

static void test_on_top_of_another(void **state) {
    fixture *f = *state;
    f->lesson.below = (slao_lora_stack){1, (const slao_lora *const *)&f->below, NULL, NULL};
    check(f);
}

static void test_magnitudes_are_trained_too(void **state) {
    fixture *f = *state;
    f->lesson.below = (slao_lora_stack){1, (const slao_lora *const *)&f->below, NULL, NULL};
    f->lesson.magnitudes = true;
    assert_ok(slao_lora_add_scalars(f->start, 2, 0.8F));
    assert_ok(slao_lora_add_scalars(f->direction, 2, 0));
    check(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_pair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_on_top_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_magnitudes_are_trained_too, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
