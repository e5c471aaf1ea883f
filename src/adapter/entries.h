/* Rules that merge tensors entry by entry: what TIES, DARE and MagMax do to one tensor of each
 * adapter.
 *
 *   prune     none; magnitude: keep the int(density n) entries of largest magnitude (of equal ones
 *             the first); random: keep each entry with probability density, divided by it (DARE,
 *             Yu et al., arXiv 2311.03099)
 *   combine   sum: sum_t w_t x_t
 *             agreeing: the sign of sum_t x_t is elected (0 counts as +); the mean of w_t x_t over
 *             the t whose entry has that sign, 0 if none (TIES, Yadav et al., arXiv 2306.01708)
 *             largest: w_t x_t of the t with the largest |x_t|, of equal ones the last (MagMax,
 *             Marczak et al., arXiv 2407.06322)
 *
 * Trimming and election are those of PEFT's merge_utils (ties, dare_linear, dare_ties,
 * magnitude_prune), in fp32 and in the same order, tensor by tensor. Tensors are read one at a time
 * and twice where signs are elected, so that memory does not grow with their number.
 */
#ifndef SLAO_ADAPTER_ENTRIES_H
#define SLAO_ADAPTER_ENTRIES_H

#include "base/status.h"

#include <stdint.h>

typedef enum { SLAO_PRUNE_NONE, SLAO_PRUNE_MAGNITUDE, SLAO_PRUNE_RANDOM } slao_prune;
typedef enum { SLAO_COMBINE_SUM, SLAO_COMBINE_AGREEING, SLAO_COMBINE_LARGEST } slao_combine;

typedef struct {
    slao_prune prune;
    slao_combine combine;
    double density; /* in (0, 1] */
    uint64_t seed;  /* of the random pruning, with the tensor's name and t */
} slao_entry_rule;

/* The tensors to merge: n_tensors of n entries each; `read` writes tensor t into values. */
typedef struct {
    const char *name; /* names the streams of random numbers */
    int64_t n_tensors, n;
    const double *weights; /* w_t */
    void (*read)(float *values, int64_t t, const void *context);
    const void *context;
} slao_entry_tensors;

/* `merged` holds n entries. */
slao_status slao_merge_entries(float *merged, const slao_entry_rule *rule,
                               const slao_entry_tensors *tensors);

#endif
