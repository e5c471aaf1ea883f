/* Byte-pair encoding of one piece of text over the byte-level alphabet (Sennrich et al., 2016).
 *
 * A piece starts as one symbol per byte; as long as any two neighbours have a merge, the pair whose
 * merge comes first in the list (of equal pairs, the leftmost) becomes one symbol. Pairs wait in a
 * heap and symbols form a linked list, so a piece of n bytes takes O(n log n), as in `tokenizers`
 * (models/bpe/word.rs), whose order of merges this follows to the letter. A byte without a token of
 * its own is dropped, as there.
 */
#ifndef SLAO_MODEL_BPE_H
#define SLAO_MODEL_BPE_H

#include "model/ids.h"
#include "model/vocabulary.h"

typedef struct slao_bpe slao_bpe;

/* With `ignore_merges`, a piece that is a token is that token, whatever the merges say (Llama-3).
 * The vocabulary is complete, and outlives the slao_bpe. */
slao_status slao_bpe_new(slao_bpe **bpe, const slao_vocabulary *vocabulary, bool ignore_merges);
void slao_bpe_free(slao_bpe *bpe); /* NULL is allowed */

/* Merges in the order of their rank, written in the alphabet. A side or a result that is no token
 * is SLAO_BAD_INPUT. */
slao_status slao_bpe_add_merge(slao_bpe *bpe, const char *left, size_t left_size, const char *right,
                               size_t right_size);

/* The same for "left right". */
slao_status slao_bpe_add_merge_line(slao_bpe *bpe, const char *line);

/* Every byte that UTF-8 text can hold has a token: no text has an unknown part. */
bool slao_bpe_knows_all_bytes(const slao_bpe *bpe);

/* Memory for encoding, used again from piece to piece; start from {0}. One per thread. */
typedef struct {
    struct slao_bpe_symbol *symbols;
    struct slao_bpe_pair *heap;
    char *letters;
    size_t symbols_capacity, heap_capacity, heap_count, letters_capacity;
} slao_bpe_workspace;
void slao_bpe_workspace_free(slao_bpe_workspace *workspace);

/* Appends the ids of a piece of raw bytes, at most INT32_MAX of them. */
slao_status slao_bpe_encode(const slao_bpe *bpe, slao_bpe_workspace *workspace, const char *piece,
                            size_t size, slao_ids *ids);

#endif
