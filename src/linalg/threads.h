/* The threads that a rank computes on: 1 until they are set.
 *
 * Loops over rows, heads or pieces of a product that do not read each other's results are divided
 * among them by OpenMP (`omp parallel for num_threads(slao_threads_for(...))`), each in a way that
 * does not depend on their number: the results are the same bits for any. OpenBLAS itself is kept
 * to one thread, and OMP_NUM_THREADS means nothing here.
 *
 * Where pieces of work are large enough to have memory of their own (micro-batches), threads take
 * one each. That is sooner done: a core then finds in its cache what it has written itself, and
 * waits for the others at the end alone.
 */
#ifndef SLAO_LINALG_THREADS_H
#define SLAO_LINALG_THREADS_H

#include "base/status.h"

#include <stdint.h>

/* Before anything is computed, for all threads of the process. SLAO_BAD_INPUT if `count` is not at
 * least 1. */
slao_status slao_threads_set(int64_t count);

int slao_threads(void);

/* How many of them are worth waking for so many floating-point operations: all or one; one where
 * they are at work already, each on a piece of its own. */
int slao_threads_for(int64_t operations);

/* Which of those that share a loop runs this: 0 .. slao_threads() - 1. */
int slao_thread(void);

/* Pieces of work. A strand is what one of them is computed in, memory for the most part. */
typedef struct {
    /* Computes piece i in a strand that no other call uses meanwhile. Strand 0 is always used by
     * the thread that called slao_strands_run. */
    slao_status (*compute)(void *context, int strand, int64_t i);
    /* Takes from the strand what compute has left there: piece by piece in their order, one call at
     * a time. NULL: there is nothing to take. */
    void (*gather)(void *context, int strand, int64_t i);
    void *context;
} slao_pieces;

/* How many strands so many pieces are computed in: as many as there are threads, or one. */
int slao_strands(int64_t count);

/* Computes pieces 0 .. count-1: as many at a time as there are strands, a thread each. What is left
 * over, fewer than that, all threads compute together, in strand 0. After a failure no more are
 * begun; the status and message are of a piece that failed. */
slao_status slao_strands_run(const slao_pieces *pieces, int64_t count);

#endif
