/* What a sweep would run, printed: for `slao plan` and `slao sweep --dry-run`. */
#ifndef SLAO_CLI_PLAN_H
#define SLAO_CLI_PLAN_H

#include "cli/options.h"

/* `settings` are the arguments of --set; `ranks` is whom the speed-up is told for. */
slao_status slao_print_plan(const char *spec, const slao_option_list *settings, int64_t ranks,
                            bool json);

#endif
