/* What saves memory in training changes nothing: micro-batches against the whole batch, side by
 * side or one after another, recomputed activations against kept ones; and the bytes that a pass
 * allocates keep within what its shape
 * says. (Weights left in the file against fp32: tests/cli/families.sh.) */
#include "tiny_model.h"

#include "data/packing.h"
#include "linalg/threads.h"
#include "model/activations.h"
#include "model/micro_batches.h"

/* Examples as those of a benchmark: a prompt in common, for some its next part too; one is there
 * twice, and one is all that another one begins with. */
enum { N_SEQUENCES = 9, N_ANSWERS_MOST = 64 };
static const int32_t texts[N_SEQUENCES][16] = {
    {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 21, 2},
    {5, 6, 7, 8, 40, 41, 42, 22, 23, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 24, 25, 2},
    {50, 51, 52, 53, 26, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 21, 2},
    {5, 6, 7, 8, 43, 44, 45, 46, 47, 48, 49, 33, 34, 35, 22, 2},
    {5, 6, 7, 8, 43, 36, 23, 2},
    {50, 51, 52, 27, 2},
};
static const slao_sequence sequences[N_SEQUENCES] = {
    {texts[0], 12, 10}, {texts[1], 10, 8},  {texts[2], 10, 7}, {texts[3], 11, 8}, {texts[4], 6, 4},
    {texts[5], 10, 8},  {texts[6], 16, 14}, {texts[7], 8, 6},  {texts[8], 5, 3}};
static const uint64_t names[N_SEQUENCES] = {100, 200, 300, 400, 500, 600, 700, 800, 900};

static const slao_module all_modules[] = {SLAO_Q_PROJ,    SLAO_K_PROJ,  SLAO_V_PROJ,   SLAO_O_PROJ,
                                          SLAO_GATE_PROJ, SLAO_UP_PROJ, SLAO_DOWN_PROJ};

typedef struct {
    slao_model *model;
    slao_lora *lora;
    slao_pass *pass;
    slao_arena *arena;
    slao_packed packed;
    float *gradients;
    double scale_gradient;
} fixture;

/* `window`: of the layers from the second on; 0: none. */
static fixture fixture_new(const slao_module *modules, int n_modules, double dropout,
                           int64_t window) {
    fixture f = {.model = tiny_model_new(), .lora = tiny_lora_new(modules, n_modules, dropout)};
    f.model->config.window = window;
    f.model->config.window_layer = 1;
    assert_ok(slao_pass_new(&f.pass, f.model));
    assert_ok(slao_arena_new(&f.arena));
    assert_ok(slao_pack(&f.packed, sequences, N_SEQUENCES,
                        dropout > 0 ? SLAO_SHARE_NOTHING : SLAO_SHARE_PREFIXES,
                        dropout > 0 ? names : NULL, f.arena));
    assert_true(f.packed.batch.n_answers <= N_ANSWERS_MOST);
    assert_ok(slao_allocate(&f.gradients, (size_t)f.lora->n_values, sizeof *f.gradients));
    return f;
}

static void fixture_free(fixture *f) {
    free(f->gradients);
    slao_arena_free(f->arena);
    slao_pass_free(f->pass);
    slao_lora_free(f->lora);
    slao_model_free(f->model);
}

static void compute(fixture *f, int64_t most_rows, slao_checkpointing checkpointing,
                    double losses[N_ANSWERS_MOST]) {
    const slao_lora *lora = f->lora;
    slao_lora_stack stack = {.count = 1, .loras = &lora, .scale_gradients = &f->scale_gradient};
    slao_low_ranks pairs;
    f->scale_gradient = 0;
    memset(f->gradients, 0, (size_t)f->lora->n_values * sizeof *f->gradients);
    assert_ok(slao_lora_view_stack(&pairs, &stack, f->gradients, SLAO_FACTOR_NONE, &tiny_config));
    pairs.noise_seed = 99;
    slao_pass_set_checkpointing(f->pass, checkpointing);
    assert_ok(slao_gradients(f->pass, &f->packed.batch, &pairs, most_rows, losses,
                             1.0 / (double)f->packed.batch.n_answers));
    slao_lora_view_free(&pairs);
}

