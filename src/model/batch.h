/* What one pass of the model computes: tokens, and which earlier tokens each of them attends to.
 *
 * Sequences are packed without padding. A sequence is a chain of segments, each going on from some
 * token of its parent, so that what sequences have in common (an instruction, options) is there
 * once:
 *
 *     segment 0  [Task: TC ... Option: World, Sports]            rows 0 .. 39
 *        |-- segment 1  [Intel said ... Answer: World </s>]      rows 40 .. 99
 *        `-- segment 2  [The match ... Answer: Sports </s>]      rows 100 .. 151
 *
 * A token attends to itself, to the tokens before it in its segment, and to what its chain of
 * ancestors holds. Keys and values lie in a cache by slots, so that a later pass can go on from
 * tokens of an earlier one: a span is the part of a segment that this pass computes. In a training
 * pass, spans cover their segments whole and a token's slot is its row.
 */
#ifndef SLAO_MODEL_BATCH_H
#define SLAO_MODEL_BATCH_H

#include "base/memory.h"
#include "model/config.h"

typedef struct {
    int64_t parent;       /* an earlier segment, or -1 */
    int64_t parent_count; /* tokens of the parent that come before this segment's first */
    int64_t slot;         /* in the cache, of its first token; its tokens are contiguous */
    int64_t count;        /* tokens, those of this pass included */
    int64_t position;     /* of its first token within its sequence */
} slao_segment;

typedef struct {
    int64_t segment;
    int64_t from, count; /* tokens from .. from+count-1 of the segment */
} slao_span;

typedef struct {
    int64_t n_rows; /* tokens of this pass: those of its spans, one after another */
    const int32_t *ids;
    int64_t n_segments;
    const slao_segment *segments;
    int64_t n_spans;
    const slao_span *spans;
    int64_t
        n_answers; /* answer tokens: each is predicted by a row, and a row may predict several */
    const int64_t *answer_rows;
    const int32_t *answer_ids;  /* what should be predicted; NULL where no loss is asked for */
    const uint64_t *noise_keys; /* per row: names the token for dropout; NULL without dropout */
} slao_batch;

/* The rows of a batch that predict answers, in their order, as a batch of their own: the same
 * segments and answers, `answer_rows` counted among these rows; *rows says which of the batch they
 * are. It has no ids. Both live in the arena. */
slao_status slao_batch_answering(slao_batch *answering, int64_t **rows, const slao_batch *batch,
                                 slao_arena *arena);

/* Keys and values of all layers: layers x slots x kv_heads x head_dim, keys already rotated. */
typedef struct {
    int64_t slots, width; /* width: kv_heads x head_dim */
    float *keys, *values;
} slao_cache;

/* The same out of an arena; not cleared. */
slao_status slao_cache_take(slao_cache *cache, const slao_model_config *config, int64_t slots,
                            slao_arena *arena);

slao_status slao_cache_new(slao_cache **cache, const slao_model_config *config, int64_t slots);
void slao_cache_free(slao_cache *cache); /* NULL is allowed */

#endif
