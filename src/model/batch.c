#include "model/batch.h"

#include "base/memory.h"

#include <stdlib.h>

slao_status slao_cache_new(slao_cache **cache, const slao_model_config *config, int64_t slots) {
    SLAO_TRY(slao_allocate(cache, 1, sizeof **cache));
    int64_t width = config->kv_heads * config->head_dim;
    **cache = (slao_cache){.slots = slots, .width = width};
    size_t count = (size_t)(config->layers * slots);
    slao_status status = slao_allocate(&(*cache)->keys, count, (size_t)width * sizeof(float));
    if (status == SLAO_OK)
        status = slao_allocate(&(*cache)->values, count, (size_t)width * sizeof(float));
    if (status != SLAO_OK) {
        slao_cache_free(*cache);
        *cache = NULL;
    }
    return status;
}

void slao_cache_free(slao_cache *cache) {
    if (!cache)
        return;
    free(cache->keys);
    free(cache->values);
    free(cache);
}
