/* What happens to the factors of an adapter over a sequence of tasks: the quantities behind the
 * asymmetry of A and B (arXiv 2512.23017, figure 1).
 *
 * All are by site (adapter/lora.h: by layer, then by module), out of fp32 factors with sums in
 * fp64; products of factors are never formed in full, only their r x r Gram matrices. Two adapters
 * that are compared must have the same sites and the same rank.
 */
#ifndef SLAO_CONTINUAL_ANALYSIS_H
#define SLAO_CONTINUAL_ANALYSIS_H

#include "adapter/lora.h"

/* cos(X, Y) = <X, Y> / (||X||_F ||Y||_F) of the two adapters' A, and of their B; NaN where a factor
 * is all zeros (an untrained B). n_sites each. */
void slao_cosine_similarity(const slao_lora *x, const slao_lora *y, double *cosine_a,
                            double *cosine_b);

/* ||A A^T - I||_F: how far the rows of A are from orthonormal. n_sites. */
void slao_orthogonality_error(const slao_lora *lora, double *error);

/* How a task's change interferes with what was there, with `before` the pair that the task started
 * from and the changes dA = A_after - A, dB = B_after - B: ||A dA^T||_F and ||dB^T B||_F. n_sites
 * each. */
void slao_interference(const slao_lora *before, const slao_lora *after, double *interference_a,
                       double *interference_b);

/* ||theta - theta_0||: Frobenius norm of s B A over all sites together, by
 * ||B A||_F^2 = trace((B^T B) (A A^T)). A lack of memory for an r x r matrix is SLAO_NO_RESOURCE.
 */
slao_status slao_distance(const slao_lora *lora, double *distance);

/* ||theta - theta_start||: Frobenius norm of s (B A - B_start A_start) over all sites together, of
 * two adapters of one shape, by (B - B_start) A + B_start (A - A_start), a pair of twice the rank:
 * nothing is lost where they hardly differ. */
slao_status slao_distance_from(const slao_lora *start, const slao_lora *lora, double *distance);

#endif
