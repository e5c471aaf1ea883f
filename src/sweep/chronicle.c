#include "sweep/chronicle.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "sweep/life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILURES_SHOWN = 20, NAME_SIZE = 160, REASON_SIZE = 1024 };

typedef struct {
    int64_t step; /* -1: none */
    double since; /* slao_seconds */
} occupation;

struct slao_chronicle {
    slao_chronicle_parts parts;
    slao_progress *progress;
    occupation *ranks;
    slao_event last; /* the last event: how far the run is */
    int64_t tokens, n_failures;
    int64_t failures[FAILURES_SHOWN]; /* the last ones, in turn */
    char reason[REASON_SIZE];         /* why it stops, or how it ended; "" while it runs */
    double written;                   /* status.json, by slao_seconds */
    char *status_path;
};

static void name_step(void *context, int64_t index, char *name, size_t size) {
    const slao_chronicle *chronicle = context;
    const slao_step *step = &chronicle->parts.plan->steps[index];
    const char *kind = slao_step_kind_name(step->kind), *method = step->trial->method.method->name;
    if (step->position == 0)
        snprintf(name, size, "%s %s, untrained", kind, step->task);
    else if (step->kind == SLAO_STEP_EVALUATE)
        snprintf(name, size, "%s %s after task %" PRId64 " (%s)", kind, step->task, step->position,
                 method);
    else
        snprintf(name, size, "%s %s as task %" PRId64 " (%s)", kind, step->task, step->position,
                 method);
}

/* ---- Journal ---- */

static const char *const event_names[] = {[SLAO_EVENT_STARTED] = "started",
                                          [SLAO_EVENT_DONE] = "done",
                                          [SLAO_EVENT_FAILED] = "failed",
                                          [SLAO_EVENT_RETURNED] = "returned",
                                          [SLAO_EVENT_STOPPING] = "stopping"};

static slao_status fill_line(const slao_chronicle *chronicle, const slao_event *event,
                             cJSON *line) {
    char time_text[SLAO_TIME_TEXT];
    slao_time_text(time_text);
    SLAO_TRY(slao_json_add_text(line, "event", event_names[event->kind]));
    SLAO_TRY(slao_json_add_text(line, "time", time_text));
    SLAO_TRY(slao_json_add_real(line, "rank", event->rank));
    if (event->step >= 0) {
        char key[SLAO_HASH_TEXT];
        slao_hash_to_text(chronicle->parts.plan->steps[event->step].key, key);
        SLAO_TRY(slao_json_add_text(line, "key", key));
    }
    if (event->kind == SLAO_EVENT_DONE) {
        SLAO_TRY(slao_json_add_real(line, "seconds", event->seconds));
        SLAO_TRY(slao_json_add_real(line, "tokens", (double)event->tokens));
    }
    return event->message ? slao_json_add_text(line, "message", event->message) : SLAO_OK;
}

static slao_status write_journal(const slao_chronicle *chronicle, const slao_event *event) {
    cJSON *line = cJSON_CreateObject();
    if (!line)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for the journal");
    slao_status status = fill_line(chronicle, event, line);
    if (status == SLAO_OK)
        status = slao_store_journal(chronicle->parts.store, line);
    cJSON_Delete(line);
    return status;
}

/* ---- Logs of failures ---- */

static slao_status add_to_log(const slao_chronicle *chronicle, const slao_event *event,
                              const char *from, const char *to) {
    char name[NAME_SIZE], time_text[SLAO_TIME_TEXT], *text = NULL, *before = NULL;
    name_step((void *)(uintptr_t)chronicle, event->step, name, sizeof name);
    slao_time_text(time_text);
    slao_status status = slao_is_file(from) ? slao_read_text(&before, NULL, from) : SLAO_OK;
    if (status == SLAO_OK)
        status =
            slao_format(&text, "%s%s: %s, on rank %d (%s), after %.1f s:\n    %s\n",
                        before ? before : "", time_text, name, event->rank,
                        chronicle->parts.ranks->hosts[event->rank], event->seconds, event->message);
    if (status == SLAO_OK)
        status = slao_write_file(to, text, strlen(text));
    free(before);
    free(text);
    return status;
}

