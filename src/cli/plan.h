/* What a sweep would run, printed: for `slao plan` and `slao sweep --dry-run`. */
#ifndef SLAO_CLI_PLAN_H
#define SLAO_CLI_PLAN_H

#include "sweep/run.h"

/* Of what is asked for by `choices`; `ranks` would run it, 0 standing for as few as it needs. */
slao_status slao_print_plan(const slao_sweep_choices *choices, int64_t ranks, bool json);

#endif
