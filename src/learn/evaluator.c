#include "learn/evaluator.h"

#include "base/memory.h"
#include "learn/decoder.h"
#include "learn/rouge.h"
#include "learn/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = SLAO_EVALUATOR_BATCH, LOGIT_ROWS = 64 };

typedef struct round_of_questions round_of_questions;

/* A row of the table of scores; the parts of the output's verdict are NULL where none is written.
 */
typedef struct {
    const char *name;
    bool writes; /* an output, token by token */
    slao_status (*run)(round_of_questions *r);
    slao_status (*verdict)(const char *output, size_t size, const char *reference, double *score);
    bool (*can_still_match)(const char *output, size_t size, const char *reference);
} score_row;

/* One batch under way. */
struct round_of_questions {
    const score_row *row;
    const slao_judge *judge;
    const slao_labels *labels;
    const slao_question *questions;
    int64_t n_questions;
    int64_t max_new_tokens;
    slao_decoder *decoder;
    slao_arena *arena; /* of the batch */
    float *scores;     /* of the batch's questions */
    bool *token_exact;
    int64_t *n_decoded;
};

/* An output being written: a text that begins with the first n_given tokens of the answer. */
typedef struct {
    const round_of_questions *round;
    const slao_question *question;
    int64_t n_given;
    int32_t *tokens; /* n_given of the answer, then what is decoded */
} output;

static slao_status cannot_match(const slao_continuation *continuation, bool *give_up) {
    const output *o = continuation->owner;
    char *text;
    size_t size;
    SLAO_TRY(slao_tokenizer_decode_start(o->round->judge->tokenizer, o->tokens,
                                         (size_t)(o->n_given + continuation->n_tokens), true, &text,
                                         &size));
    *give_up = true;
    for (int64_t i = 0; i < o->question->n_references && *give_up; i++)
        *give_up = !o->round->row->can_still_match(text, size, o->question->references[i]);
    free(text);
    return SLAO_OK;
}

/* The best score that the text has against any reference. */
static slao_status judge_text(round_of_questions *r, int64_t question, const char *text,
                              size_t size) {
    double best = 0;
    for (int64_t i = 0; i < r->questions[question].n_references; i++) {
        double score;
        SLAO_TRY(r->row->verdict(text, size, r->questions[question].references[i], &score));
        if (score > best)
            best = score;
    }
    r->scores[question] = (float)best;
    return SLAO_OK;
}

/* Scores what has been written; `ended`: by an end token. */
static slao_status judge_output(round_of_questions *r, const output *o, int64_t n_tokens,
                                bool ended) {
    const slao_sequence *sequence = &o->question->sequence;
    int64_t question = o->question - r->questions,
            n_answer = sequence->count - sequence->answer_start - 1;
    r->token_exact[question] = ended && n_tokens == n_answer &&
                               memcmp(o->tokens, sequence->ids + sequence->answer_start,
                                      (size_t)n_answer * sizeof *o->tokens) == 0;
    char *text;
    size_t size;
    SLAO_TRY(slao_tokenizer_decode(r->judge->tokenizer, o->tokens, (size_t)n_tokens, true, &text,
                                   &size));
    slao_status status = judge_text(r, question, text, size);
    free(text);
    return status;
}

/* The likeliest token at every answer row of the batch that was read; *likeliest comes from the
 * arena. */
static slao_status likeliest_tokens(round_of_questions *r, int64_t n_answers, int32_t **likeliest) {
    int64_t vocabulary = r->judge->config->vocabulary;
    float *logits;
    SLAO_TRY(slao_arena_take(r->arena, likeliest, (size_t)n_answers, sizeof **likeliest));
    SLAO_TRY(slao_arena_take(r->arena, &logits, LOGIT_ROWS, (size_t)vocabulary * sizeof *logits));
    for (int64_t first = 0; first < n_answers; first += LOGIT_ROWS) {
        int64_t count = n_answers - first < LOGIT_ROWS ? n_answers - first : LOGIT_ROWS;
        slao_logits(r->judge->pass, first, count, logits);
        for (int64_t i = 0; i < count; i++)
            (*likeliest)[first + i] = slao_argmax(logits + i * vocabulary, vocabulary);
    }
    return SLAO_OK;
}

