/* Merge rules: how the adapter fine-tuned on task i >= 2 enters the one that is evaluated. (At task
 * 1 the merged adapter is the fine-tuned one.)
 *
 * A rule is one row of a table:
 *
 *   asymmetric   SLAO (arXiv 2512.23017): A_m <- A_ft, B_m <- B_m + lambda(i) (B_ft - B_m)
 */
#ifndef SLAO_ADAPTER_MERGE_H
#define SLAO_ADAPTER_MERGE_H

#include "adapter/lora.h"

typedef struct {
    const char *name, *help;
    /* Turns `merged`, the adapter merged so far, into the next one. Shapes are the same. */
    slao_status (*merge)(slao_lora *merged, const slao_lora *finetuned, double lambda);
} slao_merge_rule;

extern const slao_merge_rule slao_merge_rules[];               /* ends in a row without a name */
const slao_merge_rule *slao_merge_rule_find(const char *name); /* NULL if there is none */

#endif
