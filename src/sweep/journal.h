/* The journal: what happened, a JSON object per line, in the order of writing.
 *
 * One writer appends; every event is on disk before the call returns. A kill may leave a last line
 * without its end: readers leave it out, and the next writer cuts it off. A full disk leaves the
 * journal as it was before the event.
 */
#ifndef SLAO_SWEEP_JOURNAL_H
#define SLAO_SWEEP_JOURNAL_H

#include "base/json.h"

typedef struct {
    int fd; /* -1: not open */
    char *path;
} slao_journal;

slao_status slao_journal_open(slao_journal *journal, const char *path);
void slao_journal_close(slao_journal *journal); /* one that is not open is allowed */

slao_status slao_journal_append(slao_journal *journal, const cJSON *event);

/* Bytes of all events so far. */
slao_status slao_journal_size(const slao_journal *journal, size_t *size);

/* Reads the events after the first `from` bytes (0, or what slao_journal_size was) into a JSON
 * array, which the caller deletes. For anyone, at any time. No file is an empty journal; a line
 * that is not JSON is SLAO_BAD_INPUT with its number, counted from there. */
slao_status slao_journal_read(cJSON **events, const char *path, size_t from);

#endif
