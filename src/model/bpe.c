#include "model/bpe.h"

#include "base/memory.h"
#include "model/byte_level.h"
#include "model/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { NONE = -1, N_BYTES = 256 };

typedef struct {
    uint64_t pair;
    int32_t rank, result; /* result NONE: an empty slot */
} merge;

struct slao_bpe {
    const slao_vocabulary *vocabulary;
    slao_bpe_options options;
    int32_t byte_ids[N_BYTES];     /* byte-level: of the byte's letter; else of the ASCII character;
                                      NONE: no token */
    int32_t fallback_ids[N_BYTES]; /* of <0x00> to <0xFF> */
    merge *merges;                 /* open addressing by the pair's hash; at most half full */
    size_t n_slots;                /* a power of two */
    size_t n_merges;
    int32_t next_rank;
};

slao_status slao_bpe_new(slao_bpe **bpe, const slao_vocabulary *vocabulary,
                         slao_bpe_options options) {
    SLAO_TRY(slao_allocate(bpe, 1, sizeof **bpe));
    (*bpe)->vocabulary = vocabulary;
    (*bpe)->options = options;
    for (int byte = 0; byte < N_BYTES; byte++) {
        char letter[SLAO_LETTER_MOST] = {(char)byte}, code[8];
        size_t size = options.byte_level ? slao_byte_letter((unsigned char)byte, letter) : 1;
        bool known = options.byte_level || byte < 0x80;
        (*bpe)->byte_ids[byte] = known ? slao_vocabulary_find(vocabulary, letter, size) : NONE;
        size = (size_t)snprintf(code, sizeof code, "<0x%02X>", (unsigned)byte);
        (*bpe)->fallback_ids[byte] = slao_vocabulary_find(vocabulary, code, size);
    }
    return SLAO_OK;
}

void slao_bpe_free(slao_bpe *bpe) {
    if (!bpe)
        return;
    free(bpe->merges);
    free(bpe);
}

bool slao_bpe_knows_all_bytes(const slao_bpe *bpe) {
    bool falls_back = !bpe->options.byte_level;
    if (falls_back && !bpe->options.byte_fallback)
        return false;
    for (int byte = 0; byte < 0xf5; byte++) {
        bool in_utf8 = byte != 0xc0 && byte != 0xc1;
        if (in_utf8 && (falls_back ? bpe->fallback_ids : bpe->byte_ids)[byte] == NONE)
            return false;
    }
    return true;
}

static uint64_t pair_of(int32_t left, int32_t right) {
    return (uint64_t)left << 32 | (uint32_t)right;
}

/* The slot of a pair, or the empty one where it would go. */
static merge *slot_of(const slao_bpe *bpe, uint64_t pair) {
    size_t at = XXH3_64bits(&pair, sizeof pair) & (bpe->n_slots - 1);
    while (bpe->merges[at].result != NONE && bpe->merges[at].pair != pair)
        at = (at + 1) & (bpe->n_slots - 1);
    return &bpe->merges[at];
}

static slao_status double_slots(slao_bpe *bpe) {
    merge *before = bpe->merges;
    size_t n_before = bpe->n_slots;
    size_t n_slots = n_before ? 2 * n_before : 64;
    merge *slots;
    SLAO_TRY(slao_allocate(&slots, n_slots, sizeof *slots));
    for (size_t i = 0; i < n_slots; i++)
        slots[i].result = NONE;
    bpe->merges = slots;
    bpe->n_slots = n_slots;
    for (size_t i = 0; i < n_before; i++) {
        if (before[i].result != NONE)
            *slot_of(bpe, before[i].pair) = before[i];
    }
    free(before);
    return SLAO_OK;
}

static slao_status find_token(const slao_bpe *bpe, int32_t *id, const char *text, size_t size) {
    *id = slao_vocabulary_find(bpe->vocabulary, text, size);
    if (*id != NONE)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT, "merge %d needs the token \"%.*s\", which is not there",
                     bpe->next_rank, size > 60 ? 60 : (int)size, text);
}

