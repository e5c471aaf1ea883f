/* How a sweep stands, as its store tells anyone on any host: from STORE/status.json
 * (sweep/chronicle.h), what the journal has beyond it, and the lock.
 *
 *   starting   a sweep has the lock, and reads the model and the data
 *   running
 *   stopping   it hands out nothing more; what runs comes to its end or to a savepoint
 *   finished   every step that was to run is done
 *   failed     the same, but for steps that failed and what depends on them
 *   drained    stopped on request or by the time limit: the same command goes on
 *   stopped    ended early for another reason
 *   dead       it has not ended, but its process is gone or gives no sign of life: the same command
 *              goes on
 */
#ifndef SLAO_SWEEP_STANDING_H
#define SLAO_SWEEP_STANDING_H

#include "base/json.h"

typedef enum {
    SLAO_STANDING_STARTING,
    SLAO_STANDING_RUNNING,
    SLAO_STANDING_STOPPING,
    SLAO_STANDING_FINISHED,
    SLAO_STANDING_FAILED,
    SLAO_STANDING_DRAINED,
    SLAO_STANDING_STOPPED,
    SLAO_STANDING_DEAD
} slao_standing_state;
const char *slao_standing_name(slao_standing_state state); /* "starting" */

typedef struct {
    int64_t steps, done, done_before, running, failed, skipped;
    int64_t left; /* neither of the others */
} slao_standing_counts;

/* Texts and lists lie in `document`. */
typedef struct {
    slao_standing_state state;
    const char *name, *output, *host, *message, *updated; /* "" while it starts */
    int64_t pid;
    int64_t exit_code;           /* -1: it has not ended */
    double silence;              /* seconds since its last sign of life; 0 once it has ended */
    double elapsed;              /* seconds of this run, or of the last one */
    double seconds_left;         /* NaN where it cannot be told */
    double tokens;               /* of this run */
    slao_standing_counts counts; /* all zero while it starts */
    const cJSON *ranks;    /* [{rank, host, step (text, or null), seconds, at, of, silence}] */
    const cJSON *failures; /* [{step, log}] */
    cJSON *document;
} slao_standing;

/* SLAO_BAD_INPUT if no sweep has run in that store. The caller releases it with
 * slao_standing_free, also after a failure. Nothing is written. */
slao_status slao_standing_read(slao_standing *standing, const char *store);
void slao_standing_free(slao_standing *standing);

/* Is there more to come? */
bool slao_standing_is_over(const slao_standing *standing);

#endif
