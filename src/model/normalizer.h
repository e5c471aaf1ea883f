/* What is done to a text before it is cut: a list of steps, each of which rewrites what the one
 * before it left. Texts are valid UTF-8; the rules are those of `tokenizers`.
 *   nfc      Unicode normal form C (nfc.h)
 *   prepend  a text that is not empty gets another one in front (SentencePiece's leading space)
 *   replace  every occurrence of a text, from the left, becomes another one
 */
#ifndef SLAO_MODEL_NORMALIZER_H
#define SLAO_MODEL_NORMALIZER_H

#include "model/bytes.h"

typedef struct slao_normalizer slao_normalizer;

slao_status slao_normalizer_new(slao_normalizer **normalizer); /* without steps */
void slao_normalizer_free(slao_normalizer *normalizer);        /* NULL is allowed */

/* Texts are copied; a pattern is not empty. */
slao_status slao_normalizer_add_nfc(slao_normalizer *normalizer);
slao_status slao_normalizer_add_prepend(slao_normalizer *normalizer, const char *text);
slao_status slao_normalizer_add_replace(slao_normalizer *normalizer, const char *pattern,
                                        const char *content);

bool slao_normalizer_is_empty(const slao_normalizer *normalizer);

/* Memory for running, used again from text to text; start from {0}. One per thread. */
typedef struct {
    slao_bytes texts[2];
} slao_normalizer_workspace;
void slao_normalizer_workspace_free(slao_normalizer_workspace *workspace);

/* *normal becomes the normalised text: `text` itself where nothing changes it, or in the
 * workspace, until the next call. One beyond 2^31 bytes is SLAO_BAD_INPUT. */
slao_status slao_normalizer_run(const slao_normalizer *normalizer,
                                slao_normalizer_workspace *workspace, const char *text, size_t size,
                                const char **normal, size_t *normal_size);

#endif
