/* What a tokenizer is made of, for the readers that fill it. Within model/ only. */
#ifndef SLAO_MODEL_TOKENIZER_PARTS_H
#define SLAO_MODEL_TOKENIZER_PARTS_H

#include "model/added_tokens.h"
#include "model/bpe.h"
#include "model/detokenizer.h"
#include "model/normalizer.h"
#include "model/pretokenizer.h"
#include "model/tokenizer.h"
#include "model/vocabulary.h"

/* A text is repaired to UTF-8, cut at the added tokens of the raw text, normalised, cut at the
 * added tokens of the normalised text, pre-tokenised, and its pieces are encoded by merges. */
struct slao_tokenizer {
    slao_vocabulary *vocabulary; /* the model's tokens alone: what merges can reach */
    slao_added_tokens *added;
    slao_normalizer *normalizer;
    slao_pretokenizer *pretokenizer;
    slao_bpe *bpe;
    slao_detokenizer *detokenizer;
    int64_t bos, eos; /* -1: none */
    bool adds_bos;
};

/* Fill a tokenizer whose parts are new and empty, and make its bpe. What these files may say beyond
 * what is built here is SLAO_BAD_INPUT by name. */
slao_status slao_tokenizer_read_json(slao_tokenizer *tokenizer, const char *path);
slao_status slao_tokenizer_read_gguf(slao_tokenizer *tokenizer, const char *path);

/* The path of the tokenizer_config.json beside a tokenizer.json; the caller frees *config. */
slao_status slao_tokenizer_config_path(char **config, const char *path);

/* Adds a token that is recognised in texts, under its id; `content` as the file writes it. The
 * vocabulary and the normalizer are complete. */
slao_status slao_tokenizer_add_token(slao_tokenizer *tokenizer, const char *content, size_t size,
                                     slao_added_token token);

/* The id of a token, added or not; -1 if there is none. */
int64_t slao_tokenizer_find(const slao_tokenizer *tokenizer, const char *content, size_t size);

#endif
