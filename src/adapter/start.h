/* Initialisation rules: where the LoRA pair of a task starts from.
 *
 * A rule is one row of a table. `fresh` needs no earlier adapter and starts every first task: A
 * Kaiming-uniform(a = sqrt 5), that is uniform within +-1/sqrt(d_in), from the stream (seed, tensor
 * name); B = 0 (Hu et al., 2021; PEFT's default). The others start from the adapter fine-tuned on
 * the task before:
 *
 *   previous   goes on with the pair as it is (SeqLoRA)
 *   qr-last    SLAO (arXiv 2512.23017): A0 = Q^T of QR(A_ft^T) with diag(R) > 0, so A0 A0^T = I; B0
 * = B_ft, the last fine-tuned B, not the merged one. It drops R: the function jumps at the start of
 * a task.
 */
#ifndef SLAO_ADAPTER_START_H
#define SLAO_ADAPTER_START_H

#include "adapter/lora.h"

typedef struct {
    const char *name, *help;
    bool needs_last; /* starts from the last fine-tuned adapter */
    /* Sets the values of `lora`; `last` is of the same shape, NULL without needs_last. */
    slao_status (*start)(slao_lora *lora, const slao_lora *last, uint64_t seed);
} slao_start_rule;

extern const slao_start_rule slao_start_rules[];               /* ends in a row without a name */
const slao_start_rule *slao_start_rule_find(const char *name); /* NULL if there is none */

#endif
