/* What the coordinator (rank 0) and the workers (all ranks) say to each other: all of it. Where
 * ranks form groups (sweep/group.h), each group's first rank talks to the coordinator, and passes
 * on to the other members what it is told to do.
 *
 *   worker                                coordinator
 *     | ---- ask --------------------------> |   once, at the start
 *     | <--- run(step) --------------------- |   at once, or when a step becomes ready:
 *     | ---- done(step) or failed(step) ---> |   until then the worker waits, asleep
 *     | <--- run(step) ... or stop(status) - |
 *     | ---- drain ------------------------> |   at any time: this rank was asked to stop
 *
 * So a worker has at most one question open, and each report is a question for more. Messages are
 * small fixed structs; data travel through the store. Messages are numbers and text only, and ranks
 * of one job run one program on one kind of machine, so they are sent as bytes.
 */
#ifndef SLAO_SWEEP_PROTOCOL_H
#define SLAO_SWEEP_PROTOCOL_H

#include "sweep/ranks.h"

/* Raised with every change of a message: another version's is refused by aborting. */
enum { SLAO_PROTOCOL_VERSION = 1, SLAO_PROTOCOL_TEXT = 2048 };

typedef enum {
    SLAO_TAG_ASK = 1,
    SLAO_TAG_DONE,
    SLAO_TAG_FAILED,
    SLAO_TAG_DRAIN,
    SLAO_TAG_RUN,
    SLAO_TAG_STOP
} slao_tag;

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
    int64_t version, step;
} slao_run_message;

typedef struct {
    int64_t version, status;
} slao_stop_message;

typedef struct {
    slao_tag tag;
    int peer; /* rank: who sent it, or who is to get it */
    union {
        int64_t version; /* the first field of all */
        slao_ask_message ask;
        slao_done_message done;
        slao_failed_message failed;
        slao_drain_message drain;
        slao_run_message run;
        slao_stop_message stop;
    } body;
} slao_letter;

/* Starts to send a letter, which must stay as it is until *request has ended; sets its version. */
void slao_protocol_post(const slao_ranks *ranks, slao_letter *letter, MPI_Request *request);

/* The next letter to the coordinator (from any rank), or to a worker (from its superior), if
 * there is one. Never waits. */
bool slao_protocol_receive(const slao_ranks *ranks, bool as_coordinator, slao_letter *letter);

#endif
