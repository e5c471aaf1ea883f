#include "sweep/coordinator.h"

#include "base/log.h"
#include "base/memory.h"
#include "sweep/drain.h"
#include "sweep/protocol.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool idle;    /* asked, and has no answer yet */
    int64_t step; /* which it runs, or ran last; -1 at the start */
    slao_letter answer;
    MPI_Request sending; /* of answer */
} worker_state;

struct slao_coordinator {
    const slao_ranks *ranks;
    slao_queue *queue;
    slao_listener listener;
    worker_state *workers; /* by rank; those that lead no group never ask */
    int n_groups, n_idle;
    double begin, last_tick;
    bool drain;         /* some rank was asked to */
    slao_status status; /* other than SLAO_OK: nothing more is handed out */
    char message[SLAO_PROTOCOL_TEXT];
    pthread_t thread;
};

static void tell(slao_coordinator *coordinator, slao_event event);

/* The first reason to stop counts, but a request to drain gives way to anything. */
static void stop(slao_coordinator *coordinator, slao_status status, const char *message) {
    if (coordinator->status != SLAO_OK &&
        (coordinator->status != SLAO_DRAINED || status == SLAO_DRAINED))
        return;
    coordinator->status = status;
    snprintf(coordinator->message, sizeof coordinator->message, "%s", message);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_STOPPING,
                                   .step = -1,
                                   .status = status,
                                   .message = coordinator->message});
}

static void tell(slao_coordinator *coordinator, slao_event event) {
    event.elapsed = slao_seconds() - coordinator->begin;
    event.counts = slao_queue_count(coordinator->queue);
    slao_status status = coordinator->listener.hear(coordinator->listener.context, &event);
    if (status != SLAO_OK)
        stop(coordinator, status, slao_message());
}

static void answer(slao_coordinator *coordinator, int rank) {
    worker_state *worker = &coordinator->workers[rank];
    worker->answer.peer = rank;
    slao_protocol_post(coordinator->ranks, &worker->answer, &worker->sending);
}

static void hand_out(slao_coordinator *coordinator, int rank, int64_t step) {
    worker_state *worker = &coordinator->workers[rank];
    worker->step = step;
    worker->answer.tag = SLAO_TAG_RUN;
    worker->answer.body.run.step = step;
    worker->idle = false;
    coordinator->n_idle--;
    answer(coordinator, rank);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_STARTED, .step = step, .rank = rank});
}

/* First to those that have an adapter for a step, then to anyone. */
static void hand_out_all(slao_coordinator *coordinator) {
    for (int pass = 0; pass < 2; pass++) {
        for (int rank = 0; rank < coordinator->ranks->size; rank++) {
            if (coordinator->status != SLAO_OK || coordinator->n_idle == 0)
                return;
            const worker_state *worker = &coordinator->workers[rank];
            if (!worker->idle)
                continue;
            int64_t step = pass == 0 ? slao_queue_next_near(coordinator->queue, worker->step)
                                     : slao_queue_next(coordinator->queue);
            if (step >= 0)
                hand_out(coordinator, rank, step);
            else if (pass == 1)
                return;
        }
    }
}

static void hear_done(slao_coordinator *coordinator, int rank, const slao_done_message *done) {
    slao_queue_done(coordinator->queue, done->step);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_DONE,
                                   .step = done->step,
                                   .rank = rank,
                                   .seconds = done->seconds,
                                   .tokens = done->tokens});
}

static void hear_failed(slao_coordinator *coordinator, int rank,
                        const slao_failed_message *failed) {
    slao_queue_failed(coordinator->queue, failed->step);
    slao_status status = (slao_status)failed->status;
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_FAILED,
                                   .step = failed->step,
                                   .rank = rank,
                                   .seconds = failed->seconds,
                                   .status = status,
                                   .message = failed->text});
    if (status == SLAO_NO_RESOURCE)
        stop(coordinator, status, failed->text);
}

static void hear(slao_coordinator *coordinator, const slao_letter *letter) {
    if (letter->tag == SLAO_TAG_DRAIN) {
        coordinator->drain = true;
        return;
    }
    worker_state *worker = &coordinator->workers[letter->peer];
    SLAO_INVARIANT(!worker->idle);
    slao_ranks_wait(&worker->sending); /* over long ago, for this answers it */
    worker->idle = true;
    coordinator->n_idle++;
    if (letter->tag == SLAO_TAG_DONE)
        hear_done(coordinator, letter->peer, &letter->body.done);
    else if (letter->tag == SLAO_TAG_FAILED)
        hear_failed(coordinator, letter->peer, &letter->body.failed);
}

