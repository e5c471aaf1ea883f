/* A lock in the shape of a file, so that it holds between hosts that share a file system.
 *
 * The file tells its holder (sweep/holder.h) and appears whole: it is written under another name
 * and linked to its own, which fails if there is one. Its modification time is the heartbeat: a
 * thread of the holder sets it anew every few seconds.
 *
 * A lock of this host whose process is gone was left by a kill and is taken over. Whether a process
 * elsewhere is gone only its heartbeat tells: who finds such a lock watches it, and takes it over
 * once it has not changed for a lease (sweep/lease.h) by the watcher's own clock, so that the
 * clocks of hosts need not agree. A holder that stood still for so long (suspended with its host)
 * and goes on finds that the lock is another's, and must stop.
 */
#ifndef SLAO_SWEEP_LOCK_H
#define SLAO_SWEEP_LOCK_H

#include "sweep/holder.h"

typedef struct slao_lock slao_lock;

/* SLAO_BAD_INPUT if another process holds it. Watching and taking over are told by notes. */
slao_status slao_lock_take(slao_lock **lock, const char *path);

/* SLAO_BROKEN if the lock was taken over or removed. */
slao_status slao_lock_check(const slao_lock *lock);

/* Removes the file, unless it is another's. NULL is allowed. */
slao_status slao_lock_release(slao_lock *lock);

/* For who only looks. `alive` of a holder elsewhere is told by how long ago it gave a sign of life,
 * by the clocks of both hosts. */
typedef struct {
    bool held, alive;
    slao_holder holder;
    double silence; /* seconds since its last sign of life */
} slao_lock_state;
slao_status slao_lock_look(slao_lock_state *state, const char *path);

#endif