static double difference(const float *a, const float *b, int64_t count) {
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += pow((double)(a[i] - b[i]), 2);
        norm += pow((double)b[i], 2);
    }
    assert_true(norm > 0);
    return sqrt(sum / norm);
}

/* The bits of micro-batches are the same for any number of threads, also where those do not divide
 * the number of micro-batches, or are more. */
static void check_threads(fixture *f, int64_t most_rows, slao_checkpointing checkpointing) {
    double losses[N_ANSWERS_MOST], again[N_ANSWERS_MOST];
    size_t bytes = (size_t)f->lora->n_values * sizeof *f->gradients;
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)f->lora->n_values, sizeof *gradients));
    compute(f, most_rows, checkpointing, losses);
    memcpy(gradients, f->gradients, bytes);
    double scale_gradient = f->scale_gradient;
    static const int threads[] = {2, 3, 8};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        assert_ok(slao_threads_set(threads[i]));
        compute(f, most_rows, checkpointing, again);
        assert_memory_equal(f->gradients, gradients, bytes);
        assert_memory_equal(again, losses, (size_t)f->packed.batch.n_answers * sizeof *losses);
        assert_memory_equal(&f->scale_gradient, &scale_gradient, sizeof scale_gradient);
    }
    assert_ok(slao_threads_set(1));
    free(gradients);
}

/* Losses and gradients of micro-batches, with and without recomputing, are those of the whole
 * batch with everything kept. */
static void check(const slao_module *modules, int n_modules, double dropout, int64_t window) {
    static const int64_t limits[] = {1, 6, 9, 13, 30};
    fixture f = fixture_new(modules, n_modules, dropout, window);
    double plain[N_ANSWERS_MOST], losses[N_ANSWERS_MOST];
    float *gradients;
    size_t bytes = (size_t)f.lora->n_values * sizeof *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)f.lora->n_values, sizeof *gradients));
    compute(&f, 0, SLAO_CHECKPOINTING_OFF, plain);
    memcpy(gradients, f.gradients, bytes);
    double scale_gradient = f.scale_gradient;
    compute(&f, 0, SLAO_CHECKPOINTING_ON, losses);
    assert_memory_equal(f.gradients, gradients, bytes);
    assert_memory_equal(losses, plain, (size_t)f.packed.batch.n_answers * sizeof *losses);
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        for (int64_t i = 0; i < f.packed.batch.n_answers; i++)
            losses[i] = NAN;
        slao_checkpointing checkpointing = k % 2 ? SLAO_CHECKPOINTING_ON : SLAO_CHECKPOINTING_AUTO;
        compute(&f, limits[k], checkpointing, losses);
        for (int64_t i = 0; i < f.packed.batch.n_answers; i++)
            assert_near(losses[i], plain[i], 1e-5 * plain[i]);
        assert_near(difference(f.gradients, gradients, f.lora->n_values), 0, 1e-5);
        assert_near(f.scale_gradient, scale_gradient, 1e-5 * fabs(scale_gradient));
        check_threads(&f, limits[k], checkpointing);
    }
    free(gradients);
    fixture_free(&f);
}

static void test_every_module(void **state) {
    (void)state;
    check(all_modules, 7, 0, 0);
}

static void test_each_module_alone(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++)
        check(&all_modules[i], 1, 0, 0);
}

static void test_dropout(void **state) {
    (void)state;
    check(all_modules, 7, 0.3, 0);
}

static void test_a_window(void **state) {
    (void)state;
    check(all_modules, 7, 0, 5);
}

