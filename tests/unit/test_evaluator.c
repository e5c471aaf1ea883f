/* Exact match almost without generation gives the verdicts of plain greedy decoding: on the default
 * model, with references made from what it writes of its own accord (the very text, in capitals,
 * with punctuation, cut short, carried on, in part, another text). */
#include "test.h"

#include "base/memory.h"
#include "learn/decoder.h"
#include "learn/evaluator.h"
#include "learn/rouge.h"
#include "model/model.h"

#include <math.h>

static const char *const prompts[] = {
    "The capital of France is",
    "Question: What colour is the sky?\nAnswer:",
    "Task: sentiment\nOption: good, bad\nThe film was a bore from start to end.\nAnswer:",
    "one, two, three,",
    "def add(a, b):\n    return",
    "The opposite of hot is",
};
enum { N_PROMPTS = sizeof prompts / sizeof *prompts, N_VARIANTS = 8, MOST = 10 };

typedef struct {
    slao_checkpoint *checkpoint;
    slao_model *model;
    slao_pass *pass;
    slao_tokenizer *tokenizer;
    slao_judge judge;
} fixture;

static int setup(void **state) {
    fixture *f;
    const char *path = getenv("SLAO_MODEL");
    assert_non_null(path);
    assert_ok(slao_allocate(&f, 1, sizeof *f));
    assert_ok(slao_checkpoint_open(&f->checkpoint, path));
    assert_ok(slao_model_load(&f->model, f->checkpoint, SLAO_WEIGHTS_FP32));
    assert_ok(slao_pass_new(&f->pass, f->model));
    assert_ok(slao_tokenizer_load(&f->tokenizer, path));
    f->judge =
        (slao_judge){.pass = f->pass, .config = &f->model->config, .tokenizer = f->tokenizer};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    slao_tokenizer_free(f->tokenizer);
    slao_pass_free(f->pass);
    slao_model_free(f->model);
    slao_checkpoint_close(f->checkpoint);
    free(f);
    return 0;
}

/* What the model writes after the prompt, by decoding from its last token on. */
static char *written_after(fixture *f, const char *prompt) {
    slao_ids ids = {0};
    assert_ok(slao_tokenizer_encode(f->tokenizer, prompt, strlen(prompt), &ids));
    slao_arena *arena;
    slao_decoder *decoder;
    slao_packed packed;
    slao_sequence sequence = {ids.ids, (int64_t)ids.count, (int64_t)ids.count - 1};
    assert_ok(slao_arena_new(&arena));
    assert_ok(slao_decoder_new(&decoder, f->pass, &f->model->config, NULL));
    assert_ok(slao_pack(&packed, &sequence, 1, SLAO_SHARE_NOTHING, NULL, arena));
    assert_ok(slao_decoder_read(decoder, &packed.batch, MOST + 1));
    int32_t tokens[MOST + 1] = {ids.ids[ids.count - 1]};
    slao_continuation c = {.row_segment = packed.leaves[0],
                           .row_count = sequence.answer_start,
                           .n_tokens = 1,
                           .tokens = tokens,
                           .max_tokens = MOST + 1};
    assert_ok(slao_decoder_run(decoder, &c, 1, NULL));
    char *text;
    size_t size;
    assert_ok(slao_tokenizer_decode(f->tokenizer, tokens + 1, (size_t)c.n_tokens - 1, true, &text,
                                    &size));
    slao_decoder_free(decoder);
    slao_arena_free(arena);
    slao_ids_free(&ids);
    return text;
}

