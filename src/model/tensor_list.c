#include "model/tensor_list.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const slao_tensor *const *)a)->name, (*(const slao_tensor *const *)b)->name);
}

/* By place in the file; of tensors at one place, the empty ones first. */
static int compare_places(const void *a, const void *b) {
    const slao_tensor *x = *(const slao_tensor *const *)a, *y = *(const slao_tensor *const *)b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

slao_status slao_tensor_list_index(slao_tensor_list *list) {
    size_t count = (size_t)list->count;
    SLAO_TRY(slao_allocate(&list->by_name, count, sizeof *list->by_name));
    for (size_t i = 0; i < count; i++)
        list->by_name[i] = &list->tensors[i];
    qsort(list->by_name, count, sizeof *list->by_name, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(list->by_name[i - 1]->name, list->by_name[i]->name) == 0)
            return slao_fail(SLAO_BAD_INPUT, "tensor %s is there twice", list->by_name[i]->name);
    }
    return SLAO_OK;
}

const slao_tensor *slao_tensor_list_find(const slao_tensor_list *list, const char *name) {
    slao_tensor wanted = {.name = name};
    const slao_tensor *key = &wanted;
    const slao_tensor **found =
        bsearch(&key, list->by_name, (size_t)list->count, sizeof *list->by_name, compare_names);
    return found ? *found : NULL;
}

void slao_tensor_list_free(slao_tensor_list *list) {
    free(list->tensors);
    free(list->by_name);
    *list = (slao_tensor_list){0};
}

slao_status slao_tensor_list_check_layout(const slao_tensor_list *list, const unsigned char *start,
                                          size_t alignment, size_t *end) {
    size_t count = (size_t)list->count;
    const slao_tensor **by_place;
    SLAO_TRY(slao_allocate(&by_place, count, sizeof *by_place));
    memcpy(by_place, list->by_name, count * sizeof *by_place);
    qsort(by_place, count, sizeof *by_place, compare_places);
    slao_status status = SLAO_OK;
    *end = 0;
    for (size_t i = 0; i < count && status == SLAO_OK; i++) {
        const slao_tensor *tensor = by_place[i];
        size_t begin = (size_t)(tensor->data - start);
        size_t wanted = (*end + alignment - 1) / alignment * alignment;
        if (begin != wanted)
            status = slao_fail(SLAO_BAD_INPUT, "tensor %s begins at byte %zu of the data, %s %zu",
                               tensor->name, begin,
                               begin < wanted ? "within what another tensor holds up to"
                                              : "which leaves a hole from",
                               wanted);
        *end = begin + tensor->bytes;
    }
    free(by_place);
    return status;
}

slao_status slao_tensor_describe(slao_tensor *tensor, slao_dtype dtype, int n_dims,
                                 const int64_t shape[]) {
    int64_t count = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0)
            return slao_fail(SLAO_BAD_INPUT, "tensor %s: dimension %d is negative", tensor->name,
                             i);
        if (__builtin_mul_overflow(count, shape[i], &count))
            return slao_fail(SLAO_BAD_INPUT,
                             "tensor %s: its shape has more elements than can be counted",
                             tensor->name);
        tensor->shape[i] = shape[i];
    }
    tensor->dtype = dtype;
    tensor->n_dims = n_dims;
    int64_t row = n_dims ? shape[n_dims - 1] : 1;
    if (row % slao_dtype_block(dtype) != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "tensor %s: rows of %lld are no whole number of %s blocks (%lld each)",
                         tensor->name, (long long)row, slao_dtype_name(dtype),
                         (long long)slao_dtype_block(dtype));
    SLAO_TRY_IN(slao_dtype_bytes(&tensor->bytes, dtype, count), "tensor %s", tensor->name);
    return SLAO_OK;
}
