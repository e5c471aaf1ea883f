/* Porter's stemmer for English words, as NLTK has it by default and the rouge-score package uses
 * it.
 *
 * M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with NLTK's departures: a
 * few irregular words; words of at most two letters stay; ies and ied keep their e in words of four
 * letters (dies: die); y becomes i only after a consonant that is not the word's first letter; alli
 * is al and may go on, bli is ble, fulli is ful, logi is log; and a stem of a vowel and a consonant
 * counts as short.
 */
#ifndef SLAO_LEARN_PORTER_H
#define SLAO_LEARN_PORTER_H

#include <stddef.h>

/* Stems the word of `length` ASCII letters (lower case) and digits, in place, and returns the
 * length of its stem, which is never longer than the word. */
size_t slao_porter_stem(char *word, size_t length);

#endif
