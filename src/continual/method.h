/* Continual-learning methods: one row each.
 *
 * A method is composed of parts, most of which have tables of their own, so that a new combination
 * is a row:
 *
 *   where a task starts     start, a rule of adapter/start.h; task 1 always starts `fresh`
 *   what it comes on top of lineage
 *   what is trained         all but `frozen`; task 1 trains both factors
 *   on which loss           that of the data, and what `tuning` adds (continual/tuning.h)
 *   what is evaluated       the pair itself; the stack of all pairs so far; or what `merge`, a rule
 *                           of adapter/merge.h, makes of `inputs`: of the factors that `merges`
 *                           names, if it is SLAO's rule
 *
 *   SLAO_LINEAGE_SEQUENCE   ft(1) --> ft(2) --> ft(3)          one pair goes on from task to task
 *   SLAO_LINEAGE_STACK      ft(1) --> ft(2), ft(3) on W0 + sum of all pairs before, frozen
 *   SLAO_LINEAGE_ALONE      ft(1), ft(2), ft(3) on W0 each     the individual runs
 *   SLAO_LINEAGE_TOGETHER   ft(1 and 2 and 3)                  all tasks of the order, mixed
 *
 * The state that a method keeps (state_bytes of steps and trials) is what both the evaluated
 * adapter and all later steps follow from: the pair (sequence); that and the merged one (sequence,
 * merged with the newest); the merged one (alone, merged with the newest); all pairs so far (stack,
 * and merges of all of them); and what `tuning` keeps besides.
 *
 * The options of a method are its own and those of its merge rule.
 */
#ifndef SLAO_CONTINUAL_METHOD_H
#define SLAO_CONTINUAL_METHOD_H

#include "adapter/merge.h"
#include "adapter/start.h"
#include "base/memory.h"

/* Which keys of steps hold an option's value: those of fine-tunes that start from an orthonormal A
 * (and of no others: elsewhere the option means nothing), of fine-tunes, of merges. */
typedef enum {
    SLAO_OPTION_OF_START,
    SLAO_OPTION_OF_TRAINING,
    SLAO_OPTION_OF_MERGE
} slao_option_part;

/* An option of a method: a name out of `choices`, or a number within least .. most where choices is
 * NULL, or factors by layers (continual/layers.h). Its value is kept as canonical text: the name,
 * the number as slao_number_text has it. */
typedef struct {
    const char *key, *help, *default_value; /* the default is canonical */
    slao_option_part part;
    const char *const *choices; /* ends in NULL */
    double least, most;
    bool by_layers;
} slao_method_option;

typedef enum {
    SLAO_LINEAGE_SEQUENCE,
    SLAO_LINEAGE_STACK,
    SLAO_LINEAGE_ALONE,
    SLAO_LINEAGE_TOGETHER
} slao_lineage;

typedef enum {
    SLAO_MERGE_NEWEST, /* the merged adapter so far and the newest fine-tuned one; at task 1 the
                          fine-tuned one is the merged one */
    SLAO_MERGE_ALL     /* the fine-tuned adapters of tasks 1 to i, from i = 1 on */
} slao_merge_inputs;

typedef struct slao_tuning_rule slao_tuning_rule; /* continual/tuning.h */

typedef struct {
    const char *name, *help;
    slao_lineage lineage;
    const char *start; /* of tasks i >= 2 in a sequence or a stack: the rule's name, or in the form
                          "=init" the key of the option that names it */
    slao_factors frozen;            /* from task 2 on */
    const slao_tuning_rule *tuning; /* NULL: plain training */
    const char *merge;              /* NULL: nothing is merged */
    slao_merge_inputs inputs;
    const char *merges; /* with the rule "asymmetric": the factor it merges, "A", "B" or "both", or
                           "=merge", the option that names it; NULL: the rule's own option */
    bool uses_lambda;   /* does lambda(i) mean anything to it? */
    const slao_method_option *options; /* its own; ends in a row without a key; NULL: none */
} slao_method;

extern const slao_method slao_methods[]; /* ends in a row without a name */

enum { SLAO_MAX_METHOD_OPTIONS = 16 };

/* Option number k of the method, from 0; false past the last one. */
bool slao_method_option_at(const slao_method *method, int k, slao_method_option *option);

/* A method with its options set; values[k] belongs to option number k. */
typedef struct {
    const slao_method *method;
    const char *values[SLAO_MAX_METHOD_OPTIONS]; /* "" where slao_method_settle found that the
                                                    option means nothing */
} slao_method_choice;

/* The method called `name` (in any case) out of `methods` (slao_methods, or a table like it), every
 * option at its default. An unknown name is SLAO_BAD_INPUT with the nearest one; `path` says where
 * it stood ("spec.json: sweep.method"). */
slao_status slao_method_choose(slao_method_choice *choice, const slao_method *methods,
                               const char *name, const char *path);

/* Sets option `key` to `value` (a name, or a number as text), made canonical; text that has to be
 * made lies in `arena`. An unknown key or name, text that is no number, and a number out of bounds
 * are SLAO_BAD_INPUT. */
slao_status slao_method_set(slao_method_choice *choice, const char *key, const char *value,
                            slao_arena *arena, const char *path);

/* Empties the options that mean nothing under the values of the others, so that equal choices are
 * equal. Once all are set. */
void slao_method_settle(slao_method_choice *choice);

/* The number of option `key`, or -1. */
int slao_method_option_find(const slao_method *method, const char *key);

/* The value of option `key`; NULL if the method has none, or it means nothing. */
const char *slao_method_text(const slao_method_choice *choice, const char *key);
/* The same as a number. */
double slao_method_number(const slao_method_choice *choice, const char *key, double otherwise);

/* The initialisation rule of task i >= 2, also where an option names it. Not for
 * SLAO_LINEAGE_TOGETHER. */
const slao_start_rule *slao_method_start(const slao_method_choice *choice);

/* Does this option name the start, or the factors that are merged? */
bool slao_method_names_part(const slao_method *method, const char *key);

/* The factors that are merged, by layers (continual/layers.h); NULL if the method has none to name.
 */
const char *slao_method_merges(const slao_method_choice *choice);

/* The merge rule with the method's options, seed included. */
slao_status slao_method_merge_choice(const slao_method_choice *choice, uint64_t seed,
                                     slao_merge_choice *merge);

/* Each task by itself, nothing merged: only the diagonal of the scores means anything. */
bool slao_method_is_diagonal(const slao_method *method);

/* Only what is there after the last task means anything. */
bool slao_method_is_final(const slao_method *method);

#endif
