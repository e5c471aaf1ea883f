/* The holder of a lock: which process of which host it is, in a file that others read.
 *
 *   {"host", "namespace", "pid", "process_start", "started"}
 *
 * A pid means something on one host, and there in one namespace of pids (a container has its own);
 * process_start tells a process from a later one that was given the same pid.
 */
#ifndef SLAO_SWEEP_HOLDER_H
#define SLAO_SWEEP_HOLDER_H

#include "base/json.h"

enum { SLAO_HOLDER_TEXT = 256 };

typedef struct {
    char host[SLAO_HOLDER_TEXT], namespace[SLAO_HOLDER_TEXT]; /* namespace: "" if there is none */
    char started[SLAO_HOLDER_TEXT];                           /* ISO 8601, UTC */
    int64_t pid, process_start;
} slao_holder;

typedef enum {
    SLAO_HOLDER_HERE,     /* it runs on this host */
    SLAO_HOLDER_GONE,     /* it ran on this host, and has ended */
    SLAO_HOLDER_ELSEWHERE /* whether it runs cannot be told from here */
} slao_holder_fate;

/* Writes this process to `path`, which appears whole. */
slao_status slao_holder_write(const char *path);

/* What cannot be read is SLAO_BAD_INPUT. */
slao_status slao_holder_read(slao_holder *holder, const char *path);

slao_status slao_holder_look(const slao_holder *holder, slao_holder_fate *fate);

#endif
