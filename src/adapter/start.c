#include "adapter/start.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The stream of a tensor; `task` is NULL where all tasks draw the same. */
static slao_status stream_of(slao_random *random, const slao_site *site, const slao_start *start,
                             const char *purpose, const char *task) {
    char name[SLAO_LORA_NAME], *text;
    slao_lora_tensor_name(name, site, 'A');
    if (!task) {
        *random = slao_random_stream(start->seed, purpose, name, 0);
        return SLAO_OK;
    }
    SLAO_TRY(slao_format(&text, "%s for %s", name, task));
    *random = slao_random_stream(start->seed, purpose, text, 0);
    free(text);
    return SLAO_OK;
}

/* A Kaiming, B zero. */
static slao_status set_kaiming(slao_lora *lora, const slao_start *start, const char *task) {
    memset(lora->values, 0, (size_t)lora->n_values * sizeof *lora->values);
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        slao_random random;
        SLAO_TRY(stream_of(&random, site, start, "lora_A", task));
        double bound = 1.0 / sqrt((double)site->d_in);
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)((2.0 * slao_random_uniform(&random) - 1.0) * bound);
    }
    return SLAO_OK;
}

static slao_status set_fresh(slao_lora *lora, const slao_start *start) {
    return set_kaiming(lora, start, NULL);
}

static slao_status set_random(slao_lora *lora, const slao_start *start) {
    return set_kaiming(lora, start, start->task);
}

static slao_status set_previous(slao_lora *lora, const slao_start *start) {
    SLAO_INVARIANT(slao_lora_same_shape(lora, start->last));
    memcpy(lora->values, start->last->values, (size_t)lora->n_values * sizeof *lora->values);
    return SLAO_OK;
}

static slao_status set_zero(slao_lora *lora, const slao_start *start) {
    SLAO_TRY(set_previous(lora, start));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        memset(site->a, 0, (size_t)(site->rank * site->d_in) * sizeof *site->a);
    }
    return SLAO_OK;
}

/* ---- Orthonormal rows, by the members of a team ---- */

const char *const slao_qr_way_names[] = {"auto", "lapack", "scalapack", NULL};

slao_qr_way slao_qr_way_find(const char *name) {
    int way = 0;
    while (strcmp(slao_qr_way_names[way], name) != 0)
        SLAO_INVARIANT(slao_qr_way_names[++way]);
    return (slao_qr_way)way;
}

/* Is the site's A decomposed by all members together? */
static bool is_shared(const slao_site *site, const slao_start *start) {
    return start->qr == SLAO_QR_SCALAPACK ||
           (start->qr == SLAO_QR_AUTO && slao_team_decomposes(start->team, site->rank, site->d_in));
}

/* The rows of the site's A become c times an orthonormal basis; r_factor as
 * slao_orthonormal_rows. */
static slao_status make_orthonormal(const slao_site *site, const slao_start *start,
                                    float *r_factor) {
    slao_status status =
        is_shared(site, start)
            ? slao_team_orthonormal_rows(start->team, SLAO_OK, site->a, site->rank, site->d_in,
                                         start->sign, r_factor)
            : slao_orthonormal_rows(site->a, site->rank, site->d_in, start->sign, r_factor);
    SLAO_TRY_IN(status, "layer %lld, %s", (long long)site->layer, slao_module_name(site->module));
    if (start->row_scale != 1) {
        for (int64_t k = 0; k < site->rank * site->d_in; k++)
            site->a[k] = (float)(start->row_scale * (double)site->a[k]);
    }
    return SLAO_OK;
}

typedef slao_status site_function(const slao_site *site, const slao_start *start);

/* After each member has set its part of the sites: to all members. */
static slao_status share_sites(slao_lora *lora, slao_team *team, slao_status status) {
    int size = slao_team_size(team);
    if (size == 1)
        return status;
    size_t *starts = NULL;
    if (status == SLAO_OK)
        status = slao_allocate(&starts, (size_t)size + 1, sizeof *starts);
    for (int m = 0; m <= size && status == SLAO_OK; m++) {
        int64_t first = slao_team_begin(team, lora->n_sites, m);
        int64_t at = first < lora->n_sites ? lora->sites[first].a - lora->values : lora->n_values;
        starts[m] = (size_t)at * sizeof *lora->values;
    }
    status = slao_team_gather(team, status, lora->values, starts);
    free(starts);
    return status;
}

