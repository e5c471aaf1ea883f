#include "sweep/speed.h"

#include "adapter/start.h"
#include "base/log.h"
#include "learn/evaluator.h"
#include "learn/trainer.h"
#include "linalg/bf16.h"
#include "model/model.h"
#include "sweep/provenance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- From a store ---- */

typedef struct {
    double seconds, tokens;
    int64_t count;
} kind_sum;

static double number_at(const cJSON *record, const char *key) {
    const cJSON *item = slao_json_find(record, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void add_record(kind_sum *of_kind, const cJSON *record, const slao_machine *machine) {
    const cJSON *where = slao_json_find(record, "machine");
    if (!cJSON_IsString(where) || strcmp(where->valuestring, machine->bits) != 0 ||
        (int)number_at(record, "threads") != machine->threads)
        return;
    of_kind->seconds += number_at(record, "seconds");
    of_kind->tokens += number_at(record, "tokens");
    of_kind->count++;
}

slao_status slao_speed_of_store(slao_speed *speed, const slao_study *study, const slao_store *store,
                                const slao_graph_step *graph, const bool *left) {
    kind_sum sums[SLAO_N_STEP_KINDS] = {{0}};
    bool needed[SLAO_N_STEP_KINDS] = {false};
    slao_machine machine;
    *speed = (slao_speed){.source = "none"};
    SLAO_TRY(slao_machine_describe(&machine));
    for (int64_t i = 0; i < study->plan->n_steps; i++) {
        const slao_step *step = &study->plan->steps[i];
        cJSON *record;
        needed[step->kind] = needed[step->kind] || left[i];
        if (!graph[i].done)
            continue;
        SLAO_TRY(slao_store_get(store, step->key, &record));
        add_record(&sums[step->kind], record, &machine);
        cJSON_Delete(record);
    }
    const kind_sum *trained = &sums[SLAO_STEP_FINETUNE], *scored = &sums[SLAO_STEP_EVALUATE],
                   *merged = &sums[SLAO_STEP_MERGE];
    if ((needed[SLAO_STEP_FINETUNE] && !(trained->seconds > 0)) ||
        (needed[SLAO_STEP_EVALUATE] && !(scored->seconds > 0)))
        return SLAO_OK;
    speed->source = "store";
    speed->trained = trained->seconds > 0 ? trained->tokens / trained->seconds : 0;
    speed->scored = scored->seconds > 0 ? scored->tokens / scored->seconds : 0;
    speed->merge_seconds = merged->count ? merged->seconds / (double)merged->count : 0;
    return SLAO_OK;
}

/* ---- By a measurement ---- */

typedef struct {
    const slao_study *study;
    const slao_tokenizer *tokenizer;
    slao_encodings *encodings;
    const bool *left;
    const slao_model_config *config;
    slao_pass *pass;
    slao_lora *lora;
    slao_speed *speed;
} measurement;

/* The first step of the kind that is left, or NULL. */
static const slao_step *find_left(const measurement *m, slao_step_kind kind) {
    const slao_plan *plan = m->study->plan;
    for (int64_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].kind == kind && m->left[i])
            return &plan->steps[i];
    }
    return NULL;
}

/* How many of the first sequences take about a quarter of a minute to train on, at 50 GFLOP/s and 6
 * operations for a weight and token: at least one, at most `most`. */
static int64_t few_of(const measurement *m, const slao_sequence *sequences, int64_t count,
                      int64_t most) {
    double weights = 0, tokens = 0;
    for (int module = 0; module < SLAO_N_MODULES; module++) {
        int64_t d_out, d_in;
        slao_module_shape(m->config, (slao_module)module, &d_out, &d_in);
        weights += (double)d_out * (double)d_in * (double)m->config->layers;
    }
    int64_t n = 0;
    while (n < count && n < most && (n == 0 || 6 * weights * tokens < 50e9 * 15))
        tokens += (double)sequences[n++].count;
    return n;
}

static slao_status train(measurement *m, const slao_step *step) {
    slao_encoding *task;
    slao_training training;
    slao_train_settings settings = step->trial->train;
    SLAO_TRY(slao_encodings_train(m->encodings, step->tasks[0], settings.max_length, &task));
    slao_lesson lesson = {
        .task = step->tasks[0],
        .examples = task->train->sequences,
        .n_examples = few_of(m, task->train->sequences, task->train->count, settings.batch_size)};
    settings.epochs = settings.accumulation = 1;
    SLAO_TRY(slao_lora_new(&m->lora, &step->trial->lora, m->config));
    SLAO_TRY(slao_start_rule_find("random")->set(m->lora, &(slao_start){.task = lesson.task}));
    double begin = slao_seconds();
    slao_status status =
        slao_train(m->pass, m->config, m->lora, &lesson, &settings, NULL, &training);
    m->speed->trained = (double)training.tokens / (slao_seconds() - begin);
    slao_training_free(&training);
    return status;
}

static slao_status score(measurement *m, const slao_step *step) {
    enum { QUESTIONS = 16 };
    slao_encoding *task;
    slao_low_ranks pairs = {0};
    slao_evaluation evaluation;
    SLAO_TRY(slao_encodings_test(m->encodings, step->task, step->trial->train.max_length, &task));
    slao_score_settings settings = m->study->spec->score;
    if (!settings.score)
        settings.score = task->task->score;
    slao_test_set few = *task->test;
    few.n_questions = few_of(m, few.encoded->sequences, few.n_questions, QUESTIONS);
    slao_judge judge = {.pass = m->pass, .config = m->config, .tokenizer = m->tokenizer};
    if (m->lora)
        SLAO_TRY(slao_lora_view(&pairs, m->lora, NULL, m->config));
    double begin = slao_seconds();
    slao_status status = slao_evaluate(&judge, &pairs, &few, &settings, &evaluation);
    m->speed->scored = (double)evaluation.tokens / (slao_seconds() - begin);
    slao_evaluation_free(&evaluation);
    slao_lora_view_free(&pairs);
    return status;
}

static slao_status measure(measurement *m) {
    const slao_step *finetune = find_left(m, SLAO_STEP_FINETUNE),
                    *evaluate = find_left(m, SLAO_STEP_EVALUATE);
    if (finetune)
        SLAO_TRY(train(m, finetune));
    if (evaluate)
        SLAO_TRY(score(m, evaluate));
    return SLAO_OK;
}

slao_status slao_speed_measure(slao_speed *speed, const slao_study *study,
                               const slao_tokenizer *tokenizer, slao_encodings *encodings,
                               const bool *left) {
    measurement m = {.study = study,
                     .tokenizer = tokenizer,
                     .encodings = encodings,
                     .left = left,
                     .config = &study->config,
                     .speed = speed};
    slao_model *model;
    double ranks = (double)study->spec->ranks_per_trial;
    *speed = (slao_speed){.source = "none"};
    if (slao_precision_need(study->spec->precision) != SLAO_OK)
        return SLAO_OK;
    SLAO_TRY(slao_model_load(&model, study->checkpoint, study->spec->weights));
    slao_status status = slao_pass_new(&m.pass, model);
    if (status == SLAO_OK)
        status = slao_pass_set_precision(m.pass, study->spec->precision);
    if (status == SLAO_OK)
        status = measure(&m);
    if (status == SLAO_OK) {
        speed->source = "measurement";
        speed->trained *= ranks; /* a group shares the work */
        speed->scored *= ranks;
    }
    slao_lora_free(m.lora);
    slao_pass_free(m.pass);
    slao_model_free(model);
    return status;
}
