#include "sweep/results_parts.h"

#include <math.h>
#include <stdio.h>

/* --- losses --- */

static int64_t count_losses(const slao_trial_writer *w, int64_t task) {
    slao_record_array losses = slao_outcome_array(w->outcome, w->steps->finetunes[task], "loss");
    return losses.rows * losses.columns;
}

static const slao_trial_row loss_steps = {"loss_steps",
                                          "optimiser steps of each task: the parts of loss", NULL};

/* Lists of the fine-tune steps' records, one number per optimiser step, one task after the other.
 */
typedef struct {
    slao_trial_row row;
    const char *key;
    double otherwise; /* where a record has no such list */
} by_step;

static const by_step losses[] = {
    {{"loss",
      "mean loss over the answer tokens of each optimiser step; the tasks one after the other, "
      "loss_steps of each",
      "nat per token"},
     "loss",
     NAN},
    {{"extra_loss",
      "what the method added to each step's loss: the parts are those of loss, zero where it adds "
      "nothing",
      NULL},
     "extra_loss",
     0},
};
enum { N_LOSSES = sizeof losses / sizeof *losses };

static slao_status write_by_step(const slao_trial_writer *w, const by_step *what, int64_t total) {
    double *values;
    SLAO_TRY(slao_trial_take_reals(w, total, &values));
    int64_t at = 0;
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_record_array list = slao_outcome_array(w->outcome, w->steps->finetunes[j], what->key);
        int64_t known = list.rows * list.columns, count = count_losses(w, j);
        for (int64_t k = 0; k < count; k++)
            values[at++] = k < known ? list.values[k] : what->otherwise;
    }
    return slao_trial_write_reals(w, &what->row, (slao_h5_shape){1, {total}}, values);
}

static slao_status write_losses(const slao_trial_writer *w) {
    int64_t *counts, total = 0;
    SLAO_TRY(slao_arena_take(w->outcome->arena, &counts, (size_t)w->n_tasks, sizeof *counts));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        counts[j] = count_losses(w, j);
        total += counts[j];
    }
    for (int i = 0; i < N_LOSSES; i++)
        SLAO_TRY(write_by_step(w, &losses[i], total));
    return slao_trial_write_integers(w, &loss_steps, w->n_tasks, counts);
}

void slao_trial_hash_losses(slao_hasher *fingerprint, const slao_trial_writer *w) {
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_record_array list = slao_outcome_array(w->outcome, w->steps->finetunes[j], "loss");
        int64_t count = list.rows * list.columns;
        slao_hash_integer(fingerprint, count);
        for (int64_t k = 0; k < count; k++)
            slao_hash_real(fingerprint, list.values[k]);
    }
}

/* --- geometry --- */

static const slao_trial_by_layer geometry[] = {
    {{"orthogonality",
      "||A0 A0^T - I||_F of the A that each task started from, by task, layer and module", NULL},
     "orthogonality"},
    {{"interference_A",
      "||A dA^T||_F, A at the start of each task and dA its change, by task, layer and module",
      NULL},
     "interference_a"},
    {{"interference_B",
      "||dB^T B||_F, B at the start of each task and dB its change, by task, layer and module",
      NULL},
     "interference_b"},
    {{"gradient_A",
      "mean over the optimiser steps of ||dL/dA||_F before clipping, by task, layer and module",
      NULL},
     "gradient_a"},
    {{"gradient_B",
      "mean over the optimiser steps of ||dL/dB||_F before clipping, by task, layer and module",
      NULL},
     "gradient_b"},
};
enum { N_GEOMETRY = sizeof geometry / sizeof *geometry };

/* --- how far training went --- */

/* Numbers of the fine-tune steps' records (lists of one), one per task. */
typedef struct {
    slao_trial_row row;
    const char *key;
} by_task;

static const by_task regime[] = {
    {{"distance_from_start",
      "||theta - theta_start||: Frobenius norm of the change of s B A in each task's training, "
      "over "
      "all adapted modules",
      NULL},
     "distance_from_start"},
    {{"loss_change",
      "L(theta) - L(theta_start) on train.linearisation_samples of each task's examples; NaN where "
      "not measured",
      "nat per token"},
     "loss_change"},
    {{"loss_change_predicted",
      "the same to first order: <dL/dtheta (theta_start), theta - theta_start>", "nat per token"},
     "loss_change_predicted"},
    {{"linearisation_error",
      "|loss_change - loss_change_predicted| / |loss_change|: near 0 where training is linear",
      NULL},
     "linearisation_error"},
};
enum { N_REGIME = sizeof regime / sizeof *regime };

static slao_status write_by_task(const slao_trial_writer *w, const by_task *what) {
    double *values;
    SLAO_TRY(slao_trial_take_reals(w, w->n_tasks, &values));
    for (int64_t j = 0; j < w->n_tasks; j++) {
        slao_record_array list = slao_outcome_array(w->outcome, w->steps->finetunes[j], what->key);
        if (list.rows > 0)
            values[j] = list.values[0];
    }
    return slao_trial_write_reals(w, &what->row, (slao_h5_shape){1, {w->n_tasks}}, values);
}

/* --- all of it --- */

/* Makes the trial's `name` another name of the dataset of the trial that was trained alike. */
static slao_status link_to_alike(const slao_trial_writer *w, const char *name) {
    enum { PATH = 64 };
    char from[PATH], to[PATH];
    const char *alike = w->outcome->plan->spec->trials[w->trial->trained_as].id;
    snprintf(from, sizeof from, "/trial/%s/%s", alike, name);
    snprintf(to, sizeof to, "/trial/%s/%s", w->settings->id, name);
    return slao_h5_link(w->file, from, to);
}

static slao_status link_all(const slao_trial_writer *w) {
    for (int i = 0; i < N_LOSSES; i++)
        SLAO_TRY(link_to_alike(w, losses[i].row.name));
    SLAO_TRY(link_to_alike(w, loss_steps.name));
    for (int i = 0; i < N_GEOMETRY; i++)
        SLAO_TRY(link_to_alike(w, geometry[i].row.name));
    for (int i = 0; i < N_REGIME; i++)
        SLAO_TRY(link_to_alike(w, regime[i].row.name));
    SLAO_TRY(link_to_alike(w, slao_trial_cosine_names[0]));
    return link_to_alike(w, slao_trial_cosine_names[1]);
}

slao_status slao_trial_write_training(const slao_trial_writer *w) {
    if (&w->outcome->trials[w->trial->trained_as] != w->trial)
        return link_all(w);
    SLAO_TRY(write_losses(w));
    for (int i = 0; i < N_GEOMETRY; i++)
        SLAO_TRY(slao_trial_write_by_layer(w, &geometry[i], w->steps->finetunes));
    for (int i = 0; i < N_REGIME; i++)
        SLAO_TRY(write_by_task(w, &regime[i]));
    return slao_trial_write_cosines(w);
}