static void make_variants(const char *text, char variants[N_VARIANTS][512]) {
    snprintf(variants[0], 512, "%s", text);
    snprintf(variants[1], 512, "%s", text);
    for (char *c = variants[1]; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    snprintf(variants[2], 512, " \"%s\" !", text);
    snprintf(variants[3], 512, "%.*s", (int)strlen(text) / 2, text);
    snprintf(variants[4], 512, "%s and more", text);
    snprintf(variants[5], 512, " something else altogether");
    snprintf(variants[6], 512, "%.*s something else", (int)strlen(text) / 2, text);
    snprintf(variants[7], 512, " .");
}

static void test_verdicts_are_those_of_greedy_decoding(void **state) {
    fixture *f = *state;
    static char variants[N_PROMPTS][N_VARIANTS][512];
    slao_ids ids[N_PROMPTS * N_VARIANTS] = {{0}};
    slao_question questions[N_PROMPTS * N_VARIANTS];
    const char *references[N_PROMPTS * N_VARIANTS];
    for (int i = 0; i < N_PROMPTS; i++) {
        char *text = written_after(f, prompts[i]);
        make_variants(text, variants[i]);
        free(text);
        for (int v = 0; v < N_VARIANTS; v++) {
            slao_ids *list = &ids[i * N_VARIANTS + v];
            assert_ok(slao_tokenizer_encode(f->tokenizer, prompts[i], strlen(prompts[i]), list));
            int64_t start = (int64_t)list->count;
            assert_ok(
                slao_tokenizer_encode(f->tokenizer, variants[i][v], strlen(variants[i][v]), list));
            assert_ok(slao_ids_add(list, (int32_t)f->model->config.eos));
            int64_t q = i * N_VARIANTS + v;
            references[q] = variants[i][v];
            questions[q] =
                (slao_question){{list->ids, (int64_t)list->count, start}, 1, &references[q]};
        }
    }
    slao_evaluation exact, plain;
    slao_test_set set = {.n_questions = N_PROMPTS * N_VARIANTS, .questions = questions};
    slao_score_settings settings = {.score = "exact", .max_new_tokens = MOST};
    assert_ok(slao_evaluate(&f->judge, NULL, &set, &settings, &exact));
    settings.score = "generate";
    assert_ok(slao_evaluate(&f->judge, NULL, &set, &settings, &plain));
    for (int i = 0; i < N_PROMPTS * N_VARIANTS; i++) {
        if (exact.scores[i] != plain.scores[i] || exact.token_exact[i] != plain.token_exact[i])
            fail_msg("prompt %d, reference \"%s\": %g (token by token %d), but plain decoding "
                     "gives %g (%d)",
                     i / N_VARIANTS, references[i], (double)exact.scores[i], exact.token_exact[i],
                     (double)plain.scores[i], plain.token_exact[i]);
        int variant = i % N_VARIANTS;
        bool same = variant <= 2; /* but for case and punctuation */
        if ((plain.scores[i] > 0) != same)
            fail_msg("prompt %d, reference \"%s\": the verdict is %g", i / N_VARIANTS,
                     references[i], (double)plain.scores[i]);
    }
    assert_near(exact.score, 3.0 / N_VARIANTS, 1e-12);
    assert_true(exact.n_decoded < plain.n_decoded);
    slao_evaluation_free(&exact);
    slao_evaluation_free(&plain);
    for (int i = 0; i < N_PROMPTS * N_VARIANTS; i++)
        slao_ids_free(&ids[i]);
}

/* A test set of one question; `labels` may be NULL. */
static void one_question(fixture *f, slao_test_set **set, slao_task *task, const char *prompt,
                         const char *const *references, int64_t n_references,
                         const char *const *labels, int64_t n_labels) {
    static slao_example example;
    example = (slao_example){.head = "",
                             .sentence = prompt,
                             .tail = "",
                             .answer = references[0],
                             .n_references = n_references,
                             .references = references};
    *task = (slao_task){.name = "one",
                        .n_labels = n_labels,
                        .labels = labels,
                        .answers = labels,
                        .test = {1, &example}};
    assert_ok(slao_test_set_new(set, f->tokenizer, task, 512));
}

static double score_of(fixture *f, const slao_test_set *set, const char *score) {
    slao_score_settings settings = {.score = score, .max_new_tokens = MOST};
    slao_evaluation evaluation;
    assert_ok(slao_evaluate(&f->judge, NULL, set, &settings, &evaluation));
    double value = evaluation.score;
    assert_int_equal(isnan(evaluation.token_exact_share), strcmp(score, "rank") == 0);
    slao_evaluation_free(&evaluation);
    return value;
}

static void test_the_best_reference_counts(void **state) {
    fixture *f = *state;
    slao_task task;
    slao_test_set *set;
    char *text = written_after(f, prompts[3]);
    const char *references[] = {" nothing of the kind", text};
    one_question(f, &set, &task, prompts[3], references, 2, NULL, 0);
    assert_near(score_of(f, set, "exact"), 1, 0);
    assert_near(score_of(f, set, "generate"), 1, 0);
    assert_near(score_of(f, set, "rouge_l"), 1, 1e-6);
    slao_test_set_free(set);
    one_question(f, &set, &task, prompts[3], references, 1, NULL, 0);
    assert_near(score_of(f, set, "exact"), 0, 0);
    slao_test_set_free(set);
    free(text);
}

static void test_rouge_scores_what_greedy_decoding_writes(void **state) {
    fixture *f = *state;
    slao_task task;
    slao_test_set *set;
    for (int i = 0; i < N_PROMPTS; i++) {
        char *text = written_after(f, prompts[i]), reference[512];
        /* begins as the output does, so that decoding goes on from inside the reference */
        snprintf(reference, sizeof reference, "%.*s word", (int)strlen(text) / 2, text);
        const char *references[] = {reference};
        one_question(f, &set, &task, prompts[i], references, 1, NULL, 0);
        double f1;
        assert_ok(slao_rouge_l(text, strlen(text), reference, &f1));
        assert_near(score_of(f, set, "rouge_l"), f1, 1e-6);
        slao_test_set_free(set);
        free(text);
    }
}

/* The summed loss of the label after the prompt, computed on its own. */
static double loss_after(fixture *f, const char *prompt, const char *label) {
    slao_ids ids = {0};
    assert_ok(slao_tokenizer_encode(f->tokenizer, prompt, strlen(prompt), &ids));
    int64_t start = (int64_t)ids.count;
    assert_ok(slao_tokenizer_encode(f->tokenizer, label, strlen(label), &ids));
    assert_ok(slao_ids_add(&ids, (int32_t)f->model->config.eos));
    slao_sequence sequence = {ids.ids, (int64_t)ids.count, start};
    slao_arena *arena;
    slao_packed packed;
    double losses[32], sum = 0;
    assert_ok(slao_arena_new(&arena));
    assert_ok(slao_pack(&packed, &sequence, 1, SLAO_SHARE_NOTHING, NULL, arena));
    assert_in_range(packed.batch.n_answers, 1, 32);
    assert_ok(slao_forward_training(f->judge.pass, &packed.batch, NULL));
    assert_ok(slao_loss(f->judge.pass, losses, 0));
    for (int64_t i = 0; i < packed.batch.n_answers; i++)
        sum += losses[i];
    slao_arena_free(arena);
    slao_ids_free(&ids);
    return sum;
}

static void test_rank_chooses_the_likeliest_label(void **state) {
    static const char *const labels[] = {" blue", " green and yellow", " red", " bl"};
    enum { N_LABELS = 4 };
    fixture *f = *state;
    int64_t chosen[N_LABELS] = {0};
    for (int i = 0; i < N_PROMPTS; i++) {
        int best = 0;
        double losses[N_LABELS];
        for (int k = 0; k < N_LABELS; k++) {
            losses[k] = loss_after(f, prompts[i], labels[k]);
            best = losses[k] < losses[best] ? k : best;
        }
        chosen[best]++;
        for (int k = 0; k < N_LABELS; k++) {
            slao_task task;
            slao_test_set *set;
            one_question(f, &set, &task, prompts[i], &labels[k], 1, labels, N_LABELS);
            assert_near(score_of(f, set, "rank"), k == best, 0);
            slao_test_set_free(set);
        }
    }
    for (int k = 0; k < N_LABELS; k++)
        assert_true(chosen[k] < N_PROMPTS); /* the prompts do not all choose alike */
}

static void test_rank_needs_labels(void **state) {
    fixture *f = *state;
    static const char *const references[] = {" x"};
    slao_task task;
    slao_test_set *set;
    slao_evaluation evaluation;
    slao_score_settings settings = {.score = "rank", .max_new_tokens = MOST};
    one_question(f, &set, &task, prompts[0], references, 1, NULL, 0);
    assert_fails(slao_evaluate(&f->judge, NULL, set, &settings, &evaluation), SLAO_BAD_INPUT,
                 "this task has none");
    slao_test_set_free(set);
}

static void test_an_unknown_score_is_refused(void **state) {
    fixture *f = *state;
    slao_evaluation evaluation;
    slao_score_settings settings = {.score = "bleu", .max_new_tokens = MOST};
    slao_test_set set = {0};
    assert_fails(slao_evaluate(&f->judge, NULL, &set, &settings, &evaluation), SLAO_BAD_INPUT,
                 "bleu");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_are_those_of_greedy_decoding),
        cmocka_unit_test(test_the_best_reference_counts),
        cmocka_unit_test(test_rouge_scores_what_greedy_decoding_writes),
        cmocka_unit_test(test_rank_chooses_the_likeliest_label),
        cmocka_unit_test(test_rank_needs_labels),
        cmocka_unit_test(test_an_unknown_score_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
