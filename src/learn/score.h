/* Scores of one output against its reference.
 *
 * Exact match compares normalised texts: lower-cased, punctuation and white space taken out. That
 * is the classification score of O-LoRA (Wang et al., 2023), whose own code takes out ASCII
 * punctuation only and folds runs of spaces; here spaces go altogether. In detail, code point by
 * code point, so that what follows never changes what came before:
 *   - bytes that are no UTF-8 count as U+FFFD each, and stay;
 *   - taken out: ASCII punctuation (Python's string.punctuation, which has symbols such as $ and
 * +), Unicode's categories P* (punctuation) and Z* (separators), and the white space among the
 *     control characters (tab to carriage return, U+001C to U+001F, U+0085);
 *   - the rest in lower case by Unicode's simple mapping; a final sigma counts as sigma, as which
 * of them is written depends on what follows. An output of which nothing is left is wrong, also if
 * nothing is left of the reference ("-", the label of an unanswerable example).
 */
#ifndef SLAO_LEARN_SCORE_H
#define SLAO_LEARN_SCORE_H

#include <stdbool.h>
#include <stddef.h>

/* Is the output, `size` bytes (NULs are text), the reference? */
bool slao_score_exact(const char *output, size_t size, const char *reference);

/* Can an output that begins with these bytes still become the reference? For stopping a generation
 * early: false is certain, whatever follows. The bytes may end inside a character. */
bool slao_score_can_still_match(const char *output, size_t size, const char *reference);

#endif
