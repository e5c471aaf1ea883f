#include "model/bytes.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void slao_bytes_free(slao_bytes *bytes) {
    free(bytes->items);
    *bytes = (slao_bytes){0};
}

slao_status slao_bytes_add(slao_bytes *bytes, const char *more, size_t count) {
    SLAO_TRY(slao_grow(&bytes->items, &bytes->capacity, bytes->count + count + 1, 1));
    if (count)
        memcpy(bytes->items + bytes->count, more, count);
    bytes->count += count;
    return SLAO_OK;
}

slao_status slao_replacement_copy(slao_replacement *replacement, const char *pattern,
                                  const char *content) {
    *replacement = (slao_replacement){0};
    slao_status status = pattern ? slao_copy_text(&replacement->pattern, pattern) : SLAO_OK;
    if (status == SLAO_OK && content)
        status = slao_copy_text(&replacement->content, content);
    if (status != SLAO_OK)
        slao_replacement_free(replacement);
    return status;
}

void slao_replacement_free(slao_replacement *replacement) {
    free(replacement->pattern);
    free(replacement->content);
    *replacement = (slao_replacement){0};
}

slao_status slao_bytes_add_replaced(slao_bytes *bytes, const char *text, size_t size,
                                    const char *pattern, const char *content) {
    size_t length = strlen(pattern), more = strlen(content), done = 0;
    for (const char *found; (found = memmem(text + done, size - done, pattern, length));) {
        size_t at = (size_t)(found - text);
        SLAO_TRY(slao_bytes_add(bytes, text + done, at - done));
        SLAO_TRY(slao_bytes_add(bytes, content, more));
        done = at + length;
    }
    return slao_bytes_add(bytes, text + done, size - done);
}
