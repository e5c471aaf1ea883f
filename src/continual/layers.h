/* Which factor is merged in which layer: "A", "B" or "both", or a list by layers.
 *
 *   0-9:A,12:both     layers 0 to 9 merge A, layer 12 merges both factors, all others B
 *
 * Canonical text names ranges from low to high, none that merges B (what is not named does), and
 * one range where two of a kind adjoin; no range at all is "B".
 */
#ifndef SLAO_CONTINUAL_LAYERS_H
#define SLAO_CONTINUAL_LAYERS_H

#include "base/json.h"
#include "base/memory.h"

/* *canonical, which may be `text` itself or lie in `arena`. Text of another form, and a layer that
 * is named twice, are SLAO_BAD_INPUT; `path` says where it stood. */
slao_status slao_layers_read(const char **canonical, const char *text, slao_arena *arena,
                             const char *path);

/* The text of [{"layers": "0-9", "merge": "A"}, ...], or of one such object, in `arena`. */
slao_status slao_layers_text(const char **text, const cJSON *list, slao_arena *arena,
                             const char *path);

/* The factor that a layer merges, by canonical text: "A", "B" or "both". */
const char *slao_layers_find(const char *canonical, int64_t layer);

/* The highest layer that canonical text names; -1 if none. */
int64_t slao_layers_highest(const char *canonical);

#endif
