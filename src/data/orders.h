/* Task orders of published work, by name.
 *
 * O1 to O3 (standard benchmark) and O4 to O6 (15 tasks): O-LoRA, Wang et al., 2023, tables of task
 * orders. superni-1 and superni-2: SAPT, Zhao et al., 2024. Names are as the papers' data spell
 * them; slao_task_names_find matches them with a benchmark's folder.
 */
#ifndef SLAO_DATA_ORDERS_H
#define SLAO_DATA_ORDERS_H

#include <stdint.h>

enum { SLAO_LONGEST_ORDER = 15 };

typedef struct {
    const char *name;   /* "O4" */
    const char *format; /* of the benchmark that the tasks belong to: "cl_benchmark", "superni" */
    const char *tasks[SLAO_LONGEST_ORDER + 1]; /* ends in NULL */
} slao_published_order;

extern const slao_published_order slao_published_orders[]; /* ends in a row without a name */

/* NULL if there is none of that name. */
const slao_published_order *slao_published_order_find(const char *name);

#endif
