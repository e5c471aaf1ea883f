/* The test set of a task as an evaluator takes it: questions as tokens with the answers that count
 * as right, and the labels to choose from, if the task has any.
 */
#ifndef SLAO_LEARN_TEST_SET_H
#define SLAO_LEARN_TEST_SET_H

#include "data/benchmark.h"
#include "data/encode.h"

/* A prompt with the first reference as its answer, and the references as text. */
typedef struct {
    slao_sequence sequence;
    int64_t n_references;
    const char *const *references;
} slao_question;

/* sequences[k]: label k as it is answered, behind whatever begins every text (its answer_start). */
typedef struct {
    int64_t count;
    const char *const *texts;
    const slao_sequence *sequences;
} slao_labels;

typedef struct {
    int64_t n_questions;
    slao_question *questions;
    slao_labels labels;
    slao_encoded *encoded, *encoded_labels; /* private: where the tokens are */
} slao_test_set;

/* Encodes the task's test examples, which it borrows, and its labels. An example that cannot be
 * used is SLAO_BAD_INPUT (data/encode.h). */
slao_status slao_test_set_new(slao_test_set **set, const slao_tokenizer *tokenizer,
                              const slao_task *task, int64_t max_length);
void slao_test_set_free(slao_test_set *set); /* NULL is allowed */

#endif