/* Packs the batch's questions, with as much of their answers as is fed in, and reads them. */
static slao_status read_questions(round_of_questions *r, bool with_answers, slao_packed *packed,
                                  int32_t **likeliest) {
    slao_sequence *sequences;
    SLAO_TRY(slao_arena_take(r->arena, &sequences, (size_t)r->n_questions, sizeof *sequences));
    for (int64_t i = 0; i < r->n_questions; i++) {
        sequences[i] = r->questions[i].sequence;
        int64_t fed = sequences[i].count - sequences[i].answer_start;
        int64_t most = with_answers ? r->max_new_tokens + 1 : 1;
        fed = fed < most ? fed : most;
        sequences[i].count = sequences[i].answer_start + fed;
    }
    SLAO_TRY(slao_pack(packed, sequences, r->n_questions, SLAO_SHARE_PREFIXES, NULL, r->arena));
    SLAO_TRY(slao_decoder_read(r->decoder, &packed->batch, r->n_questions * r->max_new_tokens));
    return likeliest_tokens(r, packed->batch.n_answers, likeliest);
}

/* The segment and count after which a text goes on that has `position` tokens before it. */
static void place(slao_continuation *continuation, const slao_batch *batch, int64_t leaf,
                  int64_t position) {
    while (batch->segments[leaf].position >= position)
        leaf = batch->segments[leaf].parent;
    continuation->row_segment = leaf;
    continuation->row_count = position - batch->segments[leaf].position;
}

/* Goes on writing after what was read, question by question, from the first token that is not the
 * answer's, and judges. n_matched[i]: how many tokens of the answer, its end included, are the
 * likeliest ones. */
static slao_status decode_rest(round_of_questions *r, const slao_packed *packed,
                               const int32_t *likeliest, const int64_t *n_matched) {
    slao_continuation *continuations;
    output *outputs;
    size_t n = (size_t)r->n_questions;
    SLAO_TRY(slao_arena_take(r->arena, &continuations, n, sizeof *continuations));
    SLAO_TRY(slao_arena_take(r->arena, &outputs, n, sizeof *outputs));
    int64_t n_open = 0, most = r->max_new_tokens;
    for (int64_t i = 0; i < r->n_questions; i++) {
        const slao_sequence *sequence = &r->questions[i].sequence;
        output *o = &outputs[n_open];
        *o = (output){.round = r, .question = &r->questions[i]};
        o->n_given = n_matched[i] < most ? n_matched[i] : most;
        SLAO_TRY(slao_arena_take(r->arena, &o->tokens, (size_t)most + 1, sizeof *o->tokens));
        memcpy(o->tokens, sequence->ids + sequence->answer_start,
               (size_t)o->n_given * sizeof *o->tokens);
        int32_t next = likeliest[packed->first_answer[i] + n_matched[i]];
        slao_continuation *c = &continuations[n_open];
        *c = (slao_continuation){
            .tokens = o->tokens + o->n_given, .max_tokens = most - o->n_given, .owner = o};
        bool ended = slao_model_ends_at(r->judge->config, next);
        if (ended || o->n_given == most) {
            SLAO_TRY(judge_output(r, o, o->n_given, ended));
            continue;
        }
        place(c, &packed->batch, packed->leaves[i], sequence->answer_start + o->n_given);
        c->tokens[c->n_tokens++] = next;
        if (r->row->can_still_match)
            SLAO_TRY(cannot_match(c, &c->ended));
        n_open++;
    }
    for (int64_t i = 0; i < n_open; i++)
        *r->n_decoded += !continuations[i].ended;
    SLAO_TRY(slao_decoder_run(r->decoder, continuations, n_open,
                              r->row->can_still_match ? cannot_match : NULL));
    for (int64_t i = 0; i < n_open; i++)
        SLAO_TRY(judge_output(r, &outputs[i], outputs[i].n_given + continuations[i].n_tokens,
                              continuations[i].ended));
    return SLAO_OK;
}

/* Greedy decoding that starts with as much of the reference as it would have written. */
static slao_status write_from_reference(round_of_questions *r) {
    slao_packed packed;
    int32_t *likeliest;
    int64_t *n_matched;
    SLAO_TRY(read_questions(r, true, &packed, &likeliest));
    SLAO_TRY(slao_arena_take(r->arena, &n_matched, (size_t)r->n_questions, sizeof *n_matched));
    for (int64_t i = 0; i < r->n_questions; i++) {
        int64_t first = packed.first_answer[i], count = packed.first_answer[i + 1] - first;
        int64_t matched = 0;
        while (matched < count &&
               likeliest[first + matched] == packed.batch.answer_ids[first + matched])
            matched++;
        /* The end token, last of the answer, is where writing stops: it is looked at again, as what
         * comes next. */
        n_matched[i] = matched == count ? count - 1 : matched;
    }
    return decode_rest(r, &packed, likeliest, n_matched);
}

