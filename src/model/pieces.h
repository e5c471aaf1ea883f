/* A text cut into pieces, some of which are tokens already. */
#ifndef SLAO_MODEL_PIECES_H
#define SLAO_MODEL_PIECES_H

#include "base/status.h"

#include <stdint.h>

enum { SLAO_PIECE_IS_TEXT = -1 };

typedef struct {
    const char *text; /* within the text that was cut: not NUL-terminated, not owned */
    size_t size;
    int32_t id; /* the token that the piece is, or SLAO_PIECE_IS_TEXT */
} slao_piece;

/* Start from {0}; release with slao_pieces_free; set count to 0 to use the memory again. */
typedef struct {
    slao_piece *items;
    size_t count, capacity;
} slao_pieces;

void slao_pieces_free(slao_pieces *pieces);
slao_status slao_pieces_add(slao_pieces *pieces, const char *text, size_t size, int32_t id);

#endif
