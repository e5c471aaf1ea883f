/* Metrics of continual learning from the scores of one task order, and across orders.
 *
 * The scores are a T x T matrix a, row-major: a[j][i] is the score on the i-th task of the order
 * after training its j-th (both from 0 here; formulas below count from 1 as papers do). A cell that
 * was not evaluated is NaN.
 *
 *   AA             mean_i a[T][i]
 *   AA_micro       sum_i n_i a[T][i] / sum_i n_i, n_i the test examples of task i
 *   BWT            1/(T-1) sum_{i<T} (a[T][i] - a[i][i])          Lopez-Paz and Ranzato, 2017
 *   forgetting     1/(T-1) sum_{i<T} (max_{i<=l<T} a[l][i] - a[T][i])   Chaudhry et al., 2018
 *   FWT            1/(T-1) sum_{i>=2} (a[i-1][i] - b_i), b the untrained model
 *   fwt_individual 1/T sum_i (a[i][i] - s_i), s_i task i trained alone  (SAPT, Zhao et al., 2024)
 *   intransigence  1/T sum_i (s_i - a[i][i])                      Chaudhry et al., 2018
 *
 * Projects disagree about several of these, so the matrix is always kept beside them. NaN rule: a
 * metric is NaN if any cell that its formula reads is NaN (an infinite score would be a fault and
 * is treated as data), if a vector that it reads is absent, or if it is undefined: BWT, forgetting
 * and FWT for T = 1, AA_micro without examples. Of some of the tasks (a category) each mean is
 * taken over those of its terms that are of these tasks; it is undefined without any. Cells that a
 * formula does not read never matter. All sums are in fp64, in the order of the tasks.
 */
#ifndef SLAO_CONTINUAL_METRICS_H
#define SLAO_CONTINUAL_METRICS_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    int64_t n_tasks;          /* T, at least 1 */
    const double *scores;     /* T x T */
    const double *base;       /* T scores of the untrained model, or NULL */
    const double *individual; /* T scores of each task trained alone, or NULL */
    const int64_t *examples;  /* T, test examples per task, or NULL */
    bool diagonal;       /* each task was trained by itself: only the diagonal means anything */
    const bool *counted; /* T, the tasks that means are taken over, or NULL: all */
} slao_scores;

typedef struct {
    double aa, aa_micro, bwt, forgetting, fwt, fwt_individual, intransigence;
} slao_metrics;

/* With `diagonal`, AA and AA_micro are taken over the diagonal, BWT, forgetting and FWT are NaN. */
slao_metrics slao_metrics_of(const slao_scores *scores);

/* The T final scores that AA averages: the last row, or the diagonal. */
void slao_final_scores(const slao_scores *scores, double *final);

/* The final scores of one task order, by name. */
typedef struct {
    int64_t n_tasks;
    const char *const *tasks; /* no name twice */
    const double *final;      /* n_tasks */
} slao_order_scores;

/* How much the order matters (Yoon et al., "Scalable and order-robust continual learning", 2020):
 *
 *   OPD_t = max_orders P_t - min_orders P_t, P_t the final score of task t
 *   MOPD  = max_t OPD_t;  AOPD = mean_t OPD_t
 *   aa_mean, aa_sd: of mean_t P_t over the orders; sd with n - 1
 *
 * t runs over the tasks that every order has (n_common of them), matched by name. All are NaN for
 * fewer than two orders or without a common task; MOPD and AOPD if any P_t of a common task is NaN,
 * aa_mean and aa_sd likewise. */
typedef struct {
    int64_t n_common;
    double mopd, aopd, aa_mean, aa_sd;
} slao_order_metrics;

slao_order_metrics slao_order_metrics_of(const slao_order_scores *orders, int64_t n_orders);

#endif
