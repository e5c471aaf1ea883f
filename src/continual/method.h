/* Continual-learning methods: one row each.
 *
 * A method is composed of parts that have tables of their own: where the pair of task i >= 2 starts
 * from, what it is trained on, and how it enters the adapter that is evaluated.
 */
#ifndef SLAO_CONTINUAL_METHOD_H
#define SLAO_CONTINUAL_METHOD_H

#include "base/memory.h"

/* What an option changes from task 2 on, and so the keys of which steps hold it. */
typedef enum { SLAO_OPTION_OF_TRAINING, SLAO_OPTION_OF_MERGE } slao_option_part;

/* An option of a method: a name out of `choices`, or a number within least .. most where choices is
 * NULL. Its value is kept as canonical text: the name, or the number as slao_number_text has it. */
typedef struct {
    const char *key, *help, *default_value; /* the default is canonical */
    slao_option_part part;
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
    const slao_method_option *options; /* ends in a row without a key; at most
                                          SLAO_MAX_METHOD_OPTIONS */
} slao_method;

extern const slao_method slao_methods[]; /* ends in a row without a name */

enum { SLAO_MAX_METHOD_OPTIONS = 8 };

/* A method with its options set; values[k] belongs to options[k]. */
typedef struct {
    const slao_method *method;
    const char *values[SLAO_MAX_METHOD_OPTIONS];
} slao_method_choice;

/* The method called `name` out of `methods` (slao_methods, or a table like it), every option at its
 * default. An unknown name is SLAO_BAD_INPUT with the nearest one; `path` says where it stood
 * ("spec.json: sweep.method"). */
slao_status slao_method_choose(slao_method_choice *choice, const slao_method *methods,
                               const char *name, const char *path);

/* Sets option `key` to `value` (a name, or a number as text), made canonical; text that has to be
 * made lies in `arena`. An unknown key or name, text that is no number, and a number out of bounds
 * are SLAO_BAD_INPUT. */
slao_status slao_method_set(slao_method_choice *choice, const char *key, const char *value,
                            slao_arena *arena, const char *path);

/* The place of option `key` in method->options, or -1. */
int slao_method_option_find(const slao_method *method, const char *key);

/* The initialisation rule of task i >= 2, where an option names it. Not for SLAO_LINEAGE_ALONE. */
const char *slao_method_start(const slao_method_choice *choice);

/* Does lambda(i) mean anything to this method? */
bool slao_method_uses_lambda(const slao_method *method);

#endif
