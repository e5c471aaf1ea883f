/* Forward and backward of the model on a tiny random one: gradients against finite differences,
 * shared prefixes against plain sequences, decoding with a cache against whole sequences. (Equality
 * with transformers is tested in test_parity and test_fixture.) */
#include "tiny_model.h"

#include "data/packing.h"
#include "linalg/threads.h"
#include "model/transformer.h"

static const int32_t texts[6][12] = {
    {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 21, 2},
    {5, 6, 7, 8, 40, 41, 42, 22, 23, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 24, 25, 2},
    {50, 51, 52, 53, 26, 2},
    {5, 6, 7, 8, 9, 10, 30, 31, 21, 2},
};

/* The last two share every input with others: the whole of another sequence, and the prompt of one.
 */
static const slao_sequence sequences[6] = {
    {texts[0], 12, 10}, {texts[1], 10, 8}, {texts[2], 10, 7},
    {texts[3], 11, 8},  {texts[4], 6, 4},  {texts[5], 10, 8},
};

static const uint64_t names[6] = {100, 200, 300, 400, 500, 600};

typedef struct {
    slao_model *model;
    slao_lora *lora;
    slao_pass *pass;
    slao_arena *arena;
    float *gradients;
} fixture;

static fixture fixture_of(const slao_model_config *config, const slao_module *modules,
                          int n_modules, double dropout) {
    fixture f = {.model = random_model_new(config),
                 .lora = random_lora_new(config, modules, n_modules, dropout)};
    assert_ok(slao_pass_new(&f.pass, f.model));
    assert_ok(slao_arena_new(&f.arena));
    assert_ok(slao_allocate(&f.gradients, (size_t)f.lora->n_values, sizeof *f.gradients));
    return f;
}

static fixture fixture_new(const slao_module *modules, int n_modules, double dropout) {
    return fixture_of(&tiny_config, modules, n_modules, dropout);
}

static void fixture_free(fixture *f) {
    free(f->gradients);
    slao_arena_free(f->arena);
    slao_pass_free(f->pass);
    slao_lora_free(f->lora);
    slao_model_free(f->model);
}

/* Mean loss over all answer tokens, and its gradient if asked for. */
static double loss_of(fixture *f, slao_sharing sharing, bool with_gradient) {
    slao_arena_return(f->arena, (slao_arena_mark){0});
    slao_packed packed;
    const uint64_t *noise = f->lora->settings.dropout > 0 ? names : NULL;
    assert_ok(slao_pack(&packed, sequences, 6, sharing, noise, f->arena));
    slao_low_ranks view;
    assert_ok(slao_lora_view(&view, f->lora, f->gradients, &f->model->config));
    view.noise_seed = 99;
    assert_ok(slao_forward_training(f->pass, &packed.batch, &view));
    double losses[32], sum = 0;
    assert_true(packed.batch.n_answers <= 32);
    assert_ok(slao_loss(f->pass, losses, 1.0 / (double)packed.batch.n_answers));
    for (int64_t i = 0; i < packed.batch.n_answers; i++)
        sum += losses[i];
    if (with_gradient) {
        memset(f->gradients, 0, (size_t)f->lora->n_values * sizeof *f->gradients);
        assert_ok(slao_backward(f->pass, &view));
    }
    slao_lora_view_free(&view);
    return sum / (double)packed.batch.n_answers;
}

/* The derivative along random directions, one per site and factor, equals central differences. */
static void check_gradients(const slao_module *modules, int n_modules, double dropout,
                            slao_sharing sharing) {
    fixture f = fixture_new(modules, n_modules, dropout);
    loss_of(&f, sharing, true);
    float *gradients, *saved, *direction;
    assert_ok(slao_allocate(&gradients, (size_t)f.lora->n_values, sizeof *gradients));
    assert_ok(slao_allocate(&saved, (size_t)f.lora->n_values, sizeof *saved));
    assert_ok(slao_allocate(&direction, (size_t)f.lora->n_values, sizeof *direction));
    memcpy(gradients, f.gradients, (size_t)f.lora->n_values * sizeof *gradients);
    memcpy(saved, f.lora->values, (size_t)f.lora->n_values * sizeof *saved);
    for (int64_t i = 0; i < 2 * f.lora->n_sites; i++) {
        const slao_site *site = &f.lora->sites[i / 2];
        float *tensor = i % 2 ? site->b : site->a;
        int64_t start = tensor - f.lora->values, count = 3 * (i % 2 ? site->d_out : site->d_in);
        fill_random(direction, count, 1, "direction");
        double expected = 0;
        for (int64_t k = 0; k < count; k++)
            expected += (double)direction[k] * (double)gradients[start + k];
        double step = 2e-3, ends[2];
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < count; k++)
                tensor[k] = saved[start + k] + (float)(side ? step : -step) * direction[k];
            ends[side] = loss_of(&f, sharing, false);
        }
        memcpy(tensor, saved + start, (size_t)count * sizeof *tensor);
        assert_near((ends[1] - ends[0]) / (2 * step), expected, 2e-3 * fabs(expected) + 3e-4);
    }
    free(direction);
    free(saved);
    free(gradients);
    fixture_free(&f);
}

