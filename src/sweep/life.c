#include "sweep/life.h"

#include "base/log.h"
#include "base/memory.h"
#include "sweep/drain.h"
#include "sweep/lease.h"
#include "sweep/protocol.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Rank 0 of another one. */
typedef struct {
    double heard;
    int64_t step, at, of;
    slao_letter pulse;
    MPI_Request sending;
} other;

struct slao_life {
    slao_ranks *ranks;
    double lease;
    pthread_t thread;
    pthread_mutex_t mutex; /* over what this rank does, and `others` */
    int64_t step, at, of;
    other *others; /* rank 0 */
    atomic_bool over, in_crew, halt;
};

static void sleep_shortly(void) {
    struct timespec time = {0, 50 * 1000 * 1000};
    nanosleep(&time, NULL);
}

/* ---- Rank 0 ---- */

static void hear_beats(slao_life *life, double now) {
    slao_letter letter;
    while (slao_protocol_receive(life->ranks, SLAO_TO_LIFE_OF_FIRST, &letter)) {
        other *from = &life->others[letter.peer];
        pthread_mutex_lock(&life->mutex);
        from->heard = now;
        from->step = letter.body.beat.step;
        from->at = letter.body.beat.at;
        from->of = letter.body.beat.of;
        pthread_mutex_unlock(&life->mutex);
    }
}

/* One that the last pulse has not reached gets no further one meanwhile. */
static void send_pulses(slao_life *life) {
    for (int rank = 1; rank < life->ranks->size; rank++) {
        other *to = &life->others[rank];
        int sent;
        SLAO_MPI(MPI_Test(&to->sending, &sent, MPI_STATUS_IGNORE));
        if (!sent)
            continue;
        to->pulse =
            (slao_letter){.tag = SLAO_TAG_PULSE, .peer = rank, .body.pulse = {.halt = life->halt}};
        slao_protocol_post(life->ranks, &to->pulse, &to->sending);
    }
}

/* Nobody looks after lost ranks, and all wait for one another. */
static void end_if_some_is_lost(slao_life *life, double now) {
    for (int rank = 1; rank < life->ranks->size; rank++) {
        if (now - life->others[rank].heard <= life->lease)
            continue;
        slao_warn("rank %d has not been heard of for %.0f s: the job ends; the same command goes "
                  "on",
                  rank, life->lease);
        slao_ranks_give_up(SLAO_BROKEN);
    }
}

static void forgive_all(slao_life *life, double now) {
    pthread_mutex_lock(&life->mutex);
    for (int rank = 1; rank < life->ranks->size; rank++)
        life->others[rank].heard = now;
    pthread_mutex_unlock(&life->mutex);
}

static void *live_first(void *argument) {
    slao_life *life = argument;
    double looked = slao_seconds(), sent = 0;
    bool told_halt = false;
    while (!life->over) {
        double now = slao_seconds();
        if (now - looked > life->lease / 4) /* it was this process that stood still */
            forgive_all(life, now);
        looked = now;
        hear_beats(life, now);
        if (now - sent >= 1 || told_halt != life->halt) {
            told_halt = life->halt;
            send_pulses(life);
            sent = now;
        }
        if (!life->in_crew && !life->ranks->some_lost)
            end_if_some_is_lost(life, now);
        sleep_shortly();
    }
    return NULL;
}

/* ---- The others ---- */

/* Rank 0 is lost. The running step gets some time to leave what it can go on from. */
static _Noreturn void leave(slao_life *life) {
    enum { SECONDS_TO_STOP = 10 };
    slao_warn("rank %d on %s has not heard of rank 0 for %.0f s and leaves: the same command "
              "goes on",
              life->ranks->rank, life->ranks->host, life->lease);
    slao_drain_request();
    double end = slao_seconds() + SECONDS_TO_STOP;
    for (int64_t step = 0; step >= 0 && slao_seconds() < end;) {
        sleep_shortly();
        pthread_mutex_lock(&life->mutex);
        step = life->step;
        pthread_mutex_unlock(&life->mutex);
    }
    _exit(SLAO_BROKEN); /* MPI cannot be ended without rank 0 */
}

