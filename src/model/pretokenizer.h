/* The cut of a text into the pieces that byte-pair encoding works on: words with their space,
 * numbers, runs of symbols or of spaces.
 *
 * Each model family cuts by a rule of its own, and the token ids depend on every detail of it; so
 * the rules are a table of known ones, and an unknown one is refused, never guessed. A pretokenizer
 * is a list of rules, each of which cuts further the pieces that the one before it left. A rule is
 * a regular expression: each match becomes a piece, and so does what lies between matches
 * (tokenizers' behaviour "Isolated"). The one rule that changes what it cuts is SentencePiece's
 * (tokenizers' Metaspace): a space becomes another character, which stands before the text too.
 */
#ifndef SLAO_MODEL_PRETOKENIZER_H
#define SLAO_MODEL_PRETOKENIZER_H

#include "model/bytes.h"
#include "model/pieces.h"
#include "model/regex.h"

typedef struct slao_pretokenizer slao_pretokenizer;

slao_status slao_pretokenizer_new(slao_pretokenizer **pretokenizer);
void slao_pretokenizer_free(slao_pretokenizer *pretokenizer); /* NULL is allowed */

/* Adds the rule of a name: "gpt2" (that of ByteLevel with use_regex), "llama3", "qwen2", "digits"
 * (numeric characters one by one: Digits with individual_digits) or "digit runs" (Digits without).
 */
slao_status slao_pretokenizer_add(slao_pretokenizer *pretokenizer, const char *name);

/* Adds the rule that a tokenizer.json writes as `regex`; one that is not in the table is
 * SLAO_BAD_INPUT. */
slao_status slao_pretokenizer_add_regex(slao_pretokenizer *pretokenizer, const char *regex);

/* Which pieces get the character in front, unless they begin with it. */
typedef enum {
    SLAO_SPACE_NEVER,
    SLAO_SPACE_FIRST, /* those at the start of the text that was given to the tokenizer */
    SLAO_SPACE_ALWAYS
} slao_leading_space;

/* Adds Metaspace: `character` (one, in UTF-8) for each space; with `split`, each of them starts a
 * piece. A second one in the same list is SLAO_BAD_INPUT. */
slao_status slao_pretokenizer_add_spaces(slao_pretokenizer *pretokenizer, const char *character,
                                         slao_leading_space leading, bool split);

/* What is cut depends on where a text begins: there is a Metaspace with SLAO_SPACE_FIRST. */
bool slao_pretokenizer_asks_for_start(const slao_pretokenizer *pretokenizer);

/* Memory for cutting; start from {0}. One per thread. */
typedef struct {
    slao_regex_match *match;
    slao_pieces pieces, spare;
    slao_bytes changed; /* the pieces that a rule changed */
} slao_pretokenizer_workspace;
void slao_pretokenizer_workspace_free(slao_pretokenizer_workspace *workspace);

/* Cuts `text` (valid UTF-8): the pieces are in workspace->pieces until the next call. `is_start`:
 * it begins where the text that was given to the tokenizer begins. */
slao_status slao_pretokenizer_cut(const slao_pretokenizer *pretokenizer,
                                  slao_pretokenizer_workspace *workspace, const char *text,
                                  size_t size, bool is_start);

#endif
