#include "continual/analysis.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static double inner(const float *x, const float *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

static double cosine(const float *x, const float *y, int64_t n) {
    double lengths = sqrt(inner(x, x, n)) * sqrt(inner(y, y, n));
    return lengths > 0 ? inner(x, y, n) / lengths : NAN;
}

void slao_cosine_similarity(const slao_lora *x, const slao_lora *y, double *cosine_a,
                            double *cosine_b) {
    SLAO_INVARIANT(slao_lora_same_shape(x, y));
    for (int64_t i = 0; i < x->n_sites; i++) {
        const slao_site *site = &x->sites[i];
        int64_t rank = site->rank;
        cosine_a[i] = cosine(site->a, y->sites[i].a, rank * site->d_in);
        cosine_b[i] = cosine(site->b, y->sites[i].b, rank * site->d_out);
    }
}

void slao_orthogonality_error(const slao_lora *lora, double *error) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        int64_t rank = site->rank;
        double squares = 0;
        for (int64_t p = 0; p < rank; p++) {
            for (int64_t q = 0; q < rank; q++) {
                double entry =
                    inner(site->a + p * site->d_in, site->a + q * site->d_in, site->d_in);
                entry -= p == q;
                squares += entry * entry;
            }
        }
        error[i] = sqrt(squares);
    }
}

/* ||A dA^T||_F: rows of A against changes of rows. */
static double interference_of_a(const slao_site *before, const slao_site *after) {
    int64_t rank = before->rank;
    int64_t width = before->d_in;
    double squares = 0;
    for (int64_t p = 0; p < rank; p++) {
        for (int64_t q = 0; q < rank; q++) {
            const float *row = before->a + p * width;
            const float *from = before->a + q * width, *to = after->a + q * width;
            double sum = 0;
            for (int64_t i = 0; i < width; i++)
                sum += (double)row[i] * ((double)to[i] - (double)from[i]);
            squares += sum * sum;
        }
    }
    return sqrt(squares);
}

/* ||dB^T B||_F: columns of B, which lie `rank` apart, against changes of columns. */
static double interference_of_b(const slao_site *before, const slao_site *after) {
    int64_t rank = before->rank;
    double squares = 0;
    for (int64_t p = 0; p < rank; p++) {
        for (int64_t q = 0; q < rank; q++) {
            double sum = 0;
            for (int64_t i = 0; i < before->d_out * rank; i += rank)
                sum +=
                    ((double)after->b[i + p] - (double)before->b[i + p]) * (double)before->b[i + q];
            squares += sum * sum;
        }
    }
    return sqrt(squares);
}

void slao_interference(const slao_lora *before, const slao_lora *after, double *interference_a,
                       double *interference_b) {
    SLAO_INVARIANT(slao_lora_same_shape(before, after));
    for (int64_t i = 0; i < before->n_sites; i++) {
        interference_a[i] = interference_of_a(&before->sites[i], &after->sites[i]);
        interference_b[i] = interference_of_b(&before->sites[i], &after->sites[i]);
    }
}

slao_status slao_distance(const slao_lora *lora, double *distance) {
    return slao_lora_norm(lora, distance);
}

/* [B - B_start | B_start] and [A; A - A_start], of the same scale. */
static void set_change(slao_site *change, const slao_site *start, const slao_site *end) {
    int64_t rank = start->rank, width = start->d_in;
    for (int64_t p = 0; p < rank; p++) {
        for (int64_t i = 0; i < width; i++) {
            change->a[p * width + i] = end->a[p * width + i];
            change->a[(rank + p) * width + i] = end->a[p * width + i] - start->a[p * width + i];
        }
        for (int64_t i = 0; i < start->d_out; i++) {
            float from = start->b[i * rank + p];
            change->b[i * 2 * rank + p] = end->b[i * rank + p] - from;
            change->b[i * 2 * rank + rank + p] = from;
        }
    }
}

slao_status slao_distance_from(const slao_lora *start, const slao_lora *lora, double *distance) {
    SLAO_INVARIANT(slao_lora_same_shape(start, lora));
    slao_site *sites;
    slao_lora *change = NULL;
    SLAO_TRY(slao_allocate(&sites, (size_t)lora->n_sites, sizeof *sites));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        sites[i] = lora->sites[i];
        sites[i].rank *= 2;
        sites[i].alpha *= lora->settings.rslora ? sqrt(2) : 2; /* the scale stays */
    }
    slao_status status = slao_lora_from_sites(&change, &lora->settings, sites, lora->n_sites);
    free(sites);
    for (int64_t i = 0; i < lora->n_sites && status == SLAO_OK; i++)
        set_change(&change->sites[i], &start->sites[i], &lora->sites[i]);
    if (status == SLAO_OK)
        status = slao_lora_norm(change, distance);
    slao_lora_free(change);
    return status;
}
