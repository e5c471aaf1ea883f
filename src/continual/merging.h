/* One merge of a method: its lambda, and its rule, which may differ by layer.
 *
 * X is the factor that a layer merges (continual/layers.h): its A, its B, or both side by side.
 */
#ifndef SLAO_CONTINUAL_MERGING_H
#define SLAO_CONTINUAL_MERGING_H

#include "adapter/schedule.h"
#include "continual/method.h"

/* lambda(i) as it is used, and what the next one goes on from. All lists are owned. */
typedef struct {
    double value;  /* for all sites; by site, their mean */
    double *sites; /* n_sites, or NULL */
    int64_t n_groups;
    double *state; /* n_groups x SLAO_LAMBDA_STATE: of all together, or of each site; NULL where the
                      schedule is fixed */
} slao_lambda;

/* Mean gradient norms of a fine-tune: of each site's A and B (n_sites each), and of all together.
 */
typedef struct {
    const double *a, *b;
    double all_a, all_b;
} slao_gradient_norms;

/* lambda(i) of an adaptive schedule for the merge of `finetuned`, task i >= 2, into `merged`;
 * `merges` names X (continual/layers.h). The gradients are task i's, and at i = 2 `first` is task
 * 1's, `merged` then being its fine-tuned adapter; later `state` is what the merge before left. */
typedef struct {
    const slao_schedule *schedule;
    int64_t i;
    const char *merges;
    const slao_lora *merged, *finetuned;
    slao_gradient_norms gradients, first;
    const double *state; /* NULL at i = 2 */
} slao_lambda_case;
slao_status slao_lambda_adapt(slao_lambda *lambda, const slao_lambda_case *of);
void slao_lambda_free(slao_lambda *lambda);

/* *merged = one step of the choice's rule with this lambda; `merges` NULL: as the choice's own
 * options say, for all layers. */
slao_status slao_merging_step(slao_lora **merged, const slao_merge_choice *choice,
                              const char *merges, int64_t i, const slao_lambda *lambda,
                              const slao_lora *last, const slao_lora *finetuned,
                              slao_merge_state *state);

#endif
