#include "learn/score.h"

#include <string.h>
#include <utf8proc.h>

enum { END_OF_TEXT = -1, REPLACEMENT = 0xFFFD, SIGMA = 0x3C3, FINAL_SIGMA = 0x3C2 };

typedef struct {
    const utf8proc_uint8_t *bytes, *end;
} reader;

static reader read_text(const char *text, size_t size) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    return (reader){bytes, bytes + size};
}

static bool is_taken_out(utf8proc_int32_t point) {
    if (point < 0x80) {
        bool letter_or_digit = (point >= '0' && point <= '9') || (point >= 'A' && point <= 'Z') ||
                               (point >= 'a' && point <= 'z');
        bool white_space =
            point == ' ' || (point >= '\t' && point <= '\r') || (point >= 0x1C && point <= 0x1F);
        return white_space || (point > ' ' && point < 0x7F && !letter_or_digit);
    }
    utf8proc_category_t category = utf8proc_category(point);
    return point == 0x85 ||
           (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) ||
           (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
}

/* The next code point of the normalised text, or END_OF_TEXT. */
static utf8proc_int32_t next_normalised(reader *text) {
    while (text->bytes < text->end) {
        utf8proc_int32_t point;
        utf8proc_ssize_t used = utf8proc_iterate(text->bytes, text->end - text->bytes, &point);
        if (used <= 0) {
            point = REPLACEMENT;
            used = 1;
        }
        text->bytes += used;
        if (is_taken_out(point))
            continue;
        point = utf8proc_tolower(point);
        return point == FINAL_SIGMA ? SIGMA : point;
    }
    return END_OF_TEXT;
}

bool slao_score_exact(const char *output, size_t size, const char *reference) {
    reader a = read_text(output, size), b = read_text(reference, strlen(reference));
    utf8proc_int32_t point = next_normalised(&a);
    if (point == END_OF_TEXT)
        return false;
    while (point == next_normalised(&b)) {
        if (point == END_OF_TEXT)
            return true;
        point = next_normalised(&a);
    }
    return false;
}

/* How many bytes at the end of the text begin a character that more bytes could complete. */
static size_t unfinished_tail(const char *text, size_t size) {
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char byte = (unsigned char)text[size - back];
        if (byte >= 0xC0) {
            size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return back < length ? back : 0;
        }
        if (byte < 0x80)
            return 0;
    }
    return 0;
}

bool slao_score_can_still_match(const char *output, size_t size, const char *reference) {
    reader a = read_text(output, size - unfinished_tail(output, size));
    reader b = read_text(reference, strlen(reference));
    utf8proc_int32_t wanted = next_normalised(&b);
    if (wanted == END_OF_TEXT)
        return false;
    for (;;) {
        utf8proc_int32_t point = next_normalised(&a);
        if (point == END_OF_TEXT)
            return true;
        if (point != wanted)
            return false;
        wanted = next_normalised(&b);
    }
}
