#include "adapter/start.h"

#include "base/random.h"
#include "linalg/matrix.h"

#include <math.h>
#include <string.h>

static slao_status start_fresh(slao_lora *lora, const slao_lora *last, uint64_t seed) {
    (void)last;
    memset(lora->values, 0, (size_t)lora->n_values * sizeof *lora->values);
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        char name[SLAO_LORA_NAME];
        slao_lora_tensor_name(name, site, 'A');
        slao_random random = slao_random_stream(seed, "lora_A", name, 0);
        double bound = 1.0 / sqrt((double)site->d_in);
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)((2.0 * slao_random_uniform(&random) - 1.0) * bound);
    }
    return SLAO_OK;
}

static slao_status start_previous(slao_lora *lora, const slao_lora *last, uint64_t seed) {
    (void)seed;
    SLAO_INVARIANT(slao_lora_same_shape(lora, last));
    memcpy(lora->values, last->values, (size_t)lora->n_values * sizeof *lora->values);
    return SLAO_OK;
}

static slao_status start_qr_last(slao_lora *lora, const slao_lora *last, uint64_t seed) {
    SLAO_TRY(start_previous(lora, last, seed));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        SLAO_TRY_IN(
            slao_orthonormal_rows(site->a, site->rank, site->d_in, SLAO_SIGN_POSITIVE, NULL),
            "layer %lld, %s", (long long)site->layer, slao_module_name(site->module));
    }
    return SLAO_OK;
}

const slao_start_rule slao_start_rules[] = {
    {"fresh", "A Kaiming-uniform, B zero", false, start_fresh},
    {"previous", "the last fine-tuned pair as it is", true, start_previous},
    {"qr-last", "A orthonormal by QR of the last fine-tuned A, B the last fine-tuned B", true,
     start_qr_last},
    {NULL, NULL, false, NULL},
};

const slao_start_rule *slao_start_rule_find(const char *name) {
    for (const slao_start_rule *rule = slao_start_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}
