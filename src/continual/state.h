/* What a method keeps from task to task beside its adapters: named fp32 tensors (a Fisher diagonal,
 * a basis of old gradients, magnitudes of old directions).
 *
 * It belongs to the fine-tune step that left it, and lies beside that step's adapter:
 * STORE/adapters/KEY/method_state.safetensors.
 */
#ifndef SLAO_CONTINUAL_STATE_H
#define SLAO_CONTINUAL_STATE_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    char *name;
    int64_t rows, columns;
    float *values; /* rows x columns */
} slao_state_tensor;

typedef struct {
    size_t count, capacity;
    slao_state_tensor *tensors;
} slao_state; /* zeroed: empty */

/* Adds a tensor of zeros, under a name that the state does not hold yet; *values is its to fill. */
slao_status slao_state_add(slao_state *state, const char *name, int64_t rows, int64_t columns,
                           float **values);

/* The tensor of that name, or NULL. */
const slao_state_tensor *slao_state_find(const slao_state *state, const char *name);

size_t slao_state_bytes(const slao_state *state);
void slao_state_free(slao_state *state); /* leaves it empty */

/* Writes the file in `folder`, which must exist; it appears whole. An empty state writes nothing.
 */
slao_status slao_state_save(const slao_state *state, const char *folder);
/* Reads it; no file is an empty state. A damaged file is SLAO_BAD_INPUT. */
slao_status slao_state_load(slao_state *state, const char *folder);

#endif
