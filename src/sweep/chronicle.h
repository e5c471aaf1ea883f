/* What a run leaves to be read while it goes on and afterwards, all by rank 0:
 *
 *   STORE/journal.jsonl   every event (sweep/journal.h): {"event": started, done, failed, returned
 *                         or stopping, "time", "rank", "key" of the step, "seconds" and "tokens" of
 *                         one that is done, "message"}
 *   STORE/logs/KEY.log    of a step that failed for good: each try with its time, rank and message
 *   STORE/logs/KEY.tries  the same of a step that is to run again, or is done after all
 *   STORE/status.json     where the run is (below), written anew every two seconds
 *   stderr                the progress (sweep/progress.h)
 *
 * status.json is for `slao status` (sweep/standing.h), which may run on any host that sees the
 * file: name, output, host, pid, state ("running", "stopping", "ended"), message (why it stops, or
 * how it ended; else ""), updated (ISO 8601), journal_bytes (of the journal at that time), elapsed,
 *   exit_code (once ended), tokens (of this run), seconds_left (null if not known), counts {steps,
 *   done, done_before, running, ready, waiting, failed, skipped}, ranks [{rank, host, step (text,
 *   or null), seconds, at, of, silence}], failures [{step, log}] (the last 20)
 */
#ifndef SLAO_SWEEP_CHRONICLE_H
#define SLAO_SWEEP_CHRONICLE_H

#include "sweep/event.h"
#include "sweep/plan.h"
#include "sweep/progress.h"
#include "sweep/ranks.h"
#include "sweep/store.h"

typedef struct slao_chronicle slao_chronicle;

/* All borrowed. */
typedef struct {
    const slao_plan *plan;
    slao_store *store; /* locked */
    const slao_ranks *ranks;
    const char *output;
    slao_progress_mode progress;
    int64_t max_fails; /* so many failed steps end the run; 0: none do */
} slao_chronicle_parts;

slao_status slao_chronicle_new(slao_chronicle **chronicle, const slao_chronicle_parts *parts);
void slao_chronicle_free(slao_chronicle *chronicle); /* NULL is allowed */

slao_listener slao_chronicle_listener(slao_chronicle *chronicle);

/* The run is over, with this status and message ("" if it is SLAO_OK). Ends the progress. */
slao_status slao_chronicle_end(slao_chronicle *chronicle, slao_status status, const char *message);

#endif
