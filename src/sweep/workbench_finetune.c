#include "sweep/workbench_parts.h"

#include "adapter/merge.h"
#include "base/log.h"
#include "continual/tuning.h"
#include "learn/linearisation.h"
#include "learn/trainer.h"
#include "sweep/drain.h"
#include "sweep/geometry.h"
#include "sweep/savepoint.h"

#include <stdlib.h>
#include <string.h>

/* ---- Watching a training: savepoints ---- */

static slao_status save_training(slao_workbench *bench, const slao_training_state *state) {
    const slao_step *step = &bench->parts.plan->steps[bench->running];
    bench->saved = slao_seconds();
    return slao_savepoint_write(bench->parts.store, step->key, state,
                                bench->seconds_before + bench->saved - bench->begun,
                                bench->parts.machine->bits);
}

static slao_status begin_training(void *context, slao_training_state *state) {
    slao_workbench *bench = context;
    const slao_step *step = &bench->parts.plan->steps[bench->running];
    bool found;
    bench->saved = slao_seconds();
    SLAO_TRY(slao_savepoint_read(bench->parts.store, step->key, state, bench->parts.machine->bits,
                                 &found, &bench->seconds_before));
    bench->resumed_from = state->training->steps;
    return SLAO_OK;
}

static slao_status watch_training(void *context, const slao_training_state *state) {
    slao_workbench *bench = context;
    int64_t steps = state->training->steps;
    slao_life_tell(bench->parts.life, bench->running, steps, state->total_steps);
    bool stop = slao_drain_requested();
    if (stop || slao_seconds() - bench->saved >= bench->parts.checkpoint_seconds)
        SLAO_TRY(save_training(bench, state));
    return stop ? slao_fail(SLAO_DRAINED,
                            "stopped after optimiser step %lld of %lld, from where it "
                            "goes on",
                            (long long)steps, (long long)state->total_steps)
                : SLAO_OK;
}

/* A fine-tune under way. */
typedef struct {
    const slao_step *step;
    const slao_tuning_rule *rule; /* NULL: plain training */
    slao_workbench_adapters parents;
    slao_sequence *mixed; /* the examples of several tasks; NULL for one */
    slao_lesson lesson;
    slao_lora *lora, *first; /* first: as training starts */
    bool stacked;            /* on top of its parents */
    slao_state before, after;
    slao_tuning tuning;
    slao_training training;
} finetune;

/* The examples of the step's task, or of its tasks one after the other. */
static slao_status gather_examples(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    slao_lesson *lesson = &work->lesson;
    slao_encoding *task;
    int64_t total = 0;
    for (int64_t t = 0; t < step->n_tasks; t++) {
        SLAO_TRY(slao_encodings_train(bench->parts.encodings, step->tasks[t],
                                      step->trial->train.max_length, &task));
        lesson->examples = task->train->sequences;
        total += task->train->count;
    }
    lesson->n_examples = total;
    if (step->n_tasks == 1)
        return SLAO_OK;
    SLAO_TRY(slao_allocate(&work->mixed, (size_t)total, sizeof *work->mixed));
    lesson->examples = work->mixed;
    total = 0;
    for (int64_t t = 0; t < step->n_tasks; t++) {
        SLAO_TRY(slao_encodings_train(bench->parts.encodings, step->tasks[t],
                                      step->trial->train.max_length, &task));
        memcpy(work->mixed + total, task->train->sequences,
               (size_t)task->train->count * sizeof *work->mixed);
        total += task->train->count;
    }
    return SLAO_OK;
}

