/* learn/: AdamW, clipping and schedules against PyTorch's formulas, and what the trainer promises:
 * the same bits again, accumulation equal to a larger batch, divergence told. (Three AdamW steps
 * equal to PyTorch's: tests/cli/probe.sh.) */
#include "tiny_model.h"

#include "learn/optimizer.h"
#include "learn/trainer.h"

static const slao_train_settings plain = {.epochs = 2,
                                          .batch_size = 4,
                                          .accumulation = 1,
                                          .max_length = 64,
                                          .optimizer = "adamw",
                                          .learning_rate = 1e-2,
                                          .schedule = "constant"};

static void test_learning_rates(void **state) {
    (void)state;
    slao_train_settings s = {.learning_rate = 8, .schedule = "constant"};
    assert_near(slao_learning_rate(&s, 0, 10), 8, 0);
    assert_near(slao_learning_rate(&s, 9, 10), 8, 0);
    s.warmup_steps = 4; /* get_constant_schedule_with_warmup: step / warmup */
    assert_near(slao_learning_rate(&s, 0, 10), 0, 0);
    assert_near(slao_learning_rate(&s, 3, 10), 6, 0);
    assert_near(slao_learning_rate(&s, 4, 10), 8, 0);
    s.schedule = "linear"; /* get_linear_schedule_with_warmup: (total - step) / (total - warmup) */
    assert_near(slao_learning_rate(&s, 2, 10), 4, 0);
    assert_near(slao_learning_rate(&s, 7, 10), 8 * 3.0 / 6, 1e-12);
    s.schedule = "cosine"; /* get_cosine_schedule_with_warmup: half a period */
    assert_near(slao_learning_rate(&s, 7, 10), 8 * 0.5 * (1 + cos(3.14159265358979 * 3 / 6)), 1e-9);
    assert_near(slao_learning_rate(&s, 4, 10), 8, 1e-12);
}

/* One value through three steps, by the formula of torch.optim.AdamW in fp64. */
static void test_adamw_with_decay_and_clipping(void **state) {
    (void)state;
    enum { COUNT = 19 };
    float x[COUNT], g[COUNT];
    double expected[COUNT], m[COUNT] = {0}, v[COUNT] = {0};
    fill_random(x, COUNT, 1, "x");
    for (int i = 0; i < COUNT; i++)
        expected[i] = (double)x[i];
    slao_optimizer *optimizer;
    assert_ok(slao_optimizer_new(&optimizer, COUNT));
    slao_train_settings settings = {.weight_decay = 0.1, .clip_norm = 0.5};
    for (int t = 1; t <= 3; t++) {
        char name[8];
        snprintf(name, sizeof name, "g%d", t);
        fill_random(g, COUNT, 1, name);
        double norm = 0, told;
        for (int i = 0; i < COUNT; i++)
            norm += (double)g[i] * (double)g[i];
        norm = sqrt(norm);
        assert_ok(slao_optimizer_step(optimizer, x, g, 0.01, &settings, &told));
        assert_near(told, norm, 1e-6);
        double scale = fmin(1, 0.5 / (norm + 1e-6));
        for (int i = 0; i < COUNT; i++) {
            double gradient = scale * (double)g[i];
            m[i] = 0.9 * m[i] + 0.1 * gradient;
            v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
            expected[i] -= 0.01 * 0.1 * expected[i];
            expected[i] -=
                0.01 * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8);
            assert_near((double)x[i], expected[i], 2e-6);
        }
    }
    g[3] = INFINITY;
    double told;
    assert_fails(slao_optimizer_step(optimizer, x, g, 0.01, &settings, &told), SLAO_FAILED,
                 "not finite");
    slao_optimizer_free(optimizer);
}

enum { N_EXAMPLES = 8, LENGTH = 9 };
static int32_t ids[N_EXAMPLES][LENGTH];

