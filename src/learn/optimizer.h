/* AdamW over one flat array of values, and learning-rate schedules.
 *
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) as PyTorch computes it: betas 0.9 and 0.999,
 * epsilon 1e-8; x <- x - lr wd x;  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2 x <- x - lr /
 * (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
 *
 * A learning-rate schedule is one row of a table: constant, linear (to 0 at the end), cosine (half
 * a period, to 0); before it the rate rises linearly over `warmup_steps`, as Hugging Face's
 * schedules do.
 */
#ifndef SLAO_LEARN_OPTIMIZER_H
#define SLAO_LEARN_OPTIMIZER_H

#include "base/status.h"
#include "learn/settings.h"

/* Some of the values: those from `first` on. */
typedef struct {
    int64_t first, count;
} slao_value_range;

typedef struct {
    int64_t n_values, steps;        /* steps done */
    float *first, *second;          /* moments */
    int64_t n_ranges;               /* of the values that are trained; 0: all are */
    const slao_value_range *ranges; /* borrowed */
} slao_optimizer;

slao_status slao_optimizer_new(slao_optimizer **optimizer, int64_t n_values);
void slao_optimizer_free(slao_optimizer *optimizer); /* NULL is allowed */

/* One step on `values` (those of the ranges) by `gradients`, after clipping the gradient's norm to
 * settings->clip_norm as torch.nn.utils.clip_grad_norm_ does. Returns the norm before clipping in
 * *norm. A norm that is not finite is SLAO_FAILED, and nothing is changed. */
slao_status slao_optimizer_step(slao_optimizer *optimizer, float *values, const float *gradients,
                                double learning_rate, const slao_train_settings *settings,
                                double *norm);

/* The rate of step `step` (from 0) of `total`. The schedule's name must be one of
 * slao_rate_schedule_names. */
double slao_learning_rate(const slao_train_settings *settings, int64_t step, int64_t total);

#endif
