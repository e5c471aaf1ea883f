#include "adapter/merge.h"

#include <string.h>

static slao_status merge_asymmetric(slao_lora *merged, const slao_lora *finetuned, double lambda) {
    SLAO_INVARIANT(slao_lora_same_shape(merged, finetuned));
    for (int64_t i = 0; i < merged->n_sites; i++) {
        const slao_site *to = &merged->sites[i], *from = &finetuned->sites[i];
        int64_t rank = merged->settings.rank;
        memcpy(to->a, from->a, (size_t)(rank * to->d_in) * sizeof *to->a);
        for (int64_t k = 0; k < to->d_out * rank; k++)
            to->b[k] = (float)((double)to->b[k] + lambda * ((double)from->b[k] - (double)to->b[k]));
    }
    return SLAO_OK;
}

const slao_merge_rule slao_merge_rules[] = {
    {"asymmetric", "A of the new task, B a running mean weighted by lambda(i) (SLAO)",
     merge_asymmetric},
    {NULL, NULL, NULL},
};

const slao_merge_rule *slao_merge_rule_find(const char *name) {
    for (const slao_merge_rule *rule = slao_merge_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}