/* The caller frees both, also after a failure. */
static slao_status find_logs(const slao_chronicle *chronicle, int64_t step, char **log,
                             char **tries) {
    slao_hash key = chronicle->parts.plan->steps[step].key;
    *log = *tries = NULL;
    SLAO_TRY(slao_store_log_path(chronicle->parts.store, key, log));
    return slao_store_tries_path(chronicle->parts.store, key, tries);
}

/* Adds a try to the log of a step that has failed for good, or to the tries of one that has not;
 * *path, which the caller frees, is where that is. */
static slao_status write_log(const slao_chronicle *chronicle, const slao_event *event,
                             char **path) {
    char *log, *tries;
    slao_status status = find_logs(chronicle, event->step, &log, &tries);
    bool for_good = event->kind == SLAO_EVENT_FAILED;
    if (status == SLAO_OK)
        status =
            add_to_log(chronicle, event, slao_is_file(tries) ? tries : log, for_good ? log : tries);
    if (status == SLAO_OK && for_good && unlink(tries) != 0 && errno != ENOENT)
        status = slao_fail_errno(SLAO_BROKEN, "cannot remove %s, which is in its log now", tries);
    *path = for_good ? log : tries;
    free(for_good ? tries : log);
    return status;
}

/* A step that is done has no log, or it would count as failed should its record be lost. Its tries,
 * if it has any, begin with what the log says. */
static slao_status drop_log(const slao_chronicle *chronicle, int64_t step) {
    char *log, *tries;
    slao_status status = find_logs(chronicle, step, &log, &tries);
    if (status == SLAO_OK && slao_is_file(log) &&
        (slao_is_file(tries) ? unlink(log) : rename(log, tries)) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot move %s to %s", log, tries);
    free(tries);
    free(log);
    return status;
}

/* ---- status.json ---- */

static slao_status add_counts(cJSON *root, const slao_queue_counts *counts) {
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {{"steps", counts->steps},
                {"done", counts->done},
                {"done_before", counts->done_before},
                {"running", counts->running},
                {"ready", counts->ready},
                {"waiting", counts->waiting},
                {"failed", counts->failed},
                {"skipped", counts->skipped}};
    SLAO_TRY(slao_json_add(root, "counts", cJSON_CreateObject()));
    cJSON *object = slao_json_find(root, "counts");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        SLAO_TRY(slao_json_add_real(object, rows[i].key, (double)rows[i].value));
    return SLAO_OK;
}

/* The members of a group do what its first rank was told to. */
static const occupation *occupation_of(const slao_chronicle *chronicle, int rank) {
    int group = chronicle->parts.ranks->group_size;
    bool grouped = rank < chronicle->parts.ranks->size / group * group;
    return &chronicle->ranks[grouped ? rank - rank % group : rank];
}

static slao_status add_rank(cJSON *list, const slao_chronicle *chronicle, int rank) {
    const occupation *does = occupation_of(chronicle, rank);
    cJSON *item = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(list, "", item));
    SLAO_TRY(slao_json_add_real(item, "rank", rank));
    SLAO_TRY(slao_json_add_text(item, "host", chronicle->parts.ranks->hosts[rank]));
    slao_sign sign = slao_life_sign(chronicle->parts.ranks->life, rank);
    SLAO_TRY(slao_json_add_real(item, "silence", sign.silence));
    if (does->step < 0)
        return slao_json_add(item, "step", cJSON_CreateNull());
    char name[NAME_SIZE];
    name_step((void *)(uintptr_t)chronicle, does->step, name, sizeof name);
    SLAO_TRY(slao_json_add_text(item, "step", name));
    SLAO_TRY(slao_json_add_real(item, "seconds", slao_seconds() - does->since));
    bool current = sign.step == does->step;
    SLAO_TRY(slao_json_add_real(item, "at", current ? (double)sign.at : 0));
    return slao_json_add_real(item, "of", current ? (double)sign.of : 0);
}

