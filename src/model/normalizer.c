#include "model/normalizer.h"

#include "base/memory.h"
#include "model/unicode_ranges.h"
#include "model/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef struct {
    char *bytes;
    size_t size, capacity;
} buffer;

static slao_status append(buffer *to, const void *bytes, size_t size) {
    SLAO_TRY(slao_grow(&to->bytes, &to->capacity, to->size + size, 1));
    if (size)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    return SLAO_OK;
}

static slao_status append_normal(buffer *to, const char *text, size_t size) {
    if (!size)
        return SLAO_OK;
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t count = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size,
                                          &normal, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (count < 0)
        return slao_fail(count == UTF8PROC_ERROR_NOMEM ? SLAO_NO_RESOURCE : SLAO_BROKEN,
                         "utf8proc cannot normalise a text of %zu bytes: %s", size,
                         utf8proc_errmsg(count));
    slao_status status = append(to, normal, (size_t)count);
    free(normal);
    return status;
}

static bool is_young(int32_t point) {
    size_t low = 0, high = sizeof slao_young_marks / sizeof *slao_young_marks;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (point > slao_young_marks[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof slao_young_marks / sizeof *slao_young_marks &&
           point >= slao_young_marks[low].first;
}

static bool is_ascii(const char *text, size_t size) {
    unsigned char bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= (unsigned char)text[i];
    return bits < 0x80;
}

slao_status slao_normalize_nfc(const char *text, size_t size, char **normal, size_t *normal_size) {
    *normal = NULL;
    *normal_size = 0;
    if (is_ascii(text, size))
        return SLAO_OK;
    buffer to = {0};
    size_t start = 0; /* of the stretch without young characters */
    slao_status status = SLAO_OK;
    for (size_t at = 0; at < size && status == SLAO_OK;) {
        int32_t point;
        size_t count = slao_utf8_read(text + at, size - at, &point);
        if (is_young(point)) {
            status = append_normal(&to, text + start, at - start);
            if (status == SLAO_OK)
                status = append(&to, text + at, count);
            start = at + count;
        }
        at += count;
    }
    if (status == SLAO_OK)
        status = append_normal(&to, text + start, size - start);
    if (status != SLAO_OK) {
        free(to.bytes);
        return status;
    }
    *normal = to.bytes;
    *normal_size = to.size;
    return SLAO_OK;
}
