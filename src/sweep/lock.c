#include "sweep/lock.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct {
    const char *host, *started;
    int64_t pid, process_start;
} holder;

static const slao_json_field holder_fields[] = {
    {"host", SLAO_JSON_TEXT, offsetof(holder, host), true, 0, 0},
    {"pid", SLAO_JSON_INTEGER, offsetof(holder, pid), true, 1, 0x1p31},
    {"process_start", SLAO_JSON_INTEGER, offsetof(holder, process_start), true, 0, 0},
    {"started", SLAO_JSON_TEXT, offsetof(holder, started), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static slao_status host_name(char host[256]) {
    memset(host, 0, 256);
    if (gethostname(host, 255) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot tell this host's name");
    return SLAO_OK;
}

/* When the process started, in clock ticks since this host did (proc(5), field 22 of stat); 0 where
 * that cannot be told, -1 if it has ended and only waits for its parent to notice. It tells a
 * process from a later one that was given the same pid. */
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

static bool is_gone(const holder *old) {
    if (kill((pid_t)old->pid, 0) != 0)
        return errno == ESRCH; /* EPERM: it is there, but not ours */
    return old->process_start != process_start(old->pid);
}

static slao_status write_lock(const char *path) {
    char host[256], started[SLAO_TIME_TEXT];
    SLAO_TRY(host_name(host));
    slao_time_text(started);
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a lock");
    char *text = NULL;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_json_add_text(json, "host", host), out);
    SLAO_TRY_GOTO(status, slao_json_add_real(json, "pid", (double)getpid()), out);
    SLAO_TRY_GOTO(status,
                  slao_json_add_real(json, "process_start", (double)process_start(getpid())), out);
    SLAO_TRY_GOTO(status, slao_json_add_text(json, "started", started), out);
    SLAO_TRY_GOTO(status, slao_json_print(&text, json), out);
    status = slao_write_file(path, text, strlen(text));
out:
    free(text);
    cJSON_Delete(json);
    return status;
}

/* Decides over the lock that is there: SLAO_OK if it may be replaced. */
static slao_status judge(const char *path) {
    char host[256];
    SLAO_TRY(host_name(host));
    cJSON *json;
    holder old;
    slao_status status = slao_json_load(&json, path);
    if (status == SLAO_OK)
        status = slao_json_read(json, path, holder_fields, true, &old);
    if (status != SLAO_OK) {
        status = slao_fail_context(status, "the store's lock cannot be read (if no sweep runs in "
                                           "this store, delete it)");
    } else if (strcmp(old.host, host) != 0) {
        status = slao_fail(SLAO_BAD_INPUT,
                           "the store is in use by process %lld on host %s since %s: wait for it, "
                           "or if it is gone, delete %s",
                           (long long)old.pid, old.host, old.started, path);
    } else if (!is_gone(&old)) {
        status = slao_fail(SLAO_BAD_INPUT,
                           "the store is in use by process %lld on this host (%s) since %s: wait "
                           "for it, or stop it; its lock is %s",
                           (long long)old.pid, host, old.started, path);
    } else {
        slao_note("taking over %s from process %lld, which is gone; it started %s", path,
                  (long long)old.pid, old.started);
    }
    cJSON_Delete(json);
    return status;
}

/* Replaces the lock of a process that is gone by `fresh`. Of several processes that find it gone,
 * one may: they queue at a kernel lock on the old file, and after the first it is no longer the one
 * at `path`. *taken tells whether it was us; if not, all is to be looked at again. */
static slao_status take_over(const char *path, const char *fresh, bool *taken) {
    *taken = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SLAO_OK : slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path);
    slao_status status = SLAO_OK;
    struct stat ours, there;
    if (flock(fd, LOCK_EX) != 0 || fstat(fd, &ours) != 0) {
        status = slao_fail_errno(SLAO_BROKEN, "cannot lock %s", path);
    } else if (stat(path, &there) == 0 && there.st_ino == ours.st_ino &&
               there.st_dev == ours.st_dev) {
        status = judge(path);
        if (status == SLAO_OK) {
            *taken = true;
            status = slao_publish_file(fresh, path);
        }
    }
    close(fd);
    return status;
}

slao_status slao_lock_take(slao_lock *lock, const char *path) {
    *lock = (slao_lock){0};
    char *fresh = NULL, *copy = NULL;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_copy_text(&copy, path), out);
    SLAO_TRY_GOTO(status, slao_temporary_name(&fresh, path), out);
    SLAO_TRY_GOTO(status, write_lock(fresh), out);
    struct stat facts;
    if (stat(fresh, &facts) != 0) {
        status = slao_fail_errno(SLAO_BROKEN, "cannot look at %s", fresh);
        goto out;
    }
    for (bool taken = false; !taken;) {
        if (link(fresh, path) == 0)
            break;
        if (errno != EEXIST) {
            status = slao_fail_errno(SLAO_BAD_INPUT,
                                     "cannot make the lock %s (a store must lie on a file system "
                                     "that has hard links)",
                                     path);
            goto out;
        }
        SLAO_TRY_GOTO(status, take_over(path, fresh, &taken), out);
    }
    *lock = (slao_lock){copy, facts.st_dev, facts.st_ino};
    copy = NULL;
out:
    if (fresh)
        unlink(fresh); /* gone already if it was renamed */
    free(fresh);
    free(copy);
    return status;
}

slao_status slao_lock_release(slao_lock *lock) {
    if (!lock->path)
        return SLAO_OK;
    struct stat there;
    slao_status status = SLAO_OK;
    if (stat(lock->path, &there) != 0 || there.st_ino != lock->inode ||
        there.st_dev != lock->device)
        slao_warn("the lock %s was removed or replaced while this sweep held it", lock->path);
    else if (unlink(lock->path) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot remove %s", lock->path);
    free(lock->path);
    *lock = (slao_lock){0};
    return status;
}
