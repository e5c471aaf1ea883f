#include "sweep/progress.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NAME_SIZE = 256, LINE_SIZE = 512, LEFT_SIZE = SLAO_DURATION_TEXT + 16 };
static const double BAR_SECONDS = 0.1, LINE_SECONDS = 60; /* least time between two looks */

struct slao_progress {
    slao_progress_mode mode;
    FILE *stream;
    int columns;
    slao_step_namer *namer;
    void *context;
    int64_t tokens; /* of this run */
    double shown;   /* `elapsed` when something was shown last */
    bool on_bar;    /* the cursor is on the live line */
};

static const char *const mode_names[] = {
    [SLAO_PROGRESS_AUTO] = "auto",
    [SLAO_PROGRESS_BAR] = "bar",
    [SLAO_PROGRESS_LINES] = "lines",
    [SLAO_PROGRESS_NONE] = "none",
};

slao_status slao_progress_parse(slao_progress_mode *mode, const char *text) {
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(text, mode_names[i]) == 0) {
            *mode = (slao_progress_mode)i;
            return SLAO_OK;
        }
    }
    return slao_fail(SLAO_BAD_INPUT, "progress is auto, bar, lines or none, not %s", text);
}

/* "2 min 10 s left", or "" where that cannot be told. */
static void write_left(char text[LEFT_SIZE], const slao_event *event, const char *before) {
    const slao_queue_counts *counts = &event->counts;
    text[0] = '\0';
    if (!(counts->cost_done > 0) || counts->ready + counts->waiting + counts->running == 0)
        return;
    char duration[SLAO_DURATION_TEXT];
    slao_duration_text(duration, event->elapsed * counts->cost_left / counts->cost_done);
    snprintf(text, LEFT_SIZE, "%s%s left", before, duration);
}

/* "12/40 steps, 3 running, 1 failed, 1843 tokens/s, 2 min 10 s left" */
static void write_state(const slao_progress *progress, const slao_event *event,
                        char text[LINE_SIZE]) {
    const slao_queue_counts *counts = &event->counts;
    char left[LEFT_SIZE];
    int at = snprintf(text, LINE_SIZE, "%lld/%lld steps, %lld running", (long long)counts->done,
                      (long long)counts->steps, (long long)counts->running);
    if (counts->failed > 0)
        at += snprintf(text + at, LINE_SIZE - (size_t)at, ", %lld failed, %lld skipped",
                       (long long)counts->failed, (long long)counts->skipped);
    if (event->elapsed > 0 && progress->tokens > 0)
        at += snprintf(text + at, LINE_SIZE - (size_t)at, ", %.0f tokens/s",
                       (double)progress->tokens / event->elapsed);
    write_left(left, event, ", ");
    snprintf(text + at, LINE_SIZE - (size_t)at, "%s", left);
}

static void clear_bar(slao_progress *progress) {
    if (progress->on_bar)
        fputs("\r\033[K", progress->stream);
    progress->on_bar = false;
}

static void show_bar(slao_progress *progress, const slao_event *event) {
    char state[LINE_SIZE], bar[LINE_SIZE];
    write_state(progress, event, state);
    int width = progress->columns - 1 - (int)strlen(state) - 3; /* "[" "] " */
    width = width > LINE_SIZE - 1 ? LINE_SIZE - 1 : width;
    int64_t steps = event->counts.steps ? event->counts.steps : 1;
    int full = width > 0 ? (int)(width * event->counts.done / steps) : 0;
    for (int i = 0; i < width; i++)
        bar[i] = i < full ? '#' : '.';
    if (width >= 4)
        fprintf(progress->stream, "\r[%.*s] %s\033[K", width, bar, state);
    else /* a narrow terminal: the numbers alone, cut to one line */
        fprintf(progress->stream, "\r%.*s\033[K", progress->columns - 1, state);
    fflush(progress->stream);
    progress->on_bar = true;
}

static void show_line(slao_progress *progress, const slao_event *event) {
    char state[LINE_SIZE];
    write_state(progress, event, state);
    fprintf(progress->stream, "slao: %s\n", state);
}

/* "slao: [12/40] finetune agnews: 34.2 s, 1832 tokens/s, rank 3; 2 min 10 s left" */
static void show_done(slao_progress *progress, const slao_event *event, const char *name) {
    const slao_queue_counts *counts = &event->counts;
    char speed[64] = "", left[LEFT_SIZE];
    if (event->tokens > 0 && event->seconds > 0)
        snprintf(speed, sizeof speed, ", %.0f tokens/s", (double)event->tokens / event->seconds);
    write_left(left, event, "; ");
    fprintf(progress->stream, "slao: [%lld/%lld] %s: %.1f s%s, rank %d%s\n",
            (long long)counts->done, (long long)counts->steps, name, event->seconds, speed,
            event->rank, left);
}

void slao_progress_hear(slao_progress *progress, const slao_event *event) {
    char name[NAME_SIZE] = "";
    if (event->step >= 0)
        progress->namer(progress->context, event->step, name, sizeof name);
    progress->tokens += event->kind == SLAO_EVENT_DONE ? event->tokens : 0;
    bool lines = progress->mode == SLAO_PROGRESS_LINES;
    if (event->kind == SLAO_EVENT_FAILED) {
        clear_bar(progress);
        fprintf(progress->stream, "slao: FAILED %s, on rank %d after %.1f s: %s\n", name,
                event->rank, event->seconds, event->message);
    } else if (event->kind == SLAO_EVENT_STOPPING) {
        clear_bar(progress);
        fprintf(progress->stream, "slao: stopping %s; %lld steps still run\n", event->message,
                (long long)event->counts.running);
    } else if (event->kind == SLAO_EVENT_RETURNED && event->status != SLAO_DRAINED) {
        clear_bar(progress);
        fprintf(progress->stream, "slao: %s, on rank %d, runs again: %s\n", name, event->rank,
                event->message);
    } else if (lines && event->kind == SLAO_EVENT_DONE) {
        show_done(progress, event, name);
        progress->shown = event->elapsed;
    } else if (lines && event->elapsed - progress->shown >= LINE_SECONDS) {
        show_line(progress, event);
        progress->shown = event->elapsed;
    }
    bool ended = event->counts.ready + event->counts.waiting + event->counts.running == 0;
    if (progress->mode == SLAO_PROGRESS_BAR &&
        (!progress->on_bar || ended || event->elapsed - progress->shown >= BAR_SECONDS)) {
        show_bar(progress, event);
        progress->shown = event->elapsed;
    }
}

static int terminal_columns(FILE *stream) {
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS"); /* passed on by who starts mpirun */
    return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

slao_status slao_progress_new(slao_progress **progress, slao_progress_mode mode, FILE *stream,
                              int columns, slao_step_namer *namer, void *context) {
    SLAO_TRY(slao_allocate(progress, 1, sizeof **progress));
    if (mode == SLAO_PROGRESS_AUTO)
        mode = isatty(fileno(stream)) ? SLAO_PROGRESS_BAR : SLAO_PROGRESS_LINES;
    **progress = (slao_progress){.mode = mode,
                                 .stream = stream,
                                 .columns = columns > 0 ? columns : terminal_columns(stream),
                                 .namer = namer,
                                 .context = context};
    return SLAO_OK;
}

void slao_progress_free(slao_progress *progress) {
    if (progress && progress->on_bar)
        fputs("\n", progress->stream);
    free(progress);
}