static slao_status add_failure(cJSON *list, const slao_chronicle *chronicle, int64_t step) {
    char name[NAME_SIZE], *path;
    cJSON *item = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(list, "", item));
    name_step((void *)(uintptr_t)chronicle, step, name, sizeof name);
    SLAO_TRY(slao_json_add_text(item, "step", name));
    SLAO_TRY(
        slao_store_log_path(chronicle->parts.store, chronicle->parts.plan->steps[step].key, &path));
    slao_status status = slao_json_add_text(item, "log", path);
    free(path);
    return status;
}

static slao_status fill_status(cJSON *root, const slao_chronicle *chronicle, bool ended,
                               slao_status exit_code) {
    const slao_queue_counts *counts = &chronicle->last.counts;
    const char *state = *chronicle->reason ? "stopping" : "running";
    char time_text[SLAO_TIME_TEXT];
    size_t journal;
    slao_time_text(time_text);
    SLAO_TRY(slao_store_journal_size(chronicle->parts.store, &journal));
    SLAO_TRY(slao_json_add_text(root, "name", chronicle->parts.plan->spec->name));
    SLAO_TRY(slao_json_add_text(root, "output", chronicle->parts.output));
    SLAO_TRY(slao_json_add_text(root, "host", chronicle->parts.ranks->host));
    SLAO_TRY(slao_json_add_real(root, "pid", (double)getpid()));
    SLAO_TRY(slao_json_add_text(root, "state", ended ? "ended" : state));
    SLAO_TRY(slao_json_add_text(root, "message", chronicle->reason));
    SLAO_TRY(slao_json_add_text(root, "updated", time_text));
    SLAO_TRY(slao_json_add_real(root, "journal_bytes", (double)journal));
    SLAO_TRY(slao_json_add_real(root, "elapsed", chronicle->last.elapsed));
    if (ended)
        SLAO_TRY(slao_json_add_real(root, "exit_code", (double)exit_code));
    SLAO_TRY(slao_json_add_real(root, "tokens", (double)chronicle->tokens));
    cJSON *left =
        counts->cost_done > 0 && counts->ready + counts->waiting + counts->running > 0
            ? cJSON_CreateNumber(chronicle->last.elapsed * counts->cost_left / counts->cost_done)
            : cJSON_CreateNull();
    SLAO_TRY(slao_json_add(root, "seconds_left", left));
    SLAO_TRY(add_counts(root, counts));
    SLAO_TRY(slao_json_add(root, "ranks", cJSON_CreateArray()));
    for (int rank = 0; rank < chronicle->parts.ranks->size && !ended; rank++)
        SLAO_TRY(add_rank(slao_json_find(root, "ranks"), chronicle, rank));
    SLAO_TRY(slao_json_add(root, "failures", cJSON_CreateArray()));
    int64_t first = chronicle->n_failures - FAILURES_SHOWN;
    for (int64_t i = first > 0 ? first : 0; i < chronicle->n_failures; i++)
        SLAO_TRY(add_failure(slao_json_find(root, "failures"), chronicle,
                             chronicle->failures[i % FAILURES_SHOWN]));
    return SLAO_OK;
}

/* Whole, but not synced: it is worth nothing after a crash. */
static slao_status replace_file(const char *path, const char *text) {
    char *temporary;
    SLAO_TRY(slao_temporary_name(&temporary, path));
    FILE *file = fopen(temporary, "we");
    bool written = file && fputs(text, file) >= 0;
    if (file)
        written = fclose(file) == 0 && written;
    slao_status status = SLAO_OK;
    if (!written || rename(temporary, path) != 0) {
        status = slao_fail_errno(SLAO_BROKEN, "cannot write %s", path);
        unlink(temporary);
    }
    free(temporary);
    return status;
}

static slao_status write_status(slao_chronicle *chronicle, bool ended, slao_status exit_code) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for the status file");
    char *text = NULL;
    slao_status status = fill_status(root, chronicle, ended, exit_code);
    if (status == SLAO_OK)
        status = slao_json_print(&text, root);
    if (status == SLAO_OK)
        status = replace_file(chronicle->status_path, text);
    free(text);
    cJSON_Delete(root);
    chronicle->written = slao_seconds();
    return status;
}

/* ---- Events ---- */

