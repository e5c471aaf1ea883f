/* Text to token ids and back: byte-level BPE as in a `tokenizer.json` or in a GGUF file's metadata.
 *
 * The ids are those of the Python package `tokenizers`, to the last one: its regular expressions,
 * its treatment of added tokens and its Unicode tables (checked against version 0.23). Read are
 *   tokenizer.json   model BPE; normalizer none or NFC; pre_tokenizer ByteLevel, Split by the
 * regular expression of a known family, Digits, and sequences of them; decoder ByteLevel.
 *                    `truncation` and `padding` belong to batches and are not applied. The ids of
 * BOS and EOS come from the post-processor and from tokenizer_config.json beside it. GGUF
 * tokenizer.ggml.model "gpt2"; tokenizer.ggml.pre "smollm", "gpt-2", "llama-bpe" or "qwen2"; tokens
 * of type 3 (control, special) and 4 (user-defined) are added tokens. Anything else is
 * SLAO_BAD_INPUT that names it: a tokenizer that is nearly right spoils every result without a
 * sign.
 */
#ifndef SLAO_MODEL_TOKENIZER_H
#define SLAO_MODEL_TOKENIZER_H

#include "base/hash.h"
#include "model/ids.h"

typedef struct slao_tokenizer slao_tokenizer;

/* `path` is a model folder with a tokenizer.json, that file itself, or a GGUF file. */
slao_status slao_tokenizer_load(slao_tokenizer **tokenizer, const char *path);
/* Hash of the bytes of the file that slao_tokenizer_load reads under this path. */
slao_status slao_tokenizer_hash(slao_hash *hash, const char *path);
void slao_tokenizer_free(slao_tokenizer *tokenizer); /* NULL is allowed */

/* Appends the ids of `size` bytes of text, as `tokenizers`' encode(text, add_special_tokens=False):
 * added tokens in the text are recognised, no BOS; invalid UTF-8 is read as Python's
 * errors="replace" does. Several threads may use one tokenizer. */
slao_status slao_tokenizer_encode(const slao_tokenizer *tokenizer, const char *text, size_t size,
                                  slao_ids *ids);

/* The bytes that `count` ids stand for, NUL-terminated (skip_special leaves out special added
 * tokens); the caller frees *text. An id that stands for no token gives nothing, as in
 * `tokenizers`: a model's embedding may have more rows than its tokenizer has tokens. */
slao_status slao_tokenizer_decode(const slao_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  bool skip_special, char **text, size_t *size);

int64_t slao_tokenizer_vocabulary(const slao_tokenizer *tokenizer); /* highest id + 1 */
int64_t slao_tokenizer_bos(const slao_tokenizer *tokenizer);        /* -1 where there is none */
int64_t slao_tokenizer_eos(const slao_tokenizer *tokenizer);
bool slao_tokenizer_adds_bos(const slao_tokenizer *tokenizer); /* to every text of its own accord */

#endif
