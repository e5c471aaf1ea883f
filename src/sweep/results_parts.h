/* The parts of a results file, each written by a function of its own: private to results.c. */
#ifndef SLAO_SWEEP_RESULTS_PARTS_H
#define SLAO_SWEEP_RESULTS_PARTS_H

#include "sweep/h5.h"
#include "sweep/outcome.h"

/* results_settings.c: the tables with a row per trial and per setting. */
slao_status slao_results_write_trials(slao_h5 file, const slao_outcome *outcome);
slao_status slao_results_write_orders(slao_h5 file, const slao_outcome *outcome);

/* results_runs.c: the tables of what was evaluated and of what ran. */
slao_status slao_results_write_accuracy(slao_h5 file, const slao_outcome *outcome);
slao_status slao_results_write_steps(slao_h5 file, const slao_outcome *outcome);

/* results_trial.c: the arrays of one trial, /trial/ID/...; its part of the fingerprint is fed. */
slao_status slao_results_write_trial(slao_h5 file, const slao_outcome *outcome, int64_t index,
                                     slao_hasher *fingerprint);

/* results_cosine.c: cosine_A and cosine_B of a trial, from the adapters in the stores; nothing if
 * they have none of them. Earlier trials must have been written. */
slao_status slao_results_write_cosines(slao_h5 file, const slao_outcome *outcome, int64_t index,
                                       const slao_model_config *config);

/* Feeds the settings of a trial that its row shows or training reads, all but the order of its
 * tasks. */
void slao_results_hash_setting(slao_hasher *hasher, const slao_spec *spec, const slao_trial *trial);

#endif
