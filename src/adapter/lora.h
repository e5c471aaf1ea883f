/* The LoRA tensors of a model: one pair per adapted linear module ("site").
 *
 *   y = W x + s B (A x)      A: rank x d_in, B: d_out x rank, row-major; s = alpha / rank
 *                            (alpha / sqrt(rank) with rsLoRA)          Hu et al., arXiv 2106.09685
 *
 *   values: [ A of site 0 | B of site 0 | A of site 1 | B of site 1 | ... | scalars ]
 *           one allocation; sites ordered by layer, then by module
 *
 * What is trained has the rank and alpha of its settings at every site. Adapters that were read or
 * merged may have others at each site (PEFT's rank_pattern and alpha_pattern), and a change of full
 * rank is a pair too: one factor is the change itself, the other, on its smaller side, the
 * identity.
 */
#ifndef SLAO_ADAPTER_LORA_H
#define SLAO_ADAPTER_LORA_H

#include "model/config.h"
#include "model/low_rank.h"

typedef struct {
    int64_t rank;
    double alpha, dropout;
    bool rslora;
    bool targets[SLAO_N_MODULES];
} slao_lora_settings;

/* One of a pair's factors, both, or none. */
typedef enum {
    SLAO_FACTOR_NONE = 0,
    SLAO_FACTOR_A = 1,
    SLAO_FACTOR_B = 2,
    SLAO_FACTORS = SLAO_FACTOR_A | SLAO_FACTOR_B
} slao_factors;

typedef struct {
    int64_t layer;
    slao_module module;
    int64_t d_out, d_in, rank;
    double alpha, scale; /* scale: s, made of alpha and rank */
    float *a, *b;        /* into values */
} slao_site;

typedef struct {
    slao_lora_settings settings; /* rank and alpha: those of most sites, if they differ */
    bool every_layer;            /* known to sit on the targets of every layer of its model */
    int64_t n_sites;
    slao_site *sites;
    int64_t n_values;
    float *values;
    int64_t n_scalars; /* the last of the values: numbers trained beside the factors (magnitudes of
                          pairs); PEFT's files do not hold them */
} slao_lora;

/* Do the settings fit the model? A rank beyond the smaller side of a target, or no target at all,
 * is SLAO_BAD_INPUT. */
slao_status slao_lora_check(const slao_lora_settings *settings, const slao_model_config *config);

/* All zeros, with the sites that `settings`, which are checked, name. */
slao_status slao_lora_new(slao_lora **lora, const slao_lora_settings *settings,
                          const slao_model_config *config);

/* All zeros, with the sites given: their layer, module, shape, rank and alpha are taken over, the
 * rest is set. They are ordered by layer, then by module, and differ. Of the settings, dropout and
 * rslora are taken over. Not of every layer. */
slao_status slao_lora_from_sites(slao_lora **lora, const slao_lora_settings *settings,
                                 const slao_site *sites, int64_t n_sites);

/* Puts `count` scalars, each `value`, at the end of the values, which move. */
slao_status slao_lora_add_scalars(slao_lora *lora, int64_t count, float value);
float *slao_lora_scalars(const slao_lora *lora); /* n_scalars */

/* An adapter on the sites of `like` that can hold any change: each pair is of full rank and scale
 * 1, one factor the identity, the other, which is what slao_lora_change gives, zero. */
slao_status slao_lora_new_change(slao_lora **lora, const slao_lora *like);
/* B A itself (d_out x d_in, row-major) of a site of such an adapter. */
float *slao_lora_change(const slao_site *site);

slao_status slao_lora_copy(slao_lora **copy, const slao_lora *lora);
void slao_lora_free(slao_lora *lora); /* NULL is allowed */

double slao_lora_scale(const slao_lora_settings *settings); /* s */

/* The same sites, of equal widths: the changes s B A can be added. */
bool slao_lora_same_sites(const slao_lora *a, const slao_lora *b);

/* The same sites and ranks: tensors can be added entry by entry. */
bool slao_lora_same_shape(const slao_lora *a, const slao_lora *b);

/* ||s B A||_F over all sites together, by ||B A||_F^2 = trace((B^T B) (A A^T)), in fp64. */
slao_status slao_lora_norm(const slao_lora *lora, double *norm);

/* The adapter as the model takes it. `gradients` (n_values, laid out as the values) makes the pairs
 * trained and turns dropout on; NULL makes them frozen. The view borrows adapter and gradients;
 * release it with slao_lora_view_free. */
slao_status slao_lora_view(slao_low_ranks *view, const slao_lora *lora, float *gradients,
                           const slao_model_config *config);
void slao_lora_view_free(slao_low_ranks *view);

/* Several adapters of one model, each on top of those before it:
 *
 *   y = W x + sum_k weights[k] s_k B_k (A_k x)        weights NULL: all 1
 *
 * `gradients` are the last one's (n_values, laid out as its values), which is then trained but for
 * its `frozen` factors; the others are frozen whole. */
typedef struct {
    int64_t count;
    const slao_lora *const *loras;
    const double *weights;
    double *scale_gradients; /* count: the gradient of weights[k] s_k is added, for adapters whose
                                sites have one scale; NULL: not wanted */
} slao_lora_stack;
slao_status slao_lora_view_stack(slao_low_ranks *view, const slao_lora_stack *stack,
                                 float *gradients, slao_factors frozen,
                                 const slao_model_config *config);

/* The tensor's name as PEFT has it, without "base_model.model.":
 * "model.layers.0.self_attn.q_proj.lora_A.weight". */
enum { SLAO_LORA_NAME = 96 };
void slao_lora_tensor_name(char name[SLAO_LORA_NAME], const slao_site *site,
                           char factor /* 'A' or 'B' */);

#endif
