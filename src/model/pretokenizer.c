#include "model/pretokenizer.h"

#include "base/memory.h"
#include "model/unicode_ranges.h"
#include "model/utf8.h"

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

typedef struct {
    slao_regex *regex; /* NULL: the step is Metaspace */
    char character[SLAO_UTF8_MOST + 1];
    slao_leading_space leading;
    bool split;
} step;

struct slao_pretokenizer {
    step *steps;
    size_t n_steps, capacity;
    bool has_spaces;
};

slao_status slao_pretokenizer_new(slao_pretokenizer **pretokenizer) {
    return slao_allocate(pretokenizer, 1, sizeof **pretokenizer);
}

void slao_pretokenizer_free(slao_pretokenizer *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        slao_regex_free(p->steps[i].regex);
    free(p->steps);
    free(p);
}

static slao_status add_rule(slao_pretokenizer *p, const rule *row) {
    SLAO_TRY(slao_grow(&p->steps, &p->capacity, p->n_steps + 1, sizeof *p->steps));
    step s = {0};
    SLAO_TRY_IN(slao_regex_new(&s.regex, row->pattern), "pre-tokenizer %s", row->name);
    p->steps[p->n_steps++] = s;
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
                     "GPT-2, Llama-3 and Qwen2): %.200s",
                     regex);
}

slao_status slao_pretokenizer_add_spaces(slao_pretokenizer *p, const char *character,
                                         slao_leading_space leading, bool split) {
    step s = {.leading = leading, .split = split};
    size_t size = strlen(character);
    if (p->has_spaces)
        return slao_fail(SLAO_BAD_INPUT, "a second Metaspace is not supported");
    SLAO_INVARIANT(size > 0 && size <= SLAO_UTF8_MOST);
    memcpy(s.character, character, size + 1);
    SLAO_TRY(slao_grow(&p->steps, &p->capacity, p->n_steps + 1, sizeof *p->steps));
    p->steps[p->n_steps++] = s;
    p->has_spaces = true;
    return SLAO_OK;
}

bool slao_pretokenizer_asks_for_start(const slao_pretokenizer *p) {
    for (size_t i = 0; i < p->n_steps; i++) {
        if (!p->steps[i].regex && p->steps[i].leading == SLAO_SPACE_FIRST)
            return true;
    }
    return false;
}

void slao_pretokenizer_workspace_free(slao_pretokenizer_workspace *w) {
    slao_bytes_free(&w->changed);
    slao_regex_match_free(w->match);
    slao_pieces_free(&w->pieces);
    slao_pieces_free(&w->spare);
    *w = (slao_pretokenizer_workspace){0};
}

static slao_status cut_by_regex(const slao_regex *regex, slao_regex_match *match, slao_piece piece,
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

static bool begins_with(const char *text, size_t size, const char *start, size_t count) {
    return size >= count && memcmp(text, start, count) == 0;
}

/* `changed` has room for whatever becomes of the piece. */
static slao_status change_spaces(const step *s, slao_piece piece, bool is_start,
                                 slao_bytes *changed, slao_pieces *into) {
    size_t width = strlen(s->character), start = changed->count;
    bool leads = s->leading == SLAO_SPACE_ALWAYS || (s->leading == SLAO_SPACE_FIRST && is_start);
    if (leads && *piece.text != ' ' && !begins_with(piece.text, piece.size, s->character, width))
        SLAO_TRY(slao_bytes_add(changed, s->character, width));
    for (size_t at = 0; at < piece.size;) {
        const char *space = memchr(piece.text + at, ' ', piece.size - at);
        size_t end = space ? (size_t)(space - piece.text) : piece.size;
        SLAO_TRY(slao_bytes_add(changed, piece.text + at, end - at));
        if (space)
            SLAO_TRY(slao_bytes_add(changed, s->character, width));
        at = end + 1;
    }
    const char *text = changed->items + start;
    size_t size = changed->count - start, done = 0;
    for (size_t at = 1; s->split && at + width <= size; at++) {
        if (begins_with(text + at, size - at, s->character, width)) {
            SLAO_TRY(slao_pieces_add(into, text + done, at - done, SLAO_PIECE_IS_TEXT));
            done = at;
        }
    }
    return slao_pieces_add(into, text + done, size - done, SLAO_PIECE_IS_TEXT);
}

static slao_status run_spaces(const step *s, slao_pretokenizer_workspace *w, const char *text,
                              bool is_start, const slao_pieces *before) {
    size_t room = 0;
    for (size_t i = 0; i < before->count; i++)
        room += (before->items[i].size + 1) * strlen(s->character);
    if (room > INT32_MAX)
        return slao_fail(SLAO_BAD_INPUT,
                         "a text needs %zu bytes when its spaces are replaced: split it into lines",
                         room);
    w->changed.count = 0;
    SLAO_TRY(slao_grow(&w->changed.items, &w->changed.capacity, room + 1, 1)); /* moves no more */
    for (size_t i = 0; i < before->count; i++)
        SLAO_TRY(change_spaces(s, before->items[i], is_start && before->items[i].text == text,
                               &w->changed, &w->pieces));
    return SLAO_OK;
}

slao_status slao_pretokenizer_cut(const slao_pretokenizer *p, slao_pretokenizer_workspace *w,
                                  const char *text, size_t size, bool is_start) {
    if (!w->match)
        SLAO_TRY(slao_regex_match_new(&w->match));
    w->pieces.count = 0;
    if (size)
        SLAO_TRY(slao_pieces_add(&w->pieces, text, size, SLAO_PIECE_IS_TEXT));
    for (const step *s = p->steps; s < p->steps + p->n_steps; s++) {
        slao_pieces before = w->pieces;
        w->pieces = w->spare;
        w->spare = before;
        w->pieces.count = 0;
        if (!s->regex)
            SLAO_TRY(run_spaces(s, w, text, is_start, &before));
        for (size_t i = 0; s->regex && i < before.count; i++)
            SLAO_TRY(cut_by_regex(s->regex, w->match, before.items[i], &w->pieces));
    }
    return SLAO_OK;
}
