/* An axis of a sweep: a key of the spec's `sweep` with the list of values that it takes.
 *
 *   "method", "order", "lambda"                    read by sweep/trial.c and sweep/order.c
 *   "learning_rate", "seed", "lora.rank", ...      a field of sweep/fields.h
 *   "olora.l1", ...                                an option of a method; means nothing to others
 */
#ifndef SLAO_SWEEP_AXIS_H
#define SLAO_SWEEP_AXIS_H

#include "sweep/fields.h"

typedef enum {
    SLAO_AXIS_METHOD,
    SLAO_AXIS_ORDER,
    SLAO_AXIS_LAMBDA,
    SLAO_AXIS_FIELD,
    SLAO_AXIS_OPTION
} slao_axis_kind;

typedef struct {
    const char *key;
    slao_axis_kind kind;
    const slao_json_field *field; /* SLAO_AXIS_FIELD */
    const char *section;          /* of the field: "lora"; "" for those of slao_sweep_table */
    const slao_method *method;    /* SLAO_AXIS_OPTION */
    int option;
    int64_t n_values; /* at least 1 */
    const cJSON **values;
} slao_axis;

/* All axes of `sweep` (`where` is what stands before "sweep" in messages), their lists in `arena`.
 * A single value counts as a list of one. An unknown key, one field under two keys, an empty list
 * and a list where no list may be are SLAO_BAD_INPUT; the values are not looked at. A key
 * "missing_tasks" is no axis: its text goes to *missing_tasks, which keeps its value otherwise. */
slao_status slao_axes_read(slao_axis **axes, int64_t *n_axes, const char **missing_tasks,
                           const cJSON *sweep, const slao_method *methods, slao_arena *arena,
                           const char *where);

/* Puts value number `v` of a field's axis into `fields` and checks it. */
slao_status slao_axis_apply(const slao_axis *axis, int64_t v, slao_fields *fields,
                            const char *where);

/* A value as results show it, in `arena`: numbers as slao_number_text has them, true or false, a
 * list of names joined by commas. */
slao_status slao_axis_value_text(const char **text, const cJSON *value, slao_arena *arena);

#endif
