/* An index: finds what an array of the caller's holds under a hash.
 *
 * Open addressing with linear probing; the hashes are content hashes, so their low bits are the
 * slot. At most two thirds of the slots are taken.
 */
#ifndef SLAO_BASE_INDEX_H
#define SLAO_BASE_INDEX_H

#include "base/hash.h"

typedef struct {
    struct slao_index_slot *slots;
    size_t n_slots, count;
} slao_index; /* zeroed: empty */

/* The place stored under `hash`, or -1. */
int64_t slao_index_find(const slao_index *index, slao_hash hash);

/* Stores `place` (>= 0) under a hash that is not in the index yet. */
slao_status slao_index_add(slao_index *index, slao_hash hash, int64_t place);

void slao_index_free(slao_index *index); /* leaves it empty */

#endif
