/* The queue: which step of a graph to run next. No messages, no clock, no threads: the coordinator
 * asks, and tells what became of the steps.
 *
 *   waiting --> ready <--> running --> done
 *      |                      '------> failed
 *      '--> skipped (a step that it depends on failed)
 *
 * A running step that was stopped, or whose rank is lost, or that is to be tried again, is ready
 * again.
 *
 * A step is ready when all its parents are done. Of the ready steps the one with the longest chain
 * comes first: its cost and that of the costliest path of steps that wait for it (list scheduling
 * by critical path). So fine-tuning, which everything waits for, goes before evaluations; ties go
 * by index, so that the order is always the same.
 *
 * A rank that ran a step has its adapter, or the one that it started from, in memory. It is given a
 * child of that step, or of that step's parents, in preference to the longest chain, unless that
 * one is longer by more than a tenth.
 *
 * Each call costs O(log n) and what it changes; the whole graph O((n + parents) log n).
 */
#ifndef SLAO_SWEEP_QUEUE_H
#define SLAO_SWEEP_QUEUE_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    int64_t n_parents;
    const int64_t *parents; /* indices of steps, each below this one's own */
    double cost;            /* estimated seconds, or any other unit; at least 0 */
    bool done;              /* already in the store */
    bool failed;            /* failed for good before: what depends on it is skipped */
    bool left_out;  /* not of this run, as if it were not there: no step that is may need it */
    bool resumable; /* stopped at any time it loses little: it need not fit a time limit */
} slao_graph_step;

typedef struct {
    int64_t steps; /* all but those left out: the sum of the next six */
    int64_t done, waiting, ready, running, failed, skipped;
    int64_t done_before; /* of done: before this run */
    double cost_done,
        cost_left; /* of this run: steps done in it, and steps that can still be done */
} slao_queue_counts;

typedef struct slao_queue slao_queue;

/* Copies what it needs of `steps`. */
slao_status slao_queue_new(slao_queue **queue, const slao_graph_step *steps, int64_t n_steps);
void slao_queue_free(slao_queue *queue); /* NULL is allowed */

/* The next step, or -1 if none is ready; it counts as running from here on. */
int64_t slao_queue_next(slao_queue *queue);

/* As slao_queue_next, but only a step that a rank which last ran `last` (-1: none) has an adapter
 * for, as told above; -1 if there is none. */
int64_t slao_queue_next_near(slao_queue *queue, int64_t last);

/* A running step is ready again. */
void slao_queue_return(slao_queue *queue, int64_t step);

/* The end of a running step. A failure skips everything that depends on it, and nothing else. */
void slao_queue_done(slao_queue *queue, int64_t step);
void slao_queue_failed(slao_queue *queue, int64_t step);

slao_queue_counts slao_queue_count(const slao_queue *queue);

#endif
