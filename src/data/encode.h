/* Examples as token ids: prompt, answer, end token.
 *
 *   ids = [BOS] encode(head + sentence + tail) encode(answer) EOS
 *                                              ^ answer_start
 *
 * Prompt and answer are encoded apart, so that the boundary is unambiguous; BOS is there only if
 * the tokenizer adds it of its own accord. The loss counts the ids from answer_start on.
 *
 * Too long. An example of more than max_length ids loses the end of its sentence, never any of the
 * head, the tail or the answer: what is encoded then is the longest prefix of the sentence, in
 * Unicode characters, with which the example fits. (A longer prefix can have fewer tokens, where a
 * character completes a merge. The prefix is found by bisection, and those after it are tried one
 * by one until the example is more than 16 ids too long.) If it does not fit without any sentence,
 * that is SLAO_BAD_INPUT.
 */
#ifndef SLAO_DATA_ENCODE_H
#define SLAO_DATA_ENCODE_H

#include "data/benchmark.h"
#include "data/packing.h"
#include "model/tokenizer.h"

typedef struct {
    int64_t count;
    slao_sequence *sequences; /* in the order of the split */
    bool *truncated;          /* each: was its sentence cut? */
    int64_t n_truncated;      /* how many were */
    int64_t n_ids, longest;   /* of all sequences together; of the longest one */
    slao_ids ids;             /* where they all lie */
} slao_encoded;

/* `name` says in messages what is encoded: "task agnews, train". Released by slao_encoded_free. */
slao_status slao_encode(slao_encoded **encoded, const slao_tokenizer *tokenizer,
                        const slao_examples *examples, int64_t max_length, const char *name);
void slao_encoded_free(slao_encoded *encoded); /* NULL is allowed */

#endif
