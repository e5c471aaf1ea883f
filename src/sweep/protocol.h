/* What the coordinator (rank 0) and the workers (all ranks) say to each other: all of it. Where
 * ranks form groups (sweep/group.h), each group's first rank talks to the coordinator, and passes
 * on to the other members what it is told to do.
 *
 *   worker                                coordinator
 *     | ---- ask --------------------------> |   once, at the start
 *     | <--- run(step) --------------------- |   at once, or when a step becomes ready:
 *     | ---- done(step) or failed(step) ---> |   until then the worker waits, asleep
 *     | <--- run(step) ... or stop(status) - |
 *     |                                      |
 *     | ---- drain ------------------------> |   at any time: this rank was asked to stop
 *     | ---- beat(step, how far) ----------> |   every second: this rank lives
 *     | <--- pulse(halt) ------------------- |   every second: rank 0 lives; halt: stop what runs
 *                                                at the next place that it can go on from
 *
 * So a worker has at most one question open, and each report is a question for more. A step that
 * was stopped is reported as failed with SLAO_DRAINED. Beats and pulses are the signs of life
 * (sweep/life.h), sent and heard by a thread of their own on each rank. Messages are small fixed
 * structs; data travel through the store. Messages are numbers and text only, and ranks of one job
 * run one program on one kind of machine, so they are sent as bytes. Nobody ever waits for a rank
 * that may be dead.
 */
#ifndef SLAO_SWEEP_PROTOCOL_H
#define SLAO_SWEEP_PROTOCOL_H

#include "sweep/ranks.h"

/* Raised with every change of a message: another version's is refused by aborting. */
enum { SLAO_PROTOCOL_VERSION = 2, SLAO_PROTOCOL_TEXT = 2048 };

typedef enum {
    SLAO_TAG_ASK = 1,
    SLAO_TAG_DONE,
    SLAO_TAG_FAILED,
    SLAO_TAG_DRAIN,
    SLAO_TAG_BEAT,
    SLAO_TAG_RUN,
    SLAO_TAG_STOP,
    SLAO_TAG_PULSE
} slao_tag;

/* Who receives a message. */
typedef enum {
    SLAO_TO_COORDINATOR,
    SLAO_TO_WORKER,
    SLAO_TO_LIFE_OF_FIRST, /* rank 0's thread */
    SLAO_TO_LIFE           /* the other ranks' */
} slao_addressee;

typedef struct {
    int64_t version;
} slao_ask_message;

typedef struct {
    int64_t version, step, tokens;
    double seconds;
} slao_done_message;

typedef struct {
    int64_t version, step, status;
    double seconds;
    char text[SLAO_PROTOCOL_TEXT];
} slao_failed_message;

typedef struct {
    int64_t version;
} slao_drain_message;

typedef struct {
    int64_t version, step; /* -1: none runs */
    int64_t at, of;        /* units of its work done, and all of them; 0 of 0 where not known */
} slao_beat_message;

typedef struct {
    int64_t version, step;
} slao_run_message;

typedef struct {
    int64_t version, status;
    int64_t some_lost; /* ranks are lost: nothing is to be done together any more */
} slao_stop_message;

typedef struct {
    int64_t version, halt;
} slao_pulse_message;

typedef struct {
    slao_tag tag;
    int peer; /* rank: who sent it, or who is to get it */
    union {
        int64_t version; /* the first field of all */
        slao_ask_message ask;
        slao_done_message done;
        slao_failed_message failed;
        slao_drain_message drain;
        slao_beat_message beat;
        slao_run_message run;
        slao_stop_message stop;
        slao_pulse_message pulse;
    } body;
} slao_letter;

/* Starts to send a letter, which must stay as it is until *request has ended; sets its version. */
void slao_protocol_post(const slao_ranks *ranks, slao_letter *letter, MPI_Request *request);

/* The next letter to an addressee on this rank, if there is one; workers hear their superior. Never
 * waits. */
bool slao_protocol_receive(const slao_ranks *ranks, slao_addressee addressee, slao_letter *letter);

#endif