static slao_status write_from_prompt(round_of_questions *r) {
    slao_packed packed;
    int32_t *likeliest;
    int64_t *n_matched;
    SLAO_TRY(read_questions(r, false, &packed, &likeliest));
    SLAO_TRY(slao_arena_take(r->arena, &n_matched, (size_t)r->n_questions, sizeof *n_matched));
    memset(n_matched, 0, (size_t)r->n_questions * sizeof *n_matched);
    return decode_rest(r, &packed, likeliest, n_matched);
}

/* ---- Choosing among labels ---- */

/* The question's prompt, then the label. */
static slao_status join(round_of_questions *r, const slao_sequence *prompt,
                        const slao_sequence *label, slao_sequence *joined) {
    int64_t n_answer = label->count - label->answer_start;
    int32_t *ids;
    *joined = (slao_sequence){.count = prompt->answer_start + n_answer,
                              .answer_start = prompt->answer_start};
    SLAO_TRY(slao_arena_take(r->arena, &ids, (size_t)joined->count, sizeof *ids));
    memcpy(ids, prompt->ids, (size_t)prompt->answer_start * sizeof *ids);
    memcpy(ids + prompt->answer_start, label->ids + label->answer_start,
           (size_t)n_answer * sizeof *ids);
    joined->ids = ids;
    return SLAO_OK;
}

/* *best becomes the label with the least summed loss. */
static slao_status choose_label(round_of_questions *r, const slao_question *question,
                                int64_t *best) {
    slao_sequence *sequences;
    slao_packed packed;
    double *losses, least = INFINITY;
    int64_t n = r->labels->count;
    slao_arena_return(r->arena, (slao_arena_mark){0});
    SLAO_TRY(slao_arena_take(r->arena, &sequences, (size_t)n, sizeof *sequences));
    for (int64_t k = 0; k < n; k++)
        SLAO_TRY(join(r, &question->sequence, &r->labels->sequences[k], &sequences[k]));
    SLAO_TRY(slao_pack(&packed, sequences, n, SLAO_SHARE_PREFIXES, NULL, r->arena));
    SLAO_TRY(slao_arena_take(r->arena, &losses, (size_t)packed.batch.n_answers, sizeof *losses));
    SLAO_TRY(slao_decoder_read(r->decoder, &packed.batch, 0));
    SLAO_TRY(slao_loss(r->judge->pass, losses, 0));
    *best = 0;
    for (int64_t k = 0; k < n; k++) {
        double sum = 0;
        for (int64_t i = packed.first_answer[k]; i < packed.first_answer[k + 1]; i++)
            sum += losses[i];
        if (sum < least) {
            least = sum;
            *best = k;
        }
    }
    return SLAO_OK;
}

static slao_status rank_labels(round_of_questions *r) {
    if (r->labels->count == 0)
        return slao_fail(SLAO_BAD_INPUT, "the score rank chooses among a task's labels, and this "
                                         "task has none; score it by exact or rouge_l");
    for (int64_t i = 0; i < r->n_questions; i++) {
        int64_t best;
        SLAO_TRY(choose_label(r, &r->questions[i], &best));
        const char *label = r->labels->texts[best];
        SLAO_TRY(judge_text(r, i, label, strlen(label)));
        r->token_exact[i] = false;
    }
    return SLAO_OK;
}

/* ---- The table ---- */

static slao_status verdict_exact(const char *text, size_t size, const char *reference,
                                 double *score) {
    *score = slao_score_exact(text, size, reference) ? 1 : 0;
    return SLAO_OK;
}

static const score_row score_rows[] = {
    {"exact", true, write_from_reference, verdict_exact, slao_score_can_still_match},
    {"generate", true, write_from_prompt, verdict_exact, NULL},
    {"rank", false, rank_labels, verdict_exact, NULL},
    {"rouge_l", true, write_from_reference, slao_rouge_l, NULL},
    {0},
};

static slao_status find_row(const score_row **row, const char *name) {
    for (*row = score_rows; (*row)->name; (*row)++) {
        if (strcmp((*row)->name, name) == 0)
            return SLAO_OK;
    }
    return slao_fail(SLAO_BAD_INPUT, "%s is not a score that slao computes", name);
}