/* Sets `lora` to where the task starts. */
static slao_status set_start(slao_workbench *bench, finetune *work) {
    const slao_trial *trial = work->step->trial;
    const slao_method_choice *choice = &trial->method;
    const slao_start_rule *rule = slao_step_start(work->step);
    slao_start start = {.task = work->step->task,
                        .seed = (uint64_t)trial->seed,
                        .row_scale = slao_method_number(choice, "row_scale", 1),
                        .team = bench->parts.team};
    const char *sign = slao_method_text(choice, "qr_sign"), *qr = slao_method_text(choice, "qr");
    start.sign = sign && strcmp(sign, "lapack") == 0 ? SLAO_SIGN_LAPACK : SLAO_SIGN_POSITIVE;
    start.qr = qr ? slao_qr_way_find(qr) : SLAO_QR_AUTO;
    if (rule->source != SLAO_FROM_NOTHING)
        start.last = work->parents.loras[0];
    SLAO_TRY(slao_lora_new(&work->lora, &trial->lora, &bench->parts.model->config));
    return rule->set(work->lora, &start);
}

/* What the last of the parents left beside its adapter. */
static slao_status load_state(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    if (!work->rule || step->n_parents == 0)
        return SLAO_OK;
    char *folder;
    int64_t last = step->parents[step->n_parents - 1];
    SLAO_TRY(
        slao_store_adapter_path(bench->parts.store, bench->parts.plan->steps[last].key, &folder));
    slao_status status = slao_state_load(&work->before, folder);
    free(folder);
    return status;
}

static slao_status begin_tuning(slao_workbench *bench, finetune *work) {
    const slao_trial *trial = work->step->trial;
    work->tuning = (slao_tuning){
        .pass = bench->pass,
        .config = &bench->parts.model->config,
        .choice = &trial->method,
        .settings = &trial->train,
        .position = work->step->position,
        .n_tasks = trial->order->n_tasks,
        .n_earlier = work->lesson.below.count,
        .earlier = work->lesson.below.loras,
        .before = &work->before,
        .lora = work->lora,
        .lesson = &work->lesson,
        .state = &work->after,
    };
    if (!work->rule || !work->rule->begin)
        return SLAO_OK;
    SLAO_TRY_IN(work->rule->begin(&work->tuning), "%s, task %s", work->rule->name,
                work->step->task);
    return SLAO_OK;
}

/* What the step's trial says holds from task 2 on, and a step of task 1 may be another method's as
 * well: such a step is plain training, unless a rule acts from task 1 on. */
static slao_status prepare_finetune(slao_workbench *bench, finetune *work) {
    const slao_step *step = work->step;
    const slao_method *method = step->trial->method.method;
    work->lesson = (slao_lesson){
        .task = step->task, .seed = (uint64_t)step->trial->seed, .team = bench->parts.team};
    SLAO_TRY(gather_examples(bench, work));
    SLAO_TRY(slao_workbench_parents_of(bench, step, &work->parents));
    if (step->changed)
        work->lesson.frozen = method->frozen;
    work->stacked = step->changed && method->lineage == SLAO_LINEAGE_STACK;
    if (work->stacked)
        work->lesson.below =
            (slao_lora_stack){.count = work->parents.count, .loras = work->parents.loras};
    if (step->ruled)
        work->rule = method->tuning;
    SLAO_TRY(set_start(bench, work));
    SLAO_TRY(load_state(bench, work));
    SLAO_TRY(begin_tuning(bench, work));
    return slao_lora_copy(&work->first, work->lora);
}

/* Lists of one number each: results files have a row of them per trial. */
static slao_status record_linearisation(slao_workbench *bench, const finetune *work,
                                        cJSON *record) {
    const slao_train_settings *settings = &work->step->trial->train;
    slao_linearisation found;
    if (settings->linearisation_samples == 0)
        return SLAO_OK;
    SLAO_TRY(slao_linearise(bench->pass, &bench->parts.model->config, work->first, work->lora,
                            &work->lesson, settings, settings->linearisation_samples, &found));
    SLAO_TRY(slao_workbench_add_reals(record, "loss_change", &found.change, 1));
    SLAO_TRY(slao_workbench_add_reals(record, "loss_change_predicted", &found.predicted, 1));
    return slao_workbench_add_reals(record, "linearisation_error", &found.error, 1);
}

