/* Extra losses: what a method adds to the loss of a task so that earlier ones are kept.
 *
 * A penalty is one row of a table. It is a function of the trained pairs alone, given what is
 * frozen (D = B A without the scale s; sums run over all sites; |X| of a matrix is the sum of its
 * entries' absolute values):
 *
 *   orthogonal  O-LoRA (Wang et al., arXiv 2310.14152): first sum over old |A_old A^T| + second sum
 * (||A|| + ||B||), the absolute values and the unsquared norms of its code; the paper squares the
 * former sparse      N-LoRA (Yang et al., arXiv 2410.10179): first |B A| importance  online EWC
 * (Schwarz et al., arXiv 1805.06370): first / 2 sum F (theta - theta*)^2 over all entries of A and
 * B
 *
 * Where an absolute value or a norm has no derivative, at 0, its gradient counts as 0.
 *
 * A penalty enters once per optimiser step, whatever the accumulation: the step's gradient is that
 * of the mean loss over its answer tokens plus that of the penalty, and clipping sees their sum.
 */
#ifndef SLAO_LEARN_PENALTY_H
#define SLAO_LEARN_PENALTY_H

#include "adapter/lora.h"

typedef struct slao_penalty slao_penalty;

typedef struct {
    const char *name, *help;
    slao_status (*add)(const slao_penalty *penalty, const slao_lora *lora, float *gradients,
                       double *value);
} slao_penalty_rule;

/* A rule with what it reads, all borrowed. */
struct slao_penalty {
    const slao_penalty_rule *rule;
    double first, second; /* the factors in the formulas above; second of `orthogonal` alone */
    const slao_lora *const *old; /* orthogonal: n_old adapters of the same sites, of any rank */
    int64_t n_old;
    const float *anchor, *importance; /* importance: theta* and F, laid out as the trained values */
};

extern const slao_penalty_rule slao_penalty_rules[]; /* ends in a row without a name */
const slao_penalty_rule *slao_penalty_rule_find(const char *name); /* NULL if there is none */

/* Adds the gradient of the penalty at `lora` to `gradients` (laid out as its values); *value
 * becomes the penalty. */
slao_status slao_penalty_add(const slao_penalty *penalty, const slao_lora *lora, float *gradients,
                             double *value);

#endif
