#include "base/index.h"

#include "base/memory.h"

#include <stdlib.h>

struct slao_index_slot {
    slao_hash hash;
    int64_t place_plus_one; /* 0: free */
};

/* The slot that holds `hash`, or the free one where it would go; there is always a free one. */
static struct slao_index_slot *slot_of(const slao_index *index, slao_hash hash) {
    size_t at = (size_t)hash.low & (index->n_slots - 1);
    while (index->slots[at].place_plus_one && !slao_hash_equal(index->slots[at].hash, hash))
        at = (at + 1) & (index->n_slots - 1);
    return &index->slots[at];
}

int64_t slao_index_find(const slao_index *index, slao_hash hash) {
    return index->n_slots ? slot_of(index, hash)->place_plus_one - 1 : -1;
}

static slao_status enlarge(slao_index *index) {
    enum { FIRST_SIZE = 64 }; /* a power of two, as all sizes */
    slao_index larger = {.n_slots = index->n_slots ? 2 * index->n_slots : FIRST_SIZE,
                         .count = index->count};
    SLAO_TRY(slao_allocate(&larger.slots, larger.n_slots, sizeof *larger.slots));
    for (size_t i = 0; i < index->n_slots; i++) {
        if (index->slots[i].place_plus_one)
            *slot_of(&larger, index->slots[i].hash) = index->slots[i];
    }
    free(index->slots);
    *index = larger;
    return SLAO_OK;
}

slao_status slao_index_add(slao_index *index, slao_hash hash, int64_t place) {
    if (3 * (index->count + 1) > 2 * index->n_slots)
        SLAO_TRY(enlarge(index));
    struct slao_index_slot *slot = slot_of(index, hash);
    SLAO_INVARIANT(place >= 0 && !slot->place_plus_one);
    *slot = (struct slao_index_slot){.hash = hash, .place_plus_one = place + 1};
    index->count++;
    return SLAO_OK;
}

void slao_index_free(slao_index *index) {
    free(index->slots);
    *index = (slao_index){0};
}
