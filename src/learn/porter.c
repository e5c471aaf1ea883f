#include "learn/porter.h"

#include <stdbool.h>
#include <string.h>

/* ---- What the rules ask of a stem: the first n letters of a word ---- */

static bool is_consonant(const char *word, size_t i) {
    if (word[i] != 'y')
        return strchr("aeiou", word[i]) == NULL;
    bool consonant =
        true; /* a y after a vowel or first in the word; it alternates in a run of ys */
    size_t first = i;
    while (first > 0 && word[first - 1] == 'y')
        first--;
    if (first > 0)
        consonant = !is_consonant(word, first - 1);
    return (i - first) % 2 == 0 ? consonant : !consonant;
}

/* How often a vowel is followed by a consonant. */
static int measure(const char *word, size_t n) {
    int count = 0;
    for (size_t i = 1; i < n; i++)
        count += !is_consonant(word, i - 1) && is_consonant(word, i);
    return count;
}

static bool is_positive(const char *word, size_t n) {
    return measure(word, n) > 0;
}

static bool is_above_one(const char *word, size_t n) {
    return measure(word, n) > 1;
}

static bool has_vowel(const char *word, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_consonant(word, i))
            return true;
    }
    return false;
}

static bool ends_in_double_consonant(const char *word, size_t n) {
    return n >= 2 && word[n - 1] == word[n - 2] && is_consonant(word, n - 1);
}

/* Consonant, vowel, consonant, the last none of w, x, y; or a word of vowel and consonant. */
static bool is_short(const char *word, size_t n) {
    if (n == 2)
        return !is_consonant(word, 0) && is_consonant(word, 1);
    return n >= 3 && is_consonant(word, n - 3) && !is_consonant(word, n - 2) &&
           is_consonant(word, n - 1) && strchr("wxy", word[n - 1]) == NULL;
}

static bool is_above_one_after_s_or_t(const char *word, size_t n) {
    return is_above_one(word, n) && (word[n - 1] == 's' || word[n - 1] == 't');
}

/* The l of -logi belongs to the stem, so that geology, theology and archaeology go alike. */
static bool is_positive_with_l(const char *word, size_t n) {
    return is_positive(word, n + 1);
}

static bool ends_in_consonant_past_the_first(const char *word, size_t n) {
    return n > 1 && is_consonant(word, n - 1);
}

/* ---- Rules: the first whose suffix the word has decides ---- */

typedef struct {
    const char *suffix, *replacement;
    bool (*applies)(const char *word, size_t n); /* to the stem before the suffix; NULL: always */
} rule;

static bool has_suffix(const char *word, size_t length, const char *suffix) {
    size_t n = strlen(suffix);
    return length >= n && memcmp(word + length - n, suffix, n) == 0;
}

static size_t replace(char *word, size_t n, const char *replacement) {
    size_t added = strlen(replacement);
    memcpy(word + n, replacement, added);
    return n + added;
}

static size_t apply(const rule *rules, char *word, size_t length) {
    for (; rules->suffix; rules++) {
        if (!has_suffix(word, length, rules->suffix))
            continue;
        size_t n = length - strlen(rules->suffix);
        if (rules->applies && !rules->applies(word, n))
            return length;
        return replace(word, n, rules->replacement);
    }
    return length;
}

static const rule plurals[] = {
    {"sses", "ss", NULL}, {"ies", "i", NULL}, {"ss", "ss", NULL}, {"s", "", NULL}, {0}};

static const rule after_past_tense[] = {
    {"at", "ate", NULL}, {"bl", "ble", NULL}, {"iz", "ize", NULL}, {0}};

static const rule final_y[] = {{"y", "i", ends_in_consonant_past_the_first}, {0}};