static slao_lesson make_lesson(slao_sequence examples[N_EXAMPLES]) {
    slao_random random = slao_random_stream(5, "ids", "", 0);
    for (int i = 0; i < N_EXAMPLES; i++) {
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = k < 3 ? k + 7 : (int32_t)slao_random_below(&random, 61);
        examples[i] = (slao_sequence){ids[i], LENGTH - i % 3, LENGTH - 2 - i % 3};
    }
    return (slao_lesson){.task = "t", .seed = 1, .examples = examples, .n_examples = N_EXAMPLES};
}

/* Trains a fresh copy of one adapter; the caller frees it. */
static slao_lora *trained(const slao_train_settings *settings, double dropout, uint64_t seed,
                          slao_training *training) {
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    slao_model *model = tiny_model_new();
    slao_lora *lora = tiny_lora_new(modules, 2, dropout);
    slao_pass *pass;
    assert_ok(slao_pass_new(&pass, model));
    slao_sequence examples[N_EXAMPLES];
    slao_lesson lesson = make_lesson(examples);
    lesson.seed = seed;
    assert_ok(slao_train(pass, &tiny_config, lora, &lesson, settings, NULL, training));
    slao_pass_free(pass);
    slao_model_free(model);
    return lora;
}

static double difference(const slao_lora *a, const slao_lora *b) {
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < a->n_values; i++) {
        sum += pow((double)a->values[i] - (double)b->values[i], 2);
        norm += pow((double)a->values[i], 2);
    }
    return sqrt(sum / norm);
}

static void test_the_same_lesson_gives_the_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        slao_training first, again, other;
        double dropout = i ? 0.2 : 0;
        slao_lora *a = trained(&plain, dropout, 1, &first),
                  *b = trained(&plain, dropout, 1, &again);
        slao_lora *c = trained(&plain, dropout, 2, &other);
        assert_int_equal(first.steps, 4);
        assert_int_equal(first.tokens, 2 * (3 * 9 + 3 * 8 + 2 * 7));
        assert_memory_equal(a->values, b->values, (size_t)a->n_values * sizeof(float));
        assert_memory_equal(first.losses, again.losses, 4 * sizeof(double));
        assert_true(difference(a, c) > 1e-4); /* another order of the examples */
        slao_lora_free(a);
        slao_lora_free(b);
        slao_lora_free(c);
        slao_training_free(&first);
        slao_training_free(&again);
        slao_training_free(&other);
    }
}

/* Trains one step of a fresh copy of the adapter, as the lesson has it beyond its examples. */
static slao_lora *trained_for_a_step(const slao_model *model, const slao_lesson *how,
                                     slao_training *training) {
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    slao_train_settings settings = plain;
    settings.epochs = 1;
    settings.batch_size = N_EXAMPLES;
    settings.weight_decay = 0.1;
    slao_lora *lora = tiny_lora_new(modules, 2, 0);
    slao_pass *pass;
    assert_ok(slao_pass_new(&pass, model));
    slao_sequence examples[N_EXAMPLES];
    slao_lesson lesson = make_lesson(examples);
    lesson.frozen = how->frozen;
    lesson.below = how->below;
    lesson.extra = how->extra;
    assert_ok(slao_train(pass, &tiny_config, lora, &lesson, &settings, NULL, training));
    slao_pass_free(pass);
    return lora;
}

/* A frozen factor keeps its bits, decay or not; the other one learns as it does beside one that is
 * trained, for the first step's gradients are the same. */
