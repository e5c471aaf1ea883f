/* The merges of a vocabulary that has scores instead (SentencePiece's BPE).
 *
 * Each way to put a token together from two others is a merge; those that make a token of higher
 * score come first. Of equal scores, those with the longer left side, then with the longer right
 * side (in characters), then those of the token with the lower id: the order of transformers'
 * generate_merges (tokenization_utils_base.py, 5.24).
 */
#ifndef SLAO_MODEL_SCORED_MERGES_H
#define SLAO_MODEL_SCORED_MERGES_H

#include "model/bpe.h"

/* Adds them to a bpe of this vocabulary, whose ids have no gaps; `scores` by id. A score that is no
 * number, and a token of more than 512 bytes, are SLAO_BAD_INPUT. */
slao_status slao_add_scored_merges(slao_bpe *bpe, const slao_vocabulary *vocabulary,
                                   const double *scores);

#endif
