/* Settings of a rule or a method, by table: the same rows give the help, the check and the default.
 *
 * A setting is a name out of `choices`, or a number within least .. most where choices is NULL. Its
 * value is kept as canonical text: the name, or the number as slao_number_text has it, so that
 * equal values are equal texts.
 */
#ifndef SLAO_BASE_SETTING_H
#define SLAO_BASE_SETTING_H

#include "base/memory.h"

typedef struct {
    const char *key, *help, *default_value; /* the default is canonical */
    const char *const *choices;             /* ends in NULL */
    double least, most;
} slao_setting;

/* The place of `key` in `settings`, which end in a row without a key, or -1. */
int slao_setting_find(const slao_setting *settings, const char *key);

/* *canonical becomes `value` made canonical; text that has to be made lies in `arena`. A name that
 * is none of the choices, text that is no number and a number out of bounds are SLAO_BAD_INPUT;
 * `path` says where the value stood ("--option", "spec.json: sweep.method"). */
slao_status slao_setting_read(const char **canonical, const slao_setting *setting,
                              const char *value, slao_arena *arena, const char *path);

/* A canonical value as the number that it is, or as the place of its name in the choices. */
double slao_setting_number(const char *canonical);
int slao_setting_choice(const slao_setting *setting, const char *canonical);

#endif
