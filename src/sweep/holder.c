#include "sweep/holder.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fills host and namespace with those of this process. */
static slao_status where_am_i(slao_holder *here) {
    *here = (slao_holder){0};
    if (gethostname(here->host, sizeof here->host - 1) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot tell this host's name");
    if (readlink("/proc/self/ns/pid", here->namespace, sizeof here->namespace - 1) < 0)
        here->namespace[0] = '\0';
    return SLAO_OK;
}

/* When the process started, in clock ticks since this host did (proc(5), field 22 of stat); 0 where
 * that cannot be told, -1 if it has ended and only waits for its parent to notice. */
static int64_t process_start(int64_t pid) {
    enum { STATE = 3, START = 22 }; /* fields */
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *field = strrchr(text, ')'); /* ends field 2, which may hold anything */
    for (int i = STATE; field && i <= START; i++) {
        field = strchr(field + 1, ' ');
        if (i == STATE && field && (field[1] == 'Z' || field[1] == 'X'))
            return -1;
    }
    return field ? strtoll(field + 1, NULL, 10) : 0;
}

static slao_status fill(cJSON *json) {
    slao_holder here;
    char started[SLAO_TIME_TEXT];
    SLAO_TRY(where_am_i(&here));
    slao_time_text(started);
    SLAO_TRY(slao_json_add_text(json, "host", here.host));
    SLAO_TRY(slao_json_add_text(json, "namespace", here.namespace));
    SLAO_TRY(slao_json_add_real(json, "pid", (double)getpid()));
    SLAO_TRY(slao_json_add_real(json, "process_start", (double)process_start(getpid())));
    return slao_json_add_text(json, "started", started);
}

slao_status slao_holder_write(const char *path) {
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for %s", path);
    char *text = NULL;
    slao_status status = fill(json);
    if (status == SLAO_OK)
        status = slao_json_print(&text, json);
    if (status == SLAO_OK)
        status = slao_write_file(path, text, strlen(text));
    free(text);
    cJSON_Delete(json);
    return status;
}

typedef struct {
    const char *host, *namespace, *started;
    int64_t pid, process_start;
} holder_texts;

static const slao_json_field fields[] = {
    {"host", SLAO_JSON_TEXT, offsetof(holder_texts, host), true, 0, 0},
    {"namespace", SLAO_JSON_TEXT, offsetof(holder_texts, namespace), true, 0, 0},
    {"pid", SLAO_JSON_INTEGER, offsetof(holder_texts, pid), true, 1, 0x1p31},
    {"process_start", SLAO_JSON_INTEGER, offsetof(holder_texts, process_start), true, 0, 0},
    {"started", SLAO_JSON_TEXT, offsetof(holder_texts, started), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

slao_status slao_holder_read(slao_holder *holder, const char *path) {
    cJSON *json;
    holder_texts read;
    *holder = (slao_holder){0};
    SLAO_TRY(slao_json_load(&json, path));
    slao_status status = slao_json_read(json, path, fields, true, &read);
    if (status == SLAO_OK) {
        snprintf(holder->host, sizeof holder->host, "%s", read.host);
        snprintf(holder->namespace, sizeof holder->namespace, "%s", read.namespace);
        snprintf(holder->started, sizeof holder->started, "%s", read.started);
        holder->pid = read.pid;
        holder->process_start = read.process_start;
    }
    cJSON_Delete(json);
    return status;
}

slao_status slao_holder_look(const slao_holder *holder, slao_holder_fate *fate) {
    slao_holder here;
    SLAO_TRY(where_am_i(&here));
    if (strcmp(holder->host, here.host) != 0 || strcmp(holder->namespace, here.namespace) != 0) {
        *fate = SLAO_HOLDER_ELSEWHERE;
        return SLAO_OK;
    }
    bool gone = kill((pid_t)holder->pid, 0) != 0
                    ? errno == ESRCH /* EPERM: there, but not ours */
                    : holder->process_start != process_start(holder->pid);
    *fate = gone ? SLAO_HOLDER_GONE : SLAO_HOLDER_HERE;
    return SLAO_OK;
}
