/* The results file: one HDF5 file per sweep, put together from a plan and the records of its steps.
 *
 *   /               attributes: schema_version, name, spec, fingerprint, slao_version, git_commit,
 *                   git_dirty, numeric_version, started, finished, hosts, ranks, threads, mpi,
 *                   blas, hdf5, cpu
 *   /trials         a row per trial: its settings, status, metrics, costs
 *   /accuracy       a row per evaluated cell of all matrices
 *   /orders         a row per setting: what the order of the tasks changes
 *   /steps          a row per step that ran
 *   /provenance     a row per program, machine and host that steps ran with
 *   /inputs         a row per input: model, tokenizer and examples of each task, by their hashes
 *   /trial/ID/...   arrays of a trial: scores, losses, lambda used, geometry of the adapters
 *
 * It can be written at any time, and again from the store alone: every trial has every dataset, and
 * what has not run is NaN (or of length 0: losses, example_scores). It appears whole, in place of
 * an older one. Writing takes time in proportion to the steps and trials; memory, too: the losses,
 * the numbers by layer and the final example scores of all steps are held at once.
 *
 * The fingerprint is the same for two sweeps exactly if their results are: it covers, over trials
 * sorted by id, the settings, the bits of all scores and losses, and the hash of the final adapters
 * (the last fine-tuned and the last evaluated one); no names, paths, times or hosts.
 */
#ifndef SLAO_SWEEP_RESULTS_H
#define SLAO_SWEEP_RESULTS_H

#include "sweep/plan.h"
#include "sweep/provenance.h"
#include "sweep/store.h"

/* Raised when a reader of the file would have to change. */
enum { SLAO_RESULTS_SCHEMA = 1 };

/* Where a sweep computed, and what its adapters belong to. */
typedef struct {
    const slao_machine *machine; /* that writes the file; the records tell theirs */
    const slao_inputs *inputs;
    int64_t ranks;                   /* 0: as many as the records show */
    const slao_model_config *config; /* of the base model */
} slao_results_context;

/* Writes `path` from the records and adapters in `stores` (see outcome.h). A full disk is
 * SLAO_NO_RESOURCE, and what was at `path` stays. */
slao_status slao_results_write(const char *path, const slao_plan *plan,
                               const slao_store *const *stores, int64_t n_stores,
                               const slao_results_context *context,
                               char fingerprint[SLAO_HASH_TEXT]);

#endif
