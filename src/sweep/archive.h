/* What a store keeps of a sweep in STORE/specs/NAME.json, so that its results file NAME.h5 can be
 * made again from the store alone, on any machine:
 *
 *   spec, written   the spec with the variables of the environment put in, and as it was written
 *   folder          what its relative paths count from
 *   model           {hash, weights, tokenizer}, and its widths and numbers of layers and heads
 *   names           of all tasks that the benchmark has
 *   tasks           those that some order names: name, group, score, numbers of examples (train,
 *                   validation, test, unanswerable) and their hashes
 */
#ifndef SLAO_SWEEP_ARCHIVE_H
#define SLAO_SWEEP_ARCHIVE_H

#include "model/config.h"
#include "sweep/plan.h"
#include "sweep/provenance.h"
#include "sweep/store.h"

/* Texts lie in `document`. */
typedef struct slao_archive {
    const char *expanded, *written, *folder;
    slao_hash model_hash; /* in all keys */
    slao_inputs inputs;
    slao_model_config config; /* widths and numbers of layers and heads alone */
    slao_task_names names;
    int64_t n_tasks;
    slao_task **tasks; /* without examples; NULL once they are a plan's */
    cJSON *document;
} slao_archive;

slao_status slao_archive_write(slao_store *store, const char *name, const slao_plan *plan,
                               const slao_inputs *inputs, const slao_model_config *config,
                               const char *folder);

slao_status slao_archive_read(slao_archive **archive, const slao_store *store, const char *name);
void slao_archive_free(slao_archive *archive); /* NULL is allowed */

/* The plan again, for `spec` read from the archive. The archive's tasks become the plan's. */
slao_status slao_archive_plan(slao_archive *archive, const slao_spec *spec, slao_plan **plan);

#endif
