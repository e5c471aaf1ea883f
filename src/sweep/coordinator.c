#include "sweep/coordinator.h"

#include "base/log.h"
#include "base/memory.h"
#include "sweep/drain.h"
#include "sweep/life.h"
#include "sweep/protocol.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step under which so many ranks were lost is to blame. */
enum { MOST_LOSSES = 3 };

typedef struct {
    bool idle;     /* asked, and has no answer yet */
    bool lost;     /* silent for a lease */
    int64_t step;  /* which it runs, or ran last; -1 at the start */
    int64_t holds; /* which it runs; -1: none, as far as is known here */
    slao_letter answer;
    MPI_Request sending; /* of answer */
} worker_state;

typedef struct {
    int64_t failures, losses;
} step_history;

struct slao_coordinator {
    const slao_ranks *ranks;
    slao_queue *queue;
    slao_listener listener;
    slao_crew_limits limits;
    const slao_graph_step *steps; /* outlive the coordinator */
    step_history *histories;
    worker_state *workers; /* by rank; those that lead no group never ask */
    int n_groups, n_idle, n_lost;
    double begin, last_tick;
    double seconds_done, cost_done; /* of the steps done in this run: their speed */
    bool too_late;                  /* the next step would not end before the deadline */
    bool some_lost;                 /* at the end */
    bool drain;                     /* some rank was asked to */
    slao_status status;             /* other than SLAO_OK: nothing more is handed out */
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
    if (status == SLAO_DRAINED || status == SLAO_BROKEN)
        slao_life_halt(coordinator->ranks->life);
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
    worker->step = worker->holds = step;
    worker->answer.tag = SLAO_TAG_RUN;
    worker->answer.body.run.step = step;
    worker->idle = false;
    coordinator->n_idle--;
    answer(coordinator, rank);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_STARTED, .step = step, .rank = rank});
}

/* Would the step end before the deadline, by the speed so far? */
static bool fits(const slao_coordinator *coordinator, int64_t step) {
    static const double MARGIN = 1.5; /* speeds differ */
    const slao_graph_step *of = &coordinator->steps[step];
    if (!(coordinator->limits.deadline > 0) || of->resumable || !(coordinator->cost_done > 0))
        return true;
    double seconds = of->cost * coordinator->seconds_done / coordinator->cost_done;
    return slao_seconds() + MARGIN * seconds < coordinator->limits.deadline;
}

/* First to those that have an adapter for a step, then to anyone. */
static void hand_out_all(slao_coordinator *coordinator) {
    coordinator->too_late = false;
    for (int pass = 0; pass < 2; pass++) {
        for (int rank = 0; rank < coordinator->ranks->size; rank++) {
            if (coordinator->status != SLAO_OK || coordinator->n_idle == 0)
                return;
            const worker_state *worker = &coordinator->workers[rank];
            if (!worker->idle)
                continue;
            int64_t step = pass == 0 ? slao_queue_next_near(coordinator->queue, worker->step)
                                     : slao_queue_next(coordinator->queue);
            if (step >= 0 && !fits(coordinator, step)) {
                slao_queue_return(coordinator->queue, step);
                coordinator->too_late = true;
                return;
            }
            if (step >= 0)
                hand_out(coordinator, rank, step);
            else if (pass == 1)
                return;
        }
    }
}

static void hear_done(slao_coordinator *coordinator, int rank, const slao_done_message *done) {
    coordinator->seconds_done += done->seconds;
    coordinator->cost_done += coordinator->steps[done->step].cost;
    slao_queue_done(coordinator->queue, done->step);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_DONE,
                                   .step = done->step,
                                   .rank = rank,
                                   .seconds = done->seconds,
                                   .tokens = done->tokens});
}

