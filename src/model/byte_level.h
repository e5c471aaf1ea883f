/* The alphabet of byte-level BPE: each byte is written as one printable character (Radford et al.,
 * 2019: bytes_to_unicode in GPT-2's encoder.py).
 *
 * Bytes 33..126, 161..172 and 174..255 stand for the character of the same number, the other 68 in
 * order for U+0100..U+0143: a space is U+0120.
 */
#ifndef SLAO_MODEL_BYTE_LEVEL_H
#define SLAO_MODEL_BYTE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>

/* The letter of `byte` in UTF-8; returns its bytes, 1 or 2. */
enum { SLAO_LETTER_MOST = 2 };
size_t slao_byte_letter(unsigned char byte, char letter[SLAO_LETTER_MOST]);

/* Writes the bytes that `text` stands for (never more than `size`) and sets *count. A text that
 * holds any character outside the alphabet stands for itself: the rule of tokenizers' decoder. */
void slao_byte_level_decode(const char *text, size_t size, char *bytes, size_t *count);

#endif
