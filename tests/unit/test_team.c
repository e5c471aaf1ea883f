/* linalg/team, and what members of a team compute in a training: the parts of one optimiser step's
 * gradient add up to the gradient that one pass over the whole batch gives. The members run one
 * after another here, and a table of calls catches what they would add up. */
#include "tiny_model.h"

#include "learn/trainer.h"
#include "linalg/team.h"

static void test_parts_cover_everything(void **state) {
    (void)state;
    for (int size = 1; size <= 5; size++) {
        for (int64_t count = 0; count <= 23; count++) {
            int64_t next = 0;
            for (int m = 0; m < size; m++) {
                slao_team team = {.size = size, .member = m};
                int64_t from, to;
                slao_team_part(&team, count, &from, &to);
                assert_int_equal(from, next);
                assert_in_range(to - from, count / size, count / size + 1);
                next = to;
            }
            assert_int_equal(next, count);
        }
    }
    int64_t from, to;
    slao_team_part(NULL, 7, &from, &to);
    assert_int_equal(from, 0);
    assert_int_equal(to, 7);
}

static void test_alone_nothing_is_to_be_shared(void **state) {
    (void)state;
    float values[2] = {1, 2};
    double number = 3;
    size_t starts[2] = {0, sizeof values};
    assert_ok(slao_team_sum(NULL, SLAO_OK, values, 2, &number));
    assert_ok(slao_team_gather(NULL, SLAO_OK, values, starts));
    assert_true(values[0] == 1 && values[1] == 2 && number == 3);
    slao_fail(SLAO_FAILED, "before");
    assert_int_equal(slao_team_sum(NULL, SLAO_FAILED, values, 2, &number), SLAO_FAILED);
    assert_fails(slao_team_end(NULL, SLAO_FAILED), SLAO_FAILED, "before");
    assert_true(slao_team_leads(NULL));
    assert_int_equal(slao_team_size(NULL), 1);
}

enum { N_EXAMPLES = 7, LENGTH = 9, MOST_VALUES = 4096 };
static int32_t ids[N_EXAMPLES][LENGTH];

/* Examples of different lengths, which begin alike. */
static void make_examples(slao_sequence examples[N_EXAMPLES]) {
    slao_random random = slao_random_stream(5, "ids", "", 0);
    for (int i = 0; i < N_EXAMPLES; i++) {
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = k < 3 ? k + 7 : (int32_t)slao_random_below(&random, 61);
        examples[i] = (slao_sequence){ids[i], LENGTH - i % 3, LENGTH - 3 - i % 2};
    }
}

/* Adds what a member brings to the sum, and ends its training. */
typedef struct {
    double gradients[MOST_VALUES], loss;
} caught;

static slao_status agree(slao_team *team, slao_status status) {
    (void)team;
    return status;
}

static slao_status catch_sum(slao_team *team, slao_status status, float *values, size_t count,
                             double *number) {
    assert_ok(status);
    assert_true(count <= MOST_VALUES);
    caught *sum = team->context;
    for (size_t i = 0; i < count; i++)
        sum->gradients[i] += (double)values[i];
    sum->loss += *number;
    return slao_fail(SLAO_FAILED, "caught");
}

static const slao_team_calls calls = {.agree = agree, .sum = catch_sum};

/* Loss and gradient of all examples in one batch, as the model gives them. */
static void whole_batch(slao_pass *pass, const slao_lora *lora, const slao_sequence *examples,
                        caught *whole) {
    static float gradients[MOST_VALUES];
    memset(gradients, 0, sizeof gradients);
    slao_low_ranks pairs;
    slao_arena *arena;
    slao_packed packed;
    double *losses;
    assert_true(lora->n_values <= MOST_VALUES);
    assert_ok(slao_lora_view(&pairs, lora, gradients, &tiny_config));
    assert_ok(slao_arena_new(&arena));
    assert_ok(slao_pack(&packed, examples, N_EXAMPLES, SLAO_SHARE_PREFIXES, NULL, arena));
    double n = (double)packed.batch.n_answers;
    assert_ok(slao_arena_take(arena, &losses, (size_t)packed.batch.n_answers, sizeof *losses));
    assert_ok(slao_forward_training(pass, &packed.batch, &pairs));
    assert_ok(slao_loss(pass, losses, 1 / n));
    assert_ok(slao_backward(pass, &pairs));
    for (int64_t i = 0; i < packed.batch.n_answers; i++)
        whole->loss += losses[i] / n;
    for (int64_t i = 0; i < lora->n_values; i++)
        whole->gradients[i] = (double)gradients[i];
    slao_arena_free(arena);
    slao_lora_view_free(&pairs);
}

/* Teams of up to more members than a batch has examples; accumulation that splits each batch. */
static void test_gradients_of_members_add_up(void **state) {
    (void)state;
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    static const struct {
        int size;
        int64_t batch_size, accumulation;
    } cases[] = {{2, 7, 1}, {3, 7, 1}, {5, 7, 1}, {2, 2, 4}, {3, 4, 2}};
    slao_model *model = tiny_model_new();
    slao_pass *pass;
    slao_sequence examples[N_EXAMPLES];
    static caught whole;
    make_examples(examples);
    assert_ok(slao_pass_new(&pass, model));
    slao_lora *lora = tiny_lora_new(modules, 2, 0);
    whole_batch(pass, lora, examples, &whole);
    double norm = 0;
    for (int64_t i = 0; i < lora->n_values; i++)
        norm += whole.gradients[i] * whole.gradients[i];
    assert_true(norm > 0);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        static caught sum;
        memset(&sum, 0, sizeof sum);
        for (int m = 0; m < cases[k].size; m++) {
            slao_team team = {.size = cases[k].size, .member = m, .calls = &calls, .context = &sum};
            slao_lesson lesson = {.task = "t",
                                  .seed = 1,
                                  .examples = examples,
                                  .n_examples = N_EXAMPLES,
                                  .team = &team};
            slao_train_settings settings = {.epochs = 1,
                                            .batch_size = cases[k].batch_size,
                                            .accumulation = cases[k].accumulation,
                                            .max_length = 64,
                                            .optimizer = "adamw",
                                            .learning_rate = 1e-2,
                                            .schedule = "constant"};
            slao_training training;
            assert_fails(slao_train(pass, &tiny_config, lora, &lesson, &settings, NULL, &training),
                         SLAO_FAILED, "caught");
            assert_int_equal(training.steps, 0);
            slao_training_free(&training);
        }
        double difference = 0;
        for (int64_t i = 0; i < lora->n_values; i++)
            difference += pow(sum.gradients[i] - whole.gradients[i], 2);
        assert_near(sum.loss, whole.loss, 1e-6);
        assert_true(sqrt(difference / norm) < 1e-6);
    }
    slao_lora_free(lora);
    slao_pass_free(pass);
    slao_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_cover_everything),
        cmocka_unit_test(test_alone_nothing_is_to_be_shared),
        cmocka_unit_test(test_gradients_of_members_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
