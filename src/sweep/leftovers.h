/* What killed runs leave behind in a store and beside its results file: temporary files
 * (slao_temporary_name), and savepoints of steps whose record is there. */
#ifndef SLAO_SWEEP_LEFTOVERS_H
#define SLAO_SWEEP_LEFTOVERS_H

#include "sweep/store.h"

/* Removes them, for who holds the store's lock, and tells how many there were. Only what is surely
 * of no use: a temporary file of a process that is gone from this host, or of another host and an
 * hour old. A file that cannot be removed stays. */
slao_status slao_leftovers_remove(const slao_store *store, const char *output);

#endif