static slao_status record_adapter(const finetune *work, const slao_lora *kept, size_t bytes,
                                  cJSON *record) {
    if (!work->stacked || work->tuning.evaluated)
        return slao_workbench_add_adapter_facts(record, kept, kept, bytes);
    const slao_lora **all;
    slao_lora *sum = NULL;
    int64_t n = work->parents.count;
    double *ones;
    SLAO_TRY(slao_allocate(&all, (size_t)n + 1, sizeof *all));
    slao_status status = slao_allocate(&ones, (size_t)n + 1, sizeof *ones);
    for (int64_t k = 0; k <= n && status == SLAO_OK; k++) {
        all[k] = k < n ? work->parents.loras[k] : work->lora;
        ones[k] = 1;
    }
    if (status == SLAO_OK)
        status = slao_merge_sum(&sum, all, n + 1, ones);
    if (status == SLAO_OK)
        status = slao_workbench_add_adapter_facts(record, kept, sum, bytes);
    slao_lora_free(sum);
    free(ones);
    free(all);
    return status;
}

static slao_status keep_finetuned(slao_workbench *bench, finetune *work, cJSON *record) {
    const slao_training *training = &work->training;
    size_t bytes = slao_workbench_adapter_bytes(work->lora) + slao_state_bytes(&work->after);
    if (work->stacked)
        bytes += slao_workbench_bytes_of_all(&work->parents);
    const slao_lora *evaluated = work->tuning.evaluated ? work->tuning.evaluated : work->lora;
    SLAO_TRY(slao_geometry_record_change(record, work->first, work->lora));
    SLAO_TRY(record_linearisation(bench, work, record));
    if (bench->resumed_from > 0)
        SLAO_TRY(slao_json_add_real(record, "resumed_from", (double)bench->resumed_from));
    SLAO_TRY(slao_workbench_add_reals(record, "loss", training->losses, training->steps));
    if (training->extra_losses)
        SLAO_TRY(slao_workbench_add_reals(record, "extra_loss", training->extra_losses,
                                          training->steps));
    SLAO_TRY(slao_geometry_record_gradients(record, work->lora, training));
    SLAO_TRY(record_adapter(work, evaluated, bytes, record));
    if (work->tuning.evaluated)
        SLAO_TRY(slao_workbench_save_adapter(bench, work->step->key, true, evaluated));
    SLAO_TRY(slao_workbench_save_adapter(bench, work->step->key, false, work->lora));
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    char *folder;
    SLAO_TRY(slao_store_adapter_path(bench->parts.store, work->step->key, &folder));
    slao_status status = slao_state_save(&work->after, folder);
    free(folder);
    return status;
}

static slao_status train(slao_workbench *bench, finetune *work, cJSON *record, int64_t *tokens) {
    SLAO_TRY(prepare_finetune(bench, work));
    slao_training_watch watch = {bench, begin_training, watch_training};
    SLAO_TRY(slao_train(bench->pass, &bench->parts.model->config, work->lora, &work->lesson,
                        &work->step->trial->train, &watch, &work->training));
    *tokens = work->training.tokens;
    if (work->rule && work->rule->end)
        SLAO_TRY_IN(work->rule->end(&work->tuning), "%s, task %s", work->rule->name,
                    work->step->task);
    SLAO_INVARIANT(!work->tuning.evaluated == !(work->rule && work->rule->own_evaluation));
    return keep_finetuned(bench, work, record);
}

slao_status slao_workbench_finetune(slao_workbench *bench, const slao_step *step, cJSON *record,
                                    int64_t *tokens) {
    finetune work = {.step = step};
    slao_status status = train(bench, &work, record, tokens);
    if (work.rule && work.rule->release)
        work.rule->release(&work.tuning);
    slao_training_free(&work.training);
    slao_state_free(&work.before);
    slao_state_free(&work.after);
    slao_lora_free(work.first);
    slao_lora_free(work.tuning.evaluated);
    free(work.parents.loras);
    free(work.mixed);
    if (status == SLAO_OK)
        slao_workbench_remember(bench, step->key, work.lora);
    else
        slao_lora_free(work.lora);
    return status;
}
