/* sweep/savepoint: a training that is stopped after any step goes on from its file bit for bit;
 * what is damaged or of another training is told of and not used. */
#include "tiny_model.h"

#include "base/file.h"
#include "sweep/savepoint.h"

#include <unistd.h>

enum { N_EXAMPLES = 10, LENGTH = 9, EPOCHS = 3, STEPS = EPOCHS * 3 };

static const slao_train_settings settings = {.epochs = EPOCHS,
                                             .batch_size = 2,
                                             .accumulation = 2,
                                             .max_length = 64,
                                             .optimizer = "adamw",
                                             .learning_rate = 1e-2,
                                             .weight_decay = 0.1,
                                             .schedule = "cosine",
                                             .warmup_steps = 2,
                                             .clip_norm = 1};
static const slao_hash key = {7, 8};

static char folder[] = "/tmp/slao-savepoint-XXXXXX";
static slao_store *store;
static slao_model *model;
static slao_pass *pass;

/* Stops after `stop_after` steps (0: never) and leaves a savepoint. */
typedef struct {
    int64_t stop_after;
    bool found;
    double seconds;
    int64_t begun_at;
} visit;

static slao_status begin(void *context, slao_training_state *state) {
    visit *v = context;
    assert_int_equal(state->total_steps, STEPS);
    slao_status status = slao_savepoint_read(store, key, state, "here", &v->found, &v->seconds);
    v->begun_at = state->training->steps;
    return status;
}

static slao_status after_step(void *context, const slao_training_state *state) {
    visit *v = context;
    if (state->training->steps != v->stop_after)
        return SLAO_OK;
    assert_ok(slao_savepoint_write(store, key, state, 12.5, "here"));
    return slao_fail(SLAO_DRAINED, "stopped");
}

/* A penalty: half the sum of squares, small. */
static slao_status add_penalty(void *context, const slao_lora *lora, float *gradients,
                               double *value) {
    (void)context;
    *value = 0;
    for (int64_t i = 0; i < lora->n_values; i++) {
        *value += 0.5e-3 * (double)lora->values[i] * (double)lora->values[i];
        gradients[i] += 1e-3F * lora->values[i];
    }
    return SLAO_OK;
}

/* A fresh adapter, trained until the end or the stop. */
static slao_lora *train(visit *v, double dropout, slao_status expected, slao_training *training) {
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ};
    static int32_t ids[N_EXAMPLES][LENGTH];
    slao_sequence examples[N_EXAMPLES];
    slao_random random = slao_random_stream(5, "ids", "", 0);
    for (int i = 0; i < N_EXAMPLES; i++) {
        for (int k = 0; k < LENGTH; k++)
            ids[i][k] = (int32_t)slao_random_below(&random, 61);
        examples[i] = (slao_sequence){ids[i], LENGTH - i % 3, LENGTH - 2 - i % 3};
    }
    slao_lesson lesson = {.task = "t", .seed = 1, .examples = examples, .n_examples = N_EXAMPLES};
    if (dropout > 0)
        lesson.extra.add = add_penalty;
    slao_training_watch watch = {v, begin, after_step};
    slao_lora *lora = tiny_lora_new(modules, 2, dropout);
    assert_int_equal(slao_train(pass, &tiny_config, lora, &lesson, &settings, &watch, training),
                     expected);
    return lora;
}

static void check_equal(const slao_lora *a, const slao_training *first, const slao_lora *b,
                        const slao_training *second) {
    assert_int_equal(first->steps, STEPS);
    assert_int_equal(second->steps, STEPS);
    assert_int_equal(first->tokens, second->tokens);
    assert_memory_equal(first->losses, second->losses, STEPS * sizeof(double));
    assert_int_equal(first->extra_losses != NULL, second->extra_losses != NULL);
    if (first->extra_losses)
        assert_memory_equal(first->extra_losses, second->extra_losses, STEPS * sizeof(double));
    assert_memory_equal(first->gradient_norms, second->gradient_norms,
                        2 * (size_t)a->n_sites * sizeof(double));
    assert_memory_equal(&first->gradient_norm_a, &second->gradient_norm_a, sizeof(double));
    assert_memory_equal(&first->gradient_norm_b, &second->gradient_norm_b, sizeof(double));
    assert_memory_equal(a->values, b->values, (size_t)a->n_values * sizeof(float));
}