/* A micro-batch that fails beside others fails the batch, with its message; the pass goes on. */
static void test_a_failure_beside_others(void **state) {
    (void)state;
    fixture f = fixture_new(all_modules, 7, 0, 0);
    double losses[N_ANSWERS_MOST];
    slao_low_ranks pairs;
    assert_ok(slao_lora_view(&pairs, f.lora, f.gradients, &tiny_config));
    slao_batch batch = f.packed.batch;
    int32_t *ids;
    assert_ok(slao_arena_take(f.arena, &ids, (size_t)batch.n_rows, sizeof *ids));
    memcpy(ids, batch.ids, (size_t)batch.n_rows * sizeof *ids);
    ids[batch.n_rows - 1] = 61;
    batch.ids = ids;
    compute(&f, 13, SLAO_CHECKPOINTING_AUTO, losses);
    size_t bytes = (size_t)f.lora->n_values * sizeof *f.gradients;
    float *before;
    assert_ok(slao_arena_take(f.arena, &before, 1, bytes));
    memcpy(before, f.gradients, bytes);
    assert_ok(slao_threads_set(3));
    for (int64_t most_rows = 6; most_rows < 20; most_rows += 7)
        assert_fails(slao_gradients(f.pass, &batch, &pairs, most_rows, losses, 1), SLAO_BAD_INPUT,
                     "token id 61 lies outside");
    slao_lora_view_free(&pairs);
    compute(&f, 13, SLAO_CHECKPOINTING_AUTO, losses);
    assert_memory_equal(f.gradients, before, bytes);
    assert_ok(slao_threads_set(1));
    fixture_free(&f);
}

/* ---- Bytes ---- */

static const slao_model_config wide_config = {
    .hidden = 64,
    .layers = 12,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 16,
    .intermediate = 256,
    .vocabulary = 101,
    .max_positions = 512,
    .rope_theta = 10000,
    .rms_epsilon = 1e-5,
    .tied_head = true,
    .bos = -1,
    .eos = 2,
};
enum { WIDE = 24, WIDE_PROMPT = 16, WIDE_LENGTH = 41, WIDE_ROWS = WIDE_PROMPT + WIDE * 24 };

/* What a pass holds after the gradients of 24 examples of 40 rows, 16 of which all share. */
static size_t bytes_held(int64_t most_rows, slao_checkpointing checkpointing, int threads) {
    static int32_t ids[WIDE][WIDE_LENGTH];
    slao_sequence examples[WIDE];
    for (int i = 0; i < WIDE; i++) {
        for (int k = 0; k < WIDE_LENGTH; k++)
            ids[i][k] = 3 + (k < WIDE_PROMPT ? k : (k * 7 + i) % 97);
        examples[i] = (slao_sequence){ids[i], WIDE_LENGTH, WIDE_LENGTH - 2};
    }
    slao_model *model;
    slao_lora *lora;
    slao_pass *pass;
    slao_arena *arena;
    float *gradients;
    slao_low_ranks pairs;
    slao_packed packed;
    double losses[2 * WIDE];
    int64_t n_values;
    assert_ok(slao_model_new(&model, &wide_config, NULL));
    assert_ok(slao_model_n_values(&wide_config, &n_values));
    fill_random(model->owned, n_values, 0.1, "weights");
    assert_ok(slao_lora_new(
        &lora, &(slao_lora_settings){.rank = 2, .alpha = 2, .targets = {[SLAO_Q_PROJ] = true}},
        &wide_config));
    assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
    assert_ok(slao_lora_view(&pairs, lora, gradients, &wide_config));
    assert_ok(slao_pass_new(&pass, model));
    assert_ok(slao_arena_new(&arena));
    assert_ok(slao_pack(&packed, examples, WIDE, SLAO_SHARE_PREFIXES, NULL, arena));
    assert_int_equal(packed.batch.n_rows, WIDE_PROMPT + WIDE * (WIDE_LENGTH - 1 - WIDE_PROMPT));
    slao_pass_set_checkpointing(pass, checkpointing);
    assert_ok(slao_threads_set(threads));
    for (int step = 0; step < 3; step++)
        assert_ok(slao_gradients(pass, &packed.batch, &pairs, most_rows, losses, 1));
    assert_ok(slao_threads_set(1));
    size_t bytes = slao_pass_bytes(pass);
    slao_arena_free(arena);
    slao_pass_free(pass);
    slao_lora_view_free(&pairs);
    free(gradients);
    slao_lora_free(lora);
    slao_model_free(model);
    return bytes;
}

