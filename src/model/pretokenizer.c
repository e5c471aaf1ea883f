#include "model/pretokenizer.h"

#include "base/memory.h"
#include "model/unicode_ranges.h"

#include <stdlib.h>
#include <string.h>

#define LETTER "[" SLAO_LETTERS "]"
#define NUMBER "[" SLAO_NUMBERS "]"
#define SPACE "[" SLAO_SPACES "]"
#define SYMBOL "[^" SLAO_SPACES SLAO_LETTERS SLAO_NUMBERS "]"
#define NO_SPACE_FOLLOWS "(?![^" SLAO_SPACES "])"

/* What Llama-3 and Qwen2 have in common: all but the length of numbers. */
#define WORDS_OF_LLAMA3                                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n" SLAO_LETTERS SLAO_NUMBERS "]?" LETTER "+|"
#define REST_OF_LLAMA3                                                                             \
    "| ?" SYMBOL "+[\\r\\n]*|" SPACE "*[\\r\\n]+|" SPACE "+" NO_SPACE_FOLLOWS "|" SPACE "+"

typedef struct {
    const char *name;
    const char *regex;   /* as files write it; NULL: they have another word for it */
    const char *pattern; /* the same with the classes that tokenizers means by it */
} rule;

static const rule rules[] = {
    {"gpt2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     "'s|'t|'re|'ve|'m|'ll|'d| ?" LETTER "+| ?" NUMBER "+| ?" SYMBOL "+|" SPACE "+" NO_SPACE_FOLLOWS
     "|" SPACE "+"},
    {"llama3",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     WORDS_OF_LLAMA3 NUMBER "{1,3}" REST_OF_LLAMA3},
    {"qwen2",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     WORDS_OF_LLAMA3 NUMBER REST_OF_LLAMA3},
    {"digits", NULL, "[" SLAO_NUMERIC "]"},
    {"digit runs", NULL, "[" SLAO_NUMERIC "]+"},
};
enum { N_RULES = sizeof rules / sizeof *rules };

struct slao_pretokenizer {
    slao_regex **steps;
    size_t n_steps, capacity;
};

slao_status slao_pretokenizer_new(slao_pretokenizer **pretokenizer) {
    return slao_allocate(pretokenizer, 1, sizeof **pretokenizer);
}

void slao_pretokenizer_free(slao_pretokenizer *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        slao_regex_free(p->steps[i]);
    free(p->steps);
    free(p);
}

static slao_status add_rule(slao_pretokenizer *p, const rule *row) {
    SLAO_TRY(slao_grow(&p->steps, &p->capacity, p->n_steps + 1, sizeof(slao_regex *)));
    SLAO_TRY_IN(slao_regex_new(&p->steps[p->n_steps], row->pattern), "pre-tokenizer %s", row->name);
    p->n_steps++;
    return SLAO_OK;
}

slao_status slao_pretokenizer_add(slao_pretokenizer *p, const char *name) {
    int i = 0;
    while (i < N_RULES && strcmp(rules[i].name, name) != 0)
        i++;
    SLAO_INVARIANT(i < N_RULES);
    return add_rule(p, &rules[i]);
}

slao_status slao_pretokenizer_add_regex(slao_pretokenizer *p, const char *regex) {
    for (int i = 0; i < N_RULES; i++) {
        if (rules[i].regex && strcmp(rules[i].regex, regex) == 0)
            return add_rule(p, &rules[i]);
    }
    return slao_fail(SLAO_BAD_INPUT,
                     "the pre-tokenizer's regular expression is none that slao knows (those of "
                     "GPT-2, Llama-3 and Qwen2): %s",
                     regex);
}

void slao_pretokenizer_workspace_free(slao_pretokenizer_workspace *w) {
    slao_regex_match_free(w->match);
    slao_pieces_free(&w->pieces);
    slao_pieces_free(&w->spare);
    *w = (slao_pretokenizer_workspace){0};
}

static slao_status cut_piece(const slao_regex *regex, slao_regex_match *match, slao_piece piece,
                             slao_pieces *into) {
    for (size_t at = 0; at < piece.size;) {
        bool found;
        size_t start, end;
        SLAO_TRY(slao_regex_find(regex, match, piece.text, piece.size, at, &found, &start, &end));
        if (!found)
            start = end = piece.size;
        if (start > at)
            SLAO_TRY(slao_pieces_add(into, piece.text + at, start - at, SLAO_PIECE_IS_TEXT));
        if (end > start)
            SLAO_TRY(slao_pieces_add(into, piece.text + start, end - start, SLAO_PIECE_IS_TEXT));
        at = end;
    }
    return SLAO_OK;
}

slao_status slao_pretokenizer_cut(const slao_pretokenizer *p, slao_pretokenizer_workspace *w,
                                  const char *text, size_t size) {
    if (!w->match)
        SLAO_TRY(slao_regex_match_new(&w->match));
    w->pieces.count = 0;
    if (size)
        SLAO_TRY(slao_pieces_add(&w->pieces, text, size, SLAO_PIECE_IS_TEXT));
    for (size_t step = 0; step < p->n_steps; step++) {
        slao_pieces before = w->pieces;
        w->pieces = w->spare;
        w->spare = before;
        w->pieces.count = 0;
        for (size_t i = 0; i < before.count; i++)
            SLAO_TRY(cut_piece(p->steps[step], w->match, before.items[i], &w->pieces));
    }
    return SLAO_OK;
}
