/* Text to token ids and back: byte-pair encoding, byte-level (GPT-2, Llama-3, Qwen2, SmolLM2) or in
 * SentencePiece's manner (Llama-2, Mistral), as in a `tokenizer.json` or in a GGUF file's metadata.
 *
 * The ids are those of the Python package `tokenizers`, to the last one: its regular expressions,
 * its treatment of added tokens and its Unicode tables (checked against version 0.23). Read are
 *
 *   tokenizer.json   model BPE, with byte_fallback, unk_token and fuse_unk; normalizer none, NFC,
 *                    Prepend, Replace of a text; pre_tokenizer none, ByteLevel, Split by the
 *                    regular expression of a known family, Digits, Metaspace; decoder ByteLevel,
 *                    Replace of a text, ByteFallback, Fuse, Strip, Metaspace; post_processor none,
 *                    ByteLevel, TemplateProcessing with at most one token in front; and sequences
 *                    of them. `truncation` and `padding` belong to batches and are not applied. BOS
 *                    is the template's first token, or bos_token of tokenizer_config.json beside
 *                    it, whose add_bos_token goes before the template, as in transformers; EOS is
 *                    its eos_token.
 *   GGUF             tokenizer.ggml.model "gpt2" with tokenizer.ggml.pre "smollm", "gpt-2",
 *                    "llama-bpe" (also "llama3", "llama-v3") or "qwen2"; or "llama": merges follow
 *                    from the scores as in transformers, and a space stands before each text between
 *                    added tokens unless add_space_prefix is false, as in the tokenizer.json of
 *                    Llama-2. Tokens of type 2 and 3 (unknown, control: special) and 4
 *                    (user-defined) are added tokens.
 *
 * Anything else is SLAO_BAD_INPUT that names it: a tokenizer that is nearly right spoils every
 * result without a sign.
 */
#ifndef SLAO_MODEL_TOKENIZER_H
#define SLAO_MODEL_TOKENIZER_H

#include "base/hash.h"
#include "model/ids.h"

typedef struct slao_tokenizer slao_tokenizer;

/* `path` is a model folder with a tokenizer.json, that file itself, or a GGUF file. */
slao_status slao_tokenizer_load(slao_tokenizer **tokenizer, const char *path);
/* Hash of the bytes of the files that slao_tokenizer_load reads under this path. */
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

/* As slao_tokenizer_decode, where more ids may follow: the bytes that stay what they are whatever
 * comes. Left out is a run of bytes at the end that is text only when it is complete. */
slao_status slao_tokenizer_decode_start(const slao_tokenizer *tokenizer, const int32_t *ids,
                                        size_t count, bool skip_special, char **text, size_t *size);

int64_t slao_tokenizer_vocabulary(const slao_tokenizer *tokenizer); /* highest id + 1 */
int64_t slao_tokenizer_bos(const slao_tokenizer *tokenizer);        /* -1 where there is none */
int64_t slao_tokenizer_eos(const slao_tokenizer *tokenizer);
bool slao_tokenizer_adds_bos(const slao_tokenizer *tokenizer); /* to every text of its own accord */

#endif
