/* Scoring a model with its adapter on the test set of a task.
 *
 * A score is one row of a table:
 *
 *   exact      greedy decoding, then exact match (learn/score.h), almost without decoding: the
 *              reference answer is fed in; as long as each of its tokens is the likeliest, greedy
 *              decoding would have written it. From the first one that is not, decoding goes on,
 *              until the output can no longer become a reference.
 *   generate   the same verdict by plain greedy decoding from the prompt
 *   rank       no decoding: the label with the highest summed log-probability of its tokens, end
 *              token included, the first of equal ones, compared with the references by exact match
 *   rouge_l    greedy decoding, then ROUGE-L F1 (learn/rouge.h)
 *
 * With several references the best counts. Examples are taken in batches of a fixed size, in order:
 * the bits do not depend on who computes them. So a team (linalg/team.h), each member of which
 * takes some of the batches, gets the same as a single one.
 */
#ifndef SLAO_LEARN_EVALUATOR_H
#define SLAO_LEARN_EVALUATOR_H

#include "learn/settings.h"
#include "learn/test_set.h"
#include "linalg/team.h"
#include "model/transformer.h"

enum { SLAO_EVALUATOR_BATCH = 32 }; /* questions that are read at a time */

typedef struct {
    int64_t n_examples;
    float *scores;     /* each in 0 .. 1 */
    bool *token_exact; /* each: was every token of the first reference and its end the likeliest
                          one? All false under rank, which writes nothing. */
    double score;      /* mean of scores */
    double token_exact_share; /* of the examples; NaN under rank */
    int64_t n_decoded;        /* examples for which tokens had to be decoded */
    int64_t tokens;           /* of prompts and answers, as if nothing were shared */
} slao_evaluation;

/* What scores are computed with: all borrowed. */
typedef struct {
    slao_pass *pass;
    const slao_model_config *config;
    const slao_tokenizer *tokenizer;
    /* Asked before each batch, when `at` of `of` questions are answered; NULL: always true. False
     * ends the evaluation with SLAO_DRAINED, of all members of a team. */
    bool (*go_on)(void *context, int64_t at, int64_t of);
    void *context;
    slao_team *team; /* that all members of call slao_evaluate; NULL: alone */
} slao_judge;

/* Scores the test set by the row `settings->score` (not NULL). An unknown one, and rank for a task
 * without labels, are SLAO_BAD_INPUT. */
slao_status slao_evaluate(const slao_judge *judge, const slao_low_ranks *pairs,
                          const slao_test_set *set, const slao_score_settings *settings,
                          slao_evaluation *evaluation);
void slao_evaluation_free(slao_evaluation *evaluation);

#endif
