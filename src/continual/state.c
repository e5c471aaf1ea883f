#include "continual/state.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "model/tensor.h"

#include <stdlib.h>
#include <string.h>

static const char file_name[] = "method_state.safetensors";

slao_status slao_state_add(slao_state *state, const char *name, int64_t rows, int64_t columns,
                           float **values) {
    SLAO_INVARIANT(!slao_state_find(state, name) && rows > 0 && columns > 0);
    SLAO_TRY(
        slao_grow(&state->tensors, &state->capacity, state->count + 1, sizeof *state->tensors));
    slao_state_tensor tensor = {.rows = rows, .columns = columns};
    SLAO_TRY(slao_copy_text(&tensor.name, name));
    slao_status status =
        slao_allocate(&tensor.values, (size_t)rows * (size_t)columns, sizeof(float));
    if (status != SLAO_OK) {
        free(tensor.name);
        return status;
    }
    state->tensors[state->count++] = tensor;
    *values = tensor.values;
    return SLAO_OK;
}

const slao_state_tensor *slao_state_find(const slao_state *state, const char *name) {
    for (size_t i = 0; i < state->count; i++) {
        if (strcmp(state->tensors[i].name, name) == 0)
            return &state->tensors[i];
    }
    return NULL;
}

size_t slao_state_bytes(const slao_state *state) {
    size_t bytes = 0;
    for (size_t i = 0; i < state->count; i++)
        bytes += (size_t)state->tensors[i].rows * (size_t)state->tensors[i].columns * sizeof(float);
    return bytes;
}

void slao_state_free(slao_state *state) {
    for (size_t i = 0; i < state->count; i++) {
        free(state->tensors[i].name);
        free(state->tensors[i].values);
    }
    free(state->tensors);
    *state = (slao_state){0};
}

slao_status slao_state_save(const slao_state *state, const char *folder) {
    if (state->count == 0)
        return SLAO_OK;
    slao_safetensors_item *items;
    char *path;
    SLAO_TRY(slao_allocate(&items, state->count, sizeof *items));
    for (size_t i = 0; i < state->count; i++) {
        const slao_state_tensor *tensor = &state->tensors[i];
        items[i] = (slao_safetensors_item){.name = tensor->name,
                                           .n_dims = 2,
                                           .shape = {tensor->rows, tensor->columns},
                                           .data = tensor->values};
    }
    slao_status status = slao_join_path(&path, folder, file_name);
    if (status == SLAO_OK)
        status = slao_safetensors_write(path, items, (int64_t)state->count, NULL, 0);
    free(path);
    free(items);
    return status;
}

static slao_status read_tensors(slao_state *state, const slao_tensor_list *tensors,
                                const char *path) {
    for (int64_t i = 0; i < tensors->count; i++) {
        const slao_tensor *tensor = &tensors->tensors[i];
        float *values;
        if (tensor->n_dims != 2)
            return slao_fail(SLAO_BAD_INPUT, "%s: %s is no matrix", path, tensor->name);
        SLAO_TRY(slao_state_add(state, tensor->name, tensor->shape[0], tensor->shape[1], &values));
        slao_expand(values, tensor->dtype, tensor->data, tensor->shape[0] * tensor->shape[1]);
    }
    return SLAO_OK;
}

slao_status slao_state_load(slao_state *state, const char *folder) {
    *state = (slao_state){0};
    char *path;
    slao_safetensors *file = NULL;
    SLAO_TRY(slao_join_path(&path, folder, file_name));
    slao_status status = SLAO_OK;
    if (slao_is_file(path)) {
        status = slao_safetensors_open(&file, path);
        if (status == SLAO_OK)
            status = read_tensors(state, slao_safetensors_tensors(file), path);
    }
    slao_safetensors_close(file);
    free(path);
    if (status != SLAO_OK)
        slao_state_free(state);
    return status;
}
