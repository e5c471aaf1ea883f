/* From the texts of tokens to a text: the "decoder" of a tokenizer.
 *
 * A detokenizer is a list of steps, each of which turns the list of texts that the one before it
 * left into another; at the end the texts are joined. The steps and their rules are those of
 * `tokenizers` (decoders/):
 *   bytes        the texts, written in the alphabet of byte_level.h, become one of the bytes they
 *                stand for
 *   replace      in each text, every occurrence of one text becomes another
 *   fallback     runs of <0x00> to <0xFF> become one text of these bytes, or, where they are no
 *                UTF-8, one U+FFFD for each of them
 *   fuse         all texts become one
 *   strip        of each text, up to so many of one character go at its start
 *   spaces       (Metaspace) one character becomes a space, and in the first text, with `leading`,
 *                nothing
 */
#ifndef SLAO_MODEL_DETOKENIZER_H
#define SLAO_MODEL_DETOKENIZER_H

#include "model/bytes.h"

#include <stdint.h>

typedef struct slao_detokenizer slao_detokenizer;

slao_status slao_detokenizer_new(slao_detokenizer **detokenizer); /* without steps: it joins */
void slao_detokenizer_free(slao_detokenizer *detokenizer);        /* NULL is allowed */

/* Texts are copied; patterns and characters are not empty. Nothing may follow `bytes`, and nothing
 * but `strip` may follow `fuse` (SLAO_BAD_INPUT): so no text changes what has been written before
 * it, but for a run of bytes that goes on. */
slao_status slao_detokenizer_add_bytes(slao_detokenizer *detokenizer);
slao_status slao_detokenizer_add_replace(slao_detokenizer *detokenizer, const char *pattern,
                                         const char *content);
slao_status slao_detokenizer_add_fallback(slao_detokenizer *detokenizer);
slao_status slao_detokenizer_add_fuse(slao_detokenizer *detokenizer);
slao_status slao_detokenizer_add_strip(slao_detokenizer *detokenizer, const char *character,
                                       int64_t most);
slao_status slao_detokenizer_add_spaces(slao_detokenizer *detokenizer, const char *character,
                                        bool leading);

bool slao_detokenizer_falls_back(const slao_detokenizer *detokenizer); /* has a step `fallback` */

/* `text` is one of <0x00> to <0xFF>; *byte becomes which. */
bool slao_is_fallback_token(const char *text, size_t size, unsigned char *byte);

/* Texts one after the other, each with the place where it ends; start from {0}. */
typedef struct {
    slao_bytes bytes;
    size_t *ends;
    size_t count, capacity;
} slao_texts;

void slao_texts_free(slao_texts *texts);
slao_status slao_texts_add(slao_texts *texts, const char *text, size_t size);

/* texts->bytes becomes the joined text (texts->ends no longer matter). After a step `bytes` it may
 * be no UTF-8: it is what the ids stand for, where `tokenizers` shows U+FFFD. */
slao_status slao_detokenizer_run(const slao_detokenizer *detokenizer, slao_texts *texts);

#endif
