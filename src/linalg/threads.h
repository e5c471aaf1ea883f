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

/* Before anything is computed, for all threads of the process. SLAO_BAD_INPUT if `count` is not
 * from 1 to 1024. */
slao_status slao_threads_set(int64_t count);

int slao_threads(void);

/* How many of them are worth waking for so many floating-point operations: all or one; one where
 * they are at work already, each on a piece of its own. */
int slao_threads_for(int64_t operations);

/* How many threads that have no piece of work left (slao_pieces_run) can help the one that calls
 * this, with so many operations of its own, as OpenMP's tasks; 0 elsewhere. */
int slao_helpers_for(int64_t operations);

/* Which of those that share a loop runs this: 0 .. slao_threads() - 1. */
int slao_thread(void);

/* Pieces of work, from .. to-1, for threads to take in this order as each is ready for the next. */
typedef struct {
    /* Computes piece i in a strand, memory that no other call uses meanwhile, and leaves the result
     * in an output, which is its own until it has been gathered. */
    slao_status (*compute)(void *context, int strand, int output, int64_t i);
    /* Takes the result of a piece: of one after the other, in their order. */
    void (*gather)(void *context, int output, int64_t i);
    void *context;
    int64_t from, to;
    int strands; /* at most slao_threads() */
    int outputs; /* at least as many as strands; with more, a thread need not wait for one that
                    takes longer with an earlier piece */
} slao_pieces;

/* Each piece by one thread, which those that find none left help; nothing if from = to. After a
 * failure no more are begun, and what was not gathered is lost; the status and message are of a
 * piece that failed. */
slao_status slao_pieces_run(const slao_pieces *pieces);

#endif
