/* A sweep whose steps only sleep: store, lock, ranks, crew, journal and progress put together as
 * `slao sweep` does it.
 *
 *   dummy_sweep STORE CHAINS LENGTH SECONDS BYTES [MODE]
 *
 * runs CHAINS chains of LENGTH steps that take SECONDS each and leave a record of about BYTES
 * bytes.
 */
#include "base/log.h"
#include "base/memory.h"
#include "sweep/crew.h"
#include "sweep/drain.h"
#include "sweep/progress.h"
#include "sweep/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    slao_ranks ranks;
    slao_store *store;
    slao_progress *progress; /* rank 0 */
    int64_t n_steps, length;
    slao_hash *keys;
    int64_t *parents;
    slao_graph_step *steps;
    double seconds;
    int bytes;
} sweep;

/* Keys are content hashes, so every rank, and every later run, makes the same. */
static slao_status make_plan(sweep *self) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    size_t n = (size_t)self->n_steps;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_allocate(&self->keys, n, sizeof *self->keys), out);
    SLAO_TRY_GOTO(status, slao_allocate(&self->parents, n, sizeof *self->parents), out);
    SLAO_TRY_GOTO(status, slao_allocate(&self->steps, n, sizeof *self->steps), out);
    for (int64_t i = 0; i < self->n_steps; i++) {
        slao_hasher_reset(hasher);
        slao_hash_text(hasher, "dummy");
        slao_hash_integer(hasher, i);
        self->keys[i] = slao_hash_value(hasher);
        self->parents[i] = i - 1;
        self->steps[i] = (slao_graph_step){.n_parents = i % self->length != 0,
                                           .parents = &self->parents[i],
                                           .cost = self->seconds,
                                           .done = slao_store_has(self->store, self->keys[i])};
    }
out:
    slao_hasher_free(hasher);
    return status;
}

/* As a step that goes on from its parent's results. */
static slao_status look_at_parent(const sweep *self, int64_t step) {
    cJSON *record;
    if (self->steps[step].n_parents == 0)
        return SLAO_OK;
    SLAO_TRY(slao_store_get(self->store, self->keys[self->parents[step]], &record));
    cJSON_Delete(record);
    return SLAO_OK;
}

static slao_status run_step(void *context, int64_t step, slao_step_cost *cost) {
    sweep *self = context;
    SLAO_TRY(look_at_parent(self, step));
    char key[SLAO_HASH_TEXT];
    slao_hash_to_text(self->keys[step], key);
    struct timespec time = {(time_t)self->seconds,
                            (long)(1e9 * (self->seconds - (double)(time_t)self->seconds))};
    while (nanosleep(&time, &time) != 0)
        continue; /* a signal does not end a step */
    cJSON *record = cJSON_CreateObject();
    char *filling = NULL;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_json_add_text(record, "key", key), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(record, "mpi_rank", self->ranks.rank), out);
    SLAO_TRY_GOTO(status, slao_format(&filling, "%0*d", self->bytes, 0), out);
    SLAO_TRY_GOTO(status, slao_json_add_text(record, "filling", filling), out);
    SLAO_TRY_GOTO(status, slao_store_put(self->store, self->keys[step], record), out);
    cost->tokens = 1000;
out:
    free(filling);
    cJSON_Delete(record);
    return status;
}

static void name_step(void *context, int64_t step, char *name, size_t size) {
    const sweep *self = context;
    snprintf(name, size, "dummy %lld of chain %lld", (long long)(step % self->length),
             (long long)(step / self->length));
}

static slao_status add_to_journal(sweep *self, const slao_event *event, const char *kind) {
    cJSON *line = cJSON_CreateObject();
    char time_text[SLAO_TIME_TEXT];
    slao_time_text(time_text);
    slao_status status;
    SLAO_TRY_GOTO(status, slao_json_add_text(line, "event", kind), out);
    SLAO_TRY_GOTO(status, slao_json_add_text(line, "time", time_text), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(line, "step", (double)event->step), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(line, "rank", event->rank), out);
    status = slao_store_journal(self->store, line);
out:
    cJSON_Delete(line);
    return status;
}

static slao_status hear(void *context, const slao_event *event) {
    sweep *self = context;
    static const char *const kinds[] = {[SLAO_EVENT_STARTED] = "started",
                                        [SLAO_EVENT_DONE] = "done",
                                        [SLAO_EVENT_FAILED] = "failed",
                                        [SLAO_EVENT_RETURNED] = "returned",
                                        [SLAO_EVENT_STOPPING] = "stopping"};
    slao_progress_hear(self->progress, event);
    return event->kind == SLAO_EVENT_TICK ? SLAO_OK
                                          : add_to_journal(self, event, kinds[event->kind]);
}

/* What only rank 0 does before the run. */
static slao_status open_on_first(sweep *self, const char *mode_name) {
    if (self->ranks.rank != 0)
        return SLAO_OK;
    slao_progress_mode mode;
    SLAO_TRY(slao_progress_parse(&mode, mode_name));
    SLAO_TRY(slao_store_lock(self->store));
    return slao_progress_new(&self->progress, mode, stderr, 0, name_step, self);
}

static slao_status run(sweep *self, const char *folder, const char *mode) {
    slao_ranks *ranks = &self->ranks;
    SLAO_TRY(slao_ranks_agree(ranks, slao_store_open(&self->store, folder)));
    SLAO_TRY(slao_ranks_agree(ranks, open_on_first(self, mode)));
    SLAO_TRY(slao_ranks_agree(ranks, make_plan(self)));
    /* The keys, that is: what is done already only rank 0 needs to know, and to agree with itself.
     */
    SLAO_TRY(slao_ranks_check_same(ranks, self->keys[self->n_steps - 1], "the plan"));
    SLAO_TRY(slao_ranks_agree(ranks, slao_drain_watch()));
    slao_runner runner = {self, run_step};
    return slao_crew_run(ranks, self->steps, self->n_steps, &runner, (slao_listener){self, hear},
                         NULL);
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: dummy_sweep STORE CHAINS LENGTH SECONDS BYTES [MODE]\n");
        return SLAO_BAD_INPUT;
    }
    sweep self = {.length = atoll(argv[3]), .seconds = atof(argv[4]), .bytes = atoi(argv[5])};
    self.n_steps = atoll(argv[2]) * self.length;
    slao_status status = slao_ranks_start(&self.ranks);
    bool started = status == SLAO_OK;
    if (started)
        status = run(&self, argv[1], argc > 6 ? argv[6] : "lines");
    slao_progress_free(self.progress);
    if (status != SLAO_OK && *slao_message())
        fprintf(stderr, "slao: %s\n", slao_message());
    slao_store_close(self.store);
    free(self.steps);
    free(self.parents);
    free(self.keys);
    if (started)
        slao_ranks_finish(&self.ranks);
    return (int)status;
}
