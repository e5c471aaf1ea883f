/* What the readers of configs share (config_folder.c, config_gguf.c), and of a model's other JSON
 * files. `path` names the file in messages, `key` the key that a value came from. */
#ifndef SLAO_MODEL_CONFIG_PARTS_H
#define SLAO_MODEL_CONFIG_PARTS_H

#include "model/config.h"

/* Bytes that a model's JSON files may have. */
enum { SLAO_CONFIG_MOST = 100000000 };

/* Sets the family whose text at `column` (an offset into slao_model_family) is `value`; a family
 * that is not in the table is SLAO_BAD_INPUT naming those that are. */
slao_status slao_config_set_family(slao_model_config *config, size_t column, const char *value,
                                   const char *path, const char *key);

/* Refuses sizes and numbers that no model has; bounds keep their products far from overflow. */
slao_status slao_config_check(const slao_model_config *config, const char *path);

slao_status slao_config_check_token(int64_t token, const char *path, const char *key);

/* Adds to end_tokens unless it is there; the first one is eos. */
slao_status slao_config_add_end_token(slao_model_config *config, int64_t token, const char *path,
                                      const char *key);

#endif
