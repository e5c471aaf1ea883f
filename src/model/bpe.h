/* Byte-pair encoding of one piece of text (Sennrich et al., 2016).
 *
 * A piece starts as one symbol per character, or, byte-level, per byte as the alphabet of
 * byte_level.h writes it; as long as any two neighbours have a merge, the pair whose
 * merge comes first in the list (of equal pairs, the leftmost) becomes one symbol. Pairs wait in a
 * heap and symbols form a linked list, so a piece of n bytes takes O(n log n), as in `tokenizers`
 * (models/bpe/word.rs), whose order of merges this follows to the letter. A
 * character without a token becomes, as there, a token per byte (byte fallback), the unknown token,
 * or nothing.
 */
#ifndef SLAO_MODEL_BPE_H
#define SLAO_MODEL_BPE_H

#include "model/ids.h"
#include "model/vocabulary.h"

typedef struct slao_bpe slao_bpe;

typedef struct {
    bool byte_level;
    bool ignore_merges; /* a piece that is a token is that token, whatever the merges say (Llama-3)
                         */
    /* Of a character without a token, where the pieces are not byte-level: */
    bool byte_fallback; /* the tokens <0x00> to <0xFF> of its bytes, if they are all there */
    int32_t unknown;    /* otherwise this token; -1: it is dropped */
    bool fuse_unknown;  /* one for a run of them */
} slao_bpe_options;

/* The vocabulary is complete, and outlives the slao_bpe. */
slao_status slao_bpe_new(slao_bpe **bpe, const slao_vocabulary *vocabulary,
                         slao_bpe_options options);
void slao_bpe_free(slao_bpe *bpe); /* NULL is allowed */

/* Merges in the order of their rank, written as the vocabulary writes. A side or a result that is
 * no token is SLAO_BAD_INPUT. */
slao_status slao_bpe_add_merge(slao_bpe *bpe, const char *left, size_t left_size, const char *right,
                               size_t right_size);

/* The same for "left right". */
slao_status slao_bpe_add_merge_line(slao_bpe *bpe, const char *line);

/* Every byte that UTF-8 text can hold has a token, of the alphabet if byte-level, otherwise for
 * falling back to it: no text has an unknown part. */
bool slao_bpe_knows_all_bytes(const slao_bpe *bpe);

/* Memory for encoding, used again from piece to piece; start from {0}. One per thread. */
typedef struct {
    struct slao_bpe_symbol *symbols;
    struct slao_bpe_pair *heap;
    char *letters;
    size_t symbols_capacity, heap_capacity, heap_count, letters_capacity;
} slao_bpe_workspace;
void slao_bpe_workspace_free(slao_bpe_workspace *workspace);

/* Appends the ids of a piece, at most INT32_MAX bytes of UTF-8. */
slao_status slao_bpe_encode(const slao_bpe *bpe, slao_bpe_workspace *workspace, const char *piece,
                            size_t size, slao_ids *ids);

#endif
