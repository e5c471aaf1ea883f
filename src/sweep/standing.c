#include "sweep/standing.h"

#include "base/file.h"
#include "base/memory.h"
#include "sweep/journal.h"
#include "sweep/lock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *slao_standing_name(slao_standing_state state) {
    static const char *const names[] = {
        [SLAO_STANDING_STARTING] = "starting", [SLAO_STANDING_RUNNING] = "running",
        [SLAO_STANDING_STOPPING] = "stopping", [SLAO_STANDING_FINISHED] = "finished",
        [SLAO_STANDING_FAILED] = "failed",     [SLAO_STANDING_DRAINED] = "drained",
        [SLAO_STANDING_STOPPED] = "stopped",   [SLAO_STANDING_DEAD] = "dead",
    };
    return names[state];
}

bool slao_standing_is_over(const slao_standing *standing) {
    return standing->state > SLAO_STANDING_STOPPING;
}

/* What is read of status.json. */
typedef struct {
    slao_standing standing;
    const char *state;
    const cJSON *counts, *left;
    int64_t journal_bytes;
} status_file;

static const slao_json_field fields[] = {
    {"name", SLAO_JSON_TEXT, offsetof(status_file, standing.name), true, 0, 0},
    {"output", SLAO_JSON_TEXT, offsetof(status_file, standing.output), true, 0, 0},
    {"host", SLAO_JSON_TEXT, offsetof(status_file, standing.host), true, 0, 0},
    {"pid", SLAO_JSON_INTEGER, offsetof(status_file, standing.pid), true, 0, 0},
    {"state", SLAO_JSON_TEXT, offsetof(status_file, state), true, 0, 0},
    {"message", SLAO_JSON_TEXT, offsetof(status_file, standing.message), true, 0, 0},
    {"updated", SLAO_JSON_TEXT, offsetof(status_file, standing.updated), true, 0, 0},
    {"journal_bytes", SLAO_JSON_INTEGER, offsetof(status_file, journal_bytes), true, 0, 0},
    {"elapsed", SLAO_JSON_REAL, offsetof(status_file, standing.elapsed), true, 0, 0},
    {"exit_code", SLAO_JSON_INTEGER, offsetof(status_file, standing.exit_code), false, 0, 0},
    {"tokens", SLAO_JSON_REAL, offsetof(status_file, standing.tokens), true, 0, 0},
    {"seconds_left", SLAO_JSON_ANY, offsetof(status_file, left), true, 0, 0},
    {"counts", SLAO_JSON_OBJECT, offsetof(status_file, counts), true, 0, 0},
    {"ranks", SLAO_JSON_ARRAY, offsetof(status_file, standing.ranks), true, 0, 0},
    {"failures", SLAO_JSON_ARRAY, offsetof(status_file, standing.failures), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static const slao_json_field count_fields[] = {
    {"steps", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, steps), true, 0, 0},
    {"done", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, done), true, 0, 0},
    {"done_before", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, done_before), true, 0, 0},
    {"running", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, running), true, 0, 0},
    {"failed", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, failed), true, 0, 0},
    {"skipped", SLAO_JSON_INTEGER, offsetof(slao_standing_counts, skipped), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static slao_status read_status(status_file *file, const char *path) {
    slao_standing *standing = &file->standing;
    SLAO_TRY(slao_json_load(&standing->document, path));
    SLAO_TRY(slao_json_read(standing->document, path, fields, true, file));
    standing->seconds_left = cJSON_IsNumber(file->left) ? file->left->valuedouble : NAN;
    return slao_json_read(file->counts, path, count_fields, true, &standing->counts);
}

/* An event that came after status.json was written. */
static void add_event(slao_standing *standing, const cJSON *event) {
    static const struct {
        const char *kind;
        int done, failed, running;
    } rows[] = {
        {"started", 0, 0, 1}, {"done", 1, 0, -1}, {"failed", 0, 1, -1}, {"returned", 0, 0, -1}};
    const cJSON *kind = slao_json_find(event, "event"), *tokens = slao_json_find(event, "tokens");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!cJSON_IsString(kind) || strcmp(kind->valuestring, rows[i].kind) != 0)
            continue;
        standing->counts.done += rows[i].done;
        standing->counts.failed += rows[i].failed;
        standing->counts.running += rows[i].running;
    }
    standing->tokens += cJSON_IsNumber(tokens) ? tokens->valuedouble : 0;
}

