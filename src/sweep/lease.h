/* The lease: after so long a silence a rank (sweep/life.h), or the holder of a store's lock that
 * runs elsewhere (sweep/lock.h), counts as gone. 40 s, or what SLAO_LEASE_SECONDS says in the
 * environment. */
#ifndef SLAO_SWEEP_LEASE_H
#define SLAO_SWEEP_LEASE_H

#include "base/status.h"

/* SLAO_BAD_INPUT if the variable holds no number of seconds from 2 on. */
slao_status slao_lease_seconds(double *lease);

#endif
