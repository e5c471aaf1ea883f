/* Memory: checked allocation, and arenas.
 *
 * An arena is for what lives as long as a step (activations, one batch): many allocations, one
 * release. Everything else is allocated by slao_allocate and released by free().
 */
#ifndef SLAO_BASE_MEMORY_H
#define SLAO_BASE_MEMORY_H

#include "base/status.h"

/* Sets *pointer (any object pointer: pass its address) to `count` zeroed elements of `size` bytes,
 * aligned to 64 bytes; never NULL, also for a count of 0. The product is checked. On failure
 * *pointer is NULL and the status SLAO_NO_RESOURCE. The caller releases it with free(). */
slao_status slao_allocate(void *pointer, size_t count, size_t size);

/* Grows the array *pointer of *capacity elements so that it holds at least `count`; new elements
 * are not cleared. For arrays from slao_grow alone (start from NULL and 0); released with free().
 */
slao_status slao_grow(void *pointer, size_t *capacity, size_t count, size_t size);

/* *copy becomes a copy of `text`; the caller frees it. */
slao_status slao_copy_text(char **copy, const char *text);

/* printf into newly allocated memory; the caller frees *text. */
slao_status slao_format(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct slao_arena slao_arena;

slao_status slao_arena_new(slao_arena **arena);
void slao_arena_free(slao_arena *arena); /* NULL is allowed */

/* As slao_allocate, out of the arena; not cleared. Lives until the arena is reset past it or freed.
 */
slao_status slao_arena_take(slao_arena *arena, void *pointer, size_t count, size_t size);

/* *copy becomes a copy of `text` in the arena. */
slao_status slao_arena_copy_text(slao_arena *arena, const char **copy, const char *text);

/* A mark and a return to it release everything taken in between; the memory is kept for the next
 * use. */
typedef struct {
    size_t chunk, used; /* the chunk in use, and the bytes of it that are taken */
    size_t taken;       /* of all */
} slao_arena_mark;
slao_arena_mark slao_arena_here(const slao_arena *arena);
void slao_arena_return(slao_arena *arena, slao_arena_mark mark);

/* The most bytes that were taken at a time so far. */
size_t slao_arena_most(const slao_arena *arena);

/* The most memory in bytes that this program has held at a time (its resident set); NaN where the
 * system does not tell. Not getrusage's: that of a child begins with what its parent held. */
double slao_memory_peak(void);

#endif
