/* Continual-learning methods: one row each.
 *
 * A method is composed of parts that have tables of their own: where the pair of task i >= 2 starts
 * from, what it is trained on, and how it enters the adapter that is evaluated.
 */
#ifndef SLAO_CONTINUAL_METHOD_H
#define SLAO_CONTINUAL_METHOD_H

#include "base/status.h"

/* An option of a method: a name out of `choices`, or a number within least .. most where choices is
 * NULL. Its value is kept as canonical text: the name, or the number as "%.17g" shortened to what
 * reads back. */
typedef struct {
    const char *key, *help, *default_value;
    const char *const *choices; /* ends in NULL */
    double least, most;
} slao_method_option;

/* Where task i >= 2 starts from; task 1 always starts from a fresh pair. */
typedef enum {
    SLAO_LINEAGE_SEQUENCE, /* from the adapter that was fine-tuned on task i-1 */
    SLAO_LINEAGE_ALONE     /* from a fresh pair again: each task by itself */
} slao_lineage;

typedef struct {
    const char *name, *help;
    slao_lineage lineage;
    const char *start; /* the initialisation rule (adapter/start.h) under SLAO_LINEAGE_SEQUENCE, or
                          the key of the option that names it in the form "=init" */
    const char *
        merge; /* the merge rule (adapter/merge.h); NULL: the fine-tuned pair is evaluated itself */
    const slao_method_option *options; /* ends in a row without a key */
} slao_method;

extern const slao_method slao_methods[];               /* ends in a row without a name */
const slao_method *slao_method_find(const char *name); /* NULL if there is none */

enum { SLAO_MAX_METHOD_OPTIONS = 8 };

/* A method with its options set; values[k] belongs to options[k]. */
typedef struct {
    const slao_method *method;
    const char *values[SLAO_MAX_METHOD_OPTIONS];
} slao_method_choice;

/* Does lambda(i) mean anything to this method? */
bool slao_method_uses_lambda(const slao_method *method);

#endif
