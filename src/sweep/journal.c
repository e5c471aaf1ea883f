#include "sweep/journal.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The length of what ends in a newline. */
static size_t whole_lines(const char *text, size_t size) {
    const char *last = size ? memrchr(text, '\n', size) : NULL;
    return last ? (size_t)(last - text) + 1 : 0;
}

static slao_status cut_torn_line(const slao_journal *journal) {
    struct stat facts;
    if (fstat(journal->fd, &facts) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot look at %s", journal->path);
    if (!S_ISREG(facts.st_mode) || facts.st_size == 0)
        return SLAO_OK;
    slao_mapping mapping;
    SLAO_TRY(slao_map_file(&mapping, journal->path));
    size_t size = mapping.size, whole = whole_lines((const char *)mapping.bytes, size);
    slao_unmap_file(&mapping);
    if (whole < size && ftruncate(journal->fd, (off_t)whole) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot cut the torn last line off %s", journal->path);
    return SLAO_OK;
}

slao_status slao_journal_open(slao_journal *journal, const char *path) {
    *journal = (slao_journal){.fd = -1};
    SLAO_TRY(slao_copy_text(&journal->path, path));
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    slao_status status = journal->fd < 0 ? slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path)
                                         : cut_torn_line(journal);
    if (status != SLAO_OK)
        slao_journal_close(journal);
    return status;
}

void slao_journal_close(slao_journal *journal) {
    if (journal->fd >= 0)
        close(journal->fd); /* every event was synced */
    free(journal->path);
    *journal = (slao_journal){.fd = -1};
}

static slao_status write_line(const slao_journal *journal, const char *line, size_t size) {
    while (size > 0) {
        ssize_t written = write(journal->fd, line, size);
        if (written < 0 && errno != EINTR)
            return slao_fail_errno(SLAO_BROKEN, "cannot write %s", journal->path);
        if (written > 0) {
            line += written;
            size -= (size_t)written;
        }
    }
    if (fsync(journal->fd) != 0 && errno != EINVAL) /* EINVAL: a file that has no disk under it */
        return slao_fail_errno(SLAO_BROKEN, "cannot write %s to disk", journal->path);
    return SLAO_OK;
}

slao_status slao_journal_append(slao_journal *journal, const cJSON *event) {
    struct stat before;
    if (fstat(journal->fd, &before) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot look at %s", journal->path);
    char *text, *line;
    SLAO_TRY(slao_json_print(&text, event));
    slao_status status = slao_format(&line, "%s\n", text);
    free(text);
    SLAO_TRY(status);
    status = write_line(journal, line, strlen(line));
    free(line);
    /* If this fails too, the half line is a torn one: readers and the next writer deal with it. */
    if (status != SLAO_OK && ftruncate(journal->fd, before.st_size) != 0)
        return status;
    return status;
}

slao_status slao_journal_size(const slao_journal *journal, size_t *size) {
    struct stat facts;
    if (fstat(journal->fd, &facts) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot look at %s", journal->path);
    *size = (size_t)facts.st_size;
    return SLAO_OK;
}

slao_status slao_journal_read(cJSON **events, const char *path, size_t from) {
    *events = cJSON_CreateArray();
    if (!*events)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for the events of %s", path);
    if (!slao_is_file(path))
        return SLAO_OK;
    char *text = NULL;
    size_t size;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_read_text(&text, &size, path), out);
    const char *end = text + whole_lines(text, size);
    int64_t number = 1;
    for (const char *line = text + (from < size ? from : size); line < end; number++) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        cJSON *event;
        SLAO_TRY_GOTO(status, slao_json_parse(&event, line, (size_t)(next - line), path), bad_line);
        SLAO_TRY_GOTO(status, slao_json_add(*events, "", event), out);
        line = next + 1;
    }
bad_line:
    if (status != SLAO_OK)
        status = slao_fail_context(status, "line %lld of the journal", (long long)number);
out:
    free(text);
    if (status != SLAO_OK) {
        cJSON_Delete(*events);
        *events = NULL;
    }
    return status;
}