static void test_a_factor_can_be_frozen(void **state) {
    (void)state;
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    slao_model *model = tiny_model_new();
    slao_lora *start = tiny_lora_new(modules, 2, 0);
    slao_training both, only_a, only_b;
    slao_lora *with_both = trained_for_a_step(model, &(slao_lesson){0}, &both);
    slao_lora *with_a = trained_for_a_step(model, &(slao_lesson){.frozen = SLAO_FACTOR_B}, &only_a);
    slao_lora *with_b = trained_for_a_step(model, &(slao_lesson){.frozen = SLAO_FACTOR_A}, &only_b);
    for (int64_t i = 0; i < start->n_sites; i++) {
        const slao_site *site = &start->sites[i];
        size_t a = (size_t)(3 * site->d_in) * sizeof(float);
        size_t b = (size_t)(3 * site->d_out) * sizeof(float);
        assert_memory_equal(with_b->sites[i].a, site->a, a);
        assert_memory_equal(with_a->sites[i].b, site->b, b);
        assert_memory_equal(with_a->sites[i].a, with_both->sites[i].a, a);
        assert_memory_equal(with_b->sites[i].b, with_both->sites[i].b, b);
        assert_memory_not_equal(with_a->sites[i].a, site->a, a);
        assert_memory_not_equal(with_b->sites[i].b, site->b, b);
        assert_true(both.gradient_norms[2 * i] > 0 && both.gradient_norms[2 * i + 1] > 0);
        assert_true(only_a.gradient_norms[2 * i] == both.gradient_norms[2 * i]);
        assert_true(only_a.gradient_norms[2 * i + 1] == 0);
        assert_true(only_b.gradient_norms[2 * i] == 0);
    }
    double squares = 0;
    for (int64_t i = 0; i < start->n_sites; i++)
        squares += pow(both.gradient_norms[2 * i + 1], 2);
    assert_near(both.gradient_norm_b, sqrt(squares), 1e-9); /* one step: the mean is the value */
    assert_true(only_a.gradient_norm_b == 0);
    slao_lora_free(start);
    slao_lora_free(with_both);
    slao_lora_free(with_a);
    slao_lora_free(with_b);
    slao_training_free(&both);
    slao_training_free(&only_a);
    slao_training_free(&only_b);
    slao_model_free(model);
}

/* W += weight s B A for every site of the adapter. */
static void fold_in(slao_model *model, const slao_lora *lora, double weight) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        float *w = (float *)(uintptr_t)model->layers[site->layer].weights[site->module];
        for (int64_t o = 0; o < site->d_out; o++) {
            for (int64_t k = 0; k < site->d_in; k++) {
                double sum = 0;
                for (int64_t p = 0; p < 3; p++)
                    sum += (double)site->b[o * 3 + p] * (double)site->a[p * site->d_in + k];
                w[o * site->d_in + k] += (float)(weight * slao_lora_scale(&lora->settings) * sum);
            }
        }
    }
}

/* On top of other adapters is the same as on weights that hold them. */
static void test_training_on_top_of_a_stack(void **state) {
    (void)state;
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_DOWN_PROJ};
    static const double weights[] = {1, -0.5};
    slao_model *model = tiny_model_new(), *folded = tiny_model_new();
    slao_lora *below[2];
    for (int k = 0; k < 2; k++) {
        below[k] = tiny_lora_new(modules, 2, 0);
        fill_random(below[k]->values, below[k]->n_values, 0.2, k ? "below 1" : "below 0");
        fold_in(folded, below[k], weights[k]);
    }
    slao_lesson how = {.below = {2, (const slao_lora *const *)below, weights}};
    slao_training on_top, in_weights, without;
    slao_lora *a = trained_for_a_step(model, &how, &on_top);
    slao_lora *b = trained_for_a_step(folded, &(slao_lesson){0}, &in_weights);
    slao_lora *c = trained_for_a_step(model, &(slao_lesson){0}, &without);
    assert_near(on_top.losses[0], in_weights.losses[0], 1e-5);
    assert_true(fabs(on_top.losses[0] - without.losses[0]) > 1e-3);
    for (int64_t i = 0; i < 2 * a->n_sites; i++)
        assert_near(on_top.gradient_norms[i], in_weights.gradient_norms[i],
                    1e-4 * in_weights.gradient_norms[i]);
    assert_true(difference(a, b) < 1e-3);
    slao_lora_free(a);
    slao_lora_free(b);
    slao_lora_free(c);
    slao_lora_free(below[0]);
    slao_lora_free(below[1]);
    slao_training_free(&on_top);
    slao_training_free(&in_weights);
    slao_training_free(&without);
    slao_model_free(model);
    slao_model_free(folded);
}

