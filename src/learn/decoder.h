/* Greedy decoding of several sequences at once over one cache of keys and values.
 *
 * slao_decoder_read feeds a packed batch; each of its rows can then be gone on from.
 * slao_decoder_run feeds the last token of every live continuation, a token each per round, and
 * takes the likeliest next one, until all have ended.
 */
#ifndef SLAO_LEARN_DECODER_H
#define SLAO_LEARN_DECODER_H

#include "data/packing.h"
#include "model/transformer.h"

/* A text being written. It goes on after `row` of the batch that was read. */
typedef struct {
    int64_t row_segment; /* the segment that holds the last token read before the text ... */
    int64_t row_count;   /* ... and how many tokens of it come first, that one included */
    int64_t n_tokens;    /* written so far; the first ones may be set by the caller */
    int32_t *tokens;     /* room for max_tokens, of the caller */
    int64_t max_tokens;
    bool ended;      /* an end token came (it is not among the tokens), or stop said so */
    void *owner;     /* of the caller */
    int64_t segment; /* private: where its tokens are in the cache */
} slao_continuation;

typedef struct slao_decoder slao_decoder;

/* Reads and writes with `pass` and the pairs, which the decoder borrows. */
slao_status slao_decoder_new(slao_decoder **decoder, slao_pass *pass,
                             const slao_model_config *config, const slao_low_ranks *pairs);
void slao_decoder_free(slao_decoder *decoder); /* NULL is allowed */

/* Forgets everything and reads a batch; there will be room for `room` written tokens. The pass then
 * holds the batch's logits (slao_logits) until the next call. */
slao_status slao_decoder_read(slao_decoder *decoder, const slao_batch *batch, int64_t room);

/* Writes on until every continuation has ended or holds max_tokens. A text must hold at least one
 * token to start from. After each new token `stop` (may be NULL) is asked whether the text can be
 * given up; a failure of it is forwarded. */
slao_status
slao_decoder_run(slao_decoder *decoder, slao_continuation *continuations, int64_t n_continuations,
                 slao_status (*stop)(const slao_continuation *continuation, bool *give_up));

/* The index of the largest of n values; the first of equal ones. */
int32_t slao_argmax(const float *values, int64_t n);

#endif