static const rule double_suffixes[] = {
    {"ational", "ate", is_positive},
    {"tional", "tion", is_positive},
    {"enci", "ence", is_positive},
    {"anci", "ance", is_positive},
    {"izer", "ize", is_positive},
    {"bli", "ble", is_positive},
    {"alli", "al", is_positive},
    {"entli", "ent", is_positive},
    {"eli", "e", is_positive},
    {"ousli", "ous", is_positive},
    {"ization", "ize", is_positive},
    {"ation", "ate", is_positive},
    {"ator", "ate", is_positive},
    {"alism", "al", is_positive},
    {"iveness", "ive", is_positive},
    {"fulness", "ful", is_positive},
    {"ousness", "ous", is_positive},
    {"aliti", "al", is_positive},
    {"iviti", "ive", is_positive},
    {"biliti", "ble", is_positive},
    {"fulli", "ful", is_positive},
    {"logi", "log", is_positive_with_l},
    {0},
};

static const rule adjectives[] = {
    {"icate", "ic", is_positive}, {"ative", "", is_positive},
    {"alize", "al", is_positive}, {"iciti", "ic", is_positive},
    {"ical", "ic", is_positive},  {"ful", "", is_positive},
    {"ness", "", is_positive},    {0},
};

static const rule single_suffixes[] = {
    {"al", "", is_above_one},    {"ance", "", is_above_one},
    {"ence", "", is_above_one},  {"er", "", is_above_one},
    {"ic", "", is_above_one},    {"able", "", is_above_one},
    {"ible", "", is_above_one},  {"ant", "", is_above_one},
    {"ement", "", is_above_one}, {"ment", "", is_above_one},
    {"ent", "", is_above_one},   {"ion", "", is_above_one_after_s_or_t},
    {"ou", "", is_above_one},    {"ism", "", is_above_one},
    {"ate", "", is_above_one},   {"iti", "", is_above_one},
    {"ous", "", is_above_one},   {"ive", "", is_above_one},
    {"ize", "", is_above_one},   {0},
};

static size_t take_off_plural(char *word, size_t length) {
    return length == 4 && has_suffix(word, length, "ies") ? 3 : apply(plurals, word, length);
}

static size_t take_off_past_tense(char *word, size_t length) {
    if (has_suffix(word, length, "ied"))
        return length == 4 ? 3 : length - 2;
    if (has_suffix(word, length, "eed"))
        return is_positive(word, length - 3) ? length - 1 : length;
    size_t n = length;
    if (has_suffix(word, length, "ed") && has_vowel(word, length - 2))
        n = length - 2;
    else if (has_suffix(word, length, "ing") && has_vowel(word, length - 3))
        n = length - 3;
    if (n == length)
        return length;
    size_t mended = apply(after_past_tense, word, n);
    if (mended != n)
        return mended;
    if (ends_in_double_consonant(word, n))
        return strchr("lsz", word[n - 1]) ? n : n - 1;
    return measure(word, n) == 1 && is_short(word, n) ? replace(word, n, "e") : n;
}

static size_t take_off_double_suffix(char *word, size_t length) {
    if (has_suffix(word, length, "alli") && is_positive(word, length - 4))
        length -= 2; /* what is left may have one more */
    return apply(double_suffixes, word, length);
}

static size_t take_off_final_e(const char *word, size_t length) {
    if (word[length - 1] != 'e')
        return length;
    int m = measure(word, length - 1);
    return m > 1 || (m == 1 && !is_short(word, length - 1)) ? length - 1 : length;
}

static size_t take_off_double_l(const char *word, size_t length) {
    return has_suffix(word, length, "ll") && is_above_one(word, length - 1) ? length - 1 : length;
}

static const struct {
    const char *word, *stem;
} irregular[] = {
    {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
    {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
    {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
    {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"},
};

size_t slao_porter_stem(char *word, size_t length) {
    for (size_t i = 0; i < sizeof irregular / sizeof *irregular; i++) {
        if (strlen(irregular[i].word) == length && memcmp(irregular[i].word, word, length) == 0)
            return replace(word, 0, irregular[i].stem);
    }
    if (length <= 2)
        return length;
    length = take_off_plural(word, length);
    length = take_off_past_tense(word, length);
    length = apply(final_y, word, length);
    length = take_off_double_suffix(word, length);
    length = apply(adjectives, word, length);
    length = apply(single_suffixes, word, length);
    length = take_off_final_e(word, length);
    return take_off_double_l(word, length);
}