/* Stopped, to be tried again, or failed for good. */
static void hear_failed(slao_coordinator *coordinator, int rank,
                        const slao_failed_message *failed) {
    slao_status status = (slao_status)failed->status;
    slao_event event = {.kind = SLAO_EVENT_FAILED,
                        .step = failed->step,
                        .rank = rank,
                        .seconds = failed->seconds,
                        .status = status,
                        .message = failed->text};
    bool again = status == SLAO_DRAINED ||
                 (status != SLAO_NO_RESOURCE && coordinator->histories[failed->step].failures++ <
                                                    coordinator->limits.max_retries);
    if (again) {
        event.kind = SLAO_EVENT_RETURNED;
        slao_queue_return(coordinator->queue, failed->step);
    } else {
        slao_queue_failed(coordinator->queue, failed->step);
    }
    tell(coordinator, event);
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
    if (worker->lost) {
        slao_note("rank %d is there again", letter->peer);
        worker->lost = false;
        coordinator->n_lost--;
    }
    slao_ranks_wait(&worker->sending); /* over long ago, for this answers it */
    int64_t held = worker->holds;
    worker->holds = -1;
    worker->idle = true;
    coordinator->n_idle++;
    /* A step that was taken from a rank which seemed lost is not its to report on any more. */
    if (letter->tag == SLAO_TAG_DONE && letter->body.done.step == held)
        hear_done(coordinator, letter->peer, &letter->body.done);
    else if (letter->tag == SLAO_TAG_FAILED && letter->body.failed.step == held)
        hear_failed(coordinator, letter->peer, &letter->body.failed);
}

/* ---- Ranks that are lost ---- */

static void take_step_back(slao_coordinator *coordinator, int rank) {
    worker_state *worker = &coordinator->workers[rank];
    int64_t step = worker->holds;
    worker->holds = -1;
    if (step < 0)
        return;
    slao_event event = {.kind = SLAO_EVENT_RETURNED,
                        .step = step,
                        .rank = rank,
                        .status = SLAO_BROKEN,
                        .message = "its rank is lost"};
    if (++coordinator->histories[step].losses < MOST_LOSSES) {
        slao_queue_return(coordinator->queue, step);
    } else {
        event.kind = SLAO_EVENT_FAILED;
        event.message = "three ranks were lost while they ran it";
        slao_queue_failed(coordinator->queue, step);
    }
    tell(coordinator, event);
}

static void look_for_lost(slao_coordinator *coordinator) {
    double lease = slao_life_lease(coordinator->ranks->life);
    for (int rank = 1; rank < coordinator->ranks->size; rank++) {
        worker_state *worker = &coordinator->workers[rank];
        if (worker->lost || slao_life_sign(coordinator->ranks->life, rank).silence <= lease)
            continue;
        worker->lost = true;
        coordinator->n_lost++;
        coordinator->n_idle -= worker->idle;
        worker->idle = false;
        char message[128 + SLAO_HOST_NAME];
        snprintf(message, sizeof message, "rank %d on %s has not been heard of for %.0f s", rank,
                 coordinator->ranks->hosts[rank], lease);
        slao_warn("%s%s", message,
                  coordinator->ranks->recovery ? ": the others go on without it" : "");
        if (coordinator->ranks->group_size > 1) /* the rest of its group waits for it in MPI */
            slao_ranks_give_up(SLAO_BROKEN);
        take_step_back(coordinator, rank);
        if (!coordinator->ranks->recovery)
            stop(coordinator, SLAO_BROKEN, message);
    }
}

static bool is_over(const slao_coordinator *coordinator) {
    return coordinator->n_idle + coordinator->n_lost == coordinator->n_groups &&
           (coordinator->status != SLAO_OK || slao_queue_count(coordinator->queue).ready == 0);
}

/* What the run comes to. */
static void conclude(slao_coordinator *coordinator) {
    slao_queue_counts counts = slao_queue_count(coordinator->queue);
    int64_t left = counts.ready + counts.waiting;
    if (coordinator->status == SLAO_DRAINED && left == 0)
        coordinator->status = SLAO_OK; /* the request came as everything was done */
    char reason[512];
    snprintf(reason, sizeof reason, "%.500s", coordinator->message);
    if (coordinator->status == SLAO_DRAINED) {
        snprintf(coordinator->message, sizeof coordinator->message,
                 "stopped %s with %lld of %lld steps done: the same command goes on", reason,
                 (long long)counts.done, (long long)counts.steps);
    } else if (coordinator->status == SLAO_BROKEN) {
        snprintf(coordinator->message, sizeof coordinator->message,
                 "%s: the run ends with %lld of %lld steps done; the same command goes on", reason,
                 (long long)counts.done, (long long)counts.steps);
    } else if (coordinator->status == SLAO_OK && counts.failed > 0) {
        coordinator->status = SLAO_FAILED;
        snprintf(coordinator->message, sizeof coordinator->message,
                 "%lld of %lld steps failed, and %lld that depend on them were not run (their logs "
                 "are in the store; --only failed runs them again)",
                 (long long)counts.failed, (long long)counts.steps, (long long)counts.skipped);
    }
}

