#include "adapter/spectrum.h"

#include "base/memory.h"
#include "linalg/product_svd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

slao_status slao_spectrum_of_product(slao_spectrum *spectrum, const double *b, const double *a,
                                     int64_t d_out, int64_t d_in, int64_t r) {
    int64_t rank = smaller(r, smaller(d_out, d_in));
    *spectrum = (slao_spectrum){.d_out = d_out, .d_in = d_in, .rank = rank};
    SLAO_TRY(slao_allocate(&spectrum->u, (size_t)((d_out + 1 + d_in) * rank), sizeof *spectrum->u));
    spectrum->s = spectrum->u + d_out * rank;
    spectrum->vt = spectrum->s + rank;
    slao_status status =
        slao_svd_of_product(spectrum->u, spectrum->s, spectrum->vt, b, a, d_out, d_in, r);
    if (status != SLAO_OK)
        slao_spectrum_free(spectrum);
    return status;
}

slao_status slao_spectrum_of_site(slao_spectrum *spectrum, const slao_site *site) {
    int64_t n_a = site->rank * site->d_in, n_b = site->d_out * site->rank;
    double *a;
    SLAO_TRY(slao_allocate(&a, (size_t)(n_a + n_b), sizeof *a));
    double *b = a + n_a;
    for (int64_t k = 0; k < n_a; k++)
        a[k] = (double)site->a[k];
    for (int64_t k = 0; k < n_b; k++)
        b[k] = site->scale * (double)site->b[k];
    slao_status status =
        slao_spectrum_of_product(spectrum, b, a, site->d_out, site->d_in, site->rank);
    free(a);
    if (status != SLAO_OK)
        return slao_fail_context(status, "layer %lld, %s", (long long)site->layer,
                                 slao_module_name(site->module));
    return SLAO_OK;
}

void slao_spectrum_free(slao_spectrum *spectrum) {
    free(spectrum->u);
    *spectrum = (slao_spectrum){0};
}

/* ---- Smaller ranks ---- */

/* The sums of squares that a truncation is measured by. */
typedef struct {
    double lost, whole;
} loss_of_site;

/* The site keeps its pair, beside zeros: they are there already. */
static loss_of_site keep_pair(const slao_site *to, const slao_site *from) {
    memcpy(to->a, from->a, (size_t)(from->rank * from->d_in) * sizeof *to->a);
    for (int64_t row = 0; row < to->d_out; row++)
        memcpy(to->b + row * to->rank, from->b + row * from->rank,
               (size_t)from->rank * sizeof *to->b);
    return (loss_of_site){0, 0};
}

static loss_of_site keep_first_terms(const slao_site *to, const slao_spectrum *spectrum) {
    loss_of_site loss = {0, 0};
    for (int64_t k = 0; k < spectrum->rank; k++) {
        double square = spectrum->s[k] * spectrum->s[k], root = sqrt(spectrum->s[k]);
        loss.whole += square;
        if (k >= to->rank) {
            loss.lost += square;
            continue;
        }
        for (int64_t j = 0; j < to->d_in; j++)
            to->a[k * to->d_in + j] = (float)(root * spectrum->vt[k * to->d_in + j]);
        for (int64_t i = 0; i < to->d_out; i++)
            to->b[i * to->rank + k] = (float)(root * spectrum->u[i * spectrum->rank + k]);
    }
    return loss;
}

static slao_status fill(const slao_lora *result, const slao_lora *lora, slao_truncation *loss) {
    double lost = 0, norm;
    slao_truncation found = {0};
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *to = &result->sites[i], *from = &lora->sites[i];
        loss_of_site here;
        if (from->rank <= to->rank) {
            here = keep_pair(to, from);
        } else {
            slao_spectrum spectrum;
            SLAO_TRY(slao_spectrum_of_site(&spectrum, from));
            here = keep_first_terms(to, &spectrum);
            slao_spectrum_free(&spectrum);
        }
        lost += here.lost;
        double fraction = here.whole > 0 ? sqrt(here.lost / here.whole) : 0;
        if (fraction > found.worst_error) {
            found.worst_error = fraction;
            found.worst_site = i;
        }
    }
    if (!loss)
        return SLAO_OK;
    SLAO_TRY(slao_lora_norm(lora, &norm));
    found.error = norm > 0 ? sqrt(lost) / norm : 0;
    *loss = found;
    return SLAO_OK;
}

/* An adapter like `lora` of the given rank at each site; a pair that is kept keeps its scale. loss:
 * NULL where it does not matter. */
static slao_status with_ranks(slao_lora **result, const slao_lora *lora, const int64_t *ranks,
                              slao_truncation *loss) {
    slao_site *sites;
    *result = NULL;
    SLAO_TRY(slao_allocate(&sites, (size_t)lora->n_sites, sizeof *sites));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        sites[i] = lora->sites[i];
        sites[i].rank = ranks[i];
        sites[i].alpha =
            (lora->sites[i].rank <= ranks[i] ? lora->sites[i].scale : 1) * (double)ranks[i];
    }
    slao_lora_settings settings = {.dropout = lora->settings.dropout};
    slao_status status = slao_lora_from_sites(result, &settings, sites, lora->n_sites);
    free(sites);
    SLAO_TRY(status);
    (*result)->every_layer = lora->every_layer;
    status = fill(*result, lora, loss);
    if (status != SLAO_OK) {
        slao_lora_free(*result);
        *result = NULL;
    }
    return status;
}

slao_status slao_lora_truncate(slao_lora **result, const slao_lora *lora, int64_t rank,
                               slao_truncation *loss) {
    *result = NULL;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        if (rank < 1 || rank > smaller(site->d_out, site->d_in))
            return slao_fail(
                SLAO_BAD_INPUT,
                "rank %lld, but %s of layer %lld is %lld x %lld: it must lie between 1 and %lld",
                (long long)rank, slao_module_name(site->module), (long long)site->layer,
                (long long)site->d_out, (long long)site->d_in,
                (long long)smaller(site->d_out, site->d_in));
    }
    int64_t *ranks;
    SLAO_TRY(slao_allocate(&ranks, (size_t)lora->n_sites, sizeof *ranks));
    for (int64_t i = 0; i < lora->n_sites; i++)
        ranks[i] = rank;
    slao_status status = with_ranks(result, lora, ranks, loss);
    free(ranks);
    return status;
}

slao_status slao_lora_fold(slao_lora **result, const slao_lora *lora) {
    int64_t *ranks;
    *result = NULL;
    SLAO_TRY(slao_allocate(&ranks, (size_t)lora->n_sites, sizeof *ranks));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        ranks[i] = smaller(site->rank, smaller(site->d_out, site->d_in));
    }
    slao_status status = with_ranks(result, lora, ranks, NULL);
    free(ranks);
    return status;
}
