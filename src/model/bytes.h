/* A growing run of bytes; start from {0}, release with slao_bytes_free, set count to 0 to use the
 * memory again. */
#ifndef SLAO_MODEL_BYTES_H
#define SLAO_MODEL_BYTES_H

#include "base/status.h"

typedef struct {
    char *items;
    size_t count, capacity;
} slao_bytes;

void slao_bytes_free(slao_bytes *bytes);
/* After it, `items` is not NULL, and one byte behind the last is free. */
slao_status slao_bytes_add(slao_bytes *bytes, const char *more, size_t count);

/* Adds `text` with `content` for every occurrence of `pattern` (not empty), from the left. */
slao_status slao_bytes_add_replaced(slao_bytes *bytes, const char *text, size_t size,
                                    const char *pattern, const char *content);

#endif
