/* Progress on stderr, from the coordinator's events.
 *
 *   bar    one live line: [#######.........] 12/40 steps, 3 running, 1843 tokens/s, 2 min 10 s left
 *   lines  a line per step that ended, and when nothing ends, such a line of state once a minute
 *   none   failures alone
 *   auto   bar if stderr is a terminal, else lines. Under mpirun a rank's stderr never is one: who
 *          starts mpirun from a terminal and wants the bar says so.
 *
 * Failures, and why the run stops early, are shown at once in every mode. The time left is that of
 * this run so far times the estimated cost that is left over that which is done.
 */
#ifndef SLAO_SWEEP_PROGRESS_H
#define SLAO_SWEEP_PROGRESS_H

#include "sweep/event.h"

#include <stdio.h>

typedef enum {
    SLAO_PROGRESS_AUTO,
    SLAO_PROGRESS_BAR,
    SLAO_PROGRESS_LINES,
    SLAO_PROGRESS_NONE
} slao_progress_mode;

/* SLAO_BAD_INPUT lists the modes. */
slao_status slao_progress_parse(slao_progress_mode *mode, const char *text);

/* Writes what people call the step ("finetune agnews at 2 of O4") into `name`. */
typedef void slao_step_namer(void *context, int64_t step, char *name, size_t size);

typedef struct slao_progress slao_progress;

/* `stream` is stderr; `columns` the bar's width, 0 for that of the terminal. */
slao_status slao_progress_new(slao_progress **progress, slao_progress_mode mode, FILE *stream,
                              int columns, slao_step_namer *namer, void *context);
void slao_progress_free(slao_progress *progress); /* ends the live line; NULL is allowed */

/* Never fails: nobody's results depend on what could be shown. */
void slao_progress_hear(slao_progress *progress, const slao_event *event);

#endif
