#include "learn/rouge.h"

#include "base/memory.h"
#include "learn/porter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST_STEMMED = 4 };

/* The words of a text: `characters` holds their stems. */
typedef struct {
    char *characters;
    struct word {
        const char *start;
        size_t length;
    } * words;
    size_t count;
} word_list;

/* The two letters beyond ASCII that have a lower case within it: the kelvin sign (k), and I with a
 * dot (i, and a combining dot, which parts words). */
static const struct {
    const char *bytes, *lower;
} folded[] = {{"\xe2\x84\xaa", "k"}, {"\xc4\xb0", "i "}};

/* Appends the lower case of what stands at `text` if it can be part of a word, else a space;
 * returns how many bytes it took. */
static size_t fold(const char *text, size_t size, char **end) {
    unsigned char c = (unsigned char)*text;
    for (size_t i = 0; i < sizeof folded / sizeof *folded; i++) {
        size_t n = strlen(folded[i].bytes);
        if (size >= n && memcmp(text, folded[i].bytes, n) == 0) {
            *end = stpcpy(*end, folded[i].lower);
            return n;
        }
    }
    bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    *(*end)++ = (char)(upper ? c - 'A' + 'a' : lower || digit ? c : ' ');
    return 1;
}

static slao_status split(word_list *list, const char *text, size_t size) {
    SLAO_TRY(slao_allocate(&list->characters, size + 1, 1)); /* nothing folds to more bytes */
    char *end = list->characters;
    for (size_t i = 0; i < size;)
        i += fold(text + i, size - i, &end);
    SLAO_TRY(slao_allocate(&list->words, size / 2 + 1, sizeof *list->words));
    for (char *at = list->characters; at < end;) {
        char *start = at;
        while (at < end && *at != ' ')
            at++;
        size_t length = (size_t)(at - start);
        if (length >= SHORTEST_STEMMED)
            length = slao_porter_stem(start, length);
        if (length > 0)
            list->words[list->count++] = (struct word){start, length};
        at++;
    }
    return SLAO_OK;
}

static bool same(const struct word *a, const struct word *b) {
    return a->length == b->length && memcmp(a->start, b->start, a->length) == 0;
}

static slao_status longest_common_subsequence(const word_list *a, const word_list *b,
                                              size_t *longest) {
    size_t *row; /* of the words of a so far: the best with the first j words of b */
    SLAO_TRY(slao_allocate(&row, b->count + 1, sizeof *row));
    for (size_t i = 0; i < a->count; i++) {
        size_t diagonal = 0;
        for (size_t j = 1; j <= b->count; j++) {
            size_t above = row[j];
            if (same(&a->words[i], &b->words[j - 1]))
                row[j] = diagonal + 1;
            else if (row[j - 1] > row[j])
                row[j] = row[j - 1];
            diagonal = above;
        }
    }
    *longest = row[b->count];
    free(row);
    return SLAO_OK;
}

static slao_status compare(const word_list *output, const word_list *reference, double *f1) {
    *f1 = 0;
    if (output->count == 0 || reference->count == 0)
        return SLAO_OK;
    size_t longest;
    SLAO_TRY(longest_common_subsequence(output, reference, &longest));
    if (longest > 0) {
        double precision = (double)longest / (double)output->count;
        double recall = (double)longest / (double)reference->count;
        *f1 = 2 * precision * recall / (precision + recall);
    }
    return SLAO_OK;
}

slao_status slao_rouge_l(const char *output, size_t size, const char *reference, double *f1) {
    word_list a = {0}, b = {0};
    slao_status status = split(&a, output, size);
    if (status == SLAO_OK)
        status = split(&b, reference, strlen(reference));
    if (status == SLAO_OK)
        status = compare(&a, &b, f1);
    free(a.characters);
    free(a.words);
    free(b.characters);
    free(b.words);
    return status;
}
