/* What InfLoRA (Liang and Li, arXiv 2404.00228) keeps of the inputs of a module: a subspace M of
 * R^d that holds the gradients of the tasks so far, as DualGPM keeps it: a basis of M, or, once M
 * has more than d/2 dimensions, a basis of its complement.
 *
 * H = mean x x^T over the inputs of a task, and P the projection onto the complement of M. With e
 * in 0 .. 1,
 *
 *   subspace  A = the r left singular vectors of P H with the largest singular values, as rows,
 * divided by sqrt 3: orthogonal to M. Where P H has fewer dimensions than r, the rows left over are
 * zero. add       M grows by the fewest left singular vectors of P H for which 1 - ||P' H||^2 /
 * ||H||^2 >= e, P' the projection thereafter. As in the authors' code the norms are those of H, so
 * that singular values of the inputs enter with their fourth power.
 *
 * All in fp64. The singular vectors come from the symmetric P H H P, which tells singular values
 * down to 1e-8 of the largest apart from zero.
 */
#ifndef SLAO_CONTINUAL_GRADIENT_MEMORY_H
#define SLAO_CONTINUAL_GRADIENT_MEMORY_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    int64_t width; /* d */
    int64_t rows;  /* of the basis */
    double *basis; /* rows x width, orthonormal; from slao_allocate, or NULL where rows is 0 */
    bool complement;
} slao_gradient_memory; /* with only its width set: nothing is remembered */

/* h is width x width; a becomes rank x width. */
slao_status slao_gradient_memory_subspace(const slao_gradient_memory *memory, const double *h,
                                          int64_t rank, float *a);

slao_status slao_gradient_memory_add(slao_gradient_memory *memory, const double *h, double e);

void slao_gradient_memory_free(slao_gradient_memory *memory); /* forgets everything */

#endif
