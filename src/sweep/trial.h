/* The trials of a sweep: its axes crossed, combinations that are the same trial merged. */
#ifndef SLAO_SWEEP_TRIAL_H
#define SLAO_SWEEP_TRIAL_H

#include "sweep/axis.h"

/* Sets orders, skipped tasks, extra columns and trials of `spec`, whose settings of benchmark and
 * score must be set, out of `fields` (read and checked). `where` stands before paths in messages.
 */
slao_status slao_trials_build(slao_spec *spec, const slao_fields *fields,
                              const slao_method *methods, const char *where);

#endif