static const slao_module all_modules[] = {SLAO_Q_PROJ,    SLAO_K_PROJ,  SLAO_V_PROJ,   SLAO_O_PROJ,
                                          SLAO_GATE_PROJ, SLAO_UP_PROJ, SLAO_DOWN_PROJ};

static void test_gradients_of_every_module(void **state) {
    (void)state;
    check_gradients(all_modules, 7, 0, SLAO_SHARE_NOTHING);
}

static void test_gradients_with_shared_prefixes(void **state) {
    (void)state;
    check_gradients(all_modules, 7, 0, SLAO_SHARE_PREFIXES);
}

/* Each module alone is the floor of the backward once. */
static void test_gradients_of_each_module_alone(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++)
        check_gradients(&all_modules[i], 1, 0, SLAO_SHARE_PREFIXES);
}

static void test_gradients_under_dropout(void **state) {
    (void)state;
    check_gradients(all_modules, 7, 0.3, SLAO_SHARE_NOTHING);
}

static void test_sharing_changes_nothing(void **state) {
    (void)state;
    fixture f = fixture_new(all_modules, 7, 0);
    double plain = loss_of(&f, SLAO_SHARE_NOTHING, true);
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)f.lora->n_values, sizeof *gradients));
    memcpy(gradients, f.gradients, (size_t)f.lora->n_values * sizeof *gradients);
    assert_near(loss_of(&f, SLAO_SHARE_PREFIXES, true), plain, 1e-6);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < f.lora->n_values; i++) {
        difference += pow((double)(f.gradients[i] - gradients[i]), 2);
        norm += pow((double)gradients[i], 2);
    }
    assert_true(norm > 0);
    assert_near(sqrt(difference / norm), 0, 1e-5);
    free(gradients);
    fixture_free(&f);
}

/* On a model wide enough for every loop to be divided. */
static void test_threads_change_no_bit(void **state) {
    (void)state;
    slao_model_config wide = tiny_config;
    wide.hidden = 576;
    wide.head_dim = 96;
    wide.heads = 6;
    wide.kv_heads = 3;
    wide.intermediate = 600;
    wide.vocabulary = 4200;
    fixture f = fixture_of(&wide, all_modules, 7, 0);
    double loss = loss_of(&f, SLAO_SHARE_PREFIXES, true);
    size_t bytes = (size_t)f.lora->n_values * sizeof *f.gradients;
    float *gradients;
    assert_ok(slao_allocate(&gradients, (size_t)f.lora->n_values, sizeof *gradients));
    memcpy(gradients, f.gradients, bytes);
    for (int threads = 2; threads <= 5; threads++) {
        assert_ok(slao_threads_set(threads));
        double again = loss_of(&f, SLAO_SHARE_PREFIXES, true);
        assert_memory_equal(&again, &loss, sizeof loss);
        assert_memory_equal(f.gradients, gradients, bytes);
    }
    assert_ok(slao_threads_set(1));
    free(gradients);
    fixture_free(&f);
}

static void test_shared_rows_are_counted_once(void **state) {
    (void)state;
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    slao_packed packed;
    assert_ok(slao_pack(&packed, sequences, 6, SLAO_SHARE_PREFIXES, NULL, arena));
    /* 5 6 7 8 | 9 10 | 11 12 13 14 20;  30 31 | 21; 24 25 ;  40 41 42 22 23;  50 51 52 53 26 */
    assert_int_equal(packed.batch.n_rows, 4 + 2 + 5 + 2 + 1 + 2 + 5 + 5);
    assert_int_equal(packed.batch.n_answers, 2 + 2 + 3 + 3 + 2 + 2);
    assert_int_equal(packed.leaves[1], packed.leaves[5]);
    slao_arena_free(arena);
}

/* The logits after token n of a sequence fed whole equal those after feeding tokens one by one over
 * a cache. */
