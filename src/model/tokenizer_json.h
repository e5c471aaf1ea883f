/* The reader of a tokenizer.json, part by part. Within model/ only.
 *
 * Every part is an object with a "type", or null. The types that are read are rows of a table for
 * each kind of part; any other is SLAO_BAD_INPUT that names the part and its type.
 */
#ifndef SLAO_MODEL_TOKENIZER_JSON_H
#define SLAO_MODEL_TOKENIZER_JSON_H

#include "base/json.h"
#include "model/tokenizer_parts.h"

/* Reads one part into the tokenizer; `where` names it in messages. */
typedef slao_status slao_read_part(slao_tokenizer *tokenizer, const cJSON *part, const char *where);

typedef struct {
    const char *type; /* "null" for no part */
    slao_read_part *read;
} slao_part_row; /* ended by a row without type */

/* Reads a part by the row of its type. */
slao_status slao_read_part_by(const slao_part_row *rows, slao_tokenizer *tokenizer,
                              const cJSON *part, const char *where);

/* Reads each member of the list `key` of a part of type Sequence. */
slao_status slao_read_parts(slao_read_part *read, slao_tokenizer *tokenizer, const cJSON *sequence,
                            const char *where, const char *key);

/* Reads nothing: a part that is there and has no effect here. */
slao_read_part slao_read_no_part;

slao_read_part slao_read_normalizer, slao_read_decoder, slao_read_post_processor;

/* The list of rules; *byte_level: it ends in ByteLevel, so the model sees the letters of bytes. */
slao_status slao_read_pretokenizer(slao_tokenizer *tokenizer, const cJSON *part, bool *byte_level);

/* "model", after the pre-tokenizer; "added_tokens", after the model and the normalizer. */
slao_status slao_read_model(slao_tokenizer *tokenizer, const cJSON *part, bool byte_level);
slao_status slao_read_added_tokens(slao_tokenizer *tokenizer, const cJSON *list);

#endif