static void send_beat(slao_life *life, slao_letter *beat, MPI_Request *sending) {
    int sent;
    SLAO_MPI(MPI_Test(sending, &sent, MPI_STATUS_IGNORE));
    if (!sent)
        return;
    pthread_mutex_lock(&life->mutex);
    beat->body.beat = (slao_beat_message){.step = life->step, .at = life->at, .of = life->of};
    pthread_mutex_unlock(&life->mutex);
    slao_protocol_post(life->ranks, beat, sending);
}

static void *live(void *argument) {
    slao_life *life = argument;
    slao_letter letter, mine = {.tag = SLAO_TAG_BEAT};
    MPI_Request sending = MPI_REQUEST_NULL;
    double heard = slao_seconds(), looked = heard, sent = 0;
    while (!life->over) {
        double now = slao_seconds();
        if (now - looked > life->lease / 4)
            heard = now;
        looked = now;
        while (slao_protocol_receive(life->ranks, SLAO_TO_LIFE, &letter)) {
            heard = now;
            if (letter.body.pulse.halt)
                slao_drain_request();
        }
        if (now - heard > life->lease)
            leave(life);
        if (now - sent >= 1) {
            send_beat(life, &mine, &sending);
            sent = now;
        }
        sleep_shortly();
    }
    if (!life->ranks->some_lost)
        slao_ranks_wait(&sending);
    return NULL;
}

/* ---- For the others here ---- */

void slao_life_tell(slao_life *life, int64_t step, int64_t at, int64_t of) {
    pthread_mutex_lock(&life->mutex);
    life->step = step;
    life->at = at;
    life->of = of;
    pthread_mutex_unlock(&life->mutex);
}

slao_sign slao_life_sign(slao_life *life, int rank) {
    pthread_mutex_lock(&life->mutex);
    slao_sign sign = {0, life->step, life->at, life->of};
    if (rank > 0) {
        const other *of = &life->others[rank];
        sign = (slao_sign){slao_seconds() - of->heard, of->step, of->at, of->of};
    }
    pthread_mutex_unlock(&life->mutex);
    return sign;
}

double slao_life_lease(const slao_life *life) {
    return life->lease;
}

void slao_life_enter_crew(slao_life *life) {
    life->in_crew = true;
}

void slao_life_leave_crew(slao_life *life) {
    life->in_crew = false;
}

void slao_life_halt(slao_life *life) {
    life->halt = true;
    slao_drain_request();
}

slao_status slao_life_start(slao_life **life, slao_ranks *ranks) {
    double lease;
    *life = NULL;
    SLAO_TRY(slao_lease_seconds(&lease));
    SLAO_TRY(slao_allocate(life, 1, sizeof **life));
    slao_life *made = *life;
    made->ranks = ranks;
    made->lease = lease;
    made->step = -1;
    slao_status status = slao_allocate(&made->others, (size_t)ranks->size, sizeof *made->others);
    if (status == SLAO_OK) {
        for (int rank = 0; rank < ranks->size; rank++) {
            made->others[rank].heard = slao_seconds();
            made->others[rank].step = -1;
            made->others[rank].sending = MPI_REQUEST_NULL;
        }
        SLAO_INVARIANT(pthread_mutex_init(&made->mutex, NULL) == 0);
        int error = pthread_create(&made->thread, NULL, ranks->rank == 0 ? live_first : live, made);
        if (error == 0)
            return SLAO_OK;
        pthread_mutex_destroy(&made->mutex);
        status = slao_fail(SLAO_NO_RESOURCE, "cannot start a thread: %s", strerror(error));
    }
    free(made->others);
    free(made);
    *life = NULL;
    return status;
}

void slao_life_stop(slao_life *life) {
    if (!life)
        return;
    life->over = true;
    SLAO_INVARIANT(pthread_join(life->thread, NULL) == 0);
    if (!life->ranks->some_lost) { /* else some pulses never end */
        for (int rank = 1; life->ranks->rank == 0 && rank < life->ranks->size; rank++)
            slao_ranks_wait(&life->others[rank].sending);
        free(life->others);
    }
    pthread_mutex_destroy(&life->mutex);
    free(life);
}
