/* OPCM (Tang et al., "Merging models on the fly without retraining", arXiv 2501.09522): each new
 * change enters without what lies along the change merged so far, and the whole is brought to the
 * mean norm of the changes.
 *
 *   merged Delta = U S V^T over its K singular values above zero; k the first index (from 0) at
 *   which cumsum(S) / sum(S) exceeds the threshold. W = U^T tau V (K x K) with all but its diagonal
 *   and its top-left k x k block zeroed. Then
 *
 *     Delta' = (l_{t-1} Delta + tau - U W V^T) / l_t,
 *     l_t = ||l_{t-1} Delta + tau - U W V^T|| / mean_{i<=t} ||tau_i||,   l_1 = 1
 *
 * with norms over the whole model. The paper takes full bases, whose columns beyond K are
 * arbitrary; here they do not exist, so no diagonal term is taken out there. All of it is done in
 * factors: [U | s B] [l S V^T - W V^T; A] has a rank of at most K + r. */
#include "adapter/merge_parts.h"
#include "adapter/spectrum.h"
#include "linalg/decomposition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const slao_setting slao_opcm_options[] = {
    {"threshold", "the share of the singular values whose directions are closed to new tasks",
     "0.5", NULL, 0, 1},
    {0},
};

/* state->values */
enum { LAST_L, SUM_OF_NORMS };

/* Values below it, as a fraction of the largest, are rounding. */
static const double zero = 1e-6;

static int64_t count_above_zero(const slao_spectrum *spectrum) {
    int64_t count = 0;
    while (count < spectrum->rank && spectrum->s[count] > zero * spectrum->s[0])
        count++;
    return count;
}

static int64_t first_beyond(const double *s, int64_t count, double threshold) {
    double sum = 0, running = 0;
    for (int64_t i = 0; i < count; i++)
        sum += s[i];
    for (int64_t i = 0; i < count; i++) {
        running += s[i];
        if (running / sum > threshold)
            return i;
    }
    return count; /* a threshold of 1 closes them all */
}

/* Of Delta = U S V^T and tau = s B A: the sum that is still to be divided by l_t. */
static slao_status add_task(slao_spectrum *sum, const slao_spectrum *delta, const slao_site *tau,
                            double l, double threshold) {
    int64_t n = count_above_zero(delta), k = first_beyond(delta->s, n, threshold);
    int64_t m = tau->d_out, d = tau->d_in, r = tau->rank, all = n + r;
    size_t n_b = (size_t)(m * all), n_a = (size_t)(all * d), n_ub = (size_t)(n * r);
    double *b;
    SLAO_TRY(slao_allocate(&b, n_b + n_a + 2 * n_ub + (size_t)(n * n), sizeof *b));
    double *a = b + n_b, *u_b = a + n_a, *a_v = u_b + n_ub, *w = a_v + n_ub;
    for (int64_t i = 0; i < m; i++) {
        memcpy(b + i * all, delta->u + i * delta->rank, (size_t)n * sizeof *b);
        for (int64_t j = 0; j < r; j++)
            b[i * all + n + j] = tau->scale * (double)tau->b[i * r + j];
    }
    for (int64_t j = 0; j < r * d; j++)
        a[n * d + j] = (double)tau->a[j];
    for (int64_t p = 0; p < n; p++) {
        for (int64_t j = 0; j < r; j++) {
            double with_b = 0, with_a = 0;
            for (int64_t i = 0; i < m; i++)
                with_b += b[i * all + p] * b[i * all + n + j];
            for (int64_t i = 0; i < d; i++)
                with_a += delta->vt[p * d + i] * a[(n + j) * d + i];
            u_b[p * r + j] = with_b;
            a_v[p * r + j] = with_a;
        }
    }
    for (int64_t p = 0; p < n; p++) {
        for (int64_t q = 0; q < n; q++) {
            double along = 0;
            bool closed = p == q || (p < k && q < k);
            for (int64_t j = 0; closed && j < r; j++)
                along += u_b[p * r + j] * a_v[q * r + j];
            w[p * n + q] = (p == q ? l * delta->s[p] : 0) - along;
        }
    }
    slao_multiply_f64(a, w, delta->vt, n, d, n);
    slao_status status = slao_spectrum_of_product(sum, b, a, m, d, all);
    free(b);
    return status;
}

