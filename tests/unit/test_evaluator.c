/* Exact match almost without generation gives the verdicts of plain greedy decoding: on the default
 * model, with references made from what it writes of its own accord (the very text, in capitals,
 * with punctuation, cut short, carried on, in part, another text). */
#include "test.h"

#include "base/memory.h"
#include "learn/decoder.h"
#include "learn/evaluator.h"
#include "model/model.h"

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
    assert_ok(slao_model_load(&f->model, f->checkpoint));
    assert_ok(slao_pass_new(&f->pass, f->model));
    assert_ok(slao_tokenizer_load(&f->tokenizer, path));
    f->judge = (slao_judge){f->pass, &f->model->config, f->tokenizer};
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
            questions[i * N_VARIANTS + v] =
                (slao_question){{list->ids, (int64_t)list->count, start}, variants[i][v]};
        }
    }
    slao_evaluation exact, plain;
    slao_score_settings settings = {.score = "exact", .max_new_tokens = MOST};
    assert_ok(slao_evaluate(&f->judge, NULL, questions, N_PROMPTS * N_VARIANTS, &settings, &exact));
    settings.score = "generate";
    assert_ok(slao_evaluate(&f->judge, NULL, questions, N_PROMPTS * N_VARIANTS, &settings, &plain));
    for (int i = 0; i < N_PROMPTS * N_VARIANTS; i++) {
        if (exact.scores[i] != plain.scores[i] || exact.token_exact[i] != plain.token_exact[i])
            fail_msg("prompt %d, reference \"%s\": %g (token by token %d), but plain decoding "
                     "gives %g (%d)",
                     i / N_VARIANTS, questions[i].reference, (double)exact.scores[i],
                     exact.token_exact[i], (double)plain.scores[i], plain.token_exact[i]);
        int variant = i % N_VARIANTS;
        bool same = variant <= 2; /* but for case and punctuation */
        if ((plain.scores[i] > 0) != same)
            fail_msg("prompt %d, reference \"%s\": the verdict is %g", i / N_VARIANTS,
                     questions[i].reference, (double)plain.scores[i]);
    }
    assert_near(exact.score, 3.0 / N_VARIANTS, 1e-12);
    assert_true(exact.n_decoded < plain.n_decoded);
    slao_evaluation_free(&exact);
    slao_evaluation_free(&plain);
    for (int i = 0; i < N_PROMPTS * N_VARIANTS; i++)
        slao_ids_free(&ids[i]);
}

static void test_an_unknown_score_is_refused(void **state) {
    fixture *f = *state;
    slao_evaluation evaluation;
    slao_score_settings settings = {.score = "bleu", .max_new_tokens = MOST};
    assert_fails(slao_evaluate(&f->judge, NULL, NULL, 0, &settings, &evaluation), SLAO_BAD_INPUT,
                 "bleu");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_are_those_of_greedy_decoding),
        cmocka_unit_test(test_an_unknown_score_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
