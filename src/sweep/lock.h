/* A lock in the shape of a file, so that it holds between hosts that share a file system.
 *
 * The file holds {"host", "pid", "process_start", "started"} and appears whole: it is written under
 * another name and linked to its own, which fails if there is one. A lock of this host whose
 * process is gone (no such pid, or the pid now is of a process that started at another time) was
 * left by a kill and is taken over. Whether a process of another host is gone cannot be told from
 * here: its lock is refused, and the message says which file to delete.
 */
#ifndef SLAO_SWEEP_LOCK_H
#define SLAO_SWEEP_LOCK_H

#include "base/status.h"

#include <sys/stat.h>

typedef struct {
    char *path; /* NULL: not held */
    dev_t device;
    ino_t inode; /* of our lock file: another's is never removed */
} slao_lock;

/* SLAO_BAD_INPUT if another process holds it. Taking over is told by a note. */
slao_status slao_lock_take(slao_lock *lock, const char *path);

/* Removes the file. A lock that is not held is allowed. */
slao_status slao_lock_release(slao_lock *lock);

#endif
