#include "sweep/worker.h"

#include "base/log.h"
#include "sweep/drain.h"
#include "sweep/life.h"
#include "sweep/protocol.h"

#include <stdio.h>

typedef struct {
    const slao_ranks *ranks;
    bool told_to_drain;
} worker;

static void send_letter(const worker *self, slao_letter *letter, int rank) {
    letter->peer = rank;
    MPI_Request request;
    slao_protocol_post(self->ranks, letter, &request);
    slao_ranks_wait(&request); /* if rank 0 is lost, sweep/life.c ends this process */
}

/* Passes on a signal that this rank got, once. */
static void pass_on_drain(worker *self) {
    if (self->told_to_drain || !slao_drain_requested())
        return;
    self->told_to_drain = true;
    send_letter(self, &(slao_letter){.tag = SLAO_TAG_DRAIN}, 0);
}

static void wait_for_letter(worker *self, slao_letter *letter) {
    slao_nap nap = {0};
    pass_on_drain(self);
    while (!slao_protocol_receive(self->ranks, SLAO_TO_WORKER, letter)) {
        slao_take_nap(&nap);
        pass_on_drain(self);
    }
}

/* Runs a step; the report is left in *letter. */
static void run_step(const worker *self, const slao_runner *runner, int64_t step,
                     slao_letter *letter) {
    slao_step_cost cost = {0};
    slao_life_tell(self->ranks->life, step, 0, 0);
    double begin = slao_seconds();
    slao_status status = runner->run(runner->context, step, &cost);
    double seconds = slao_seconds() - begin;
    slao_life_tell(self->ranks->life, -1, 0, 0);
    if (status == SLAO_OK) {
        letter->tag = SLAO_TAG_DONE;
        letter->body.done =
            (slao_done_message){.step = step, .tokens = cost.tokens, .seconds = seconds};
        return;
    }
    letter->tag = SLAO_TAG_FAILED;
    letter->body.failed = (slao_failed_message){.step = step, .status = status, .seconds = seconds};
    snprintf(letter->body.failed.text, sizeof letter->body.failed.text, "%s", slao_message());
}

/* What the first of a group is told, all its members do. */
static void pass_on(const worker *self, slao_letter *letter) {
    for (int member = 1; member < self->ranks->group_size; member++)
        send_letter(self, letter, self->ranks->rank + member);
}

slao_status slao_worker_run(slao_ranks *ranks, const slao_runner *runner) {
    worker self = {.ranks = ranks};
    slao_letter letter = {.tag = SLAO_TAG_ASK};
    for (;;) {
        if (ranks->member == 0)
            send_letter(&self, &letter, 0);
        wait_for_letter(&self, &letter);
        if (ranks->member == 0)
            pass_on(&self, &letter);
        if (letter.tag == SLAO_TAG_STOP)
            break;
        run_step(&self, runner, letter.body.run.step, &letter);
    }
    if (letter.body.stop.some_lost)
        ranks->some_lost = true;
    return slao_fail((slao_status)letter.body.stop.status, "%s", "");
}