/* What is left of the spectrum as a pair, divided by l. */
static slao_status to_pair(slao_merge_pair *pair, const slao_spectrum *spectrum, double l) {
    int64_t kept = count_above_zero(spectrum), rank = kept > 0 ? kept : 1;
    SLAO_TRY(slao_merge_pair_new(pair, rank, spectrum->d_out, spectrum->d_in));
    for (int64_t k = 0; k < kept; k++) {
        double root = sqrt(spectrum->s[k] / l);
        for (int64_t i = 0; i < spectrum->d_out; i++)
            pair->b[i * rank + k] = (float)(root * spectrum->u[i * spectrum->rank + k]);
        for (int64_t j = 0; j < spectrum->d_in; j++)
            pair->a[k * spectrum->d_in + j] = (float)(root * spectrum->vt[k * spectrum->d_in + j]);
    }
    return SLAO_OK;
}

static slao_status sum_sites(slao_spectrum *sums, const slao_lora *last, const slao_lora *finetuned,
                             double l, double threshold) {
    for (int64_t i = 0; i < last->n_sites; i++) {
        slao_spectrum delta;
        SLAO_TRY(slao_spectrum_of_site(&delta, &last->sites[i]));
        slao_status status = add_task(&sums[i], &delta, &finetuned->sites[i], l, threshold);
        slao_spectrum_free(&delta);
        SLAO_TRY_IN(status, "layer %lld, %s", (long long)last->sites[i].layer,
                    slao_module_name(last->sites[i].module));
    }
    return SLAO_OK;
}

/* l_t; the state becomes that of the task. */
static slao_status rescale(double *l, slao_merge_state *state, const slao_spectrum *sums,
                           const slao_lora *finetuned, int64_t i) {
    double norm, squares = 0;
    SLAO_TRY(slao_lora_norm(finetuned, &norm));
    state->values[SUM_OF_NORMS] += norm;
    for (int64_t s = 0; s < finetuned->n_sites; s++) {
        for (int64_t k = 0; k < sums[s].rank; k++)
            squares += sums[s].s[k] * sums[s].s[k];
    }
    double mean = state->values[SUM_OF_NORMS] / (double)i;
    *l = squares > 0 && mean > 0 ? sqrt(squares) / mean : 1;
    state->values[LAST_L] = *l;
    return SLAO_OK;
}

slao_status slao_merge_opcm(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_merge_moment *moment, const slao_lora *last,
                            const slao_lora *finetuned, slao_merge_state *state) {
    slao_spectrum *sums;
    slao_merge_pair *pairs;
    int64_t n_sites = last->n_sites;
    double l = 1;
    if (moment->i == 2) {
        state->values[LAST_L] = 1;
        SLAO_TRY(slao_lora_norm(last, &state->values[SUM_OF_NORMS]));
    }
    SLAO_TRY(slao_allocate(&sums, (size_t)n_sites, sizeof *sums));
    slao_status status = slao_allocate(&pairs, (size_t)n_sites, sizeof *pairs);
    if (status == SLAO_OK)
        status = sum_sites(sums, last, finetuned, state->values[LAST_L],
                           slao_merge_number(choice, "threshold"));
    if (status == SLAO_OK)
        status = rescale(&l, state, sums, finetuned, moment->i);
    for (int64_t i = 0; i < n_sites && status == SLAO_OK; i++)
        status = to_pair(&pairs[i], &sums[i], l);
    if (status == SLAO_OK)
        status = slao_merge_from_pairs(merged, last, pairs);
    for (int64_t i = 0; i < n_sites; i++)
        slao_spectrum_free(&sums[i]);
    slao_merge_pairs_free(pairs, n_sites);
    free(sums);
    return status;
}
