/* Added tokens: texts such as <|im_start|> that are recognised in a text before anything else cuts
 * it, as `tokenizers` does it (tokenizer/added_vocabulary.rs).
 *
 * Of the added tokens that begin at the leftmost place where any does, the longest is taken. A
 * token with `single_word` counts only where no word character stands beside it; `lstrip` and
 * `rstrip` take in the white space before and behind. Tokens with `normalized` are looked for in
 * the normalised text, the others in the raw text, first.
 */
#ifndef SLAO_MODEL_ADDED_TOKENS_H
#define SLAO_MODEL_ADDED_TOKENS_H

#include "model/pieces.h"

typedef struct {
    int64_t id;
    bool single_word, lstrip, rstrip;
    bool normalized;
    bool special; /* left out of a decoded text on request */
} slao_added_token;

typedef struct slao_added_tokens slao_added_tokens;

slao_status slao_added_tokens_new(slao_added_tokens **tokens);
void slao_added_tokens_free(slao_added_tokens *tokens); /* NULL is allowed */

/* `content` as the file writes it, and `normal` as it is looked for: the normalised text of a
 * `normalized` token, the same text of others. Both are copied. A content or an id that is there
 * already, an empty text, and one that is looked for already are SLAO_BAD_INPUT. */
slao_status slao_added_tokens_add(slao_added_tokens *tokens, const char *content, size_t size,
                                  const char *normal, size_t normal_size, slao_added_token token);

int32_t slao_added_tokens_find(const slao_added_tokens *tokens, const char *content,
                               size_t size); /* its id; -1: not there */

/* What an id stands for in decoding: the text as it is looked for, or NULL for an id that is none
 * of these tokens. Not NUL-terminated. *special: it is left out on request (tokenizers knows
 * special tokens by their content, so one that normalisation changes never is). */
const char *slao_added_tokens_text(const slao_added_tokens *tokens, int64_t id, size_t *size,
                                   bool *special);

int64_t slao_added_tokens_end(const slao_added_tokens *tokens); /* highest id + 1 */

/* Any token is looked for in the normalised text. */
bool slao_added_tokens_has_normalized(const slao_added_tokens *tokens);

/* Appends the pieces of `text`: the tokens with `normalized` or those without, and the texts
 * between. `text` is valid UTF-8 and outlives the pieces. */
slao_status slao_added_tokens_cut(const slao_added_tokens *tokens, bool normalized,
                                  const char *text, size_t size, slao_pieces *pieces);

#endif
