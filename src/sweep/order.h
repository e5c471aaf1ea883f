/* The task orders of a sweep, out of the values of its axis `order`:
 *
 *   ["dbpedia", "amazon"]                                     an order
 *   {"tasks": [...], "permutations": "all"}                   all orders of these tasks
 *   {"tasks": [...], "permutations": 10, "seed": 0}           that many different ones, drawn
 *   "O4"                                                      a published one (data/orders.h)
 */
#ifndef SLAO_SWEEP_ORDER_H
#define SLAO_SWEEP_ORDER_H

#include "sweep/axis.h"

/* More tasks than this have too many orders to run all of them. */
enum { SLAO_MOST_PERMUTED_TASKS = 8 };

/* Sets the orders of `spec` (all different; the name of a published order wins) and the tasks that
 * were skipped, in spec->arena. Task names are those of spec->benchmark, which must be set. An
 * unknown task is SLAO_BAD_INPUT, unless `skip_missing`. */
slao_status slao_orders_read(slao_spec *spec, const slao_axis *axis, bool skip_missing,
                             const char *where);

#endif
