/* safetensors files: read through a mapping, and written.
 *
 * Layout: u64 length of the header (little-endian, at most 100 MB); the header, a JSON object
 * padded with spaces; the data. Per tensor the header holds "name": {"dtype": "F32", "shape": [2,
 * 3], "data_offsets": [begin, end]}, the offsets counted from the start of the data; "__metadata__"
 * is an object of texts. https://huggingface.co/docs/safetensors
 */
#ifndef SLAO_MODEL_SAFETENSORS_H
#define SLAO_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "model/tensor_list.h"

typedef struct slao_safetensors slao_safetensors;

/* Nothing in the file is trusted: the tensors must fill the data without holes or overlap, their
 * bytes must be what type and shape make, names must not come twice. Types other than F32, F16 and
 * BF16 are SLAO_BAD_INPUT, as is all else; messages name the file and the tensor. */
slao_status slao_safetensors_open(slao_safetensors **file, const char *path);
void slao_safetensors_close(slao_safetensors *file); /* NULL is allowed */

const slao_mapping *slao_safetensors_file(const slao_safetensors *file);

/* Names and data live as long as the file is open. */
const slao_tensor_list *slao_safetensors_tensors(const slao_safetensors *file);

/* The text of `key` in __metadata__, or NULL. */
const char *slao_safetensors_metadata(const slao_safetensors *file, const char *key);

/* A tensor to be written, row-major fp32; n_dims 0 is a scalar. */
typedef struct {
    const char *name;
    int n_dims;
    int64_t shape[SLAO_MAX_DIMS];
    const float *data;
} slao_safetensors_item;

typedef struct {
    const char *key, *value;
} slao_safetensors_note;

/* Writes the file whole (slao_write_file). Tensors are ordered by name, notes as given, so that
 * equal contents give equal bytes; they are the bytes that the Python package writes. Names must
 * differ. */
slao_status slao_safetensors_write(const char *path, const slao_safetensors_item *items,
                                   int64_t n_items, const slao_safetensors_note *notes,
                                   int64_t n_notes);

#endif
