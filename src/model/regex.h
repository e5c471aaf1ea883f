/* Regular expressions over UTF-8 through PCRE2, compiled to machine code where the machine allows.
 * A regex may be matched by several threads at once, each with a slao_regex_match of its own. */
#ifndef SLAO_MODEL_REGEX_H
#define SLAO_MODEL_REGEX_H

#include "base/status.h"

typedef struct slao_regex slao_regex;
typedef struct slao_regex_match slao_regex_match;

slao_status slao_regex_new(slao_regex **regex, const char *pattern);
void slao_regex_free(slao_regex *regex); /* NULL is allowed */

slao_status slao_regex_match_new(slao_regex_match **match);
void slao_regex_match_free(slao_regex_match *match); /* NULL is allowed */

/* The first match in `text` (valid UTF-8 of `size` bytes) at or after byte `from`: bytes *start to
 * *end. *found is false where there is none. */
slao_status slao_regex_find(const slao_regex *regex, slao_regex_match *match, const char *text,
                            size_t size, size_t from, bool *found, size_t *start, size_t *end);

#endif
