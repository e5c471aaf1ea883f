/* The tensors of one file, found by name. */
#ifndef SLAO_MODEL_TENSOR_LIST_H
#define SLAO_MODEL_TENSOR_LIST_H

#include "model/tensor.h"

/* The owner fills `tensors` (from slao_allocate), then has the list indexed. Start from {0}. */
typedef struct {
    slao_tensor *tensors;
    int64_t count;
    const slao_tensor **by_name; /* sorted */
} slao_tensor_list;

/* Makes the list searchable; a name that comes twice is SLAO_BAD_INPUT. */
slao_status slao_tensor_list_index(slao_tensor_list *list);
const slao_tensor *slao_tensor_list_find(const slao_tensor_list *list, const char *name);
void slao_tensor_list_free(slao_tensor_list *list); /* not what the tensors point to */

/* Checks that the tensors fill the bytes from `start` on without hole or overlap, each beginning at
 * a multiple of `alignment` bytes, and gives the offset from `start` at which the last one ends. An
 * indexed list is needed. */
slao_status slao_tensor_list_check_layout(const slao_tensor_list *list, const unsigned char *start,
                                          size_t alignment, size_t *end);

/* Sets the type, shape and count of bytes of `tensor` from dimensions out of a file: negative ones,
 * products that overflow, and rows that are no whole number of blocks are SLAO_BAD_INPUT. */
slao_status slao_tensor_describe(slao_tensor *tensor, slao_dtype dtype, int n_dims,
                                 const int64_t shape[]);

#endif
