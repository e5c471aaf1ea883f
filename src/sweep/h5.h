/* HDF5 (the serial C library), thin and checked: writing, and what comes first wherever it is used.
 *
 * Objects are named by their path in the file ("/trial/ab12/loss"); groups on the way are made.
 * Every dataset has a `description` attribute, and `units` where it has one. Texts are
 * variable-length UTF-8, so that long ones (a spec of any size) fit in attributes; numbers are
 * little-endian whatever the machine. Every return of the library is checked; its own error output
 * is silenced, and the innermost message of its error stack becomes ours. What a full disk refused
 * is SLAO_NO_RESOURCE. Groups are stored in the layout of HDF5 1.8, in which many under one parent
 * are fast.
 *
 * Not thread-safe (the library is not): one thread of one process writes.
 */
#ifndef SLAO_SWEEP_H5_H
#define SLAO_SWEEP_H5_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef int64_t slao_h5; /* an open file */

/* "HDF5 1.10.8" */
slao_status slao_h5_version(char *text, size_t size);

/* Opens `path` to read it, by the library's own calls; to be closed with H5Fclose. */
slao_status slao_h5_open(slao_h5 *file, const char *path);

/* Creates `path`, truncating what was there. */
slao_status slao_h5_create(slao_h5 *file, const char *path);

/* Writes everything out and closes; only after SLAO_OK is the file whole. */
slao_status slao_h5_close(slao_h5 file, const char *path);

/* Closes a file that is given up, after a failure; keeps the failure's message. */
void slao_h5_discard(slao_h5 file);

/* Makes `name` another name of what `existing` names. */
slao_status slao_h5_link(slao_h5 file, const char *existing, const char *name);

/* Attributes of the object at `object` ("/" for the file). */
slao_status slao_h5_set_text(slao_h5 file, const char *object, const char *name, const char *text);
slao_status slao_h5_set_integer(slao_h5 file, const char *object, const char *name, int64_t value);

typedef struct {
    const char *path, *description;
    const char *units; /* NULL: none */
} slao_h5_label;

enum { SLAO_H5_MAX_RANK = 4 };
typedef struct {
    int rank;
    int64_t sizes[SLAO_H5_MAX_RANK];
} slao_h5_shape;

/* Arrays, row-major. */
slao_status slao_h5_write_reals(slao_h5 file, const slao_h5_label *label, slao_h5_shape shape,
                                const double *values);
slao_status slao_h5_write_integers(slao_h5 file, const slao_h5_label *label, slao_h5_shape shape,
                                   const int64_t *values);
slao_status slao_h5_write_texts(slao_h5 file, const slao_h5_label *label, int64_t count,
                                const char *const *texts);

/* A one-dimensional dataset of `count` rows of different lengths. */
typedef struct {
    int64_t count;
    double *values;
} slao_h5_row;
slao_status slao_h5_write_ragged(slao_h5 file, const slao_h5_label *label, int64_t count,
                                 const slao_h5_row *rows);

/* A table: a one-dimensional dataset of compound type, a member per column. In memory a row is a
 * struct; `offset` is the column's place in it, a `const char *`, double or int64_t. The columns'
 * help goes into the table's description. */
typedef enum { SLAO_H5_TEXT, SLAO_H5_REAL, SLAO_H5_INTEGER } slao_h5_kind;

typedef struct {
    const char *name;
    slao_h5_kind kind;
    size_t offset;
    const char *help;
} slao_h5_column;

slao_status slao_h5_write_table(slao_h5 file, const char *path, const char *description,
                                const slao_h5_column *columns, int64_t n_columns, const void *rows,
                                size_t row_size, int64_t n_rows);

#endif
