/* The singular value decomposition of what an adapter changes, and adapters of a smaller rank.
 *
 *   s B A = U diag(S) V^T, out of the factors (linalg/product_svd.h), in fp64. By Eckart and Young
 * the first R terms are the nearest change of rank R, and the error is the root of the sum of
 * squares of the other singular values.
 */
#ifndef SLAO_ADAPTER_SPECTRUM_H
#define SLAO_ADAPTER_SPECTRUM_H

#include "adapter/lora.h"

typedef struct {
    int64_t d_out, d_in, rank; /* rank: how many singular values, at most the smaller side */
    double *u, *s, *vt;        /* d_out x rank, rank (falling), rank x d_in; one allocation, at u */
} slao_spectrum;

slao_status slao_spectrum_of_site(slao_spectrum *spectrum, const slao_site *site);

/* The same of b (d_out x r) a (r x d_in). */
slao_status slao_spectrum_of_product(slao_spectrum *spectrum, const double *b, const double *a,
                                     int64_t d_out, int64_t d_in, int64_t r);
void slao_spectrum_free(slao_spectrum *spectrum); /* a zeroed one is allowed */

/* What a truncation leaves out, as fractions of the Frobenius norm. */
typedef struct {
    double error;       /* of the whole adapter */
    double worst_error; /* of the site that loses most */
    int64_t worst_site;
} slao_truncation;

/* The nearest adapter of rank `rank` at every site. A site of a smaller rank keeps its pair, and
 * zeros are put beside it; of a larger one, B = U sqrt(S), A = sqrt(S) V^T of its first terms. A
 * rank beyond the smaller side of a site is SLAO_BAD_INPUT. */
slao_status slao_lora_truncate(slao_lora **result, const slao_lora *lora, int64_t rank,
                               slao_truncation *loss);

/* The same change with no site of a rank beyond its smaller side: such a site gets that rank. */
slao_status slao_lora_fold(slao_lora **result, const slao_lora *lora);

#endif