/* Waits until the last letter to a rank is sent, unless it is lost meanwhile. */
static void wait_for_letter(slao_coordinator *coordinator, int rank) {
    slao_nap nap = {0};
    for (int sent = 0;;) {
        SLAO_MPI(MPI_Test(&coordinator->workers[rank].sending, &sent, MPI_STATUS_IGNORE));
        if (sent)
            return;
        slao_take_nap(&nap);
        look_for_lost(coordinator);
        if (coordinator->workers[rank].lost)
            return;
    }
}

/* The first rank of a group stops its other members. Ranks of no group have waited for this. */
static void stop_workers(slao_coordinator *coordinator) {
    int group_size = coordinator->ranks->group_size, size = coordinator->ranks->size;
    coordinator->some_lost = coordinator->n_lost > 0;
    for (int rank = 0; rank < size; rank++) {
        worker_state *worker = &coordinator->workers[rank];
        bool told_by_first = rank < coordinator->n_groups * group_size && rank % group_size != 0;
        if (worker->lost || told_by_first)
            continue;
        worker->answer.tag = SLAO_TAG_STOP;
        worker->answer.body.stop =
            (slao_stop_message){.status = coordinator->status, .some_lost = coordinator->some_lost};
        answer(coordinator, rank);
    }
    for (int rank = 0; rank < size; rank++) {
        if (!coordinator->workers[rank].lost)
            wait_for_letter(coordinator, rank);
    }
}

/* The first time at once, so that listeners know where the run begins. */
static void tick(slao_coordinator *coordinator) {
    if (slao_seconds() - coordinator->last_tick < 1)
        return;
    coordinator->last_tick = slao_seconds();
    look_for_lost(coordinator);
    tell(coordinator, (slao_event){.kind = SLAO_EVENT_TICK, .step = -1});
}

static void look_at_time(slao_coordinator *coordinator) {
    if (!(coordinator->limits.deadline > 0))
        return;
    if (slao_seconds() >= coordinator->limits.deadline)
        stop(coordinator, SLAO_DRAINED, "by the time limit");
    else if (coordinator->too_late && slao_queue_count(coordinator->queue).running == 0)
        stop(coordinator, SLAO_DRAINED,
             "by the time limit, before which no step that is left would end,");
}

static void *coordinate(void *argument) {
    slao_coordinator *coordinator = argument;
    slao_letter letter;
    slao_nap nap = {0};
    tick(coordinator);
    while (!is_over(coordinator)) {
        while (slao_protocol_receive(coordinator->ranks, SLAO_TO_COORDINATOR, &letter)) {
            hear(coordinator, &letter);
            nap = (slao_nap){0};
        }
        if (slao_drain_requested() || coordinator->drain)
            stop(coordinator, SLAO_DRAINED, "on request");
        hand_out_all(coordinator);
        look_at_time(coordinator);
        tick(coordinator);
        slao_take_nap(&nap);
    }
    conclude(coordinator);
    stop_workers(coordinator);
    return NULL;
}

static void coordinator_free(slao_coordinator *coordinator) {
    slao_queue_free(coordinator->queue);
    free(coordinator->workers);
    free(coordinator->histories);
    free(coordinator);
}

slao_status slao_coordinator_start(slao_coordinator **coordinator, const slao_ranks *ranks,
                                   const slao_graph_step *steps, int64_t n_steps,
                                   slao_listener listener, const slao_crew_limits *limits) {
    SLAO_TRY(slao_allocate(coordinator, 1, sizeof **coordinator));
    slao_coordinator *made = *coordinator;
    made->ranks = ranks;
    made->n_groups = ranks->size / ranks->group_size;
    made->listener = listener;
    made->limits = *limits;
    made->begin = slao_seconds();
    slao_status status;
    SLAO_TRY_GOTO(status, slao_queue_new(&made->queue, steps, n_steps), fail);
    made->steps = steps;
    SLAO_TRY_GOTO(status, slao_allocate(&made->histories, (size_t)n_steps, sizeof *made->histories),
                  fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->workers, (size_t)ranks->size, sizeof *made->workers),
                  fail);
    for (int rank = 0; rank < ranks->size; rank++) {
        made->workers[rank].step = made->workers[rank].holds = -1;
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

slao_status slao_coordinator_finish(slao_coordinator *coordinator, bool *some_lost) {
    SLAO_INVARIANT(pthread_join(coordinator->thread, NULL) == 0);
    *some_lost = coordinator->some_lost;
    slao_status status = coordinator->status;
    if (status != SLAO_OK)
        slao_fail(status, "%s", coordinator->message);
    coordinator_free(coordinator);
    return status;
}
