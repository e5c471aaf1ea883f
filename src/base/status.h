/* Errors.
 *
 * Every function that can fail for a reason outside this program returns a slao_status. The message
 * that explains it lies in a buffer of the calling thread until the next failure there: what was
 * wrong, where (file, key, byte, task, tensor), and what to do. Callers forward a failure with
 * SLAO_TRY, or with SLAO_TRY_IN to put "context: " before the message. Only main() turns a status
 * into an exit code, and the numbers are those codes. A broken invariant of our own is not a
 * status: SLAO_INVARIANT aborts.
 */
#ifndef SLAO_BASE_STATUS_H
#define SLAO_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    SLAO_OK = 0,
    SLAO_FAILED = 1,      /* some trials failed, the rest are kept */
    SLAO_BAD_INPUT = 2,   /* wrong usage, or a file, key or value that cannot be used */
    SLAO_NO_RESOURCE = 3, /* disk full, allocation refused: everything finished is kept */
    SLAO_BROKEN = 4,      /* a library or the system failed in a way that we have no advice for */
    SLAO_DRAINED = 75     /* stopped on request; the same command goes on */
} slao_status;

/* Sets this thread's message (printf form, without a newline at its end) and returns `status`. */
slao_status slao_fail(slao_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As slao_fail, for a failed system call: adds ": " and strerror(errno). ENOSPC, EDQUOT, EFBIG,
 * ENOMEM and EMFILE give SLAO_NO_RESOURCE, everything else `status`. */
slao_status slao_fail_errno(slao_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the message of a failure under way and returns its status. */
slao_status slao_fail_context(slao_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The message of this thread's last failure; empty if there was none. Valid until the next failure.
 * Longer ones are cut. */
enum { SLAO_MESSAGE_SIZE = 4096 };
const char *slao_message(void);

#define SLAO_TRY(call)                                                                             \
    do {                                                                                           \
        slao_status try_status_ = (call);                                                          \
        if (try_status_ != SLAO_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

/* SLAO_TRY_IN(call, "task %s", name) */
#define SLAO_TRY_IN(call, ...)                                                                     \
    do {                                                                                           \
        slao_status try_status_ = (call);                                                          \
        if (try_status_ != SLAO_OK)                                                                \
            return slao_fail_context(try_status_, __VA_ARGS__);                                    \
    } while (0)

/* For functions that must release something: `status = call; if it failed, goto label`. */
#define SLAO_TRY_GOTO(status, call, label)                                                         \
    do {                                                                                           \
        (status) = (call);                                                                         \
        if ((status) != SLAO_OK)                                                                   \
            goto label;                                                                            \
    } while (0)

/* What can only be false through a fault of ours. Never compiled out, never used on input. */
#define SLAO_INVARIANT(condition)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            slao_invariant_broken(#condition, __FILE__, __LINE__);                                 \
    } while (0)
_Noreturn void slao_invariant_broken(const char *condition, const char *file, int line);

/* The name in `names` nearest to `word` by edit distance, or NULL if none is near enough to be a
 * slip of the pen. For messages that say "did you mean". `names` ends in NULL. */
const char *slao_nearest(const char *word, const char *const *names);

/* The place of `name` in `names`, where it must be. */
int slao_name_index(const char *name, const char *const *names);

/* SLAO_BAD_INPUT unless `value` is one of `names` (which end in NULL) or NULL. The message begins
 * with `where` and `key` ("spec.json: ", "evaluate.score") and ends with the names. */
slao_status slao_check_name(const char *value, const char *const *names, const char *where,
                            const char *key);

#endif
