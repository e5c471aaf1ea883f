#include "model/added_tokens.h"

#include "base/memory.h"
#include "model/regex.h"
#include "model/unicode_ranges.h"
#include "model/utf8.h"
#include "model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { NONE = -1, N_BYTES = 256 };

/* The different sizes of the tokens that begin with one byte, longest first. */
typedef struct {
    size_t *items;
    size_t count, capacity;
} sizes;

/* The tokens that are looked for in one kind of text; `texts` gives indices into the list. */
typedef struct {
    slao_vocabulary *texts;
    sizes by_first_byte[N_BYTES];
} matcher;

struct slao_added_tokens {
    slao_added_token *list;
    size_t count, capacity;
    slao_vocabulary *contents; /* by id */
    int32_t *places;           /* in the list, by id; NONE: no such token */
    size_t n_places, places_capacity;
    matcher matchers[2]; /* of the raw text, of the normalised text */
    slao_regex *word;    /* one word character */
};

slao_status slao_added_tokens_new(slao_added_tokens **tokens) {
    SLAO_TRY(slao_allocate(tokens, 1, sizeof **tokens));
    slao_status status;
    for (int i = 0; i < 2; i++)
        SLAO_TRY_GOTO(status, slao_vocabulary_new(&(*tokens)->matchers[i].texts), failed);
    SLAO_TRY_GOTO(status, slao_vocabulary_new(&(*tokens)->contents), failed);
    SLAO_TRY_GOTO(status, slao_regex_new(&(*tokens)->word, "^[" SLAO_WORD "]"), failed);
    return SLAO_OK;
failed:
    slao_added_tokens_free(*tokens);
    *tokens = NULL;
    return status;
}

void slao_added_tokens_free(slao_added_tokens *tokens) {
    if (!tokens)
        return;
    for (int i = 0; i < 2; i++) {
        slao_vocabulary_free(tokens->matchers[i].texts);
        for (int byte = 0; byte < N_BYTES; byte++)
            free(tokens->matchers[i].by_first_byte[byte].items);
    }
    slao_regex_free(tokens->word);
    slao_vocabulary_free(tokens->contents);
    free(tokens->places);
    free(tokens->list);
    free(tokens);
}

static slao_status add_size(sizes *list, size_t size) {
    size_t at = 0;
    while (at < list->count && list->items[at] > size)
        at++;
    if (at < list->count && list->items[at] == size)
        return SLAO_OK;
    SLAO_TRY(slao_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items));
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
    list->items[at] = size;
    list->count++;
    return SLAO_OK;
}

slao_status slao_added_tokens_add(slao_added_tokens *tokens, const char *content, size_t size,
                                  const char *normal, size_t normal_size, slao_added_token token) {
    matcher *m = &tokens->matchers[token.normalized];
    if (!normal_size)
        return slao_fail(SLAO_BAD_INPUT, "the token \"%.*s\" is empty when it is normalised",
                         size > 60 ? 60 : (int)size, content);
    SLAO_TRY(slao_vocabulary_add(tokens->contents, content, size, token.id));
    SLAO_TRY(slao_grow(&tokens->list, &tokens->capacity, tokens->count + 1, sizeof *tokens->list));
    SLAO_TRY(slao_grow(&tokens->places, &tokens->places_capacity, (size_t)token.id + 1,
                       sizeof *tokens->places));
    SLAO_TRY(slao_vocabulary_add(m->texts, normal, normal_size, (int64_t)tokens->count));
    for (; tokens->n_places <= (size_t)token.id; tokens->n_places++)
        tokens->places[tokens->n_places] = NONE;
    tokens->places[token.id] = (int32_t)tokens->count;
    token.special = token.special && normal_size == size && memcmp(normal, content, size) == 0;
    tokens->list[tokens->count++] = token;
    return add_size(&m->by_first_byte[(unsigned char)normal[0]], normal_size);
}

int32_t slao_added_tokens_find(const slao_added_tokens *tokens, const char *content, size_t size) {
    return slao_vocabulary_find(tokens->contents, content, size);
}

