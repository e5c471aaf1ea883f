#include "continual/metrics.h"

#include <math.h>
#include <string.h>

static double cell(const slao_scores *scores, int64_t after, int64_t task) {
    return scores->scores[after * scores->n_tasks + task];
}

static double final_score(const slao_scores *scores, int64_t task) {
    return cell(scores, scores->diagonal ? task : scores->n_tasks - 1, task);
}

void slao_final_scores(const slao_scores *scores, double *final) {
    for (int64_t i = 0; i < scores->n_tasks; i++)
        final[i] = final_score(scores, i);
}

static bool counts(const slao_scores *scores, int64_t task) {
    return !scores->counted || scores->counted[task];
}

/* The mean of term(i) over the counted tasks i of first .. end-1; NaN if there are none. */
typedef double term(const slao_scores *scores, int64_t task);
static double mean_of(const slao_scores *scores, int64_t first, int64_t end, term *of) {
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = first; i < end; i++) {
        if (!counts(scores, i))
            continue;
        sum += of(scores, i);
        count++;
    }
    return count ? sum / (double)count : NAN;
}

static double micro_accuracy(const slao_scores *scores) {
    if (!scores->examples)
        return NAN;
    double sum = 0;
    int64_t examples = 0;
    for (int64_t i = 0; i < scores->n_tasks; i++) {
        if (!counts(scores, i))
            continue;
        sum += (double)scores->examples[i] * final_score(scores, i);
        examples += scores->examples[i];
    }
    return examples > 0 ? sum / (double)examples : NAN;
}

static double transfer_of(const slao_scores *scores, int64_t task) {
    return cell(scores, scores->n_tasks - 1, task) - cell(scores, task, task);
}

/* fmax would skip a NaN: here one unknown cell makes the largest unknown. */
static double larger(double a, double b) {
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

static double smaller(double a, double b) {
    return -larger(-a, -b);
}

static double forgotten_of(const slao_scores *scores, int64_t task) {
    int64_t last = scores->n_tasks - 1;
    double best = cell(scores, task, task);
    for (int64_t l = task + 1; l < last; l++)
        best = larger(best, cell(scores, l, task));
    return best - cell(scores, last, task);
}

static double forward_of(const slao_scores *scores, int64_t task) {
    return cell(scores, task - 1, task) - scores->base[task];
}

static double gain_over_individual(const slao_scores *scores, int64_t task) {
    return cell(scores, task, task) - scores->individual[task];
}

slao_metrics slao_metrics_of(const slao_scores *scores) {
    SLAO_INVARIANT(scores->n_tasks >= 1);
    int64_t n = scores->n_tasks;
    bool sequence = !scores->diagonal;
    double gained = scores->individual ? mean_of(scores, 0, n, gain_over_individual) : NAN;
    return (slao_metrics){
        .aa = mean_of(scores, 0, n, final_score),
        .aa_micro = micro_accuracy(scores),
        .bwt = sequence ? mean_of(scores, 0, n - 1, transfer_of) : NAN,
        .forgetting = sequence ? mean_of(scores, 0, n - 1, forgotten_of) : NAN,
        .fwt = sequence && scores->base ? mean_of(scores, 1, n, forward_of) : NAN,
        .fwt_individual = gained,
        .intransigence = 0.0 - gained, /* not -gained: zero stays +0 */
    };
}

/* P_t of the task called `name`; false if the order lacks it. */
static bool find_score(const slao_order_scores *order, const char *name, double *score) {
    for (int64_t i = 0; i < order->n_tasks; i++) {
        if (strcmp(order->tasks[i], name) == 0) {
            *score = order->final[i];
            return true;
        }
    }
    return false;
}

/* OPD of one task; false if some order lacks it. */
static bool disparity(const slao_order_scores *orders, int64_t n_orders, const char *name,
                      double *opd) {
    double least = INFINITY, most = -INFINITY;
    for (int64_t k = 0; k < n_orders; k++) {
        double score;
        if (!find_score(&orders[k], name, &score))
            return false;
        least = smaller(least, score);
        most = larger(most, score);
    }
    *opd = most - least;
    return true;
}

/* mean_t P_t of one order over the common tasks, which are summed in the first order's order so
 * that equal scores give equal means whatever the order. */
static double common_mean(const slao_order_scores *orders, int64_t n_orders, int64_t k) {
    double sum = 0, opd, score;
    int64_t count = 0;
    for (int64_t i = 0; i < orders[0].n_tasks; i++) {
        const char *name = orders[0].tasks[i];
        if (disparity(orders, n_orders, name, &opd) && find_score(&orders[k], name, &score)) {
            sum += score;
            count++;
        }
    }
    return sum / (double)count;
}

slao_order_metrics slao_order_metrics_of(const slao_order_scores *orders, int64_t n_orders) {
    slao_order_metrics metrics = {.mopd = NAN, .aopd = NAN, .aa_mean = NAN, .aa_sd = NAN};
    if (n_orders < 1)
        return metrics;
    double most = -INFINITY, sum = 0, opd;
    for (int64_t i = 0; i < orders[0].n_tasks; i++) {
        if (disparity(orders, n_orders, orders[0].tasks[i], &opd)) {
            most = larger(most, opd);
            sum += opd;
            metrics.n_common++;
        }
    }
    if (n_orders < 2 || metrics.n_common == 0)
        return metrics;
    metrics.mopd = most;
    metrics.aopd = sum / (double)metrics.n_common;
    /* Two passes over the orders instead of an array of their means: few orders, few tasks. */
    sum = 0;
    for (int64_t k = 0; k < n_orders; k++)
        sum += common_mean(orders, n_orders, k);
    metrics.aa_mean = sum / (double)n_orders;
    double squares = 0;
    for (int64_t k = 0; k < n_orders; k++) {
        double off = common_mean(orders, n_orders, k) - metrics.aa_mean;
        squares += off * off;
    }
    metrics.aa_sd = sqrt(squares / (double)(n_orders - 1));
    return metrics;
}
