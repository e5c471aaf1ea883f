#include "model/utf8.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* What the first byte says: bytes of the sequence, and the bounds of the second byte, which keep
 * out overlong forms, surrogates and points above U+10FFFF (Unicode standard, table 3-7). */
typedef struct {
    unsigned char first, last, bytes, second_least, second_most;
} lead;

static const lead leads[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

size_t slao_utf8_read(const char *text, size_t size, int32_t *point) {
    const unsigned char *bytes = (const unsigned char *)text;
    *point = -1;
    const lead *row = leads, *end = leads + sizeof leads / sizeof *leads;
    while (row < end && bytes[0] > row->last)
        row++;
    if (row == end || bytes[0] < row->first)
        return 1;
    if (row->bytes == 1) {
        *point = bytes[0];
        return 1;
    }
    int32_t value = bytes[0] & (0x7f >> row->bytes);
    for (size_t i = 1; i < row->bytes; i++) {
        unsigned char least = i == 1 ? row->second_least : 0x80;
        unsigned char most = i == 1 ? row->second_most : 0xbf;
        if (i == size || bytes[i] < least || bytes[i] > most)
            return i;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    *point = value;
    return row->bytes;
}

size_t slao_utf8_write(int32_t point, char bytes[SLAO_UTF8_MOST]) {
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    size_t count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3f));
    bytes[0] = (char)(0xf00 >> count | point);
    return count;
}

/* Bytes at the start of `text` that are ASCII, by whole words. */
static size_t ascii_words(const char *text, size_t size) {
    size_t at = 0;
    for (uint64_t word; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return at;
}

slao_status slao_utf8_repair(const char *text, size_t size, char **repaired,
                             size_t *repaired_size) {
    *repaired = NULL;
    *repaired_size = 0;
    size_t invalid = 0;
    int32_t point;
    for (size_t at = ascii_words(text, size); at < size;) {
        at += slao_utf8_read(text + at, size - at, &point);
        invalid += point < 0;
    }
    if (!invalid)
        return SLAO_OK;
    static const char replacement[] = "\xef\xbf\xbd";
    size_t width = sizeof replacement - 1;
    SLAO_TRY(slao_allocate(repaired, size + width * invalid, 1));
    char *to = *repaired;
    for (size_t at = 0; at < size;) {
        size_t count = slao_utf8_read(text + at, size - at, &point);
        bool valid = point >= 0;
        memcpy(to, valid ? text + at : replacement, valid ? count : width);
        to += valid ? count : width;
        at += count;
    }
    *repaired_size = (size_t)(to - *repaired);
    return SLAO_OK;
}

bool slao_is_space(int32_t point) {
    return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 || point == 0xa0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
           point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}