static slao_status add_events(status_file *file, const char *path) {
    cJSON *events;
    const cJSON *event;
    SLAO_TRY(slao_journal_read(&events, path, (size_t)file->journal_bytes));
    cJSON_ArrayForEach (event, events)
        add_event(&file->standing, event);
    cJSON_Delete(events);
    return SLAO_OK;
}

static slao_standing_state judge_end(int64_t exit_code) {
    switch (exit_code) {
    case SLAO_OK:
        return SLAO_STANDING_FINISHED;
    case SLAO_FAILED:
        return SLAO_STANDING_FAILED;
    case SLAO_DRAINED:
        return SLAO_STANDING_DRAINED;
    default:
        return SLAO_STANDING_STOPPED;
    }
}

/* A sweep that has the lock, but has not written yet how it stands. */
static slao_status read_start(slao_standing *standing, const slao_holder *holder) {
    slao_standing_free(standing);
    *standing = (slao_standing){.exit_code = -1, .seconds_left = NAN, .pid = holder->pid};
    standing->document = cJSON_CreateObject();
    if (!standing->document)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON object");
    SLAO_TRY(slao_json_add_text(standing->document, "host", holder->host));
    SLAO_TRY(slao_json_add_text(standing->document, "none", ""));
    SLAO_TRY(slao_json_add(standing->document, "list", cJSON_CreateArray()));
    standing->host = slao_json_find(standing->document, "host")->valuestring;
    standing->name = standing->output = standing->message = standing->updated =
        slao_json_find(standing->document, "none")->valuestring;
    standing->ranks = standing->failures = slao_json_find(standing->document, "list");
    return SLAO_OK;
}

static slao_status judge(status_file *file, const slao_lock_state *lock) {
    slao_standing *standing = &file->standing;
    bool same = standing->document && lock->held && standing->pid == lock->holder.pid &&
                strcmp(standing->host, lock->holder.host) == 0;
    slao_standing_counts *counts = &standing->counts;
    if (lock->held && lock->alive && !same)
        SLAO_TRY(read_start(standing, &lock->holder));
    else if (standing->exit_code >= 0)
        standing->state = judge_end(standing->exit_code);
    else if (!same || !lock->alive)
        standing->state = SLAO_STANDING_DEAD;
    else
        standing->state =
            strcmp(file->state, "stopping") == 0 ? SLAO_STANDING_STOPPING : SLAO_STANDING_RUNNING;
    if (standing->exit_code < 0)
        standing->silence = lock->silence;
    if (slao_standing_is_over(standing))
        counts->running = 0;
    counts->left =
        counts->steps - counts->done - counts->running - counts->failed - counts->skipped;
    return SLAO_OK;
}

static slao_status read_all(slao_standing *standing, const char *store, const char *status_path,
                            const char *lock_path, const char *journal_path) {
    status_file file = {.standing = {.exit_code = -1}};
    slao_lock_state lock;
    slao_status status = slao_lock_look(&lock, lock_path);
    bool there = slao_is_file(status_path);
    if (status == SLAO_OK && !there && !lock.held)
        status = slao_fail(SLAO_BAD_INPUT, "no sweep has run in the store %s", store);
    if (status == SLAO_OK && there)
        status = read_status(&file, status_path);
    if (status == SLAO_OK && there)
        status = add_events(&file, journal_path);
    if (status == SLAO_OK)
        status = judge(&file, &lock);
    *standing = file.standing;
    return status;
}

slao_status slao_standing_read(slao_standing *standing, const char *store) {
    char *status_path = NULL, *lock_path = NULL, *journal_path = NULL;
    *standing = (slao_standing){0};
    slao_status status = slao_join_path(&status_path, store, "status.json");
    if (status == SLAO_OK)
        status = slao_join_path(&lock_path, store, "lock");
    if (status == SLAO_OK)
        status = slao_join_path(&journal_path, store, "journal.jsonl");
    if (status == SLAO_OK)
        status = read_all(standing, store, status_path, lock_path, journal_path);
    if (status == SLAO_OK && standing->state == SLAO_STANDING_DEAD) {
        /* Or it started after the lock was looked at. */
        slao_standing_free(standing);
        status = read_all(standing, store, status_path, lock_path, journal_path);
    }
    free(status_path);
    free(lock_path);
    free(journal_path);
    return status;
}

void slao_standing_free(slao_standing *standing) {
    cJSON_Delete(standing->document);
    *standing = (slao_standing){0};
}
