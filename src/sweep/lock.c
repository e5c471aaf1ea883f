#include "sweep/lock.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "sweep/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct slao_lock {
    char *path;
    dev_t device;
    ino_t inode;  /* of our lock file: another's is never removed */
    int fd;       /* of the same */
    double every; /* seconds between two beats */
    pthread_t heart;
    pthread_mutex_t mutex; /* over `released` */
    pthread_cond_t changed;
    bool released;
};

/* ---- The heartbeat ---- */

/* A lock file as its holder left it last; all zero: there is none. */
typedef struct {
    dev_t device;
    ino_t inode;
    struct timespec beat;
} trace;

/* Opens the file, for then a file system of a network looks anew; not always when it is only asked
 * for the time. */
static slao_status look_at(trace *found, const char *path) {
    *found = (trace){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SLAO_OK : slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path);
    struct stat facts;
    bool known = fstat(fd, &facts) == 0;
    close(fd);
    if (!known)
        return slao_fail_errno(SLAO_BROKEN, "cannot look at %s", path);
    *found = (trace){facts.st_dev, facts.st_ino, facts.st_mtim};
    return SLAO_OK;
}

static bool is_same(const trace *a, const trace *b) {
    return a->device == b->device && a->inode == b->inode && a->beat.tv_sec == b->beat.tv_sec &&
           a->beat.tv_nsec == b->beat.tv_nsec;
}