slao_status slao_bpe_add_merge(slao_bpe *bpe, const char *left, size_t left_size, const char *right,
                               size_t right_size) {
    int32_t left_id, right_id, result;
    SLAO_TRY(find_token(bpe, &left_id, left, left_size));
    SLAO_TRY(find_token(bpe, &right_id, right, right_size));
    char *whole;
    SLAO_TRY(slao_allocate(&whole, left_size + right_size, 1));
    memcpy(whole, left, left_size);
    memcpy(whole + left_size, right, right_size);
    slao_status status = find_token(bpe, &result, whole, left_size + right_size);
    free(whole);
    SLAO_TRY(status);
    if (2 * (bpe->n_merges + 1) > bpe->n_slots)
        SLAO_TRY(double_slots(bpe));
    merge *slot = slot_of(bpe, pair_of(left_id, right_id));
    bpe->n_merges += slot->result == NONE; /* of equal merges the last counts, as in tokenizers */
    *slot = (merge){pair_of(left_id, right_id), bpe->next_rank++, result};
    return SLAO_OK;
}

slao_status slao_bpe_add_merge_line(slao_bpe *bpe, const char *line) {
    const char *space = strchr(line, ' ');
    if (!space || strchr(space + 1, ' '))
        return slao_fail(SLAO_BAD_INPUT,
                         "merge %d is not two tokens with a space between: \"%.60s\"",
                         bpe->next_rank, line);
    return slao_bpe_add_merge(bpe, line, (size_t)(space - line), space + 1, strlen(space + 1));
}

/* A symbol is named by the position of its first byte in the piece. */
struct slao_bpe_symbol {
    int32_t id, previous, next; /* NONE at the ends; id NONE: merged into another */
};

struct slao_bpe_pair {
    int32_t rank, position, result;
};

void slao_bpe_workspace_free(slao_bpe_workspace *workspace) {
    free(workspace->symbols);
    free(workspace->heap);
    free(workspace->letters);
    *workspace = (slao_bpe_workspace){0};
}

static bool comes_before(struct slao_bpe_pair a, struct slao_bpe_pair b) {
    return a.rank != b.rank ? a.rank < b.rank : a.position < b.position;
}

