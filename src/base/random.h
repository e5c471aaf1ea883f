/* Random numbers from a counter-based generator (Philox4x32-10; Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011), keyed by what they are for.
 *
 * A stream is named by a seed and a list of labels, never by when or where it is drawn: the same
 * name gives the same numbers on any rank, in any order of work, after any restart.
 */
#ifndef SLAO_BASE_RANDOM_H
#define SLAO_BASE_RANDOM_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    uint32_t key[2];
    uint64_t stream; /* upper half of the counter: an index within the stream's name */
    uint64_t block;  /* lower half of the counter: the next block of four numbers */
    uint32_t values[4];
    int left; /* of values */
} slao_random;

/* The stream for `purpose` (such as "shuffle") and `name` (such as a task's; may be "") under
 * `seed`; `index` tells apart what share a name (an epoch, a training step). */
slao_random slao_random_stream(uint64_t seed, const char *purpose, const char *name,
                               uint64_t index);

uint32_t slao_random_bits(slao_random *random);
double slao_random_uniform(slao_random *random); /* in [0, 1), 53 bits */
uint64_t slao_random_below(slao_random *random,
                           uint64_t bound);     /* in 0 .. bound-1, without bias; bound > 0 */
double slao_random_normal(slao_random *random); /* mean 0, variance 1 */
void slao_random_permutation(slao_random *random, int64_t *order,
                             int64_t count); /* of 0 .. count-1 */

#endif