static bool is_over(const slao_coordinator *coordinator) {
    return coordinator->n_idle == coordinator->n_groups &&
           (coordinator->status != SLAO_OK || slao_queue_count(coordinator->queue).ready == 0);
}

/* What the run comes to. */
static void conclude(slao_coordinator *coordinator) {
    slao_queue_counts counts = slao_queue_count(coordinator->queue);
    int64_t left = counts.ready + counts.waiting;
    if (coordinator->status == SLAO_DRAINED && left == 0)
        coordinator->status = SLAO_OK; /* the request came as everything was done */
    if (coordinator->status == SLAO_DRAINED) {
        snprintf(coordinator->message, sizeof coordinator->message,
                 "stopped on request with %lld of %lld steps done: the same command goes on",
                 (long long)counts.done, (long long)counts.steps);
    } else if (coordinator->status == SLAO_OK && counts.failed > 0) {
        coordinator->status = SLAO_FAILED;
        snprintf(coordinator->message, sizeof coordinator->message,
                 "%lld of %lld steps failed, and %lld that depend on them were not run",
                 (long long)counts.failed, (long long)counts.steps, (long long)counts.skipped);
    }
}

/* The first rank of a group stops its other members. Ranks of no group have waited for this. */
static void stop_workers(slao_coordinator *coordinator) {
    int group_size = coordinator->ranks->group_size, size = coordinator->ranks->size;
    for (int rank = 0; rank < size; rank++) {
        worker_state *worker = &coordinator->workers[rank];
        if (rank < coordinator->n_groups * group_size && rank % group_size != 0)
            continue;
        worker->answer.tag = SLAO_TAG_STOP;
        worker->answer.body.stop.status = coordinator->status;
        answer(coordinator, rank);
    }
    for (int rank = 0; rank < size; rank++)
        slao_ranks_wait(&coordinator->workers[rank].sending);
}

static void *coordinate(void *argument) {
    slao_coordinator *coordinator = argument;
    slao_letter letter;
    slao_nap nap = {0};
    while (!is_over(coordinator)) {
        while (slao_protocol_receive(coordinator->ranks, true, &letter)) {
            hear(coordinator, &letter);
            nap = (slao_nap){0};
        }
        if (slao_drain_requested() || coordinator->drain)
            stop(coordinator, SLAO_DRAINED, "asked to stop");
        hand_out_all(coordinator);
        if (slao_seconds() - coordinator->last_tick >= 1) {
            coordinator->last_tick = slao_seconds();
            tell(coordinator, (slao_event){.kind = SLAO_EVENT_TICK, .step = -1});
        }
        slao_take_nap(&nap);
    }
    conclude(coordinator);
    stop_workers(coordinator);
    return NULL;
}

static void coordinator_free(slao_coordinator *coordinator) {
    slao_queue_free(coordinator->queue);
    free(coordinator->workers);
    free(coordinator);
}

slao_status slao_coordinator_start(slao_coordinator **coordinator, const slao_ranks *ranks,
                                   const slao_graph_step *steps, int64_t n_steps,
                                   slao_listener listener) {
    SLAO_TRY(slao_allocate(coordinator, 1, sizeof **coordinator));
    slao_coordinator *made = *coordinator;
    made->ranks = ranks;
    made->n_groups = ranks->size / ranks->group_size;
    made->listener = listener;
    made->begin = made->last_tick = slao_seconds();
    slao_status status;
    SLAO_TRY_GOTO(status, slao_queue_new(&made->queue, steps, n_steps), fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->workers, (size_t)ranks->size, sizeof *made->workers),
                  fail);
    for (int rank = 0; rank < ranks->size; rank++) {
        made->workers[rank].step = -1;
        made->workers[rank].sending = MPI_REQUEST_NULL;
    }
    int error = pthread_create(&made->thread, NULL, coordinate, made);
    if (error == 0)
        return SLAO_OK;
    status =
        slao_fail(SLAO_NO_RESOURCE, "cannot start the coordinator's thread: %s", strerror(error));
fail:
    coordinator_free(made);
    *coordinator = NULL;
    return status;
}

slao_status slao_coordinator_finish(slao_coordinator *coordinator) {
    SLAO_INVARIANT(pthread_join(coordinator->thread, NULL) == 0);
    slao_status status = coordinator->status;
    if (status != SLAO_OK)
        slao_fail(status, "%s", coordinator->message);
    coordinator_free(coordinator);
    return status;
}
