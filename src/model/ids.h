/* A growing list of token ids; start from {0}, release with slao_ids_free. */
#ifndef SLAO_MODEL_IDS_H
#define SLAO_MODEL_IDS_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    int32_t *ids;
    size_t count, capacity;
} slao_ids;

void slao_ids_free(slao_ids *ids);
slao_status slao_ids_add(slao_ids *ids, int32_t id);

#endif
