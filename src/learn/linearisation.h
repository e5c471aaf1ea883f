/* How far a training is from the regime of small steps, in which the loss is linear in what is
 * trained (the neural tangent kernel's: Jacot et al., arXiv 1806.07572; "lazy" training: Chizat et
 * al., arXiv 1812.07956; what the analysis of arXiv 2512.23017, section 3.2, assumes).
 *
 * With theta_0 all that is trained (A, B, and magnitudes) as training starts, theta as it ends, L
 * the loss of some of the examples trained on:
 *
 *   change     L(theta) - L(theta_0)
 *   predicted  <dL/dtheta (theta_0), theta - theta_0>
 *   error      |change - predicted| / |change|: near 0 in that regime; NaN where change is 0
 *
 * Both losses and the gradient are without dropout, and of the data alone.
 */
#ifndef SLAO_LEARN_LINEARISATION_H
#define SLAO_LEARN_LINEARISATION_H

#include "learn/trainer.h"

typedef struct {
    double change, predicted, error; /* the first two in nats per token */
} slao_linearisation;

/* Over the first `n_examples` of the lesson, or all if it has fewer. `start` and `end` are of one
 * shape. Costs as much as 2 n_examples of training. */
slao_status slao_linearise(slao_pass *pass, const slao_model_config *config, const slao_lora *start,
                           const slao_lora *end, const slao_lesson *lesson,
                           const slao_train_settings *settings, int64_t n_examples,
                           slao_linearisation *linearisation);

#endif
