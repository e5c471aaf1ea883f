/* The parts of a results file, each written by a function of its own: private to results.c. */
#ifndef SLAO_SWEEP_RESULTS_PARTS_H
#define SLAO_SWEEP_RESULTS_PARTS_H

#include "sweep/h5.h"
#include "sweep/outcome.h"
#include "sweep/provenance.h"

/* results_settings.c: the tables with a row per trial and per setting. */
slao_status slao_results_write_trials(slao_h5 file, const slao_outcome *outcome);
slao_status slao_results_write_orders(slao_h5 file, const slao_outcome *outcome);

/* results_runs.c: the tables of what was evaluated and of what ran. */
slao_status slao_results_write_accuracy(slao_h5 file, const slao_outcome *outcome);
slao_status slao_results_write_steps(slao_h5 file, const slao_outcome *outcome);

/* results_categories.c: a row per trial and category of tasks. */
slao_status slao_results_write_categories(slao_h5 file, const slao_outcome *outcome);

/* results_provenance.c: what steps ran with, and what they read. */
slao_status slao_results_write_provenance(slao_h5 file, const slao_outcome *outcome);
slao_status slao_results_write_inputs(slao_h5 file, const slao_outcome *outcome,
                                      const slao_inputs *inputs);

/* A trial being written. Its arrays lie in the outcome's arena until it is done. */
typedef struct {
    slao_h5 file;
    const slao_outcome *outcome;
    const slao_model_config *config; /* of the base model */
    int64_t index;                   /* of the trial */
    const slao_trial *settings;
    const slao_trial_steps *steps;
    const slao_trial_outcome *trial;
    int64_t n_tasks, n_modules; /* modules: those adapted in a layer */
} slao_trial_writer;

/* A dataset /trial/ID/name. */
typedef struct {
    const char *name, *description, *units;
} slao_trial_row;

/* results_trial.c: the datasets of one trial; its part of the fingerprint is fed. Earlier trials
 * must have been written. */
slao_status slao_results_write_trial(slao_h5 file, const slao_outcome *outcome,
                                     const slao_model_config *config, int64_t index,
                                     slao_hasher *fingerprint);
slao_status slao_trial_write_reals(const slao_trial_writer *w, const slao_trial_row *row,
                                   slao_h5_shape shape, const double *values);
slao_status slao_trial_write_integers(const slao_trial_writer *w, const slao_trial_row *row,
                                      int64_t count, const int64_t *values);
/* `count` times NaN, in the outcome's arena. */
slao_status slao_trial_take_reals(const slao_trial_writer *w, int64_t count, double **values);

/* A number for each task, layer and module: `key` of the records of `steps`, one for each task. NaN
 * where there is none. */
typedef struct {
    slao_trial_row row;
    const char *key;
} slao_trial_by_layer;
slao_status slao_trial_write_by_layer(const slao_trial_writer *w, const slao_trial_by_layer *what,
                                      const int64_t *steps);

/* results_training.c: losses and geometry of the trial's fine-tuning. Trials that differ only in
 * how they merge share it: the first of them has the datasets, the others link to them. */
slao_status slao_trial_write_training(const slao_trial_writer *w);
void slao_trial_hash_losses(slao_hasher *fingerprint, const slao_trial_writer *w);

/* results_cosine.c: cosine_A and cosine_B, from the adapters in the stores. */
slao_status slao_trial_write_cosines(const slao_trial_writer *w);
extern const char *const slao_trial_cosine_names[2];

/* Feeds the settings of a trial that its row shows or training reads, all but the order of its
 * tasks. */
void slao_results_hash_setting(slao_hasher *hasher, const slao_spec *spec, const slao_trial *trial);

#endif
