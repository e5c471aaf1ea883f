#include "sweep/savepoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Writing ---- */

typedef struct {
    FILE *file;
    slao_hasher *hasher;
    const char *path;
} writer;

static slao_status put(const writer *w, const void *bytes, size_t count) {
    slao_hash_bytes(w->hasher, bytes, count);
    if (count && fwrite(bytes, 1, count, w->file) != count)
        return slao_fail_errno(SLAO_BROKEN, "cannot write %s", w->path);
    return SLAO_OK;
}

static slao_status make_header(char **line, slao_hash key, const slao_training_state *state,
                               double seconds, const char *machine) {
    char text[SLAO_HASH_TEXT], *json = NULL;
    slao_hash_to_text(key, text);
    cJSON *header = cJSON_CreateObject();
    if (!header)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a savepoint");
    slao_status status;
    SLAO_TRY_GOTO(status, slao_json_add_text(header, "key", text), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "n_values", (double)state->n_values), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "n_norms", (double)state->n_norms), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "extra", state->extra), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "steps", (double)state->training->steps), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "total_steps", (double)state->total_steps),
                  out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "tokens", (double)state->training->tokens),
                  out);
    SLAO_TRY_GOTO(status, slao_json_add_real(header, "seconds", seconds), out);
    SLAO_TRY_GOTO(status, slao_json_add_text(header, "machine", machine), out);
    SLAO_TRY_GOTO(status, slao_json_print(&json, header), out);
    status = slao_format(line, "%s\n", json);
out:
    free(json);
    cJSON_Delete(header);
    return status;
}

static slao_status write_all(const writer *w, const char *header,
                             const slao_training_state *state) {
    size_t bytes = (size_t)state->n_values * sizeof(float);
    SLAO_TRY(put(w, header, strlen(header)));
    SLAO_TRY(put(w, state->values, bytes));
    SLAO_TRY(put(w, state->first, bytes));
    SLAO_TRY(put(w, state->second, bytes));
    const slao_training *training = state->training;
    SLAO_TRY(put(w, training->losses, (size_t)training->steps * sizeof(double)));
    if (state->extra)
        SLAO_TRY(put(w, training->extra_losses, (size_t)training->steps * sizeof(double)));
    SLAO_TRY(put(w, training->gradient_norms, (size_t)state->n_norms * sizeof(double)));
    SLAO_TRY(put(w, &training->gradient_norm_a, sizeof(double)));
    SLAO_TRY(put(w, &training->gradient_norm_b, sizeof(double)));
    char hash[SLAO_HASH_TEXT];
    slao_hash_to_text(slao_hash_value(w->hasher), hash);
    return put(w, hash, SLAO_HASH_TEXT - 1);
}

slao_status slao_savepoint_write(const slao_store *store, slao_hash key,
                                 const slao_training_state *state, double seconds,
                                 const char *machine) {
    char *path = NULL, *temporary = NULL, *header = NULL;
    writer w = {0};
    slao_status status;
    SLAO_TRY_GOTO(status, slao_store_checkpoint_path(store, key, &path), out);
    SLAO_TRY_GOTO(status, slao_temporary_name(&temporary, path), out);
    SLAO_TRY_GOTO(status, make_header(&header, key, state, seconds, machine), out);
    SLAO_TRY_GOTO(status, slao_hasher_new(&w.hasher), out);
    w.path = path;
    w.file = fopen(temporary, "wbe");
    status = w.file ? write_all(&w, header, state)
                    : slao_fail_errno(SLAO_BAD_INPUT, "cannot create %s", temporary);
    if (w.file && fclose(w.file) != 0 && status == SLAO_OK)
        status = slao_fail_errno(SLAO_BROKEN, "cannot write %s", path);
    if (status == SLAO_OK)
        status = slao_publish_file(temporary, path);
    else
        unlink(temporary);
out:
    slao_hasher_free(w.hasher);
    free(header);
    free(temporary);
    free(path);
    return status;
}

/* ---- Reading ---- */

typedef struct {
    const char *key, *machine;
    int64_t n_values, n_norms, extra, steps, total_steps, tokens;
    double seconds;
} header_facts;

#define FACT(member) offsetof(header_facts, member)
static const slao_json_field header_fields[] = {
    {"key", SLAO_JSON_TEXT, FACT(key), true, 0, 0},
    {"machine", SLAO_JSON_TEXT, FACT(machine), true, 0, 0},
    {"n_values", SLAO_JSON_INTEGER, FACT(n_values), true, 1, 0x1p53},
    {"n_norms", SLAO_JSON_INTEGER, FACT(n_norms), true, 0, 0x1p53},
    {"extra", SLAO_JSON_INTEGER, FACT(extra), true, 0, 1},
    {"steps", SLAO_JSON_INTEGER, FACT(steps), true, 0, 0x1p53},
    {"total_steps", SLAO_JSON_INTEGER, FACT(total_steps), true, 0, 0x1p53},
    {"tokens", SLAO_JSON_INTEGER, FACT(tokens), true, 0, 0x1p53},
    {"seconds", SLAO_JSON_REAL, FACT(seconds), true, 0, 1e300},
    {0},
};

