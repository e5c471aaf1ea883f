/* What a benchmark format must be able to do: the rows that benchmark.c chooses from. Private to
 * data/.
 *
 * A reader gives every example that the files hold, in their order; drawing samples, hashing and
 * the answer's leading space are the same for all formats and lie in benchmark.c.
 */
#ifndef SLAO_DATA_FORMAT_H
#define SLAO_DATA_FORMAT_H

#include "base/json.h"
#include "data/benchmark.h"

/* A task that a benchmark's folder holds. */
typedef struct {
    char *name, *group; /* group: "" where the format has none */
} slao_task_place;

/* Start from {0}. */
typedef struct {
    slao_task_place *places;
    size_t count, capacity;
} slao_task_places;

slao_status slao_task_places_add(slao_task_places *places, const char *name, const char *group);
void slao_task_places_free(slao_task_places *places);

/* Sorts by name, and refuses names that would be taken for one another; `path` goes into messages.
 */
slao_status slao_task_places_sort(slao_task_places *places, const char *path);

/* The task that `name` means; the message for an unknown one gives the nearest, and all there are.
 */
slao_status slao_task_places_find(const slao_task_places *places, const char *name,
                                  const char *path, const slao_task_place **place);

/* Names that differ in case and punctuation at most. */
bool slao_task_name_same(const char *a, const char *b);

typedef struct {
    const char *layout; /* on disk, in one line */
    /* Adds every task under `path`, in any order. */
    slao_status (*find)(slao_task_places *places, const char *path);
    /* Fills name, group, labels, score, train and test of *whole, everything in `arena`; train and
     * test are not empty, answers have no leading space and are the first reference. Examples may
     * share a text (a head, a label) by pointing to the same one. */
    slao_status (*read)(slao_task *whole, const char *path, const slao_task_place *place,
                        slao_arena *arena);
} slao_benchmark_format;

/* Loads the file folder/name, which the format's layout asks for; *file is its path. Both are the
 * caller's to release, also after a failure. */
slao_status slao_format_load_file(const slao_benchmark_format *format, const char *folder,
                                  const char *name, cJSON **root, char **file);

/* Adds to `folders` the folders in `path`, but those whose names start with a dot. */
slao_status slao_format_list_folders(slao_task_places *folders, const char *path);

extern const slao_benchmark_format slao_format_cl_benchmark, slao_format_superni;

#endif