static void heap_push(slao_bpe_workspace *w, struct slao_bpe_pair pair) {
    size_t at = w->heap_count++;
    for (; at > 0 && comes_before(pair, w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = pair;
}

static struct slao_bpe_pair heap_pop(slao_bpe_workspace *w) {
    struct slao_bpe_pair top = w->heap[0], last = w->heap[--w->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < w->heap_count; at = child) {
        if (child + 1 < w->heap_count && comes_before(w->heap[child + 1], w->heap[child]))
            child++;
        if (!comes_before(w->heap[child], last))
            break;
        w->heap[at] = w->heap[child];
    }
    w->heap[at] = last;
    return top;
}

static void push_pair(const slao_bpe *bpe, slao_bpe_workspace *w, int32_t left, int32_t right) {
    if (left == NONE || right == NONE)
        return;
    const merge *found = slot_of(bpe, pair_of(w->symbols[left].id, w->symbols[right].id));
    if (found->result != NONE)
        heap_push(w, (struct slao_bpe_pair){found->rank, left, found->result});
}

static void add_symbol(struct slao_bpe_symbol *symbols, int32_t *count, int32_t id) {
    symbols[*count] = (struct slao_bpe_symbol){id, *count - 1, *count + 1};
    ++*count;
}

/* One symbol per byte that has a token; returns how many. */
static int32_t set_byte_symbols(const slao_bpe *bpe, struct slao_bpe_symbol *symbols,
                                const char *piece, size_t size) {
    int32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        int32_t id = bpe->byte_ids[(unsigned char)piece[i]];
        if (id != NONE)
            add_symbol(symbols, &count, id);
    }
    return count;
}

/* Symbols of the bytes of a character; false where one of them has none. */
static bool fall_back(const slao_bpe *bpe, struct slao_bpe_symbol *symbols, int32_t *count,
                      const char *character, size_t width) {
    for (size_t i = 0; i < width; i++) {
        if (bpe->fallback_ids[(unsigned char)character[i]] == NONE)
            return false;
    }
    for (size_t i = 0; i < width; i++)
        add_symbol(symbols, count, bpe->fallback_ids[(unsigned char)character[i]]);
    return true;
}

/* One symbol per character, more where it falls back to bytes; returns how many: never more than
 * bytes. An unknown token waits for the next character that has a token, behind bytes that fall
 * back in between: so does tokenizers. */
static int32_t set_character_symbols(const slao_bpe *bpe, struct slao_bpe_symbol *symbols,
                                     const char *piece, size_t size) {
    const slao_bpe_options *o = &bpe->options;
    int32_t count = 0;
    bool unknown_waits = false;
    for (size_t at = 0, width; at < size; at += width) {
        int32_t point;
        width = slao_utf8_read(piece + at, size - at, &point);
        int32_t id = width == 1 ? bpe->byte_ids[(unsigned char)piece[at]]
                                : slao_vocabulary_find(bpe->vocabulary, piece + at, width);
        if (id == NONE && o->byte_fallback && fall_back(bpe, symbols, &count, piece + at, width))
            continue;
        if (unknown_waits && (id != NONE || !o->fuse_unknown))
            add_symbol(symbols, &count, o->unknown);
        unknown_waits = id == NONE && o->unknown != NONE;
        if (id != NONE)
            add_symbol(symbols, &count, id);
    }
    if (unknown_waits)
        add_symbol(symbols, &count, o->unknown);
    return count;
}

static void merge_all(const slao_bpe *bpe, slao_bpe_workspace *w, int32_t count) {
    struct slao_bpe_symbol *symbols = w->symbols;
    w->heap_count = 0;
    for (int32_t i = 0; i + 1 < count; i++)
        push_pair(bpe, w, i, i + 1);
    while (w->heap_count) {
        struct slao_bpe_pair top = heap_pop(w);
        struct slao_bpe_symbol *left = &symbols[top.position];
        if (left->id == NONE || left->next == NONE)
            continue;
        struct slao_bpe_symbol *right = &symbols[left->next];
        /* The pair may have changed since it was pushed; tokenizers asks only whether the pair that
         * is there now has the same result. */
        if (slot_of(bpe, pair_of(left->id, right->id))->result != top.result)
            continue;
        left->id = top.result;
        left->next = right->next;
        right->id = NONE;
        if (left->next != NONE)
            symbols[left->next].previous = top.position;
        push_pair(bpe, w, left->previous, top.position);
        push_pair(bpe, w, top.position, left->next);
    }
}

/* The token that the piece is as a whole, or NONE. */
static slao_status whole_token(const slao_bpe *bpe, slao_bpe_workspace *w, const char *piece,
                               size_t size, int32_t *id) {
    if (!bpe->options.byte_level) {
        *id = slao_vocabulary_find(bpe->vocabulary, piece, size);
        return SLAO_OK;
    }
    SLAO_TRY(slao_grow(&w->letters, &w->letters_capacity, SLAO_LETTER_MOST * size, 1));
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += slao_byte_letter((unsigned char)piece[i], w->letters + count);
    *id = slao_vocabulary_find(bpe->vocabulary, w->letters, count);
    return SLAO_OK;
}

slao_status slao_bpe_encode(const slao_bpe *bpe, slao_bpe_workspace *w, const char *piece,
                            size_t size, slao_ids *ids) {
    SLAO_INVARIANT(size <= INT32_MAX);
    if (size && bpe->options.ignore_merges) {
        int32_t id;
        SLAO_TRY(whole_token(bpe, w, piece, size, &id));
        if (id != NONE)
            return slao_ids_add(ids, id);
    }
    SLAO_TRY(slao_grow(&w->symbols, &w->symbols_capacity, size, sizeof *w->symbols));
    int32_t count = (bpe->options.byte_level ? set_byte_symbols
                                             : set_character_symbols)(bpe, w->symbols, piece, size);
    if (count)
        w->symbols[count - 1].next = NONE;
    if (bpe->n_slots) {
        /* A merge takes one pair away and adds two at most. */
        SLAO_TRY(slao_grow(&w->heap, &w->heap_capacity, 3 * size, sizeof *w->heap));
        merge_all(bpe, w, count);
    }
    for (int32_t i = 0; i < count; i++) {
        if (w->symbols[i].id != NONE)
            SLAO_TRY(slao_ids_add(ids, w->symbols[i].id));
    }
    return SLAO_OK;
}
