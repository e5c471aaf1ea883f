#include "model/nfc.h"

#include "model/unicode_ranges.h"
#include "model/utf8.h"

#include <stdlib.h>
#include <utf8proc.h>

static slao_status append_normal(slao_bytes *to, const char *text, size_t size) {
    if (!size)
        return SLAO_OK;
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t count = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size,
                                          &normal, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (count < 0)
        return slao_fail(count == UTF8PROC_ERROR_NOMEM ? SLAO_NO_RESOURCE : SLAO_BROKEN,
                         "utf8proc cannot normalise a text of %zu bytes: %s", size,
                         utf8proc_errmsg(count));
    slao_status status = slao_bytes_add(to, (const char *)normal, (size_t)count);
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

bool slao_is_surely_nfc(const char *text, size_t size) {
    enum { LEAD_OF_U0300 = 0xcc }; /* above every byte of the characters before it */
    unsigned char most = 0;
    for (size_t i = 0; i < size; i++)
        most = (unsigned char)text[i] > most ? (unsigned char)text[i] : most;
    return most < LEAD_OF_U0300;
}

slao_status slao_nfc(const char *text, size_t size, slao_bytes *normal) {
    size_t start = 0; /* of the stretch without young characters */
    for (size_t at = 0; at < size;) {
        int32_t point;
        size_t count = slao_utf8_read(text + at, size - at, &point);
        if (is_young(point)) {
            SLAO_TRY(append_normal(normal, text + start, at - start));
            SLAO_TRY(slao_bytes_add(normal, text + at, count));
            start = at + count;
        }
        at += count;
    }
    return append_normal(normal, text + start, size - start);
}