/* The parts as they were fed when they were written. */
static slao_status check_hash(const slao_mapping *mapping, size_t header, const header_facts *facts,
                              const char *path) {
    enum { DIGITS = SLAO_HASH_TEXT - 1, EXTRA_PART = 5 };
    size_t values = (size_t)facts->n_values * sizeof(float);
    const size_t parts[] = {header,
                            values,
                            values,
                            values,
                            (size_t)facts->steps * sizeof(double),
                            (size_t)(facts->extra * facts->steps) * sizeof(double),
                            (size_t)facts->n_norms * sizeof(double),
                            sizeof(double),
                            sizeof(double)};
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    const unsigned char *at = mapping->bytes;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (i == EXTRA_PART && !facts->extra)
            continue;
        slao_hash_bytes(hasher, at, parts[i]);
        at += parts[i];
    }
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(slao_hash_value(hasher), text);
    slao_hasher_free(hasher);
    if (memcmp(text, at, DIGITS) != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s does not hold what was written to it", path);
    return SLAO_OK;
}

/* Puts the arrays behind the header into *state. */
static slao_status take_arrays(const unsigned char *at, const header_facts *facts,
                               slao_training_state *state) {
    size_t bytes = (size_t)facts->n_values * sizeof(float);
    SLAO_TRY(slao_training_reserve(state->training, facts->steps, facts->extra));
    memcpy(state->values, at, bytes);
    memcpy(state->first, at + bytes, bytes);
    memcpy(state->second, at + 2 * bytes, bytes);
    at += 3 * bytes;
    slao_training *training = state->training;
    size_t losses = (size_t)facts->steps * sizeof(double);
    size_t norms = (size_t)facts->n_norms * sizeof(double);
    if (losses)
        memcpy(training->losses, at, losses);
    at += losses;
    if (losses && facts->extra)
        memcpy(training->extra_losses, at, losses);
    at += facts->extra ? losses : 0;
    if (norms)
        memcpy(training->gradient_norms, at, norms);
    memcpy(&training->gradient_norm_a, at + norms, sizeof(double));
    memcpy(&training->gradient_norm_b, at + norms + sizeof(double), sizeof(double));
    state->training->steps = facts->steps;
    state->training->tokens = facts->tokens;
    return SLAO_OK;
}

static slao_status take(const slao_mapping *mapping, const char *path, slao_hash key,
                        slao_training_state *state, const char *machine, double *seconds) {
    const char *text = (const char *)mapping->bytes;
    const char *end = text ? memchr(text, '\n', mapping->size) : NULL;
    if (!end)
        return slao_fail(SLAO_BAD_INPUT, "%s does not hold what was written to it", path);
    cJSON *header;
    header_facts facts;
    SLAO_TRY(slao_json_parse(&header, text, (size_t)(end - text), path));
    slao_status status = slao_json_read(header, path, header_fields, false, &facts);
    char wanted[SLAO_HASH_TEXT];
    slao_hash_to_text(key, wanted);
    size_t length = (size_t)(end + 1 - text);
    if (status == SLAO_OK &&
        (strcmp(facts.key, wanted) != 0 || facts.n_values != state->n_values ||
         facts.n_norms != state->n_norms || facts.extra != state->extra ||
         facts.total_steps != state->total_steps || facts.steps > facts.total_steps))
        status = slao_fail(SLAO_BAD_INPUT, "%s is of another training", path);
    if (status == SLAO_OK &&
        mapping->size !=
            length + 3 * sizeof(float) * (size_t)facts.n_values +
                sizeof(double) * (size_t)((1 + facts.extra) * facts.steps + facts.n_norms + 2) +
                SLAO_HASH_TEXT - 1)
        status = slao_fail(SLAO_BAD_INPUT, "%s does not hold what was written to it", path);
    if (status == SLAO_OK)
        status = check_hash(mapping, length, &facts, path);
    if (status == SLAO_OK)
        status = take_arrays((const unsigned char *)end + 1, &facts, state);
    if (status == SLAO_OK) {
        *seconds = facts.seconds;
        if (strcmp(facts.machine, machine) != 0)
            slao_warn("step %s was begun on another kind of machine (%s) and goes on here (%s): "
                      "its results may differ in their last bits",
                      wanted, facts.machine, machine);
    }
    cJSON_Delete(header);
    return status;
}

slao_status slao_savepoint_read(const slao_store *store, slao_hash key, slao_training_state *state,
                                const char *machine, bool *found, double *seconds) {
    char *path;
    *found = false;
    *seconds = 0;
    SLAO_TRY(slao_store_checkpoint_path(store, key, &path));
    slao_status status = SLAO_OK;
    slao_mapping mapping = {0};
    if (slao_is_file(path)) {
        status = slao_map_file(&mapping, path);
        if (status == SLAO_OK)
            status = take(&mapping, path, key, state, machine, seconds);
        slao_unmap_file(&mapping);
        *found = status == SLAO_OK;
        if (status == SLAO_BAD_INPUT) {
            slao_warn("%s: it is not used, and its step begins anew", slao_message());
            status = slao_savepoint_remove(store, key);
        }
    }
    free(path);
    return status;
}

slao_status slao_savepoint_remove(const slao_store *store, slao_hash key) {
    char *path;
    SLAO_TRY(slao_store_checkpoint_path(store, key, &path));
    slao_status status = SLAO_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = slao_fail_errno(SLAO_BROKEN, "cannot remove %s", path);
    free(path);
    return status;
}
