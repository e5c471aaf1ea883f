/* The tasks of a plan as tokens: made when a step first needs them, and kept. The length that texts
 * are cut to is part of what they are. */
#ifndef SLAO_SWEEP_ENCODINGS_H
#define SLAO_SWEEP_ENCODINGS_H

#include "data/encode.h"
#include "learn/test_set.h"
#include "sweep/plan.h"

/* A task; each part is NULL until it is needed. */
typedef struct {
    const slao_task *task;
    int64_t max_length;
    slao_encoded *train, *validation;
    slao_test_set *test;
} slao_encoding;

typedef struct slao_encodings slao_encodings;

/* Both are borrowed. */
slao_status slao_encodings_new(slao_encodings **encodings, const slao_plan *plan,
                               const slao_tokenizer *tokenizer);
void slao_encodings_free(slao_encodings *encodings); /* NULL is allowed */

/* The task with that part of it. *found belongs to the encodings and stays until the next one is
 * asked for. An example that cannot be used (its instruction and answer alone exceed max_length) is
 * SLAO_BAD_INPUT naming task and example. */
slao_status slao_encodings_train(slao_encodings *encodings, const char *task, int64_t max_length,
                                 slao_encoding **found);
slao_status slao_encodings_validation(slao_encodings *encodings, const char *task,
                                      int64_t max_length, slao_encoding **found);
slao_status slao_encodings_test(slao_encodings *encodings, const char *task, int64_t max_length,
                                slao_encoding **found);

/* Makes all that the step reads. *tokens (may be NULL) becomes how many tokens it will count: those
 * of all examples in all epochs, as if nothing were shared; 0 for a merge. */
slao_status slao_encodings_of_step(slao_encodings *encodings, const slao_step *step,
                                   int64_t *tokens);

#endif
