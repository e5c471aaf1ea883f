/* Files: mapped for reading, and written so that they appear whole. */
#ifndef SLAO_BASE_FILE_H
#define SLAO_BASE_FILE_H

#include "base/status.h"

#include <stdint.h>

/* A file mapped read-only: the pages are shared by all processes that map it. */
typedef struct {
    const unsigned char *bytes; /* NULL for an empty file */
    size_t size;
    /* Which file it is, and since when it is as it is. */
    int64_t device, inode, seconds, nanoseconds;
} slao_mapping;

slao_status slao_map_file(slao_mapping *mapping, const char *path);
void slao_unmap_file(slao_mapping *mapping); /* a zeroed mapping is allowed */

/* The whole pages among `size` bytes of a mapping no longer count as this process's memory; they
 * come back when they are read again. */
void slao_let_go(const void *bytes, size_t size);

/* The whole file as NUL-terminated text (the file may hold NULs: see *size, which may be NULL). The
 * caller frees *text. */
slao_status slao_read_text(char **text, size_t *size, const char *path);

/* Writes `size` bytes to `path` so that it appears whole or not at all: a temporary file in the
 * same folder, fsync, rename, fsync of the folder. A full disk gives SLAO_NO_RESOURCE and leaves
 * what was there. */
slao_status slao_write_file(const char *path, const void *bytes, size_t size);

/* The two halves of slao_write_file, for files that a library writes: a name for the temporary file
 * in the folder of `path` (the caller frees it), and its renaming to `path` after an fsync. On
 * failure the temporary file is removed. */
slao_status slao_temporary_name(char **temporary, const char *path);
slao_status slao_publish_file(const char *temporary, const char *path);

slao_status slao_make_folders(const char *path); /* as mkdir -p */
bool slao_is_file(const char *path);
bool slao_is_folder(const char *path);

/* "folder/name"; the caller frees *path. */
slao_status slao_join_path(char **path, const char *folder, const char *name);

#endif