/* Sets every site: first, with all members, those that they share; then each member its part of the
 * others. */
static slao_status set_sites(slao_lora *lora, const slao_start *start, site_function *set_site) {
    SLAO_TRY(set_previous(lora, start));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        if (is_shared(&lora->sites[i], start))
            SLAO_TRY(set_site(&lora->sites[i], start));
    }
    int64_t from, to;
    slao_team_part(start->team, lora->n_sites, &from, &to);
    slao_status status = SLAO_OK;
    for (int64_t i = from; i < to && status == SLAO_OK; i++) {
        if (!is_shared(&lora->sites[i], start))
            status = set_site(&lora->sites[i], start);
    }
    return share_sites(lora, start->team, status);
}

static slao_status set_site_orthonormal(const slao_site *site, const slao_start *start) {
    return make_orthonormal(site, start, NULL);
}

static slao_status set_orthonormal(slao_lora *lora, const slao_start *start) {
    return set_sites(lora, start, set_site_orthonormal);
}

static slao_status set_site_random(const slao_site *site, const slao_start *start) {
    slao_random random;
    SLAO_TRY(stream_of(&random, site, start, "orthonormal lora_A", start->task));
    for (int64_t k = 0; k < site->rank * site->d_in; k++)
        site->a[k] = (float)slao_random_normal(&random);
    return make_orthonormal(site, start, NULL);
}

static slao_status set_random_orthonormal(slao_lora *lora, const slao_start *start) {
    return set_sites(lora, start, set_site_random);
}

/* B <- B R^T / c, row by row in fp64. */
static void carry_over(const slao_site *site, const float *r_factor, double *row,
                       double row_scale) {
    int64_t rank = site->rank;
    for (int64_t i = 0; i < site->d_out; i++) {
        float *b = site->b + i * rank;
        for (int64_t j = 0; j < rank; j++) {
            row[j] = 0;
            for (int64_t k = j; k < rank; k++) /* R is upper triangular */
                row[j] += (double)b[k] * (double)r_factor[j * rank + k];
        }
        for (int64_t j = 0; j < rank; j++)
            b[j] = (float)(row[j] / row_scale);
    }
}

static slao_status set_site_preserving(const slao_site *site, const slao_start *start) {
    float *r_factor;
    double *row;
    SLAO_TRY(slao_allocate(&r_factor, (size_t)(site->rank * site->rank), sizeof *r_factor));
    slao_status status = slao_allocate(&row, (size_t)site->rank, sizeof *row);
    if (status == SLAO_OK)
        status = make_orthonormal(site, start, r_factor);
    if (status == SLAO_OK)
        carry_over(site, r_factor, row, start->row_scale);
    free(row);
    free(r_factor);
    return status;
}

static slao_status set_function_preserving(slao_lora *lora, const slao_start *start) {
    return set_sites(lora, start, set_site_preserving);
}

const slao_start_rule slao_start_rules[] = {
    {"fresh", "A Kaiming-uniform, B zero, the same for every task", "fresh", SLAO_FROM_NOTHING,
     false, set_fresh},
    {"random", "A Kaiming-uniform, drawn anew for each task, B zero", "random", SLAO_FROM_NOTHING,
     false, set_random},
    {"zero", "A zero, B the last fine-tuned B", "zero", SLAO_FROM_FINETUNED, false, set_zero},
    {"previous", "the last fine-tuned pair as it is", "previous", SLAO_FROM_FINETUNED, false,
     set_previous},
    {"last-ft", "A orthonormal by QR of the last fine-tuned A, B the last fine-tuned B",
     "orthonormal", SLAO_FROM_FINETUNED, true, set_orthonormal},
    {"last-merge", "A orthonormal by QR of the merged A, B the merged B", "orthonormal",
     SLAO_FROM_MERGED, true, set_orthonormal},
    {"random-orthonormal", "A random with orthonormal rows, B the last fine-tuned B",
     "random-orthonormal", SLAO_FROM_FINETUNED, true, set_random_orthonormal},
    {"function-preserving", "A orthonormal by QR of the last fine-tuned A, B R^T: B A as it was",
     "function-preserving", SLAO_FROM_FINETUNED, true, set_function_preserving},
    {0},
};

const slao_start_rule *slao_start_rule_find(const char *name) {
    for (const slao_start_rule *rule = slao_start_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}
