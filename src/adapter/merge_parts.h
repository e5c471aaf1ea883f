/* What the files of merge rules share; for src/adapter/merge*.c alone. */
#ifndef SLAO_ADAPTER_MERGE_PARTS_H
#define SLAO_ADAPTER_MERGE_PARTS_H

#include "adapter/merge.h"

/* The option `key` of the choice, which its rule has. */
double slao_merge_number(const slao_merge_choice *choice, const char *key);
int slao_merge_name(const slao_merge_choice *choice, const char *key); /* place in the choices */

/* For rules that work on factors: every adapter has the rank and scale of the first at each site.
 */
slao_status slao_merge_need_same_factors(const slao_lora *const *adapters, int64_t n);

typedef slao_status slao_merge_step_function(slao_lora **, const slao_merge_choice *,
                                             const slao_merge_moment *, const slao_lora *,
                                             const slao_lora *, slao_merge_state *);
typedef slao_status slao_merge_list_function(slao_lora **, const slao_merge_choice *,
                                             const slao_lora *const *, int64_t);

/* merge_factors.c */
extern const slao_setting slao_asymmetric_options[], slao_task_arithmetic_options[];
slao_merge_step_function slao_merge_asymmetric, slao_merge_average;
slao_merge_list_function slao_merge_task_arithmetic;

#endif
