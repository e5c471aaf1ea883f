/* Texts and their numbers, found either way: the tokens of a vocabulary. */
#ifndef SLAO_MODEL_VOCABULARY_H
#define SLAO_MODEL_VOCABULARY_H

#include "base/status.h"

#include <stdint.h>

typedef struct slao_vocabulary slao_vocabulary;

slao_status slao_vocabulary_new(slao_vocabulary **vocabulary);
void slao_vocabulary_free(slao_vocabulary *vocabulary); /* NULL is allowed */

/* The text is copied; it may hold zero bytes. A text or an id that is there already, and an id
 * below 0 or beyond what any vocabulary has, are SLAO_BAD_INPUT. Ids may have gaps. */
slao_status slao_vocabulary_add(slao_vocabulary *vocabulary, const char *text, size_t size,
                                int64_t id);

int32_t slao_vocabulary_find(const slao_vocabulary *vocabulary, const char *text,
                             size_t size); /* -1: not there */

/* NULL: no such id. Not NUL-terminated; valid until the next slao_vocabulary_add. */
const char *slao_vocabulary_text(const slao_vocabulary *vocabulary, int64_t id, size_t *size);

int64_t slao_vocabulary_count(const slao_vocabulary *vocabulary);
int64_t slao_vocabulary_end(const slao_vocabulary *vocabulary); /* highest id + 1 */

#endif
