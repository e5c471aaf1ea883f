#include "sweep/footprint.h"

#include "learn/evaluator.h"
#include "learn/trainer.h"
#include "linalg/threads.h"
#include "model/activations.h"
#include "sweep/workbench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The program with MPI, BLAS's buffers and a tokenizer of 49152 tokens, as measured: 55 to 65 MB.
 */
static const double PROGRAM_BYTES = 64e6;

static slao_status find_weights(double *bytes, const slao_study *study) {
    slao_weights weights = study->spec->weights;
    SLAO_TRY(slao_weights_decide(&weights, &study->config));
    if (weights == SLAO_WEIGHTS_FP32) {
        int64_t n_values;
        SLAO_TRY(slao_model_n_values(&study->config, &n_values));
        *bytes = (double)n_values * sizeof(float);
        return SLAO_OK;
    }
    slao_model *model;
    size_t size;
    SLAO_TRY(slao_model_open(&model, study->checkpoint));
    slao_status status = slao_model_bytes(model, &size);
    *bytes = (double)size;
    slao_model_free(model);
    return status;
}

double slao_footprint_of_adapter(const slao_model_config *config, const slao_lora_settings *lora,
                                 double *sites) {
    double values = 0, count = 0;
    for (int module = 0; module < SLAO_N_MODULES; module++) {
        int64_t d_out, d_in;
        slao_module_shape(config, (slao_module)module, &d_out, &d_in);
        if (!lora->targets[module])
            continue;
        count += (double)config->layers;
        values += (double)(config->layers * lora->rank * (d_out + d_in));
    }
    if (sites)
        *sites = count;
    return values * sizeof(float);
}

/* ---- Rows of batches ---- */

/* The longest texts of some tasks: how long they are, and the rows that all of them begin with. */
typedef struct {
    int64_t count, total, longest, common;
} longest_texts;

static int64_t common_start(const slao_sequence *a, const slao_sequence *b, int64_t most) {
    int64_t n = 0;
    while (n < most && n < a->count && n < b->count && a->ids[n] == b->ids[n])
        n++;
    return n;
}

static int longest_first(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? 1 : -(left > right);
}

/* Of `most` texts of these. A sequence's last token is not computed with. */
static slao_status look_at(const slao_encoded *encoded, int64_t most, longest_texts *texts) {
    int64_t *lengths;
    *texts = (longest_texts){.count = encoded->count < most ? encoded->count : most};
    SLAO_TRY(slao_allocate(&lengths, (size_t)encoded->count, sizeof *lengths));
    for (int64_t i = 0; i < encoded->count; i++) {
        const slao_sequence *sequence = &encoded->sequences[i];
        lengths[i] = sequence->count - 1;
        texts->common =
            common_start(&encoded->sequences[0], sequence, i ? texts->common : lengths[i]);
    }
    qsort(lengths, (size_t)encoded->count, sizeof *lengths, longest_first);
    for (int64_t i = 0; i < texts->count; i++)
        texts->total += lengths[i];
    texts->longest = texts->count ? lengths[0] : 0;
    free(lengths);
    return SLAO_OK;
}

/* Rows of a batch of them: what is common is computed once, then the rest of each. */
static int64_t leaves_of(const longest_texts *texts) {
    return texts->total - texts->count * texts->common;
}

/* ---- Steps ---- */

/* The most of any step so far. */
typedef struct {
    const slao_study *study;
    slao_encodings *encodings;
    double pass;      /* what training or scoring takes in the pass of the model */
    double beside;    /* what training in micro-batches holds beside that */
    double gradients; /* of micro-batches */
    double cache, adapters;
} search;

