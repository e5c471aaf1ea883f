#include "sweep/protocol.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const char *name;
    size_t size;
    slao_tag tag;
    slao_addressee addressee;
} message_row;

static const message_row rows[] = {
    {"ask", sizeof(slao_ask_message), SLAO_TAG_ASK, SLAO_TO_COORDINATOR},
    {"done", sizeof(slao_done_message), SLAO_TAG_DONE, SLAO_TO_COORDINATOR},
    {"failed", sizeof(slao_failed_message), SLAO_TAG_FAILED, SLAO_TO_COORDINATOR},
    {"drain", sizeof(slao_drain_message), SLAO_TAG_DRAIN, SLAO_TO_COORDINATOR},
    {"beat", sizeof(slao_beat_message), SLAO_TAG_BEAT, SLAO_TO_LIFE_OF_FIRST},
    {"run", sizeof(slao_run_message), SLAO_TAG_RUN, SLAO_TO_WORKER},
    {"stop", sizeof(slao_stop_message), SLAO_TAG_STOP, SLAO_TO_WORKER},
    {"pulse", sizeof(slao_pulse_message), SLAO_TAG_PULSE, SLAO_TO_LIFE},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static const message_row *row_of(slao_tag tag) {
    for (int i = 0; i < N_ROWS; i++) {
        if (rows[i].tag == tag)
            return &rows[i];
    }
    abort(); /* a tag is always one of the table's */
}

void slao_protocol_post(const slao_ranks *ranks, slao_letter *letter, MPI_Request *request) {
    letter->body.version = SLAO_PROTOCOL_VERSION;
    SLAO_MPI(MPI_Isend(&letter->body, (int)row_of(letter->tag)->size, MPI_BYTE, letter->peer,
                       (int)letter->tag, ranks->protocol, request));
}

static bool receive(const slao_ranks *ranks, const message_row *row, int source,
                    slao_letter *letter) {
    int there, size;
    MPI_Message message;
    MPI_Status status;
    SLAO_MPI(MPI_Improbe(source, (int)row->tag, ranks->protocol, &there, &message, &status));
    if (!there)
        return false;
    SLAO_MPI(MPI_Get_count(&status, MPI_BYTE, &size));
    if (size == (int)row->size) {
        letter->tag = row->tag;
        letter->peer = status.MPI_SOURCE;
        SLAO_MPI(MPI_Mrecv(&letter->body, size, MPI_BYTE, &message, MPI_STATUS_IGNORE));
    }
    if (size != (int)row->size || letter->body.version != SLAO_PROTOCOL_VERSION) {
        fprintf(stderr,
                "slao: rank %d sent a message \"%s\" of another version of slao: all hosts "
                "must run the same one\n",
                status.MPI_SOURCE, row->name);
        MPI_Abort(MPI_COMM_WORLD, SLAO_BROKEN);
    }
    return true;
}

bool slao_protocol_receive(const slao_ranks *ranks, slao_addressee addressee, slao_letter *letter) {
    bool from_any = addressee == SLAO_TO_COORDINATOR || addressee == SLAO_TO_LIFE_OF_FIRST;
    for (int i = 0; i < N_ROWS; i++) {
        if (rows[i].addressee != addressee)
            continue;
        int source = from_any ? MPI_ANY_SOURCE : addressee == SLAO_TO_WORKER ? ranks->superior : 0;
        if (receive(ranks, &rows[i], source, letter))
            return true;
    }
    return false;
}
