/* GGUF files (versions 2 and 3), read through a mapping.
 *
 * Layout, little-endian: "GGUF", u32 version, u64 n_tensors, u64 n_metadata; the metadata (string
 * key, u32 type, value); per tensor a string name, u32 n_dims, u64 dims (fastest first), u32 type,
 * u64 offset; padding to general.alignment (32 if absent); the data, offsets relative to its start.
 * A string is u64 length and bytes; an array is u32 type, u64 count and values.
 */
#ifndef SLAO_MODEL_GGUF_H
#define SLAO_MODEL_GGUF_H

#include "base/file.h"
#include "model/tensor_list.h"

typedef struct slao_gguf slao_gguf;

/* Nothing in the file is trusted: counts, lengths, types, shapes and offsets are checked against
 * its size before anything is allocated for them, keys and names that come twice are refused, and
 * the tensors must fill the data without holes or overlap; what comes before the data may take 64
 * MB. Messages name the file and the byte. */
slao_status slao_gguf_open(slao_gguf **gguf, const char *path);
void slao_gguf_close(slao_gguf *gguf); /* NULL is allowed */

const slao_mapping *slao_gguf_file(const slao_gguf *gguf);

/* Names and data live as long as the file is open. */
const slao_tensor_list *slao_gguf_tensors(const slao_gguf *gguf);

/* Metadata by key. `*found` is false where the key is absent (found may be NULL: then absence is
 * SLAO_BAD_INPUT naming the key) and *value stays as it was; a value of another kind is
 * SLAO_BAD_INPUT. Integers of all widths and booleans are read as integers, floats of both widths
 * as reals. */
slao_status slao_gguf_integer(const slao_gguf *gguf, const char *key, int64_t *value, bool *found);
slao_status slao_gguf_real(const slao_gguf *gguf, const char *key, double *value, bool *found);
slao_status slao_gguf_text(const slao_gguf *gguf, const char *key, const char **value, bool *found);

/* Arrays: *count elements; texts are NUL-terminated and owned by the gguf. */
slao_status slao_gguf_texts(const slao_gguf *gguf, const char *key, const char *const **values,
                            int64_t *count, bool *found);
slao_status slao_gguf_integers(const slao_gguf *gguf, const char *key, const int64_t **values,
                               int64_t *count, bool *found);

/* As above, for floats of both widths; the caller frees *values. */
slao_status slao_gguf_reals(const slao_gguf *gguf, const char *key, double **values, int64_t *count,
                            bool *found);

#endif