static struct timespec time_of(double seconds) {
    return (struct timespec){(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
}

/* Watches the lock for a lease: *silent tells whether it has stayed as it is. */
static slao_status watch(const char *path, const slao_holder *holder, bool *silent) {
    double lease, begin = slao_seconds();
    trace before, now;
    *silent = false;
    SLAO_TRY(slao_lease_seconds(&lease));
    SLAO_TRY(look_at(&before, path));
    slao_note("process %lld on host %s has had the store since %s: this sweep takes it over unless "
              "that one gives a sign of life within %.0f s",
              (long long)holder->pid, holder->host, holder->started, lease);
    const struct timespec nap = time_of(fmin(1, lease / 8));
    while (slao_seconds() - begin < lease) {
        nanosleep(&nap, NULL);
        SLAO_TRY(look_at(&now, path));
        if (!is_same(&before, &now))
            return SLAO_OK;
    }
    *silent = true;
    return SLAO_OK;
}

static void *beat(void *argument) {
    slao_lock *lock = argument;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->released) {
        struct timespec now;
        SLAO_INVARIANT(clock_gettime(CLOCK_REALTIME, &now) == 0);
        const struct timespec next =
            time_of((double)now.tv_sec + (double)now.tv_nsec * 1e-9 + lock->every);
        pthread_cond_timedwait(&lock->changed, &lock->mutex, &next);
        (void)futimens(lock->fd, NULL); /* should it fail for long, slao_lock_check tells */
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

static slao_status start_heart(slao_lock *lock) {
    SLAO_INVARIANT(pthread_mutex_init(&lock->mutex, NULL) == 0);
    SLAO_INVARIANT(pthread_cond_init(&lock->changed, NULL) == 0);
    int error = pthread_create(&lock->heart, NULL, beat, lock);
    return error == 0 ? SLAO_OK
                      : slao_fail(SLAO_NO_RESOURCE, "cannot start a thread: %s", strerror(error));
}

/* ---- Taking ---- */

/* Decides over the lock that is there: SLAO_OK if it may be replaced. */
static slao_status judge(const char *path) {
    slao_holder holder;
    slao_holder_fate fate;
    SLAO_TRY_IN(slao_holder_read(&holder, path),
                "the store's lock cannot be read (if no sweep runs in this store, delete it)");
    SLAO_TRY(slao_holder_look(&holder, &fate));
    long long pid = (long long)holder.pid;
    if (fate == SLAO_HOLDER_HERE)
        return slao_fail(SLAO_BAD_INPUT,
                         "the store is in use by process %lld on this host (%s) since %s: wait for "
                         "it, or stop it; its lock is %s",
                         pid, holder.host, holder.started, path);
    bool gone = fate == SLAO_HOLDER_GONE;
    if (!gone)
        SLAO_TRY(watch(path, &holder, &gone));
    if (!gone)
        return slao_fail(SLAO_BAD_INPUT,
                         "the store is in use by process %lld on host %s since %s: wait for it, or "
                         "stop it; its lock is %s",
                         pid, holder.host, holder.started, path);
    slao_note("taking over %s from process %lld on host %s, which is gone; it started %s", path,
              pid, holder.host, holder.started);
    return SLAO_OK;
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

/* Puts the lock file `fresh` in its place. */
static slao_status put_in_place(const char *path, const char *fresh) {
    for (bool taken = false; !taken;) {
        if (link(fresh, path) == 0)
            return SLAO_OK;
        if (errno != EEXIST)
            return slao_fail_errno(SLAO_BAD_INPUT,
                                   "cannot make the lock %s (a store must lie on a file system "
                                   "that has hard links)",
                                   path);
        SLAO_TRY(take_over(path, fresh, &taken));
    }
    return SLAO_OK;
}

static slao_status take(slao_lock *lock, const char *fresh) {
    static const double MOST_SECONDS = 5, BEATS_OF_A_LEASE = 8;
    double lease;
    struct stat facts;
    SLAO_TRY(slao_lease_seconds(&lease));
    lock->every = fmin(MOST_SECONDS, lease / BEATS_OF_A_LEASE);
    SLAO_TRY(slao_holder_write(fresh));
    lock->fd = open(fresh, O_RDWR | O_CLOEXEC);
    if (lock->fd < 0 || fstat(lock->fd, &facts) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot look at %s", fresh);
    lock->device = facts.st_dev;
    lock->inode = facts.st_ino;
    return put_in_place(lock->path, fresh);
}

static void lock_free(slao_lock *lock) {
    if (lock->fd >= 0)
        close(lock->fd);
    free(lock->path);
    free(lock);
}

slao_status slao_lock_take(slao_lock **lock, const char *path) {
    SLAO_TRY(slao_allocate(lock, 1, sizeof **lock));
    slao_lock *made = *lock;
    made->fd = -1;
    char *fresh = NULL;
    slao_status status = slao_copy_text(&made->path, path);
    if (status == SLAO_OK)
        status = slao_temporary_name(&fresh, path);
    if (status == SLAO_OK)
        status = take(made, fresh);
    if (status == SLAO_OK)
        status = start_heart(made);
    if (fresh)
        unlink(fresh); /* gone already if it was renamed */
    free(fresh);
    if (status != SLAO_OK) {
        lock_free(made);
        *lock = NULL;
    }
    return status;
}

/* ---- Holding ---- */

static bool is_ours(const slao_lock *lock) {
    struct stat there;
    return stat(lock->path, &there) == 0 && there.st_ino == lock->inode &&
           there.st_dev == lock->device;
}

slao_status slao_lock_check(const slao_lock *lock) {
    if (is_ours(lock))
        return SLAO_OK;
    return slao_fail(SLAO_BROKEN,
                     "the lock %s was taken over or removed while this sweep stood still: it ends, "
                     "and leaves the store to who has the lock now",
                     lock->path);
}

slao_status slao_lock_release(slao_lock *lock) {
    if (!lock)
        return SLAO_OK;
    pthread_mutex_lock(&lock->mutex);
    lock->released = true;
    pthread_cond_signal(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
    SLAO_INVARIANT(pthread_join(lock->heart, NULL) == 0);
    pthread_cond_destroy(&lock->changed);
    pthread_mutex_destroy(&lock->mutex);
    slao_status status = SLAO_OK;
    if (!is_ours(lock))
        slao_warn("the lock %s was removed or replaced while this sweep held it", lock->path);
    else if (unlink(lock->path) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot remove %s", lock->path);
    lock_free(lock);
    return status;
}

/* ---- Looking ---- */

slao_status slao_lock_look(slao_lock_state *state, const char *path) {
    *state = (slao_lock_state){0};
    double lease;
    trace last;
    slao_holder_fate fate;
    struct timespec now;
    SLAO_TRY(slao_lease_seconds(&lease));
    SLAO_TRY(look_at(&last, path));
    if (!last.inode)
        return SLAO_OK;
    SLAO_TRY(slao_holder_read(&state->holder, path));
    SLAO_TRY(slao_holder_look(&state->holder, &fate));
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot tell the time");
    state->held = true;
    state->silence =
        (double)(now.tv_sec - last.beat.tv_sec) + (double)(now.tv_nsec - last.beat.tv_nsec) * 1e-9;
    state->alive =
        fate == SLAO_HOLDER_HERE || (fate == SLAO_HOLDER_ELSEWHERE && state->silence <= lease);
    return SLAO_OK;
}
