/* CorDA's decomposition of a weight (Yang et al., arXiv 2406.05223): the low-rank pair that carries
 * r components of W as the inputs of a task see it.
 *
 *   W C = U S V^T,  C = mean x x^T + 0.01 mean(diag) I;   A = sqrt(S/s) V^T C^-1,  B = U sqrt(S/s)
 *
 * out of the first r components (what matters most to these inputs) or the last r (what matters
 * least: knowledge is preserved). s B A is what these components contribute to W. PEFT doubles the
 * damping while its fp32 inverse is inexact; here all is fp64 and once is enough.
 */
#ifndef SLAO_CONTINUAL_CORDA_H
#define SLAO_CONTINUAL_CORDA_H

#include "base/status.h"

#include <stdint.h>

/* weight: d_out x d_in; mean: d_in x d_in, mean x x^T; scale: s; a becomes rank x d_in, b d_out x
 * rank, the components in descending order of S. rank <= min(d_out, d_in). Inputs that are all zero
 * are SLAO_BAD_INPUT. */
slao_status slao_corda_pair(const float *weight, int64_t d_out, int64_t d_in, const double *mean,
                            int64_t rank, double scale, bool last, float *a, float *b);

#endif
