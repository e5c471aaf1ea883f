#include "sweep/lease.h"

#include "base/number.h"

#include <stdlib.h>

slao_status slao_lease_seconds(double *lease) {
    enum { DEFAULT = 40, LEAST = 2 };
    *lease = DEFAULT;
    const char *text = getenv("SLAO_LEASE_SECONDS");
    if (text && (!slao_number_parse(lease, text) || *lease < LEAST))
        return slao_fail(SLAO_BAD_INPUT,
                         "SLAO_LEASE_SECONDS is \"%s\", but must be a number of seconds from %d on",
                         text, LEAST);
    return SLAO_OK;
}
