/* Unicode normal form C, as `tokenizers` makes it.
 *
 * Its tables are those of Unicode 9. utf8proc's are younger; the characters that became combining
 * or composing since then (unicode_ranges.h) are taken here as tokenizers takes them: they stay
 * where they are.
 */
#ifndef SLAO_MODEL_NORMALIZER_H
#define SLAO_MODEL_NORMALIZER_H

#include "base/status.h"

/* *normal is the normal form of `text` (valid UTF-8), which the caller frees, or NULL where the
 * text is ASCII and therefore normal. */
slao_status slao_normalize_nfc(const char *text, size_t size, char **normal, size_t *normal_size);

#endif
