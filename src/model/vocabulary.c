#include "model/vocabulary.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { NONE = -1, MOST_IDS = 1 << 21 };

typedef struct {
    uint32_t start, size;
} entry; /* start UNUSED: no such id */

static const uint32_t UNUSED = UINT32_MAX;

struct slao_vocabulary {
    char *bytes; /* all texts, one after the other */
    size_t n_bytes, bytes_capacity;
    entry *entries; /* by id */
    size_t n_entries, entries_capacity;
    int32_t *slots; /* open addressing by the text's hash; NONE is empty; at most half full */
    size_t n_slots; /* a power of two */
    size_t count;
};

slao_status slao_vocabulary_new(slao_vocabulary **vocabulary) {
    return slao_allocate(vocabulary, 1, sizeof **vocabulary);
}

void slao_vocabulary_free(slao_vocabulary *vocabulary) {
    if (!vocabulary)
        return;
    free(vocabulary->bytes);
    free(vocabulary->entries);
    free(vocabulary->slots);
    free(vocabulary);
}

/* The slot that holds the text, or the empty one where it would go. */
static int32_t *slot_of(const slao_vocabulary *v, const char *text, size_t size) {
    size_t at = XXH3_64bits(text, size) & (v->n_slots - 1);
    while (v->slots[at] != NONE) {
        const entry *other = &v->entries[v->slots[at]];
        if (other->size == size && memcmp(v->bytes + other->start, text, size) == 0)
            break;
        at = (at + 1) & (v->n_slots - 1);
    }
    return &v->slots[at];
}

static slao_status double_slots(slao_vocabulary *v) {
    size_t n_slots = v->n_slots ? 2 * v->n_slots : 64;
    int32_t *slots;
    SLAO_TRY(slao_allocate(&slots, n_slots, sizeof *slots));
    for (size_t i = 0; i < n_slots; i++)
        slots[i] = NONE;
    free(v->slots);
    v->slots = slots;
    v->n_slots = n_slots;
    for (size_t id = 0; id < v->n_entries; id++) {
        const entry *e = &v->entries[id];
        if (e->start != UNUSED)
            *slot_of(v, v->bytes + e->start, e->size) = (int32_t)id;
    }
    return SLAO_OK;
}

slao_status slao_vocabulary_add(slao_vocabulary *v, const char *text, size_t size, int64_t id) {
    int shown = size > 60 ? 60 : (int)size;
    if (id < 0 || id >= MOST_IDS)
        return slao_fail(SLAO_BAD_INPUT,
                         "the id %" PRId64 " of token \"%.*s\" is not between 0 and %d", id, shown,
                         text, MOST_IDS - 1);
    if (slao_vocabulary_find(v, text, size) != NONE)
        return slao_fail(SLAO_BAD_INPUT, "the token \"%.*s\" is there twice: ids %d and %" PRId64,
                         shown, text, slao_vocabulary_find(v, text, size), id);
    size_t index = (size_t)id;
    if (index < v->n_entries && v->entries[index].start != UNUSED)
        return slao_fail(SLAO_BAD_INPUT,
                         "id %" PRId64 " is there twice, the second time for \"%.*s\"", id, shown,
                         text);
    if (size >= UNUSED - v->n_bytes)
        return slao_fail(SLAO_BAD_INPUT, "the tokens are longer than 4 GB together, at id %" PRId64,
                         id);
    if (2 * (v->count + 1) > v->n_slots)
        SLAO_TRY(double_slots(v));
    SLAO_TRY(slao_grow(&v->entries, &v->entries_capacity, index + 1, sizeof *v->entries));
    SLAO_TRY(slao_grow(&v->bytes, &v->bytes_capacity, v->n_bytes + size + 1, 1));
    for (; v->n_entries <= index; v->n_entries++)
        v->entries[v->n_entries] = (entry){UNUSED, 0};
    int32_t *slot = slot_of(v, text, size);
    if (size)
        memcpy(v->bytes + v->n_bytes, text, size);
    v->entries[index] = (entry){(uint32_t)v->n_bytes, (uint32_t)size};
    v->n_bytes += size;
    v->count++;
    *slot = (int32_t)id;
    return SLAO_OK;
}

int32_t slao_vocabulary_find(const slao_vocabulary *v, const char *text, size_t size) {
    return v->n_slots ? *slot_of(v, text, size) : NONE;
}

const char *slao_vocabulary_text(const slao_vocabulary *v, int64_t id, size_t *size) {
    if (id < 0 || id >= (int64_t)v->n_entries || v->entries[id].start == UNUSED)
        return NULL;
    *size = v->entries[id].size;
    return v->bytes + v->entries[id].start;
}

int64_t slao_vocabulary_count(const slao_vocabulary *v) {
    return (int64_t)v->count;
}

int64_t slao_vocabulary_end(const slao_vocabulary *v) {
    return (int64_t)v->n_entries;
}
