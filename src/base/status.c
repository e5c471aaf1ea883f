#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char message[SLAO_MESSAGE_SIZE];

const char *slao_message(void) {
    return message;
}

slao_status slao_fail(slao_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

slao_status slao_fail_errno(slao_status status, const char *format, ...) {
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t length = strlen(message);
    snprintf(message + length, sizeof message - length, ": %s%s", strerror(error),
             error == EFBIG ? " (does ulimit -f limit it?)" : "");
    bool refused =
        error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM || error == EMFILE;
    return refused ? SLAO_NO_RESOURCE : status;
}

slao_status slao_fail_context(slao_status status, const char *format, ...) {
    char inner[SLAO_MESSAGE_SIZE];
    memcpy(inner, message, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t length = strlen(message);
    snprintf(message + length, sizeof message - length, ": %s", inner);
    return status;
}

_Noreturn void slao_invariant_broken(const char *condition, const char *file, int line) {
    fprintf(stderr,
            "slao: broken invariant at %s:%d: %s\nThis is a fault of slao: please report it.\n",
            file, line, condition);
    abort();
}

/* Levenshtein distance, given up (SIZE_MAX) for words too long to be a key. */
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 64 };
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > LONGEST || columns > LONGEST)
        return (size_t)-1;
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < best ? replaced : best;
        }
    }
    return row[columns];
}

const char *slao_nearest(const char *word, const char *const *names) {
    const char *nearest = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (; *names; names++) {
        size_t distance = edit_distance(word, *names);
        if (distance < least) {
            least = distance;
            nearest = *names;
        }
    }
    return nearest;
}

int slao_name_index(const char *name, const char *const *names) {
    int i = 0;
    while (strcmp(names[i], name) != 0)
        SLAO_INVARIANT(names[++i]);
    return i;
}

slao_status slao_check_name(const char *value, const char *const *names, const char *where,
                            const char *key) {
    char list[512] = ""; /* a longer one is cut */
    size_t at = 0;
    for (const char *const *name = names; *name; name++) {
        if (!value || strcmp(value, *name) == 0)
            return SLAO_OK;
        int length = snprintf(list + at, sizeof list - at, "%s%s", name > names ? ", " : "", *name);
        at = at + (size_t)length < sizeof list ? at + (size_t)length : sizeof list - 1;
    }
    const char *nearest = slao_nearest(value, names);
    return slao_fail(SLAO_BAD_INPUT, "%s%s cannot be \"%s\"%s%s%s (it is one of: %s)", where, key,
                     value, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "", list);
}
