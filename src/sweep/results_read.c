#include "sweep/results_read.h"

#include "sweep/h5.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

static slao_status no_results(const char *path, const char *what) {
    return slao_fail(SLAO_BAD_INPUT, "%s is no results file of slao: it has no %s that can be read",
                     path, what);
}

/* A text of variable length, in UTF-8. */
static hid_t text_type(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 &&
        (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static slao_status read_attribute(const char **text, hid_t file, const char *name, hid_t type,
                                  slao_arena *arena, const char *path) {
    char *value = NULL;
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    bool read = attribute >= 0 && H5Aread(attribute, type, &value) >= 0 && value;
    if (attribute >= 0)
        H5Aclose(attribute);
    slao_status status = read ? slao_arena_copy_text(arena, text, value) : no_results(path, name);
    if (value)
        H5free_memory(value);
    return status;
}

static slao_status keep_text(const char **text, slao_arena *arena) {
    char *read = (char *)(uintptr_t)*text;
    slao_status status = slao_arena_copy_text(arena, text, read ? read : "");
    H5free_memory(read);
    return status;
}

/* The columns of /trials that a row has, by their names. */
static hid_t row_type(hid_t text) {
    static const struct {
        const char *name;
        size_t offset;
        enum { TEXT, REAL, INTEGER } kind;
    } members[] = {
        {"id", offsetof(slao_result_row, id), TEXT},
        {"method", offsetof(slao_result_row, method), TEXT},
        {"order", offsetof(slao_result_row, order), TEXT},
        {"lambda", offsetof(slao_result_row, lambda), TEXT},
        {"status", offsetof(slao_result_row, status), TEXT},
        {"learning_rate", offsetof(slao_result_row, learning_rate), REAL},
        {"AA", offsetof(slao_result_row, aa), REAL},
        {"BWT", offsetof(slao_result_row, bwt), REAL},
        {"seed", offsetof(slao_result_row, seed), INTEGER},
    };
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(slao_result_row));
    for (size_t i = 0; type >= 0 && i < sizeof members / sizeof *members; i++) {
        hid_t member = members[i].kind == TEXT   ? text
                       : members[i].kind == REAL ? H5T_NATIVE_DOUBLE
                                                 : H5T_NATIVE_INT64;
        if (H5Tinsert(type, members[i].name, members[i].offset, member) < 0) {
            H5Tclose(type);
            return -1;
        }
    }
    return type;
}

/* A row lacks a text where the file has no such column: HDF5 then leaves it as it was, NULL. */
static slao_status keep_rows(slao_results_summary *summary, slao_arena *arena) {
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < summary->n_trials && status == SLAO_OK; i++) {
        slao_result_row *row = &summary->trials[i];
        const char **texts[] = {&row->id, &row->method, &row->order, &row->lambda, &row->status};
        for (size_t k = 0; k < sizeof texts / sizeof *texts && status == SLAO_OK; k++)
            status = keep_text(texts[k], arena);
    }
    return status;
}

static slao_status read_trials(slao_results_summary *summary, hid_t file, hid_t text,
                               slao_arena *arena, const char *path) {
    hid_t row = row_type(text), set = H5Dopen2(file, "/trials", H5P_DEFAULT);
    hid_t space = set >= 0 ? H5Dget_space(set) : -1;
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    slao_status status = SLAO_OK;
    if (row < 0 || count < 0)
        status = no_results(path, "table /trials");
    if (status == SLAO_OK) {
        summary->n_trials = count;
        status = slao_arena_take(arena, &summary->trials, (size_t)count, sizeof *summary->trials);
    }
    if (status == SLAO_OK) {
        memset(summary->trials, 0, (size_t)count * sizeof *summary->trials);
        status = H5Dread(set, row, H5S_ALL, H5S_ALL, H5P_DEFAULT, summary->trials) < 0
                     ? no_results(path, "table /trials")
                     : keep_rows(summary, arena);
    }
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    if (row >= 0)
        H5Tclose(row);
    return status;
}

slao_status slao_results_read(slao_results_summary *summary, const char *path, slao_arena *arena) {
    *summary = (slao_results_summary){0};
    slao_h5 file;
    SLAO_TRY(slao_h5_open(&file, path));
    hid_t text = text_type();
    slao_status status = text < 0 ? slao_fail(SLAO_BROKEN, "HDF5 has no type for texts") : SLAO_OK;
    if (status == SLAO_OK)
        status = read_attribute(&summary->name, file, "name", text, arena, path);
    if (status == SLAO_OK)
        status = read_attribute(&summary->fingerprint, file, "fingerprint", text, arena, path);
    if (status == SLAO_OK)
        status = read_attribute(&summary->version, file, "slao_version", text, arena, path);
    if (status == SLAO_OK)
        status = read_attribute(&summary->finished, file, "finished", text, arena, path);
    if (status == SLAO_OK)
        status = read_trials(summary, file, text, arena, path);
    if (text >= 0)
        H5Tclose(text);
    H5Fclose(file);
    return status;
}
