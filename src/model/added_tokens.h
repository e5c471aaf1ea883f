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
    bool special; /* left out of a text on request */
} slao_added_token;

typedef struct slao_added_tokens slao_added_tokens;

slao_status slao_added_tokens_new(slao_added_tokens **tokens);
void slao_added_tokens_free(slao_added_tokens *tokens); /* NULL is allowed */

/* `content` is copied; of a `normalized` token it is the normalised text. It is not empty. A text
 * that is there already is SLAO_BAD_INPUT. */
slao_status slao_added_tokens_add(slao_added_tokens *tokens, const char *content, size_t size,
                                  slao_added_token token);

/* Appends the pieces of `text`: the tokens with `normalized` or those without, and the texts
 * between. `text` is valid UTF-8 and outlives the pieces. */
slao_status slao_added_tokens_cut(const slao_added_tokens *tokens, bool normalized,
                                  const char *text, size_t size, slao_pieces *pieces);

bool slao_added_tokens_is_special(const slao_added_tokens *tokens, int64_t id);

#endif
