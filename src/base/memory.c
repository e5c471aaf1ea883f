#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 1 << 21 };

static slao_status bytes_of(size_t count, size_t size, size_t *bytes) {
    if (__builtin_mul_overflow(count, size, bytes) || *bytes > SIZE_MAX / 2)
        return slao_fail(SLAO_NO_RESOURCE,
                         "%zu elements of %zu bytes are more than memory can hold", count, size);
    *bytes = (*bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (*bytes == 0)
        *bytes = ALIGNMENT;
    return SLAO_OK;
}

static void set_pointer(void *pointer, void *value) {
    memcpy(pointer, &value, sizeof value); /* the caller's object is a pointer of another type */
}

static void *get_pointer(void *pointer) {
    void *value;
    memcpy(&value, pointer, sizeof value);
    return value;
}

static slao_status refused(size_t bytes) {
    return slao_fail(SLAO_NO_RESOURCE,
                     "out of memory: %zu bytes were refused; use fewer ranks on this node, smaller "
                     "batches or a shorter max_length",
                     bytes);
}

/* `bytes`, a multiple of ALIGNMENT; NULL if they are refused. Large ones lie on huge pages where
 * the system gives those to who asks: products read matrices of many pages over and over, and
 * finding each small page anew costs a training step 4 to 10 %. Where it does not, nothing else
 * changes. */
static void *take_memory(size_t bytes) {
    if (bytes < 2 * HUGE_PAGE)
        return aligned_alloc(ALIGNMENT, bytes);
    void *memory = aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (memory)
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

slao_status slao_allocate(void *pointer, size_t count, size_t size) {
    set_pointer(pointer, NULL);
    size_t bytes;
    SLAO_TRY(bytes_of(count, size, &bytes));
    void *memory = take_memory(bytes);
    if (!memory)
        return refused(bytes);
    memset(memory, 0, bytes);
    set_pointer(pointer, memory);
    return SLAO_OK;
}

slao_status slao_grow(void *pointer, size_t *capacity, size_t count, size_t size) {
    if (count <= *capacity)
        return SLAO_OK;
    size_t wanted = *capacity + *capacity / 2 + 16;
    if (wanted < count)
        wanted = count;
    size_t bytes;
    SLAO_TRY(bytes_of(wanted, size, &bytes));
    void *memory = realloc(get_pointer(pointer), bytes);
    if (!memory)
        return refused(bytes);
    set_pointer(pointer, memory);
    *capacity = wanted;
    return SLAO_OK;
}

slao_status slao_copy_text(char **copy, const char *text) {
    return slao_format(copy, "%s", text);
}

slao_status slao_format(char **text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(text, format, arguments);
    va_end(arguments);
    if (length >= 0)
        return SLAO_OK;
    *text = NULL;
    return refused(strlen(format));
}

struct slao_arena {
    struct chunk {
        unsigned char *memory;
        size_t size;
    } * chunks;
    size_t n_chunks, capacity;
    slao_arena_mark here;
    size_t held, most; /* bytes of all chunks; the most that were taken at a time */
};

slao_status slao_arena_new(slao_arena **arena) {
    return slao_allocate(arena, 1, sizeof **arena);
}

static void free_chunks(slao_arena *arena) {
    for (size_t i = 0; i < arena->n_chunks; i++)
        free(arena->chunks[i].memory);
    arena->n_chunks = 0;
    arena->held = 0;
}

void slao_arena_free(slao_arena *arena) {
    if (!arena)
        return;
    free_chunks(arena);
    free(arena->chunks);
    free(arena);
}

slao_status slao_arena_take(slao_arena *arena, void *pointer, size_t count, size_t size) {
    enum { CHUNK = 1 << 20 };
    set_pointer(pointer, NULL);
    size_t bytes;
    SLAO_TRY(bytes_of(count, size, &bytes));
    slao_arena_mark here = arena->here;
    while (here.chunk < arena->n_chunks && arena->chunks[here.chunk].size - here.used < bytes)
        here = (slao_arena_mark){.chunk = here.chunk + 1, .taken = here.taken};
    if (here.chunk == arena->n_chunks) {
        SLAO_TRY(slao_grow(&arena->chunks, &arena->capacity, arena->n_chunks + 1,
                           sizeof *arena->chunks));
        /* All that was ever taken, for an arena that begins anew; else a part of what is held, so
         * that chunks stay few. What is not used of a chunk takes no memory. */
        size_t chunk_size = arena->n_chunks ? arena->held / 4 / ALIGNMENT * ALIGNMENT : arena->most;
        chunk_size = chunk_size > CHUNK ? chunk_size : CHUNK;
        chunk_size = bytes > chunk_size ? bytes : chunk_size;
        void *memory = take_memory(chunk_size);
        if (!memory)
            return refused(chunk_size);
        arena->chunks[arena->n_chunks++] = (struct chunk){memory, chunk_size};
        arena->held += chunk_size;
    }
    set_pointer(pointer, arena->chunks[here.chunk].memory + here.used);
    here.used += bytes;
    here.taken += bytes;
    arena->here = here;
    if (here.taken > arena->most)
        arena->most = here.taken;
    return SLAO_OK;
}

slao_status slao_arena_copy_text(slao_arena *arena, const char **copy, const char *text) {
    size_t size = strlen(text) + 1;
    char *memory;
    SLAO_TRY(slao_arena_take(arena, &memory, size, 1));
    memcpy(memory, text, size);
    *copy = memory;
    return SLAO_OK;
}

slao_arena_mark slao_arena_here(const slao_arena *arena) {
    return arena->here;
}

void slao_arena_return(slao_arena *arena, slao_arena_mark mark) {
    arena->here = mark;
    if (mark.chunk == 0 && mark.used == 0 && arena->n_chunks > 1)
        free_chunks(arena);
}

size_t slao_arena_most(const slao_arena *arena) {
    return arena->most;
}

double slao_memory_peak(void) {
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return NAN;
    double kib = NAN;
    char line[256];
    while (isnan(kib) && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %lf kB", &kib) != 1)
            kib = NAN;
    }
    fclose(file);
    return kib * 1024;
}
