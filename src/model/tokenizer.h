/* Text to token ids and back: byte-level BPE as in a `tokenizer.json` or in a GGUF file's metadata.
 */
#ifndef SLAO_MODEL_TOKENIZER_H
#define SLAO_MODEL_TOKENIZER_H

#include "base/status.h"

#include <stdint.h>

typedef struct slao_tokenizer slao_tokenizer;

/* `path` is a model folder with a tokenizer.json, that file itself, or a GGUF file. */
slao_status slao_tokenizer_load(slao_tokenizer **tokenizer, const char *path);
void slao_tokenizer_free(slao_tokenizer *tokenizer); /* NULL is allowed */

/* A growing list of token ids; start from {0}, release with slao_ids_free. */
typedef struct {
    int32_t *ids;
    size_t count, capacity;
} slao_ids;
void slao_ids_free(slao_ids *ids);
slao_status slao_ids_add(slao_ids *ids, int32_t id);

/* Appends the ids of `size` bytes of text, as `tokenizers`' encode(text, add_special_tokens=False):
 * added tokens in the text are recognised, no BOS; invalid UTF-8 is read as Python's
 * errors="replace" does. */
slao_status slao_tokenizer_encode(const slao_tokenizer *tokenizer, const char *text, size_t size,
                                  slao_ids *ids);

/* The bytes that `count` ids stand for, NUL-terminated (skip_special leaves out special added
 * tokens); the caller frees *text. Ids outside the vocabulary are SLAO_BAD_INPUT. */
slao_status slao_tokenizer_decode(const slao_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  bool skip_special, char **text, size_t *size);

int64_t slao_tokenizer_vocabulary(const slao_tokenizer *tokenizer); /* highest id + 1 */
int64_t slao_tokenizer_bos(const slao_tokenizer *tokenizer);        /* -1 where there is none */
int64_t slao_tokenizer_eos(const slao_tokenizer *tokenizer);
bool slao_tokenizer_adds_bos(const slao_tokenizer *tokenizer); /* to every text of its own accord */

#endif