/* Bytes of all that is kept of so many rows; of their keys and values; of what every layer starts
 * from; of one layer with all that its backward needs beside it. */
static size_t cached(int64_t rows) {
    return (size_t)(rows * 12 * 2 * 2 * 16) * sizeof(float);
}
static size_t starts(int64_t rows) {
    return (size_t)(rows * 12 * 64) * sizeof(float);
}
static size_t one_layer(int64_t rows) {
    return (size_t)(rows * (64 + 2 * 4 * 16 + 2 * 256)) * sizeof(float);
}
static size_t kept(int64_t rows) {
    return cached(rows) + starts(rows) + 12 * one_layer(rows);
}
static size_t passing(int64_t rows) { /* streams, their gradients, products of one layer */
    return (size_t)(rows * (8 * 64 + 2 * 2 * (4 + 2 + 2) * 16 + 2 * 256)) * sizeof(float);
}

static void test_bytes_are_bounded(void **state) {
    (void)state;
    const size_t slack = 1 << 18; /* logits, scores, tables */
    int64_t rows = WIDE_PROMPT + WIDE * 24, part = 4 * 24;
    size_t whole = bytes_held(0, SLAO_CHECKPOINTING_OFF, 1);
    assert_true(whole > 11 * one_layer(rows));
    assert_true(whole < kept(rows) + passing(rows) + slack);
    size_t in_parts = bytes_held(part, SLAO_CHECKPOINTING_OFF, 1);
    assert_true(in_parts <
                kept(WIDE_PROMPT + part) + 2 * cached(WIDE_PROMPT + part) + passing(part) + slack);
    size_t recomputed = bytes_held(0, SLAO_CHECKPOINTING_ON, 1);
    assert_true(recomputed < starts(rows) + cached(rows) + one_layer(rows) + passing(rows) + slack);
    size_t both = bytes_held(part, SLAO_CHECKPOINTING_ON, 1);
    assert_true(both < in_parts && both < recomputed);
}

/* What is told by shapes beforehand is what a pass comes to hold, or somewhat more: attention's
 * output and the last layer count like the others. */
static void test_bytes_are_foretold(void **state) {
    (void)state;
    const double slack = 0x1p18; /* as above */
    static const struct {
        int64_t most;
        slao_checkpointing checkpointing;
        int threads;
    } cases[] = {
        {0, SLAO_CHECKPOINTING_OFF, 1},       {0, SLAO_CHECKPOINTING_ON, 1},
        {12 * 24, SLAO_CHECKPOINTING_OFF, 1}, {12 * 24, SLAO_CHECKPOINTING_ON, 1},
        {4 * 24, SLAO_CHECKPOINTING_OFF, 1},  {4 * 24, SLAO_CHECKPOINTING_OFF, 2},
        {4 * 24, SLAO_CHECKPOINTING_ON, 3},   {24, SLAO_CHECKPOINTING_OFF, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double held = (double)bytes_held(cases[i].most, cases[i].checkpointing, cases[i].threads);
        slao_micro_batch_shape shape = {.trunk = WIDE_PROMPT,
                                        .rows = cases[i].most,
                                        .long_rows = cases[i].most,
                                        .strands = cases[i].threads,
                                        .outputs =
                                            cases[i].threads * (cases[i].threads > 1 ? 2 : 1)};
        slao_checkpointing checkpointing = cases[i].checkpointing;
        double told = cases[i].most
                          ? slao_activations_of_micro_batch(&wide_config, checkpointing, &shape) +
                                slao_activations_beside(&wide_config, checkpointing, &shape)
                          : slao_activations_of_training(&wide_config, checkpointing, WIDE_ROWS);
        assert_true(told > 0.98 * held - slack && told < 1.2 * held + slack);
    }
    assert_false(slao_activations_recomputed(&wide_config, SLAO_CHECKPOINTING_AUTO, 26886));
    assert_true(slao_activations_recomputed(&wide_config, SLAO_CHECKPOINTING_AUTO, 26887));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_module),
        cmocka_unit_test(test_each_module_alone),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_a_window),
        cmocka_unit_test(test_a_failure_beside_others),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_bytes_are_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
