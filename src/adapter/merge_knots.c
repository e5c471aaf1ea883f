/* KnOTS (Stoica et al., arXiv 2410.19735): the changes of all adapters in one common basis, merged
 * there.
 *
 *   [D_1 | ... | D_T] = U S [V_1 | ... | V_T]^T;   D = U merged(S V_1^T, ..., S V_T^T)
 *
 * In factors: with B = [s_1 B_1 | ... | s_T B_T] = Q_b R_b and A_t^T = Q_t R_t the left side is
 * Q_b (R_b diag(R_1^T, ..., R_T^T)) diag(Q_1, ..., Q_T)^T, so that the SVD of the small matrix in
 * the middle gives it. The result stays factored: B is U, A what was merged. */
#include "adapter/entries.h"
#include "adapter/merge_parts.h"
#include "linalg/decomposition.h"
#include "linalg/product_svd.h"

#include <stdlib.h>
#include <string.h>

static const char *const insides[] = {"ties", "mean", NULL};
enum { INSIDE_TIES };

const slao_setting slao_knots_options[] = {
    {"inside", "how coordinates in the common basis are merged: ties or mean", "ties", insides, 0,
     0},
    {"density", "the fraction of coordinates that ties keeps", "0.2", NULL, 1e-4, 1},
    {"scale", "what the result is multiplied by", "1", NULL, -100, 100},
    {0},
};

/* Singular values below it are dropped, as in the authors' code. */
static const double least_singular_value = 1e-5;

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* One site: sizes, and the matrices of the derivation above. */
typedef struct {
    const slao_lora *const *adapters;
    int64_t n_adapters, place;
    int64_t d_out, d_in;
    int64_t total;       /* sum of the ranks */
    int64_t inner;       /* rows of R_b */
    int64_t width;       /* sum of the rows of the R_t */
    int64_t rank;        /* singular values kept */
    double *memory;      /* of what follows */
    double *u;           /* d_out x min(inner, width) */
    double **q;          /* d_in x min(d_in, r_t) each */
    float **coordinates; /* S V_t^T: rank x d_in each */
} knots;

static const slao_site *site_of(const knots *k, int64_t t) {
    return &k->adapters[t]->sites[k->place];
}

static int64_t rows_of(const knots *k, int64_t t) {
    return smaller(k->d_in, site_of(k, t)->rank);
}

/* B, all pairs side by side. */
static void gather_b(const knots *k, double *b) {
    int64_t from = 0;
    for (int64_t t = 0; t < k->n_adapters; t++) {
        const slao_site *site = site_of(k, t);
        for (int64_t i = 0; i < k->d_out; i++) {
            for (int64_t j = 0; j < site->rank; j++)
                b[i * k->total + from + j] = site->scale * (double)site->b[i * site->rank + j];
        }
        from += site->rank;
    }
}

/* Q_t, and the columns of the middle matrix that belong to t: R_b's times R_t^T. */
static slao_status add_block(const knots *k, int64_t t, const double *r_b, int64_t from_rank,
                             int64_t from, double *middle) {
    const slao_site *site = site_of(k, t);
    int64_t r = site->rank, rows = rows_of(k, t);
    double *a_t;
    SLAO_TRY(slao_allocate(&a_t, (size_t)(k->d_in * r + rows * r), sizeof *a_t));
    double *r_t = a_t + k->d_in * r;
    for (int64_t i = 0; i < k->d_in; i++) {
        for (int64_t j = 0; j < r; j++)
            a_t[i * r + j] = (double)site->a[j * k->d_in + i];
    }
    slao_status status = slao_qr_f64(k->q[t], r_t, a_t, k->d_in, r);
    for (int64_t i = 0; status == SLAO_OK && i < k->inner; i++) {
        for (int64_t j = 0; j < rows; j++) {
            double sum = 0;
            for (int64_t l = 0; l < r; l++)
                sum += r_b[i * k->total + from_rank + l] * r_t[j * r + l];
            middle[i * k->width + from + j] = sum;
        }
    }
    free(a_t);
    return status;
}

/* S V_t^T = S (the columns of t in v) Q_t^T */
static slao_status project(const knots *k, int64_t t, int64_t from, const double *s,
                           const double *v) {
    int64_t rows = rows_of(k, t);
    double *small;
    SLAO_TRY(slao_allocate(&small, (size_t)(k->rank * (rows + k->d_in)), sizeof *small));
    double *product = small + k->rank * rows;
    for (int64_t i = 0; i < k->rank; i++) {
        for (int64_t j = 0; j < rows; j++)
            small[i * rows + j] = s[i] * v[i * k->width + from + j];
    }
    slao_multiply_transposed_f64(product, small, k->q[t], k->rank, k->d_in, rows);
    slao_status status =
        slao_allocate(&k->coordinates[t], (size_t)(k->rank * k->d_in), sizeof *k->coordinates[t]);
    for (int64_t i = 0; status == SLAO_OK && i < k->rank * k->d_in; i++)
        k->coordinates[t][i] = (float)product[i];
    free(small);
    return status;
}