/* Batches `from` to `to`-1. */
static slao_status score_batches(round_of_questions *r, const slao_test_set *set, int64_t from,
                                 int64_t to, slao_evaluation *evaluation) {
    for (int64_t batch = from; batch < to; batch++) {
        int64_t first = batch * BATCH, left = set->n_questions - first;
        if (r->judge->go_on && !r->judge->go_on(r->judge->context, first, set->n_questions))
            return slao_fail(SLAO_DRAINED, "stopped after %lld of %lld questions", (long long)first,
                             (long long)set->n_questions);
        slao_arena_return(r->arena, (slao_arena_mark){0});
        r->questions = set->questions + first;
        r->n_questions = left < BATCH ? left : BATCH;
        r->scores = evaluation->scores + first;
        r->token_exact = evaluation->token_exact + first;
        SLAO_TRY(r->row->run(r));
    }
    return SLAO_OK;
}

/* Gives each member of the team what the others found for their batches. */
static slao_status share_findings(slao_team *team, slao_status status, int64_t n_batches,
                                  int64_t n_questions, slao_evaluation *evaluation) {
    int size = slao_team_size(team);
    if (size == 1)
        return status;
    double n_decoded = (double)evaluation->n_decoded;
    size_t *starts = NULL; /* in bytes: first of token_exact, then of scores */
    if (status == SLAO_OK)
        status = slao_allocate(&starts, (size_t)size + 1, sizeof *starts);
    for (int m = 0; m <= size && status == SLAO_OK; m++) {
        int64_t first = slao_team_begin(team, n_batches, m) * BATCH;
        starts[m] = (size_t)(first < n_questions ? first : n_questions) * sizeof(bool);
    }
    status = slao_team_gather(team, status, evaluation->token_exact, starts);
    for (int m = 0; m <= size && status == SLAO_OK; m++)
        starts[m] = starts[m] / sizeof(bool) * sizeof(float);
    if (status == SLAO_OK)
        status = slao_team_gather(team, status, evaluation->scores, starts);
    if (status == SLAO_OK)
        status = slao_team_sum(team, status, NULL, 0, &n_decoded);
    evaluation->n_decoded = (int64_t)n_decoded;
    free(starts);
    return status;
}

static slao_status evaluate(round_of_questions *r, const slao_low_ranks *pairs,
                            const slao_test_set *set, slao_evaluation *evaluation) {
    int64_t n = set->n_questions;
    SLAO_TRY(slao_allocate(&evaluation->scores, (size_t)n, sizeof *evaluation->scores));
    SLAO_TRY(slao_allocate(&evaluation->token_exact, (size_t)n, sizeof(bool)));
    SLAO_TRY(slao_decoder_new(&r->decoder, r->judge->pass, r->judge->config, pairs));
    SLAO_TRY(slao_arena_new(&r->arena));
    slao_team *team = r->judge->team;
    int64_t n_batches = (n + BATCH - 1) / BATCH, from, to;
    slao_team_part(team, n_batches, &from, &to);
    slao_status status = score_batches(r, set, from, to, evaluation);
    SLAO_TRY(share_findings(team, status, n_batches, n, evaluation));
    double sum = 0;
    int64_t n_token_exact = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)evaluation->scores[i];
        n_token_exact += evaluation->token_exact[i];
        evaluation->tokens += set->questions[i].sequence.count;
    }
    evaluation->n_examples = n;
    evaluation->score = n ? sum / (double)n : 0;
    evaluation->token_exact_share = r->row->writes ? (double)n_token_exact / (double)n : NAN;
    return SLAO_OK;
}

slao_status slao_evaluate(const slao_judge *judge, const slao_low_ranks *pairs,
                          const slao_test_set *set, const slao_score_settings *settings,
                          slao_evaluation *evaluation) {
    *evaluation = (slao_evaluation){0};
    round_of_questions r = {.judge = judge,
                            .labels = &set->labels,
                            .max_new_tokens = settings->max_new_tokens,
                            .n_decoded = &evaluation->n_decoded};
    SLAO_TRY(find_row(&r.row, settings->score));
    slao_status status = evaluate(&r, pairs, set, evaluation);
    slao_decoder_free(r.decoder);
    slao_arena_free(r.arena);
    if (status != SLAO_OK)
        slao_evaluation_free(evaluation);
    return status;
}

void slao_evaluation_free(slao_evaluation *evaluation) {
    free(evaluation->scores);
    free(evaluation->token_exact);
    *evaluation = (slao_evaluation){0};
}
