#include "model/ids.h"

#include "base/memory.h"

#include <stdlib.h>

void slao_ids_free(slao_ids *ids) {
    free(ids->ids);
    *ids = (slao_ids){0};
}

slao_status slao_ids_add(slao_ids *ids, int32_t id) {
    SLAO_TRY(slao_grow(&ids->ids, &ids->capacity, ids->count + 1, sizeof *ids->ids));
    ids->ids[ids->count++] = id;
    return SLAO_OK;
}
