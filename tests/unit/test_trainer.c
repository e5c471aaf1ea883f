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
    assert_ok(slao_train(pass, &tiny_config, lora, &lesson, settings, training));
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

static void test_accumulation_is_a_larger_batch(void **state) {
    (void)state;
    slao_train_settings split = plain, whole = plain;
    split.batch_size = 2;
    split.accumulation = 4;
    whole.batch_size = 8;
    slao_training one, two;
    slao_lora *a = trained(&split, 0, 1, &one), *b = trained(&whole, 0, 1, &two);
    assert_int_equal(one.steps, 2);
    for (int i = 0; i < 2; i++)
        assert_near(one.losses[i], two.losses[i], 1e-5);
    assert_near(difference(a, b), 0, 1e-4);
    slao_lora_free(a);
    slao_lora_free(b);
    slao_training_free(&one);
    slao_training_free(&two);
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
        cmocka_unit_test(test_accumulation_is_a_larger_batch),
        cmocka_unit_test(test_training_lowers_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
