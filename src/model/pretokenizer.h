/* The cut of a text into the pieces that byte-pair encoding works on: words with their space,
 * numbers, runs of symbols or of spaces.
 *
 * Each model family cuts by a rule of its own, and the token ids depend on every detail of it; so
 * the rules are a table of known ones, and an unknown one is refused, never guessed. A pretokenizer
 * is a list of rules, each of which cuts further the pieces that the one before it left. A rule is
 * a regular expression: each match becomes a piece, and so does what lies between matches
 * (tokenizers' behaviour "Isolated").
 */
#ifndef SLAO_MODEL_PRETOKENIZER_H
#define SLAO_MODEL_PRETOKENIZER_H

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

/* Memory for cutting; start from {0}. One per thread. */
typedef struct {
    slao_regex_match *match;
    slao_pieces pieces, spare;
} slao_pretokenizer_workspace;
void slao_pretokenizer_workspace_free(slao_pretokenizer_workspace *workspace);

/* Cuts `text` (valid UTF-8): the pieces are in workspace->pieces until the next call. */
slao_status slao_pretokenizer_cut(const slao_pretokenizer *pretokenizer,
                                  slao_pretokenizer_workspace *workspace, const char *text,
                                  size_t size);

#endif
