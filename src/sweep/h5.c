#include "sweep/h5.h"

#include "base/memory.h"

#include <errno.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(slao_h5) >= sizeof(hid_t), "an HDF5 id fits");

/* --- errors --- */

enum { REASON_SIZE = 512 };

/* The stack is walked from the innermost frame out: the first description says most. */
static herr_t keep_innermost(unsigned level, const H5E_error2_t *error, void *reason) {
    if (level == 0 && error->desc)
        snprintf(reason, REASON_SIZE, "%s", error->desc);
    return 0;
}

/* `status` is for what the system refused for no lack of room. */
static slao_status library_failed(slao_status status, const char *what) {
    char reason[REASON_SIZE] = "no reason given";
    if (H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, reason) < 0)
        snprintf(reason, sizeof reason, "no reason known");
    /* The file driver writes the system's error number into its text, and nowhere else. */
    const char *number = strstr(reason, "errno = ");
    if (number) {
        errno = (int)strtol(number + strlen("errno = "), NULL, 10);
        return slao_fail_errno(status, "cannot write %s", what);
    }
    if (strstr(reason, "memory allocation failed"))
        return slao_fail(SLAO_NO_RESOURCE, "cannot write %s: HDF5: %s", what, reason);
    return slao_fail(SLAO_BROKEN, "cannot write %s: HDF5: %s", what, reason);
}

/* For any call that returns an id or a code: negative is a failure. */
static slao_status check(int64_t returned, const char *what) {
    return returned < 0 ? library_failed(SLAO_BROKEN, what) : SLAO_OK;
}

/* Releases an id of any kind; a failure of its own counts only if all went well before. */
static slao_status release(slao_status status, hid_t id, const char *what) {
    if (id < 0 || H5Idec_ref(id) >= 0 || status != SLAO_OK)
        return status;
    return library_failed(SLAO_BROKEN, what);
}

/* --- files --- */

/* Comes before all other calls of the library. As the program ends, HDF5 1.10 would once more close
 * what it could not close because a disk was full, and crash; we leave nothing open. */
static slao_status begin(void) {
    (void)H5dont_atexit(); /* fails from the second time on */
    return check(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), "anything");
}

slao_status slao_h5_version(char *text, size_t size) {
    unsigned major, minor, release;
    SLAO_TRY(begin());
    if (H5get_libversion(&major, &minor, &release) < 0)
        return slao_fail(SLAO_BROKEN, "HDF5 does not tell its version");
    snprintf(text, size, "HDF5 %u.%u.%u", major, minor, release);
    return SLAO_OK;
}

slao_status slao_h5_open(slao_h5 *file, const char *path) {
    SLAO_TRY(begin());
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    return *file >= 0 ? SLAO_OK
                      : slao_fail(SLAO_BAD_INPUT, "%s cannot be opened as an HDF5 file", path);
}

slao_status slao_h5_create(slao_h5 *file, const char *path) {
    *file = -1;
    slao_status status;
    hid_t access = -1;
    SLAO_TRY(begin());
    SLAO_TRY_GOTO(status, check(access = H5Pcreate(H5P_FILE_ACCESS), path), done);
    SLAO_TRY_GOTO(
        status, check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST), path), done);
    /* The file has a name of its own until it is whole: a lock, which some network file systems
     * refuse, would guard nothing. */
    SLAO_TRY_GOTO(status, check(H5Pset_file_locking(access, false, true), path), done);
    SLAO_TRY_GOTO(status, check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), path), done);
    *file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (*file < 0)
        status = library_failed(SLAO_BAD_INPUT, path);
done:
    return release(status, access, path);
}

slao_status slao_h5_close(slao_h5 file, const char *path) {
    slao_status status = check(H5Fflush(file, H5F_SCOPE_LOCAL), path);
    if (status != SLAO_OK) {
        slao_h5_discard(file);
        return status;
    }
    return check(H5Fclose(file), path);
}

void slao_h5_discard(slao_h5 file) {
    if (file >= 0 && H5Fclose(file) < 0)
        return; /* the caller has the failure that matters, and removes the file */
}

slao_status slao_h5_link(slao_h5 file, const char *existing, const char *name) {
    slao_status status;
    hid_t links = -1;
    SLAO_TRY_GOTO(status, check(links = H5Pcreate(H5P_LINK_CREATE), name), done);
    SLAO_TRY_GOTO(status, check(H5Pset_create_intermediate_group(links, 1), name), done);
    SLAO_TRY_GOTO(
        status, check(H5Lcreate_hard(file, existing, file, name, links, H5P_DEFAULT), name), done);
done:
    return release(status, links, name);
}