/* c/2 ||values||^2 */
static slao_status add_squares(void *context, const slao_lora *lora, float *gradients,
                               double *loss) {
    double c = *(double *)context;
    for (int64_t i = 0; i < lora->n_values; i++) {
        *loss += c / 2 * (double)lora->values[i] * (double)lora->values[i];
        gradients[i] += (float)(c * (double)lora->values[i]);
    }
    return SLAO_OK;
}

static void test_an_extra_loss_is_added(void **state) {
    (void)state;
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    double c = 1e4, squares = 0;
    slao_model *model = tiny_model_new();
    slao_lora *start = tiny_lora_new(modules, 2, 0);
    slao_training without, with;
    slao_lesson how = {.extra = {&c, add_squares}};
    slao_lora *a = trained_for_a_step(model, &(slao_lesson){0}, &without);
    slao_lora *b = trained_for_a_step(model, &how, &with);
    for (int64_t i = 0; i < start->n_values; i++)
        squares += pow((double)start->values[i], 2);
    assert_near(with.losses[0], without.losses[0], 0); /* of the data; the rest stands beside it */
    assert_near(with.extra_losses[0], c / 2 * squares, 1e-6 * c * squares);
    assert_null(without.extra_losses);
    for (int64_t i = 0; i < start->n_values; i++) { /* it outweighs the data: towards zero */
        if (fabs((double)start->values[i]) > 0.05)
            assert_true(fabsf(b->values[i]) < fabsf(start->values[i]));
    }
    slao_lora_free(start);
    slao_lora_free(a);
    slao_lora_free(b);
    slao_training_free(&without);
    slao_training_free(&with);
    slao_model_free(model);
}

/* Two ways of training that differ by rounding alone. */
static void check_alike(const slao_train_settings *this, const slao_train_settings *that) {
    slao_training one, two;
    slao_lora *a = trained(this, 0, 1, &one), *b = trained(that, 0, 1, &two);
    assert_int_equal(one.steps, 2);
    assert_int_equal(two.steps, 2);
    for (int i = 0; i < 2; i++)
        assert_near(one.losses[i], two.losses[i], 1e-5);
    assert_near(difference(a, b), 0, 1e-4);
    assert_true(difference(a, b) > 0); /* they are two ways */
    slao_lora_free(a);
    slao_lora_free(b);
    slao_training_free(&one);
    slao_training_free(&two);
}

static void test_accumulation_is_a_larger_batch(void **state) {
    (void)state;
    slao_train_settings split = plain, whole = plain;
    split.batch_size = 2;
    split.accumulation = 4;
    whole.batch_size = 8;
    check_alike(&split, &whole);
}

static void test_micro_batches_are_the_batch(void **state) {
    (void)state;
    slao_train_settings parts = plain, whole = plain;
    parts.batch_size = whole.batch_size = 8;
    for (parts.micro_tokens = 1; parts.micro_tokens < 32; parts.micro_tokens += 10)
        check_alike(&parts, &whole);
}

static void test_training_lowers_the_loss(void **state) {
    (void)state;
    slao_train_settings settings = plain;
    settings.epochs = 40;
    settings.learning_rate = 3e-2;
    slao_training training;
    slao_lora *lora = trained(&settings, 0, 1, &training);
    /* The targets are random and the model frozen: an adapter can learn some of it. */
    assert_true(training.losses[training.steps - 1] < training.losses[0] - 0.5);
    slao_lora_free(lora);
    slao_training_free(&training);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learning_rates),
        cmocka_unit_test(test_adamw_with_decay_and_clipping),
        cmocka_unit_test(test_the_same_lesson_gives_the_same_bits),
        cmocka_unit_test(test_a_factor_can_be_frozen),
        cmocka_unit_test(test_training_on_top_of_a_stack),
        cmocka_unit_test(test_an_extra_loss_is_added),
        cmocka_unit_test(test_accumulation_is_a_larger_batch),
        cmocka_unit_test(test_micro_batches_are_the_batch),
        cmocka_unit_test(test_training_lowers_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