static void test_it_goes_on_from_any_step(void **state) {
    (void)state;
    for (int d = 0; d < 2; d++) {
        double dropout = d ? 0.2 : 0;
        visit whole = {0};
        slao_training training, part;
        slao_lora *lora = train(&whole, dropout, SLAO_OK, &training);
        assert_false(whole.found);
        for (int64_t stop = 1; stop < STEPS; stop++) {
            visit first = {.stop_after = stop}, second = {0};
            slao_lora_free(train(&first, dropout, SLAO_DRAINED, &part));
            slao_training_free(&part);
            slao_lora *resumed = train(&second, dropout, SLAO_OK, &part);
            assert_true(second.found);
            assert_int_equal(second.begun_at, stop);
            assert_near(second.seconds, 12.5, 0);
            check_equal(lora, &training, resumed, &part);
            slao_lora_free(resumed);
            slao_training_free(&part);
            assert_ok(slao_savepoint_remove(store, key));
        }
        slao_lora_free(lora);
        slao_training_free(&training);
    }
    assert_ok(slao_savepoint_remove(store, key)); /* one that is not there */
}

static char *savepoint_path(void) {
    char *path;
    assert_ok(slao_store_checkpoint_path(store, key, &path));
    return path;
}

/* Replaces the savepoint; the next training must begin anew and end as one that never stopped. */
static void check_not_used(const char *bytes, size_t size, const slao_lora *lora,
                           const slao_training *training) {
    char *path = savepoint_path();
    assert_ok(slao_write_file(path, bytes, size));
    visit v = {0};
    slao_training again;
    slao_lora *anew = train(&v, 0, SLAO_OK, &again);
    assert_false(v.found);
    assert_int_equal(v.begun_at, 0);
    assert_false(slao_is_file(path));
    check_equal(lora, training, anew, &again);
    slao_lora_free(anew);
    slao_training_free(&again);
    free(path);
}

static void test_damage_is_not_used(void **state) {
    (void)state;
    visit whole = {0}, stopped = {.stop_after = 4};
    slao_training training, part;
    slao_lora *lora = train(&whole, 0, SLAO_OK, &training);
    slao_lora_free(train(&stopped, 0, SLAO_DRAINED, &part));
    slao_training_free(&part);
    char *path = savepoint_path(), *bytes;
    size_t size;
    assert_ok(slao_read_text(&bytes, &size, path));
    for (size_t at = 0; at < size; at += size / 23) {
        bytes[at] = (char)(bytes[at] ^ 4);
        check_not_used(bytes, size, lora, &training);
        bytes[at] = (char)(bytes[at] ^ 4);
        check_not_used(bytes, at, lora, &training);
    }
    free(bytes);
    free(path);
    slao_lora_free(lora);
    slao_training_free(&training);
}

/* A whole one of another training: more steps than this one has, another size. */
static void test_another_training_is_not_used(void **state) {
    (void)state;
    float values[4] = {0};
    double losses[2] = {1, 2};
    slao_training short_training = {.steps = 2, .losses = losses, .tokens = 5};
    slao_training_state saved = {4, values, values, values, 0, false, &short_training, STEPS};
    slao_training none = {0};
    slao_training_state other = {3, values, values, values, 0, false, &none, STEPS};
    bool found;
    double seconds;
    assert_ok(slao_savepoint_write(store, key, &saved, 1, "here"));
    assert_ok(slao_savepoint_read(store, key, &other, "here", &found, &seconds));
    assert_false(found);
    assert_int_equal(none.steps, 0);
    other.n_values = 4;
    other.total_steps = STEPS + 1;
    assert_ok(slao_savepoint_write(store, key, &saved, 1, "here"));
    assert_ok(slao_savepoint_read(store, key, &other, "here", &found, &seconds));
    assert_false(found);
    /* Under another step's name. */
    assert_ok(slao_savepoint_write(store, key, &saved, 1, "here"));
    slao_hash name = {9, 9};
    char *from, *to;
    assert_ok(slao_store_checkpoint_path(store, key, &from));
    assert_ok(slao_store_checkpoint_path(store, name, &to));
    assert_int_equal(rename(from, to), 0);
    other.total_steps = STEPS;
    assert_ok(slao_savepoint_read(store, name, &other, "here", &found, &seconds));
    assert_false(found);
    free(from);
    free(to);
    /* And the control: it is used where it belongs, told of on another machine. */
    assert_ok(slao_savepoint_write(store, key, &saved, 1, "there"));
    assert_ok(slao_savepoint_read(store, key, &other, "here", &found, &seconds));
    assert_true(found);
    assert_int_equal(none.steps, 2);
    assert_int_equal(none.tokens, 5);
    slao_training_free(&none);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    assert_ok(slao_store_open(&store, folder));
    model = tiny_model_new();
    assert_ok(slao_pass_new(&pass, model));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    slao_pass_free(pass);
    slao_model_free(model);
    slao_store_close(store);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_on_from_any_step),
        cmocka_unit_test(test_damage_is_not_used),
        cmocka_unit_test(test_another_training_is_not_used),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
