/* LoRA adapters as PEFT folders: adapter_config.json and adapter_model.safetensors, as PEFT writes
 * them.
 *
 * Tensors are named "base_model.model." + slao_lora_tensor_name, fp32. A folder that asks for more
 * than plain LoRA on linear layers (DoRA, modules_to_save, rank or alpha patterns, biases, ...) is
 * SLAO_BAD_INPUT naming the key: such an adapter would compute something else here.
 */
#ifndef SLAO_ADAPTER_PEFT_H
#define SLAO_ADAPTER_PEFT_H

#include "adapter/lora.h"

/* Writes the adapter into `folder`, which is made. `base` is what base_model_name_or_path says.
 * Each file appears whole, the tensors last. */
slao_status slao_peft_save(const slao_lora *lora, const char *folder, const char *base);

/* Reads an adapter for a model of this config. Tensors that are missing, left over or of another
 * shape are SLAO_BAD_INPUT. */
slao_status slao_peft_load(slao_lora **lora, const char *folder, const slao_model_config *config);

#endif
