/* UTF-8: one character at a time, and the repair of what is not UTF-8.
 *
 * Invalid bytes are read as Python's bytes.decode("utf-8", errors="replace") and the Unicode
 * standard (section 3.9, "U+FFFD substitution of maximal subparts") read them: the longest start of
 * a sequence that could have become valid counts as one U+FFFD, every other stray byte as one each.
 * Surrogates, overlong forms and points above U+10FFFF are invalid.
 */
#ifndef SLAO_MODEL_UTF8_H
#define SLAO_MODEL_UTF8_H

#include "base/status.h"

#include <stdint.h>

enum { SLAO_UTF8_MOST = 4 }; /* bytes of a character */

/* Reads the character at `text` (`size` > 0 bytes are there): returns its bytes and sets *point. Of
 * an invalid sequence, returns the bytes of the maximal subpart and sets *point to -1. */
size_t slao_utf8_read(const char *text, size_t size, int32_t *point);

/* Writes `point` (a valid one); returns its bytes. */
size_t slao_utf8_write(int32_t point, char bytes[SLAO_UTF8_MOST]);

/* *repaired is `text` with U+FFFD for what is invalid, which the caller frees, or NULL where there
 * is nothing to repair. */
slao_status slao_utf8_repair(const char *text, size_t size, char **repaired, size_t *repaired_size);

/* White_Space of Unicode: what `\s` means to the regular expressions of tokenizers. */
bool slao_is_space(int32_t point);

#endif