/* --- attributes --- */

static slao_status text_type(hid_t *type, const char *what) {
    SLAO_TRY(check(*type = H5Tcopy(H5T_C_S1), what));
    slao_status status = check(H5Tset_size(*type, H5T_VARIABLE), what);
    if (status == SLAO_OK)
        status = check(H5Tset_cset(*type, H5T_CSET_UTF8), what);
    return status;
}

/* One value as an attribute of an open object. */
static slao_status set_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type,
                                 const void *value) {
    slao_status status;
    hid_t space = -1, attribute = -1;
    SLAO_TRY_GOTO(status, check(space = H5Screate(H5S_SCALAR), name), done);
    SLAO_TRY_GOTO(
        status,
        check(attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT),
              name),
        done);
    SLAO_TRY_GOTO(status, check(H5Awrite(attribute, memory_type, value), name), done);
done:
    status = release(status, attribute, name);
    return release(status, space, name);
}

static slao_status set_text(hid_t object, const char *name, const char *text) {
    hid_t type = -1;
    slao_status status = text_type(&type, name);
    if (status == SLAO_OK)
        status = set_attribute(object, name, type, type, &text);
    return release(status, type, name);
}

slao_status slao_h5_set_text(slao_h5 file, const char *object, const char *name, const char *text) {
    hid_t id;
    SLAO_TRY(check(id = H5Oopen(file, object, H5P_DEFAULT), object));
    return release(set_text(id, name, text), id, object);
}

slao_status slao_h5_set_integer(slao_h5 file, const char *object, const char *name, int64_t value) {
    hid_t id;
    SLAO_TRY(check(id = H5Oopen(file, object, H5P_DEFAULT), object));
    return release(set_attribute(id, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value), id, object);
}

/* --- datasets --- */

/* Values of variable length are converted in a buffer that the library zeroes at each write, 1 MB
 * of it unless it is told that the dataset is small. A text takes 8 bytes in memory and 16 on file,
 * and nothing grows more. */
static slao_status write_values(hid_t set, hid_t memory_type, size_t count, const void *values,
                                const char *what) {
    const size_t most = 1 << 20;
    size_t element = 2 * H5Tget_size(memory_type);
    size_t bytes = count < most / element ? count * element : most > element ? most : element;
    hid_t transfer = -1;
    slao_status status;
    SLAO_TRY_GOTO(status, check(transfer = H5Pcreate(H5P_DATASET_XFER), what), done);
    SLAO_TRY_GOTO(status, check(H5Pset_buffer(transfer, bytes, NULL, NULL), what), done);
    status = check(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, transfer, values), what);
done:
    return release(status, transfer, what);
}

static slao_status write_dataset(slao_h5 file, const slao_h5_label *label, slao_h5_shape shape,
                                 hid_t file_type, hid_t memory_type, const void *values) {
    const char *what = label->path;
    slao_status status;
    hid_t space = -1, links = -1, set = -1;
    hsize_t sizes[SLAO_H5_MAX_RANK];
    size_t count = 1;
    for (int i = 0; i < shape.rank; i++) {
        sizes[i] = (hsize_t)shape.sizes[i];
        count *= (size_t)shape.sizes[i];
    }
    SLAO_TRY_GOTO(status, check(space = H5Screate_simple(shape.rank, sizes, NULL), what), done);
    SLAO_TRY_GOTO(status, check(links = H5Pcreate(H5P_LINK_CREATE), what), done);
    SLAO_TRY_GOTO(status, check(H5Pset_create_intermediate_group(links, 1), what), done);
    SLAO_TRY_GOTO(
        status,
        check(set = H5Dcreate2(file, what, file_type, space, links, H5P_DEFAULT, H5P_DEFAULT),
              what),
        done);
    if (count > 0)
        SLAO_TRY_GOTO(status, write_values(set, memory_type, count, values, what), done);
    SLAO_TRY_GOTO(status, set_text(set, "description", label->description), done);
    if (label->units)
        SLAO_TRY_GOTO(status, set_text(set, "units", label->units), done);
done:
    status = release(status, set, what);
    status = release(status, links, what);
    return release(status, space, what);
}

slao_status slao_h5_write_reals(slao_h5 file, const slao_h5_label *label, slao_h5_shape shape,
                                const double *values) {
    return write_dataset(file, label, shape, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, values);
}