/* With a window (0: none) from the second layer on. */
static void check_decoding(int64_t window) {
    fixture f = fixture_new(all_modules, 7, 0);
    f.model->config.window = window;
    f.model->config.window_layer = 1;
    slao_low_ranks view;
    assert_ok(slao_lora_view(&view, f.lora, NULL, &tiny_config));
    enum { N = 12, START = 5 };
    int64_t every[N];
    for (int i = 0; i < N; i++)
        every[i] = i;
    slao_segment whole = {.parent = -1, .count = N};
    slao_span span = {.count = N};
    slao_batch batch = {.n_rows = N,
                        .ids = texts[0],
                        .n_segments = 1,
                        .segments = &whole,
                        .n_spans = 1,
                        .spans = &span,
                        .n_answers = N,
                        .answer_rows = every};
    slao_cache *cache;
    assert_ok(slao_cache_new(&cache, &tiny_config, 64));
    static float expected[N][61], logits[61];
    assert_ok(slao_forward(f.pass, &batch, &view, cache));
    slao_logits(f.pass, 0, N, &expected[0][0]);

    slao_segment segments[2] = {
        {.parent = -1, .slot = 7, .count = START},
        {.parent = 0, .parent_count = START, .slot = 30, .position = START}};
    span = (slao_span){.count = START};
    batch = (slao_batch){.n_rows = START,
                         .ids = texts[0],
                         .n_segments = 2,
                         .segments = segments,
                         .n_spans = 1,
                         .spans = &span,
                         .n_answers = 1,
                         .answer_rows = every + START - 1};
    assert_ok(slao_forward(f.pass, &batch, &view, cache));
    for (int n = START; n <= N; n++) {
        slao_logits(f.pass, 0, 1, logits);
        for (int k = 0; k < 61; k++)
            assert_near(logits[k], expected[n - 1][k], 1e-5);
        if (n == N)
            break;
        segments[1].count++;
        span = (slao_span){.segment = 1, .from = n - START, .count = 1};
        batch = (slao_batch){.n_rows = 1,
                             .ids = texts[0] + n,
                             .n_segments = 2,
                             .segments = segments,
                             .n_spans = 1,
                             .spans = &span,
                             .n_answers = 1,
                             .answer_rows = every};
        assert_ok(slao_forward(f.pass, &batch, &view, cache));
    }
    slao_cache_free(cache);
    slao_lora_view_free(&view);
    fixture_free(&f);
}

static void test_decoding_equals_whole_sequences(void **state) {
    (void)state;
    check_decoding(0);
}

static void test_decoding_in_a_window(void **state) {
    (void)state;
    for (int64_t window = 1; window <= 12; window++)
        check_decoding(window);
}

/* Two spans next to each other, the second one in the middle of its segment. */
static void test_answering_rows(void **state) {
    (void)state;
    const slao_span spans[2] = {{.segment = 0, .from = 0, .count = 4},
                                {.segment = 1, .from = 10, .count = 4}};
    const int64_t answer_rows[6] = {7, 1, 3, 3, 4, 5};
    const uint64_t keys[8] = {90, 91, 92, 93, 94, 95, 96, 97};
    slao_batch batch = {.n_rows = 8,
                        .n_spans = 2,
                        .spans = spans,
                        .n_answers = 6,
                        .answer_rows = answer_rows,
                        .noise_keys = keys};
    slao_arena *arena;
    assert_ok(slao_arena_new(&arena));
    slao_batch answering;
    int64_t *rows;
    assert_ok(slao_batch_answering(&answering, &rows, &batch, arena));
    static const int64_t expected_rows[5] = {1, 3, 4, 5, 7},
                         expected_answers[6] = {4, 0, 1, 1, 2, 3};
    static const slao_span expected_spans[4] = {{0, 1, 1}, {0, 3, 1}, {1, 10, 2}, {1, 13, 1}};
    assert_int_equal(answering.n_rows, 5);
    assert_int_equal(answering.n_spans, 4);
    assert_int_equal(answering.n_answers, 6);
    assert_memory_equal(rows, expected_rows, sizeof expected_rows);
    assert_memory_equal(answering.spans, expected_spans, sizeof expected_spans);
    assert_memory_equal(answering.answer_rows, expected_answers, sizeof expected_answers);
    for (int i = 0; i < 5; i++)
        assert_int_equal(answering.noise_keys[i], keys[rows[i]]);
    slao_arena_free(arena);
}

static void test_foreign_ids_are_refused(void **state) {
    (void)state;
    fixture f = fixture_new(all_modules, 1, 0);
    static const int32_t ids[3] = {1, 61, 2};
    slao_sequence sequence = {ids, 3, 2};
    slao_packed packed;
    assert_ok(slao_pack(&packed, &sequence, 1, SLAO_SHARE_PREFIXES, NULL, f.arena));
    assert_fails(slao_forward_training(f.pass, &packed.batch, NULL), SLAO_BAD_INPUT, "token id 61");
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_every_module),
        cmocka_unit_test(test_gradients_with_shared_prefixes),
        cmocka_unit_test(test_gradients_of_each_module_alone),
        cmocka_unit_test(test_gradients_under_dropout),
        cmocka_unit_test(test_sharing_changes_nothing),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_shared_rows_are_counted_once),
        cmocka_unit_test(test_decoding_equals_whole_sequences),
        cmocka_unit_test(test_decoding_in_a_window),
        cmocka_unit_test(test_answering_rows),
        cmocka_unit_test(test_foreign_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
