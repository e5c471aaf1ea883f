#include "model/pieces.h"

#include "base/memory.h"

#include <stdlib.h>

void slao_pieces_free(slao_pieces *pieces) {
    free(pieces->items);
    *pieces = (slao_pieces){0};
}

slao_status slao_pieces_add(slao_pieces *pieces, const char *text, size_t size, int32_t id) {
    SLAO_TRY(
        slao_grow(&pieces->items, &pieces->capacity, pieces->count + 1, sizeof *pieces->items));
    pieces->items[pieces->count++] = (slao_piece){.text = text, .size = size, .id = id};
    return SLAO_OK;
}
