/* What a rank runs steps with: the model, the tokenised tasks, the adapters it used last.
 *
 * Running a step computes it and leaves its adapter and record in the store:
 * the adapter first, the record last, so that a step that has a record is complete. A rank that
 * dies in between leaves nothing that a rerun would trust.
 */
#ifndef SLAO_SWEEP_WORKBENCH_H
#define SLAO_SWEEP_WORKBENCH_H

#include "linalg/team.h"
#include "model/model.h"
#include "model/tokenizer.h"
#include "sweep/encodings.h"
#include "sweep/life.h"
#include "sweep/plan.h"
#include "sweep/provenance.h"
#include "sweep/store.h"
#include "sweep/worker.h"

typedef struct slao_workbench slao_workbench;

enum { SLAO_WORKBENCH_ADAPTERS = 6 }; /* that it keeps at the least */

/* Everything is borrowed and must outlive the workbench. `rank`, `host`, `machine` and
 * `inputs` go into the records. */
typedef struct {
    const slao_plan *plan;
    slao_store *store;
    const slao_model *model;
    const slao_tokenizer *tokenizer;
    slao_encodings *encodings;
    slao_team *team; /* that runs every step together: its first member keeps what it comes to */
    int rank;
    const char *host;
    const slao_machine *machine;
    const slao_inputs *inputs;
    slao_life *life;           /* is told how far steps are */
    double checkpoint_seconds; /* between savepoints of a training */
} slao_workbench_parts;

slao_status slao_workbench_new(slao_workbench **bench, const slao_workbench_parts *parts);
void slao_workbench_free(slao_workbench *bench); /* NULL is allowed */

/* How a worker runs steps with this bench. Their parents must be in the store. SLAO_FAILED: the
 * step cannot be done (training diverged), others can; SLAO_NO_RESOURCE: nothing more can be
 * written. */
slao_runner slao_workbench_runner(slao_workbench *bench);

#endif