/* The common basis, and all changes in it. */
static slao_status decompose(knots *k) {
    int64_t terms = smaller(k->inner, k->width);
    size_t n_b = (size_t)(k->d_out * k->total), n_q = (size_t)(k->d_out * k->inner);
    size_t n_r = (size_t)(k->inner * k->total), n_middle = (size_t)(k->inner * k->width);
    size_t n_uc = (size_t)(k->inner * terms), n_v = (size_t)(terms * k->width);
    SLAO_TRY(slao_allocate(&k->memory,
                           (size_t)(k->d_out * terms) + n_b + n_q + n_r + n_middle + n_uc + n_v +
                               (size_t)terms,
                           sizeof *k->memory));
    k->u = k->memory;
    double *b = k->u + k->d_out * terms, *q_b = b + n_b, *r_b = q_b + n_q, *middle = r_b + n_r;
    double *u_core = middle + n_middle, *v = u_core + n_uc, *s = v + n_v;
    gather_b(k, b);
    SLAO_TRY(slao_qr_f64(q_b, r_b, b, k->d_out, k->total));
    for (int64_t t = 0, from_rank = 0, from = 0; t < k->n_adapters; t++) {
        SLAO_TRY(slao_allocate(&k->q[t], (size_t)(k->d_in * rows_of(k, t)), sizeof *k->q[t]));
        SLAO_TRY(add_block(k, t, r_b, from_rank, from, middle));
        from_rank += site_of(k, t)->rank;
        from += rows_of(k, t);
    }
    SLAO_TRY(slao_svd(middle, k->inner, k->width, u_core, s, v));
    while (k->rank < terms && s[k->rank] >= least_singular_value)
        k->rank++;
    slao_multiply_f64(k->u, q_b, u_core, k->d_out, terms, k->inner);
    for (int64_t t = 0, from = 0; t < k->n_adapters; t++) {
        SLAO_TRY(project(k, t, from, s, v));
        from += rows_of(k, t);
    }
    return SLAO_OK;
}

static void read_coordinates(float *values, int64_t t, const void *context) {
    const knots *k = context;
    memcpy(values, k->coordinates[t], (size_t)(k->rank * k->d_in) * sizeof *values);
}

/* The pair of the site: of rank 1, and zero, where nothing is changed at all. */
static slao_status make_pair(const knots *k, const slao_merge_choice *choice,
                             slao_merge_pair *pair) {
    bool ties = slao_merge_name(choice, "inside") == INSIDE_TIES;
    int64_t terms = smaller(k->inner, k->width), rank = k->rank > 0 ? k->rank : 1;
    SLAO_TRY(slao_merge_pair_new(pair, rank, k->d_out, k->d_in));
    for (int64_t i = 0; i < k->d_out; i++) {
        for (int64_t j = 0; j < k->rank; j++)
            pair->b[i * rank + j] = (float)k->u[i * terms + j];
    }
    double *weights;
    SLAO_TRY(slao_allocate(&weights, (size_t)k->n_adapters, sizeof *weights));
    for (int64_t t = 0; t < k->n_adapters; t++)
        weights[t] = slao_merge_number(choice, "scale") / (ties ? 1.0 : (double)k->n_adapters);
    slao_entry_rule rule = {
        .prune = ties ? SLAO_PRUNE_MAGNITUDE : SLAO_PRUNE_NONE,
        .combine = ties ? SLAO_COMBINE_AGREEING : SLAO_COMBINE_SUM,
        .density = ties ? slao_merge_number(choice, "density") : 1,
    };
    slao_entry_tensors tensors = {.name = "coordinates",
                                  .n_tensors = k->n_adapters,
                                  .n = k->rank * k->d_in,
                                  .weights = weights,
                                  .read = read_coordinates,
                                  .context = k};
    slao_status status = slao_merge_entries(pair->a, &rule, &tensors);
    free(weights);
    return status;
}

static slao_status merge_site(const slao_lora *const *adapters, int64_t n, int64_t place,
                              const slao_merge_choice *choice, slao_merge_pair *pair) {
    const slao_site *first = &adapters[0]->sites[place];
    knots k = {.adapters = adapters,
               .n_adapters = n,
               .place = place,
               .d_out = first->d_out,
               .d_in = first->d_in};
    for (int64_t t = 0; t < n; t++) {
        k.total += site_of(&k, t)->rank;
        k.width += rows_of(&k, t);
    }
    k.inner = smaller(k.d_out, k.total);
    slao_status status = slao_allocate(&k.q, (size_t)n, sizeof *k.q);
    if (status == SLAO_OK)
        status = slao_allocate(&k.coordinates, (size_t)n, sizeof *k.coordinates);
    if (status == SLAO_OK)
        status = decompose(&k);
    if (status == SLAO_OK)
        status = make_pair(&k, choice, pair);
    for (int64_t t = 0; k.q && k.coordinates && t < n; t++) {
        free(k.q[t]);
        free(k.coordinates[t]);
    }
    free(k.q);
    free(k.coordinates);
    free(k.memory);
    return status;
}

slao_status slao_merge_knots(slao_lora **merged, const slao_merge_choice *choice,
                             const slao_lora *const *adapters, int64_t n) {
    return slao_merge_by_site(merged, choice, adapters, n, merge_site);
}
