#include "sweep/leftovers.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    char host[64]; /* as slao_temporary_name cuts it */
    const slao_store *store;
    int64_t removed;
} cleaner;

/* Calls `visit` for every entry of a folder, or for none if there is no such folder. */
static slao_status visit_folder(cleaner *c, const char *folder, const char *prefix,
                                slao_status (*visit)(cleaner *c, const char *path,
                                                     const char *name)) {
    DIR *entries = opendir(folder);
    if (!entries)
        return errno == ENOENT || errno == ENOTDIR
                   ? SLAO_OK
                   : slao_fail_errno(SLAO_BAD_INPUT, "cannot read %s", folder);
    slao_status status = SLAO_OK;
    for (struct dirent *entry; status == SLAO_OK && (entry = readdir(entries));) {
        char *path;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        status = slao_join_path(&path, folder, entry->d_name);
        if (status == SLAO_OK)
            status = visit(c, path, entry->d_name);
        free(path);
    }
    closedir(entries);
    return status;
}

/* NAME.HOST.PID.tmp: is that process of this host gone? */
static bool is_of_dead_process(const cleaner *c, const char *name) {
    char *copy, *end;
    bool dead = false;
    if (slao_format(&copy, "%.*s", (int)(strlen(name) - strlen(".tmp")), name) != SLAO_OK)
        return false;
    char *dot = strrchr(copy, '.');
    if (dot) {
        long pid = strtol(dot + 1, &end, 10);
        *dot = '\0';
        size_t length = strlen(copy), host = strlen(c->host);
        bool ours = length > host && copy[length - host - 1] == '.' &&
                    strcmp(copy + length - host, c->host) == 0;
        dead =
            ours && end > dot + 1 && !*end && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    }
    free(copy);
    return dead;
}

static void remove_file(cleaner *c, const char *path) {
    c->removed += unlink(path) == 0;
}

static slao_status remove_temporary(cleaner *c, const char *path, const char *name) {
    enum { OLD_SECONDS = 3600 };
    size_t length = strlen(name);
    struct stat facts;
    if (length <= 4 || strcmp(name + length - 4, ".tmp") != 0 || lstat(path, &facts) != 0 ||
        S_ISDIR(facts.st_mode))
        return SLAO_OK;
    if (is_of_dead_process(c, name) || time(NULL) - facts.st_mtime > OLD_SECONDS)
        remove_file(c, path);
    return SLAO_OK;
}

static slao_status clean_adapter(cleaner *c, const char *path, const char *name) {
    SLAO_TRY(remove_temporary(c, path, name));
    return visit_folder(c, path, "", clean_adapter);
}

/* The savepoint of a step that is done. */
static slao_status clean_savepoint(cleaner *c, const char *path, const char *name) {
    slao_hash key;
    SLAO_TRY(remove_temporary(c, path, name));
    if (slao_hash_from_text(&key, name) == SLAO_OK && slao_store_has(c->store, key))
        remove_file(c, path);
    return SLAO_OK;
}

static slao_status clean_store(cleaner *c) {
    const struct {
        const char *folder;
        slao_status (*visit)(cleaner *c, const char *path, const char *name);
    } parts[] = {{".", remove_temporary},     {"steps", remove_temporary},
                 {"logs", remove_temporary},  {"specs", remove_temporary},
                 {"adapters", clean_adapter}, {"checkpoints", clean_savepoint}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *folder;
        SLAO_TRY(slao_join_path(&folder, slao_store_folder(c->store), parts[i].folder));
        slao_status status = visit_folder(c, folder, "", parts[i].visit);
        free(folder);
        SLAO_TRY(status);
    }
    return SLAO_OK;
}

/* OUT.h5.*: what was to become the results file. */
static slao_status clean_beside(cleaner *c, const char *output) {
    const char *slash = strrchr(output, '/');
    char *folder = NULL, *prefix = NULL;
    slao_status status = slash ? slao_format(&folder, "%.*s", (int)(slash - output) + 1, output)
                               : slao_copy_text(&folder, ".");
    if (status == SLAO_OK)
        status = slao_format(&prefix, "%s.", slash ? slash + 1 : output);
    if (status == SLAO_OK)
        status = visit_folder(c, folder, prefix, remove_temporary);
    free(prefix);
    free(folder);
    return status;
}

slao_status slao_leftovers_remove(const slao_store *store, const char *output) {
    cleaner c = {.store = store};
    if (gethostname(c.host, sizeof c.host - 1) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot tell this host's name");
    SLAO_TRY(clean_store(&c));
    SLAO_TRY(clean_beside(&c, output));
    if (c.removed)
        slao_note("removed %" PRId64 " unfinished files that killed runs had left", c.removed);
    return SLAO_OK;
}
