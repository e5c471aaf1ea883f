#include "data/format.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

slao_status slao_task_places_add(slao_task_places *places, const char *name, const char *group) {
    SLAO_TRY(
        slao_grow(&places->places, &places->capacity, places->count + 1, sizeof *places->places));
    slao_task_place place = {0};
    SLAO_TRY(slao_copy_text(&place.name, name));
    slao_status status = slao_copy_text(&place.group, group);
    if (status != SLAO_OK) {
        free(place.name);
        return status;
    }
    places->places[places->count++] = place;
    return SLAO_OK;
}

void slao_task_places_free(slao_task_places *places) {
    for (size_t i = 0; i < places->count; i++) {
        free(places->places[i].name);
        free(places->places[i].group);
    }
    free(places->places);
    *places = (slao_task_places){0};
}

/* The next character of a name that counts (letters and digits, letters in lower case, and
 * everything beyond ASCII), or 0 at its end. */
static char next_of_name(const char **name) {
    for (;;) {
        unsigned char c = (unsigned char)**name;
        if (c == '\0')
            return '\0';
        (*name)++;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80)
            return (char)c;
    }
}

bool slao_task_name_same(const char *a, const char *b) {
    char c;
    do {
        c = next_of_name(&a);
        if (c != next_of_name(&b))
            return false;
    } while (c);
    return true;
}

static int compare_places(const void *a, const void *b) {
    return strcmp(((const slao_task_place *)a)->name, ((const slao_task_place *)b)->name);
}

slao_status slao_task_places_sort(slao_task_places *places, const char *path) {
    if (places->count == 0)
        return SLAO_OK;
    qsort(places->places, places->count, sizeof *places->places, compare_places);
    for (size_t i = 0; i < places->count; i++) {
        const slao_task_place *a = &places->places[i];
        for (size_t j = i + 1; j < places->count; j++) {
            const slao_task_place *b = &places->places[j];
            if (slao_task_name_same(a->name, b->name))
                return slao_fail(
                    SLAO_BAD_INPUT,
                    "%s: the tasks %s/%s and %s/%s have the same name but for case and "
                    "punctuation; rename one of the folders",
                    path, a->group, a->name, b->group, b->name);
        }
    }
    return SLAO_OK;
}

/* A copy of the characters of `name` that count. */
static slao_status squash(slao_arena *arena, const char **squashed, const char *name) {
    char *copy;
    SLAO_TRY(slao_arena_take(arena, &copy, strlen(name) + 1, 1));
    *squashed = copy;
    while ((*copy++ = next_of_name(&name)) != '\0')
        ;
    return SLAO_OK;
}

/* *nearest becomes the name that looks most like `name`, or NULL. */
static slao_status nearest_place(const slao_task_places *places, const char *name,
                                 slao_arena *arena, const char **nearest) {
    const char *word, **names;
    SLAO_TRY(squash(arena, &word, name));
    SLAO_TRY(slao_arena_take(arena, &names, places->count + 1, sizeof *names));
    names[places->count] = NULL;
    for (size_t i = 0; i < places->count; i++)
        SLAO_TRY(squash(arena, &names[i], places->places[i].name));
    const char *found = slao_nearest(word, names);
    *nearest = NULL;
    for (size_t i = 0; i < places->count; i++) {
        if (names[i] == found)
            *nearest = places->places[i].name;
    }
    return SLAO_OK;
}

static slao_status unknown_task(const slao_task_places *places, const char *name,
                                const char *path) {
    enum { LIST = 1024 };
    char list[LIST] = "";
    size_t length = 0;
    for (size_t i = 0; i < places->count && length < LIST; i++)
        length += (size_t)snprintf(list + length, LIST - length, "%s%s", i ? ", " : "",
                                   places->places[i].name);
    slao_arena *arena;
    SLAO_TRY(slao_arena_new(&arena));
    const char *nearest = NULL;
    slao_status status = nearest_place(places, name, arena, &nearest);
    slao_arena_free(arena);
    if (status != SLAO_OK)
        return status;
    return slao_fail(SLAO_BAD_INPUT, "%s has no task \"%s\"; %s%s%sits tasks are %s", path, name,
                     nearest ? "did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"? " : "", list);
}

slao_status slao_task_places_find(const slao_task_places *places, const char *name,
                                  const char *path, const slao_task_place **place) {
    for (size_t i = 0; i < places->count; i++) {
        if (slao_task_name_same(places->places[i].name, name)) {
            *place = &places->places[i];
            return SLAO_OK;
        }
    }
    return unknown_task(places, name, path);
}

slao_status slao_format_list_folders(slao_task_places *folders, const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot open the benchmark's folder %s", path);
    slao_status status = SLAO_OK;
    const struct dirent *entry;
    while (status == SLAO_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *inside = NULL;
        status = slao_join_path(&inside, path, entry->d_name);
        if (status == SLAO_OK && slao_is_folder(inside))
            status = slao_task_places_add(folders, entry->d_name, "");
        free(inside);
    }
    if (status == SLAO_OK && errno != 0)
        status = slao_fail_errno(SLAO_BAD_INPUT, "cannot list the folder %s", path);
    closedir(folder);
    return status;
}

slao_status slao_format_load_file(const slao_benchmark_format *format, const char *folder,
                                  const char *name, cJSON **root, char **file) {
    SLAO_TRY(slao_join_path(file, folder, name));
    if (!slao_is_file(*file))
        return slao_fail(
            SLAO_BAD_INPUT,
            "%s is missing; the benchmark's format expects %s: check its path and format", *file,
            format->layout);
    return slao_json_load(root, *file);
}
