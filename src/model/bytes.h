/* A growing run of bytes, and texts that replace others in it. */
#ifndef SLAO_MODEL_BYTES_H
#define SLAO_MODEL_BYTES_H

#include "base/status.h"

/* Start from {0}, release with slao_bytes_free, set count to 0 to use the memory again. */
typedef struct {
    char *items;
    size_t count, capacity;
} slao_bytes;

void slao_bytes_free(slao_bytes *bytes);
/* After it, `items` is not NULL, and one byte behind the last is free. */
slao_status slao_bytes_add(slao_bytes *bytes, const char *more, size_t count);

/* What is looked for and what takes its place: the texts of a tokenizer's step, NULL where a step has
 * none. */
typedef struct {
    char *pattern, *content;
} slao_replacement;

/* Both texts are copied; on failure there is nothing to free. */
slao_status slao_replacement_copy(slao_replacement *replacement, const char *pattern,
                                  const char *content);
void slao_replacement_free(slao_replacement *replacement);

/* Adds `text` with `content` for every occurrence of `pattern` (not empty), from the left. */
slao_status slao_bytes_add_replaced(slao_bytes *bytes, const char *text, size_t size,
                                    const char *pattern, const char *content);

#endif
