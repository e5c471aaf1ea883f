#include "model/scored_merges.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Bytes of a token, each of whose places is tried: SentencePiece makes them of 16
 * characters at the most, unless told otherwise. */
enum { TOKEN_MOST = 512 };

typedef struct {
    double score;
    const char *left, *right;
    size_t left_size, right_size;      /* bytes */
    int32_t left_length, right_length; /* characters */
    int32_t token;
} scored;

typedef struct {
    scored *items;
    size_t count, capacity;
} scored_list;

static bool starts_character(char byte) {
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static int32_t length_of(const char *text, size_t size) {
    int32_t length = 0;
    for (size_t i = 0; i < size; i++)
        length += starts_character(text[i]);
    return length;
}

/* The merges that make one token. */
static slao_status add_token(scored_list *list, const slao_vocabulary *v, int32_t token,
                             double score) {
    size_t size;
    const char *text = slao_vocabulary_text(v, token, &size);
    if (!isfinite(score))
        return slao_fail(SLAO_BAD_INPUT, "the score of token %d is not a number", token);
    if (size > TOKEN_MOST)
        return slao_fail(SLAO_BAD_INPUT, "token %d is %zu bytes long, which is more than %d", token,
                         size, TOKEN_MOST);
    int32_t length = length_of(text, size), before = 0;
    for (size_t at = 1; at < size; at++) {
        if (!starts_character(text[at]))
            continue;
        before++;
        if (slao_vocabulary_find(v, text, at) < 0 ||
            slao_vocabulary_find(v, text + at, size - at) < 0)
            continue;
        SLAO_TRY(slao_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items));
        list->items[list->count++] = (scored){.score = score,
                                              .left = text,
                                              .right = text + at,
                                              .left_size = at,
                                              .right_size = size - at,
                                              .left_length = before,
                                              .right_length = length - before,
                                              .token = token};
    }
    return SLAO_OK;
}

static int compare(const void *one, const void *other) {
    const scored *a = one, *b = other;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->left_length != b->left_length)
        return a->left_length > b->left_length ? -1 : 1;
    if (a->right_length != b->right_length)
        return a->right_length > b->right_length ? -1 : 1;
    return (a->token > b->token) - (a->token < b->token); /* equal only for the same merge */
}

slao_status slao_add_scored_merges(slao_bpe *bpe, const slao_vocabulary *v, const double *scores) {
    scored_list list = {0};
    slao_status status = SLAO_OK;
    for (int32_t id = 0; id < slao_vocabulary_end(v) && status == SLAO_OK; id++)
        status = add_token(&list, v, id, scores[id]);
    if (status == SLAO_OK && list.count)
        qsort(list.items, list.count, sizeof *list.items, compare);
    for (size_t i = 0; i < list.count && status == SLAO_OK; i++) {
        const scored *m = &list.items[i];
        status = slao_bpe_add_merge(bpe, m->left, m->left_size, m->right, m->right_size);
    }
    free(list.items);
    return status;
}