/* Bounds: how many micro-batches there are is not known before their texts are. */
static slao_micro_batch_shape shape_of(const longest_texts *texts, int64_t most_rows) {
    int64_t longest = texts->longest - texts->common, leaves = leaves_of(texts);
    int64_t threads = slao_threads();
    slao_micro_batch_shape shape = {.trunk = texts->common};
    shape.rows = most_rows < leaves ? most_rows : leaves;
    shape.long_rows = longest > shape.rows ? longest : shape.rows;
    shape.strands = texts->count < threads ? texts->count : threads;
    shape.outputs = threads == 1 || texts->count < 2 * threads ? shape.strands : 2 * threads;
    return shape;
}

/* Where tasks are mixed, a batch of the task with the longest texts is taken. */
static slao_status look_at_training(search *s, const slao_step *step) {
    const slao_train_settings *train = &step->trial->train;
    const slao_lora_settings *lora = &step->trial->lora;
    const slao_model_config *config = &s->study->config;
    slao_checkpointing checkpointing = slao_train_checkpointing(train);
    for (int64_t t = 0; t < step->n_tasks; t++) {
        slao_encoding *task;
        longest_texts texts;
        SLAO_TRY(slao_encodings_train(s->encodings, step->tasks[t], train->max_length, &task));
        SLAO_TRY(look_at(task->train, train->batch_size, &texts));
        if (lora->dropout > 0 || texts.count == 1)
            texts.common = 0; /* nothing is shared */
        int64_t rows = texts.common + leaves_of(&texts);
        if (train->micro_tokens == 0 || rows <= train->micro_tokens) {
            s->pass = fmax(s->pass, slao_activations_of_training(config, checkpointing, rows));
            continue;
        }
        slao_micro_batch_shape shape = shape_of(&texts, train->micro_tokens);
        s->pass = fmax(s->pass, slao_activations_of_micro_batch(config, checkpointing, &shape));
        s->beside = fmax(s->beside, slao_activations_beside(config, checkpointing, &shape));
        s->gradients = fmax(s->gradients,
                            (double)shape.outputs * slao_footprint_of_adapter(config, lora, NULL));
    }
    return SLAO_OK;
}

static slao_status look_at_reading(search *s, const slao_step *step) {
    slao_encoding *task;
    longest_texts texts;
    SLAO_TRY(slao_encodings_test(s->encodings, step->task, step->trial->train.max_length, &task));
    SLAO_TRY(look_at(task->test->encoded, SLAO_EVALUATOR_BATCH, &texts));
    int64_t rows = texts.common + leaves_of(&texts),
            written = texts.count * s->study->spec->score.max_new_tokens;
    s->pass = fmax(s->pass, slao_activations_of_reading(&s->study->config, rows));
    s->cache = fmax(s->cache, slao_activations_of_cache(&s->study->config, rows + written));
    return SLAO_OK;
}

static slao_status look_at_step(search *s, const slao_step *step) {
    enum { TRAINED = 4 }; /* the adapter itself, its gradient and two moments */
    int64_t kept = step->n_parents + 1;
    kept = (kept > SLAO_WORKBENCH_ADAPTERS ? kept : SLAO_WORKBENCH_ADAPTERS) + TRAINED;
    s->adapters =
        fmax(s->adapters,
             (double)kept * slao_footprint_of_adapter(&s->study->config, &step->trial->lora, NULL));
    switch (step->kind) {
    case SLAO_STEP_FINETUNE:
        return look_at_training(s, step);
    case SLAO_STEP_EVALUATE:
        return look_at_reading(s, step);
    default:
        return SLAO_OK;
    }
}

slao_status slao_footprint_make(slao_footprint *footprint, const slao_study *study,
                                slao_encodings *encodings, const bool *left) {
    search s = {.study = study, .encodings = encodings};
    SLAO_TRY(find_weights(&footprint->weights, study));
    for (int64_t i = 0; i < study->plan->n_steps; i++) {
        if (left[i])
            SLAO_TRY(look_at_step(&s, &study->plan->steps[i]));
    }
    footprint->rank = PROGRAM_BYTES + s.pass + s.beside + s.gradients + s.cache + s.adapters;
    return SLAO_OK;
}
