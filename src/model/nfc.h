/* Unicode normal form C, as `tokenizers` makes it.
 *
 * Its tables are those of Unicode 9. utf8proc's are younger; the characters that became combining
 * or composing since then (unicode_ranges.h) are taken here as tokenizers takes them: they stay
 * where they are.
 */
#ifndef SLAO_MODEL_NFC_H
#define SLAO_MODEL_NFC_H

#include "model/bytes.h"

/* Appends the normal form of `text` (valid UTF-8). */
slao_status slao_nfc(const char *text, size_t size, slao_bytes *normal);

/* The text is its own normal form: it holds nothing from U+0300 on, which is where the first
 * combining characters are. False says nothing. */
bool slao_is_surely_nfc(const char *text, size_t size);

#endif
