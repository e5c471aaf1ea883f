/* Token sequences packed into one batch of the model, without padding, what they have in common
 * computed once.
 *
 * Sequences that begin with the same tokens share them: the batch is a tree of segments
 * (model/batch.h), as deep as the batch's examples agree (instruction and options, then perhaps the
 * first words of a text; identical examples become one). Loss and gradients are the same as without
 * sharing, up to rounding. Under dropout tokens of different examples differ, and nothing is
 * shared.
 */
#ifndef SLAO_DATA_PACKING_H
#define SLAO_DATA_PACKING_H

#include "base/memory.h"
#include "model/batch.h"

/* ids[0 .. answer_start) is the prompt, ids[answer_start .. count) the answer with its end token.
 */
typedef struct {
    const int32_t *ids;
    int64_t count, answer_start;
} slao_sequence;

typedef struct {
    slao_batch batch;
    int64_t n_sequences;
    int64_t *first_answer; /* n_sequences + 1: sequence i's answer tokens are those from here, in
                              the batch */
    int64_t *leaves;       /* the segment in which sequence i's input ends */
} slao_packed;

typedef enum { SLAO_SHARE_PREFIXES, SLAO_SHARE_NOTHING } slao_sharing;

/* Packs sequences into `packed`, whose memory comes from the arena. A sequence's last token is
 * predicted, but not fed in. Slots are rows. The sequence needs at least one token of prompt and
 * one of answer; `names` (NULL without dropout) gives each sequence a number that no other example
 * of the run has. */
slao_status slao_pack(slao_packed *packed, const slao_sequence *sequences, int64_t n_sequences,
                      slao_sharing sharing, const uint64_t *names, slao_arena *arena);

#endif
