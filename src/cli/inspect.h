/* What `slao inspect` tells of each kind of file, but models. */
#ifndef SLAO_CLI_INSPECT_H
#define SLAO_CLI_INSPECT_H

#include "base/status.h"

slao_status slao_inspect_adapter(const char *folder, bool json);
slao_status slao_inspect_results(const char *path, bool json);

#endif