const char *slao_added_tokens_text(const slao_added_tokens *tokens, int64_t id, size_t *size,
                                   bool *special) {
    if (id < 0 || id >= (int64_t)tokens->n_places || tokens->places[id] == NONE)
        return NULL;
    int32_t place = tokens->places[id];
    *special = tokens->list[place].special;
    return slao_vocabulary_text(tokens->matchers[tokens->list[place].normalized].texts, place,
                                size);
}

int64_t slao_added_tokens_end(const slao_added_tokens *tokens) {
    return (int64_t)tokens->n_places;
}

bool slao_added_tokens_has_normalized(const slao_added_tokens *tokens) {
    return slao_vocabulary_count(tokens->matchers[true].texts) > 0;
}

/* The longest token at the start of `text`, or NONE. */
static int32_t longest_at(const matcher *m, const char *text, size_t left, size_t *size) {
    const sizes *list = &m->by_first_byte[(unsigned char)*text];
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] > left)
            continue;
        int32_t found = slao_vocabulary_find(m->texts, text, list->items[i]);
        if (found != NONE) {
            *size = list->items[i];
            return found;
        }
    }
    return NONE;
}

/* Where the character that ends at `end` (> 0) starts. */
static size_t character_before(const char *text, size_t end) {
    do
        end--;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80);
    return end;
}

static bool is_space_at(const char *text, size_t size, size_t at, size_t *count) {
    int32_t point;
    *count = slao_utf8_read(text + at, size - at, &point);
    return slao_is_space(point);
}

static size_t start_of_spaces(const char *text, size_t end) {
    size_t count;
    while (end > 0 && is_space_at(text, end, character_before(text, end), &count))
        end = character_before(text, end);
    return end;
}

static size_t end_of_spaces(const char *text, size_t size, size_t start) {
    size_t count;
    while (start < size && is_space_at(text, size, start, &count))
        start += count;
    return start;
}

/* No word character ends at `start` or starts at `stop`. */
static slao_status stands_alone(const slao_added_tokens *tokens, const char *text, size_t size,
                                size_t start, size_t stop, bool *alone) {
    slao_regex_match *match;
    SLAO_TRY(slao_regex_match_new(&match));
    bool before = false, behind = false;
    size_t first, last;
    slao_status status = SLAO_OK;
    if (start > 0) {
        size_t at = character_before(text, start);
        status =
            slao_regex_find(tokens->word, match, text + at, start - at, 0, &before, &first, &last);
    }
    if (status == SLAO_OK && stop < size)
        status = slao_regex_find(tokens->word, match, text + stop, size - stop, 0, &behind, &first,
                                 &last);
    slao_regex_match_free(match);
    *alone = !before && !behind;
    return status;
}

/* The order of the steps, and what follows from it where tokens with rstrip or lstrip take in
 * spaces that are tokens themselves, is that of tokenizers' find_matches. */
slao_status slao_added_tokens_cut(const slao_added_tokens *tokens, bool normalized,
                                  const char *text, size_t size, slao_pieces *pieces) {
    const matcher *m = &tokens->matchers[normalized];
    size_t done = 0;
    for (size_t at = 0; at < size;) {
        size_t length;
        int32_t found = longest_at(m, text + at, size - at, &length);
        if (found == NONE) {
            at++;
            continue;
        }
        size_t start = at, stop = at + length;
        at = stop;
        const slao_added_token *token = &tokens->list[found];
        if (token->single_word) {
            bool alone;
            SLAO_TRY(stands_alone(tokens, text, size, start, stop, &alone));
            if (!alone)
                continue;
        }
        if (token->lstrip) {
            size_t spaces = start_of_spaces(text, start);
            start = spaces > done ? spaces : done;
        }
        if (token->rstrip)
            stop = end_of_spaces(text, size, stop);
        if (done < start)
            SLAO_TRY(slao_pieces_add(pieces, text + done, start - done, SLAO_PIECE_IS_TEXT));
        SLAO_TRY(slao_pieces_add(pieces, text + start, stop - start, (int32_t)token->id));
        done = stop;
    }
    if (done != size)
        SLAO_TRY(slao_pieces_add(pieces, text + done, size - done, SLAO_PIECE_IS_TEXT));
    return SLAO_OK;
}
