/* What the files of merge rules share; for src/adapter/merge*.c alone. */
#ifndef SLAO_ADAPTER_MERGE_PARTS_H
#define SLAO_ADAPTER_MERGE_PARTS_H

#include "adapter/merge.h"

/* The option `key` of the choice, which its rule has. */
double slao_merge_number(const slao_merge_choice *choice, const char *key);
int slao_merge_name(const slao_merge_choice *choice, const char *key); /* place in the choices */

/* For rules that work on factors: every adapter has the rank and scale of the first at each site.
 */
slao_status slao_merge_need_same_factors(const slao_lora *const *adapters, int64_t n);

/* An adapter of the same sites and ranks, all zeros, of scale 1. */
slao_status slao_merge_new_like(slao_lora **lora, const slao_lora *like);

/* A pair that a rule has made for one site: b (d_out x rank), a (rank x d_in), in one allocation.
 */
typedef struct {
    int64_t rank;
    float *b, *a;
} slao_merge_pair;
slao_status slao_merge_pair_new(slao_merge_pair *pair, int64_t rank, int64_t d_out, int64_t d_in);
void slao_merge_pairs_free(slao_merge_pair *pairs,
                           int64_t n); /* NULL and zeroed ones are allowed */

/* An adapter on the sites of `like`, of scale 1, with a pair for each. */
slao_status slao_merge_from_pairs(slao_lora **lora, const slao_lora *like,
                                  const slao_merge_pair *pairs);

/* The same, of n adapters by a rule that makes the pair of each site, at `place`, by itself. */
typedef slao_status slao_merge_site_function(const slao_lora *const *adapters, int64_t n,
                                             int64_t place, const slao_merge_choice *choice,
                                             slao_merge_pair *pair);
slao_status slao_merge_by_site(slao_lora **merged, const slao_merge_choice *choice,
                               const slao_lora *const *adapters, int64_t n,
                               slao_merge_site_function *merge_site);

typedef slao_status slao_merge_step_function(slao_lora **, const slao_merge_choice *,
                                             const slao_merge_moment *, const slao_lora *,
                                             const slao_lora *, slao_merge_state *);
typedef slao_status slao_merge_list_function(slao_lora **, const slao_merge_choice *,
                                             const slao_lora *const *, int64_t);

/* What plain sums are multiplied by where nothing is held out to choose it on (Ilharco et al., arXiv
 * 2212.04089; Yadav et al., arXiv 2306.01708, section 5). By 1 the sum of three real tasks is too
 * long for each of them (docs/methods.md). */
#define SLAO_SUM_SCALE "0.4"

extern const slao_setting slao_asymmetric_options[], slao_task_arithmetic_options[]; /* _factors */
slao_merge_step_function slao_merge_asymmetric, slao_merge_average;
slao_merge_list_function slao_merge_task_arithmetic;

extern const slao_setting slao_ties_options[], slao_dare_options[], slao_dare_ties_options[],
    slao_magmax_options[];
slao_merge_list_function slao_merge_ties, slao_merge_magnitude_prune, slao_merge_dare,
    slao_merge_dare_ties, slao_merge_magmax; /* _entries */

extern const slao_setting slao_knots_options[], slao_lego_options[], slao_opcm_options[];
slao_merge_list_function slao_merge_knots, slao_merge_lego;
slao_merge_step_function slao_merge_opcm;

#endif