static void note(slao_chronicle *chronicle, const slao_event *event) {
    if (event->kind == SLAO_EVENT_STOPPING)
        snprintf(chronicle->reason, sizeof chronicle->reason, "%s", event->message);
    if (event->step < 0)
        return;
    chronicle->ranks[event->rank] = event->kind == SLAO_EVENT_STARTED
                                        ? (occupation){event->step, slao_seconds()}
                                        : (occupation){-1, 0};
    if (event->kind == SLAO_EVENT_DONE)
        chronicle->tokens += event->tokens;
    if (event->kind == SLAO_EVENT_FAILED && event->status != SLAO_NO_RESOURCE)
        chronicle->failures[chronicle->n_failures++ % FAILURES_SHOWN] = event->step;
}

/* The progress names the log where there is one. A refused resource is no fault of the step, which
 * is to run again without being asked. */
static slao_status show(slao_chronicle *chronicle, const slao_event *event) {
    bool logged = (event->kind == SLAO_EVENT_FAILED || event->kind == SLAO_EVENT_RETURNED) &&
                  event->status != SLAO_DRAINED && event->status != SLAO_NO_RESOURCE;
    slao_event shown = *event;
    char *path = NULL, *message = NULL;
    slao_status status = SLAO_OK;
    if (logged) {
        status = write_log(chronicle, event, &path);
        if (status == SLAO_OK)
            status = slao_format(&message, "%s (log: %s)", event->message, path);
        if (status == SLAO_OK)
            shown.message = message;
    }
    slao_progress_hear(chronicle->progress, &shown);
    free(message);
    free(path);
    return status;
}

static slao_status hear(void *context, const slao_event *event) {
    static const double STATUS_SECONDS = 2;
    slao_chronicle *chronicle = context;
    note(chronicle, event);
    chronicle->last = *event;
    SLAO_TRY(show(chronicle, event));
    if (event->kind == SLAO_EVENT_DONE)
        SLAO_TRY(drop_log(chronicle, event->step));
    if (event->kind != SLAO_EVENT_TICK)
        SLAO_TRY(write_journal(chronicle, event));
    if (slao_seconds() - chronicle->written >= STATUS_SECONDS)
        SLAO_TRY(write_status(chronicle, false, SLAO_OK));
    if (event->kind == SLAO_EVENT_FAILED && chronicle->parts.max_fails > 0 &&
        chronicle->n_failures == chronicle->parts.max_fails)
        return slao_fail(SLAO_FAILED, "%" PRId64 " steps failed (--max-fails %" PRId64 ")",
                         chronicle->n_failures, chronicle->parts.max_fails);
    return SLAO_OK;
}

slao_listener slao_chronicle_listener(slao_chronicle *chronicle) {
    return (slao_listener){chronicle, hear};
}

slao_status slao_chronicle_end(slao_chronicle *chronicle, slao_status status, const char *message) {
    snprintf(chronicle->reason, sizeof chronicle->reason, "%s", message);
    slao_progress_free(chronicle->progress);
    chronicle->progress = NULL;
    return write_status(chronicle, true, status);
}

slao_status slao_chronicle_new(slao_chronicle **chronicle, const slao_chronicle_parts *parts) {
    SLAO_TRY(slao_allocate(chronicle, 1, sizeof **chronicle));
    slao_chronicle *made = *chronicle;
    made->parts = *parts;
    slao_status status =
        slao_allocate(&made->ranks, (size_t)parts->ranks->size, sizeof *made->ranks);
    for (int rank = 0; status == SLAO_OK && rank < parts->ranks->size; rank++)
        made->ranks[rank].step = -1;
    if (status == SLAO_OK)
        status = slao_join_path(&made->status_path, slao_store_folder(parts->store), "status.json");
    if (status == SLAO_OK)
        status = slao_progress_new(&made->progress, parts->progress, stderr, 0, name_step, made);
    if (status != SLAO_OK) {
        slao_chronicle_free(made);
        *chronicle = NULL;
    }
    return status;
}

void slao_chronicle_free(slao_chronicle *chronicle) {
    if (!chronicle)
        return;
    slao_progress_free(chronicle->progress);
    free(chronicle->status_path);
    free(chronicle->ranks);
    free(chronicle);
}
