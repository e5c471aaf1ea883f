/* LoRA adapters as PEFT folders: adapter_config.json (adapter/peft_config.h tells what of it is
 * honoured and what refused) and adapter_model.safetensors.
 *
 * Tensors are named "base_model.model." + slao_lora_tensor_name; fp32 when written, fp32, fp16 or
 * bf16 when read. adapter_model.bin, a pickle, is SLAO_BAD_INPUT with a word on how to convert it.
 */
#ifndef SLAO_ADAPTER_PEFT_H
#define SLAO_ADAPTER_PEFT_H

#include "adapter/lora.h"

/* Writes the adapter into `folder`, which is made. `base` is what base_model_name_or_path says.
 * Each file appears whole, the tensors last. */
slao_status slao_peft_save(const slao_lora *lora, const char *folder, const char *base);

/* Reads an adapter for a model of this config. Tensors that are missing, left over or of another
 * shape are SLAO_BAD_INPUT. Without a config (NULL) the modules and their shapes are those that the
 * tensors tell, which must agree with the folder's own config. */
slao_status slao_peft_load(slao_lora **lora, const char *folder, const slao_model_config *config);

/* base_model_name_or_path of the folder's config, "" where there is none; the caller frees *base.
 */
slao_status slao_peft_base(char **base, const char *folder);

#endif
