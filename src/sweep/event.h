/* What happens in a run, as the coordinator tells it: to the journal, the progress, the log of
 * failures. Events come from the coordinator's thread on rank 0, one at a time. */
#ifndef SLAO_SWEEP_EVENT_H
#define SLAO_SWEEP_EVENT_H

#include "sweep/queue.h"

typedef enum {
    SLAO_EVENT_STARTED,  /* a step was handed to a rank */
    SLAO_EVENT_DONE,     /* its results are in the store */
    SLAO_EVENT_FAILED,   /* what depends on it is skipped */
    SLAO_EVENT_RETURNED, /* a running step is ready again; status and message tell why */
    SLAO_EVENT_STOPPING, /* nothing more is handed out; status and message tell why */
    SLAO_EVENT_TICK      /* a second has passed */
} slao_event_kind;

typedef struct {
    slao_event_kind kind;
    int64_t step;             /* -1 where it is about none */
    int rank;                 /* which ran it */
    double seconds;           /* done, failed: it took */
    int64_t tokens;           /* done: it trained on, or evaluated */
    slao_status status;       /* failed, returned, stopping */
    const char *message;      /* failed, returned, stopping; until the listener returns */
    double elapsed;           /* seconds since the run began */
    slao_queue_counts counts; /* after the event */
} slao_event;

/* A listener that fails ends the run: running steps finish, and its status is the run's. So one
 * that cannot write the journal returns SLAO_NO_RESOURCE, and one that has seen enough failures
 * SLAO_FAILED. */
typedef struct {
    void *context;
    slao_status (*hear)(void *context, const slao_event *event);
} slao_listener;

#endif
