#include "model/byte_level.h"

#include "model/utf8.h"

#include <string.h>

/* Runs of bytes, and the character that stands for the first of each. */
static const struct {
    unsigned char first, last;
    int32_t letter;
} runs[] = {
    {0, 32, 256}, {33, 126, 33}, {127, 160, 289}, {161, 172, 161}, {173, 173, 323}, {174, 255, 174},
};
enum { N_RUNS = sizeof runs / sizeof *runs };

size_t slao_byte_letter(unsigned char byte, char letter[SLAO_LETTER_MOST]) {
    int i = 0;
    while (byte > runs[i].last)
        i++;
    char bytes[SLAO_UTF8_MOST];
    size_t count = slao_utf8_write(runs[i].letter + byte - runs[i].first, bytes);
    memcpy(letter, bytes, count);
    return count;
}

static int byte_of(int32_t point) {
    for (int i = 0; i < N_RUNS; i++) {
        int32_t offset = point - runs[i].letter;
        if (offset >= 0 && offset <= runs[i].last - runs[i].first)
            return runs[i].first + offset;
    }
    return -1;
}

void slao_byte_level_decode(const char *text, size_t size, char *bytes, size_t *count) {
    *count = 0;
    for (size_t at = 0; at < size;) {
        int32_t point;
        at += slao_utf8_read(text + at, size - at, &point);
        int byte = byte_of(point);
        if (byte < 0) {
            memcpy(bytes, text, size);
            *count = size;
            return;
        }
        bytes[(*count)++] = (char)byte;
    }
}
