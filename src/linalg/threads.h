/* The threads that a rank computes on: 1 until they are set.
 *
 * Loops over rows, heads or pieces of a product that do not read each other's results are divided
 * among them by OpenMP (`omp parallel for num_threads(slao_threads_for(...))`), each in a way that
 * does not depend on their number: the results are the same bits for any. OpenBLAS itself is kept
 * to one thread, and OMP_NUM_THREADS means nothing here.
 */
#ifndef SLAO_LINALG_THREADS_H
#define SLAO_LINALG_THREADS_H

#include "base/status.h"

#include <stdint.h>

/* Before anything is computed, for all threads of the process. SLAO_BAD_INPUT if `count` is not at
 * least 1. */
slao_status slao_threads_set(int64_t count);

int slao_threads(void);

/* How many of them are worth waking for so many floating-point operations: all or one. */
int slao_threads_for(int64_t operations);

/* Which of them runs this: 0 .. slao_threads() - 1. */
int slao_thread(void);

#endif
