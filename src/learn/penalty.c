#include "learn/penalty.h"

#include "base/memory.h"
#include "linalg/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The sum of absolute values, in fp64; x becomes its signs. */
static double absolute_sum(float *x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += fabs((double)x[i]);
        x[i] = (float)((x[i] > 0) - (x[i] < 0));
    }
    return sum;
}

/* Where the gradient of a factor lies: gradients are laid out as values. */
static float *gradient_of(const slao_lora *lora, float *gradients, const float *factor) {
    return gradients + (factor - lora->values);
}

/* ---- orthogonal ---- */

/* gradient += factor x / ||x||; the norm is returned. */
static double add_norm(const float *x, int64_t count, double factor, float *gradient) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    double norm = sqrt(sum);
    for (int64_t i = 0; norm > 0 && i < count; i++)
        gradient[i] += (float)(factor * (double)x[i] / norm);
    return norm;
}

/* sum |A_old A^T| of one site, with its gradient times `factor`. */
static slao_status add_overlap(const float *old, int64_t old_rank, const slao_site *site,
                               int64_t rank, double factor, float *gradient, double *sum) {
    float *products; /* rank x old_rank: A A_old^T */
    SLAO_TRY(slao_allocate(&products, (size_t)(rank * old_rank), sizeof *products));
    slao_multiply_transposed((slao_matrix_out){products, old_rank},
                             (slao_matrix){site->a, site->d_in}, (slao_matrix){old, site->d_in},
                             rank, old_rank, site->d_in, 1, 0);
    *sum += absolute_sum(products, rank * old_rank);
    slao_multiply((slao_matrix_out){gradient, site->d_in}, (slao_matrix){products, old_rank},
                  (slao_matrix){old, site->d_in}, rank, site->d_in, old_rank, (float)factor, 1);
    free(products);
    return SLAO_OK;
}

static slao_status add_orthogonal(const slao_penalty *penalty, const slao_lora *lora,
                                  float *gradients, double *value) {
    double overlap = 0, norms = 0;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        int64_t rank = site->rank;
        float *grad_a = gradient_of(lora, gradients, site->a),
              *grad_b = gradient_of(lora, gradients, site->b);
        for (int64_t k = 0; k < penalty->n_old; k++) {
            const slao_lora *old = penalty->old[k];
            SLAO_INVARIANT(old->n_sites == lora->n_sites && old->sites[i].layer == site->layer &&
                           old->sites[i].module == site->module &&
                           old->sites[i].d_in == site->d_in);
            SLAO_TRY(add_overlap(old->sites[i].a, old->sites[i].rank, site, rank, penalty->first,
                                 grad_a, &overlap));
        }
        if (penalty->second != 0)
            norms += add_norm(site->a, rank * site->d_in, penalty->second, grad_a) +
                     add_norm(site->b, site->d_out * rank, penalty->second, grad_b);
    }
    *value = penalty->first * overlap + penalty->second * norms;
    return SLAO_OK;
}

/* ---- sparse ---- */

/* Rows of B A that exist at a time. */
enum { ROWS = 64 };

/* |B A| of one site, with its gradient times `factor`; `block` has room for ROWS x d_in. */
static double add_sparse_site(const slao_site *site, int64_t rank, double factor, float *grad_a,
                              float *grad_b, float *block) {
    double sum = 0;
    int64_t d_in = site->d_in;
    slao_matrix a = {site->a, d_in}, signs = {block, d_in};
    for (int64_t first = 0; first < site->d_out; first += ROWS) {
        int64_t rows = site->d_out - first < ROWS ? site->d_out - first : ROWS;
        slao_matrix b = {site->b + first * rank, rank};
        slao_multiply((slao_matrix_out){block, d_in}, b, a, rows, d_in, rank, 1, 0);
        sum += absolute_sum(block, rows * d_in);
        slao_multiply_transposed((slao_matrix_out){grad_b + first * rank, rank}, signs, a, rows,
                                 rank, d_in, (float)factor, 1);
        slao_transposed_multiply((slao_matrix_out){grad_a, d_in}, b, signs, rank, d_in, rows,
                                 (float)factor, 1);
    }
    return sum;
}

static slao_status add_sparse(const slao_penalty *penalty, const slao_lora *lora, float *gradients,
                              double *value) {
    int64_t widest = 0;
    for (int64_t i = 0; i < lora->n_sites; i++)
        widest = lora->sites[i].d_in > widest ? lora->sites[i].d_in : widest;
    float *block;
    SLAO_TRY(slao_allocate(&block, (size_t)(ROWS * widest), sizeof *block));
    double sum = 0;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        sum +=
            add_sparse_site(site, site->rank, penalty->first, gradient_of(lora, gradients, site->a),
                            gradient_of(lora, gradients, site->b), block);
    }
    free(block);
    *value = penalty->first * sum;
    return SLAO_OK;
}

/* ---- importance ---- */

static slao_status add_importance(const slao_penalty *penalty, const slao_lora *lora,
                                  float *gradients, double *value) {
    double sum = 0;
    for (int64_t i = 0; i < lora->n_values; i++) {
        double away = (double)lora->values[i] - (double)penalty->anchor[i];
        double pull = (double)penalty->importance[i] * away;
        sum += pull * away;
        gradients[i] += (float)(penalty->first * pull);
    }
    *value = penalty->first / 2 * sum;
    return SLAO_OK;
}

const slao_penalty_rule slao_penalty_rules[] = {
    {"orthogonal", "rows of A orthogonal to those of earlier tasks (O-LoRA)", add_orthogonal},
    {"sparse", "few entries of B A away from zero (N-LoRA)", add_sparse},
    {"importance", "what mattered to earlier tasks stays where it is (EWC)", add_importance},
    {0},
};

const slao_penalty_rule *slao_penalty_rule_find(const char *name) {
    for (const slao_penalty_rule *rule = slao_penalty_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}

slao_status slao_penalty_add(const slao_penalty *penalty, const slao_lora *lora, float *gradients,
                             double *value) {
    return penalty->rule->add(penalty, lora, gradients, value);
}
