/* Savepoints: a training under way, in a file of the store, so that it goes on from there, bit for
 * bit, after a kill or a drain.
 *
 *   STORE/checkpoints/KEY
 *     a line of JSON   key, n_values, n_norms, extra (0 or 1), steps, total_steps, tokens,
 *                      seconds, machine
 *     float32          the adapter's values, then both moments of the optimiser
 *     float64          the losses of `steps` optimiser steps, and the extra ones if there are;
 *                      n_norms sums of gradient norms by site, and those of A and of B over all
 *                      sites
 *     32 hex digits    the hash of all before it
 *
 * Numbers are in the byte order of the machine (a step of another order has another hash). The file
 * appears whole and is removed once the step's record is there.
 */
#ifndef SLAO_SWEEP_SAVEPOINT_H
#define SLAO_SWEEP_SAVEPOINT_H

#include "learn/trainer.h"
#include "sweep/store.h"

/* `seconds` that the training took so far; `machine` names what its bits may depend on. */
slao_status slao_savepoint_write(const slao_store *store, slao_hash key,
                                 const slao_training_state *state, double seconds,
                                 const char *machine);

/* Puts the step's savepoint, if it has one, into *state (which must be of its size) and sets *found
 * and *seconds. One that is damaged or of another size is told of, removed and not used; that it
 * was made on another machine than `machine` is told of. */
slao_status slao_savepoint_read(const slao_store *store, slao_hash key, slao_training_state *state,
                                const char *machine, bool *found, double *seconds);

/* One that is not there is fine. */
slao_status slao_savepoint_remove(const slao_store *store, slao_hash key);

#endif
