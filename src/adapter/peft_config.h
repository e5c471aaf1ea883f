/* adapter_config.json of PEFT: which modules an adapter sits on, with what rank and alpha.
 *
 * Honoured as peft 0.21 does: r, lora_alpha, use_rslora, lora_dropout; rank_pattern and
 * alpha_pattern (regular expressions for the end of a module's name, the first that matches);
 * target_modules as a list of names or ends of names, as a regular expression, or "all-linear";
 * layers_to_transform with layers_pattern. fan_in_fan_out means nothing to linear layers, as in
 * PEFT. Every other key that asks for something slao does not do (DoRA, modules_to_save, biases,
 * embeddings, weights that an initialisation changed, keys yet unknown) is SLAO_BAD_INPUT by name:
 * such an adapter would compute something else here. A key that asks for nothing (null, false,
 * "none", empty) is fine.
 */
#ifndef SLAO_ADAPTER_PEFT_CONFIG_H
#define SLAO_ADAPTER_PEFT_CONFIG_H

#include "adapter/lora.h"

typedef struct slao_peft_config slao_peft_config;

/* Bytes that the file may have. */
enum { SLAO_PEFT_CONFIG_MOST = 1 << 24 };

/* `path` must outlive the config. */
slao_status slao_peft_config_load(slao_peft_config **config, const char *path);
void slao_peft_config_free(slao_peft_config *config); /* NULL is allowed */

/* Of dropout and rslora. */
slao_lora_settings slao_peft_config_settings(const slao_peft_config *config);

/* Does the adapter sit on this module of this layer (*adapted)? Then with this rank and alpha. */
slao_status slao_peft_config_site(const slao_peft_config *config, int64_t layer, slao_module module,
                                  bool *adapted, int64_t *rank, double *alpha);

/* Nothing in it tells layers apart: what it names, it names in every layer. */
bool slao_peft_config_every_layer(const slao_peft_config *config);

/* Writes the config of an adapter; `base` is what base_model_name_or_path says. Sites that differ
 * from lora->settings get a pattern each; unless the adapter is known to sit on every layer, its
 * target_modules are whole names. */
slao_status slao_peft_config_save(const slao_lora *lora, const char *path, const char *base);

/* "model.layers.0.self_attn.q_proj", as PEFT matches it. */
void slao_peft_module_name(char name[SLAO_LORA_NAME], int64_t layer, slao_module module);

#endif