slao_status slao_h5_write_integers(slao_h5 file, const slao_h5_label *label, slao_h5_shape shape,
                                   const int64_t *values) {
    return write_dataset(file, label, shape, H5T_STD_I64LE, H5T_NATIVE_INT64, values);
}

slao_status slao_h5_write_texts(slao_h5 file, const slao_h5_label *label, int64_t count,
                                const char *const *texts) {
    hid_t type = -1;
    slao_status status = text_type(&type, label->path);
    if (status == SLAO_OK)
        status = write_dataset(file, label, (slao_h5_shape){1, {count}}, type, type, texts);
    return release(status, type, label->path);
}

slao_status slao_h5_write_ragged(slao_h5 file, const slao_h5_label *label, int64_t count,
                                 const slao_h5_row *rows) {
    const char *what = label->path;
    slao_status status;
    hid_t file_type = -1, memory_type = -1;
    hvl_t *cells;
    SLAO_TRY(slao_allocate(&cells, (size_t)count, sizeof *cells));
    for (int64_t i = 0; i < count; i++)
        cells[i] = (hvl_t){.len = (size_t)rows[i].count, .p = rows[i].values};
    SLAO_TRY_GOTO(status, check(file_type = H5Tvlen_create(H5T_IEEE_F64LE), what), done);
    SLAO_TRY_GOTO(status, check(memory_type = H5Tvlen_create(H5T_NATIVE_DOUBLE), what), done);
    SLAO_TRY_GOTO(
        status,
        write_dataset(file, label, (slao_h5_shape){1, {count}}, file_type, memory_type, cells),
        done);
done:
    free(cells);
    status = release(status, memory_type, what);
    return release(status, file_type, what);
}

/* --- tables --- */

enum { CELL = 8 };
_Static_assert(sizeof(char *) == CELL && sizeof(double) == CELL, "a cell is eight bytes");

static slao_status insert_columns(hid_t file_type, hid_t memory_type, hid_t text,
                                  const slao_h5_column *columns, int64_t n_columns) {
    const hid_t on_file[] = {text, H5T_IEEE_F64LE, H5T_STD_I64LE};
    const hid_t in_memory[] = {text, H5T_NATIVE_DOUBLE, H5T_NATIVE_INT64};
    for (int64_t i = 0; i < n_columns; i++) {
        const slao_h5_column *column = &columns[i];
        SLAO_TRY(check(H5Tinsert(file_type, column->name, (size_t)i * CELL, on_file[column->kind]),
                       column->name));
        SLAO_TRY(
            check(H5Tinsert(memory_type, column->name, column->offset, in_memory[column->kind]),
                  column->name));
    }
    return SLAO_OK;
}

static slao_status describe_columns(char **text, const char *description,
                                    const slao_h5_column *columns, int64_t n_columns) {
    SLAO_TRY(slao_copy_text(text, description));
    for (int64_t i = 0; i < n_columns; i++) {
        char *shorter = *text;
        slao_status status =
            slao_format(text, "%s\n%s: %s", shorter, columns[i].name, columns[i].help);
        free(shorter);
        SLAO_TRY(status);
    }
    return SLAO_OK;
}

slao_status slao_h5_write_table(slao_h5 file, const char *path, const char *description,
                                const slao_h5_column *columns, int64_t n_columns, const void *rows,
                                size_t row_size, int64_t n_rows) {
    slao_status status;
    hid_t text = -1, file_type = -1, memory_type = -1;
    char *whole = NULL;
    SLAO_TRY_GOTO(status, describe_columns(&whole, description, columns, n_columns), done);
    SLAO_TRY_GOTO(status, text_type(&text, path), done);
    SLAO_TRY_GOTO(status,
                  check(file_type = H5Tcreate(H5T_COMPOUND, (size_t)n_columns * CELL), path), done);
    SLAO_TRY_GOTO(status, check(memory_type = H5Tcreate(H5T_COMPOUND, row_size), path), done);
    SLAO_TRY_GOTO(status, insert_columns(file_type, memory_type, text, columns, n_columns), done);
    slao_h5_label label = {.path = path, .description = whole};
    SLAO_TRY_GOTO(
        status,
        write_dataset(file, &label, (slao_h5_shape){1, {n_rows}}, file_type, memory_type, rows),
        done);
done:
    free(whole);
    status = release(status, memory_type, path);
    status = release(status, file_type, path);
    return release(status, text, path);
}
