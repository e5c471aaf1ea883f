#include "sweep/encodings.h"

#include <stdlib.h>
#include <string.h>

struct slao_encodings {
    const slao_plan *plan;
    const slao_tokenizer *tokenizer;
    slao_encoding *all;
    size_t count, capacity;
};

slao_status slao_encodings_new(slao_encodings **encodings, const slao_plan *plan,
                               const slao_tokenizer *tokenizer) {
    SLAO_TRY(slao_allocate(encodings, 1, sizeof **encodings));
    (*encodings)->plan = plan;
    (*encodings)->tokenizer = tokenizer;
    return SLAO_OK;
}

void slao_encodings_free(slao_encodings *encodings) {
    if (!encodings)
        return;
    for (size_t i = 0; i < encodings->count; i++) {
        slao_encoded_free(encodings->all[i].train);
        slao_encoded_free(encodings->all[i].validation);
        slao_test_set_free(encodings->all[i].test);
    }
    free(encodings->all);
    free(encodings);
}

static slao_status find(slao_encodings *encodings, const char *name, int64_t max_length,
                        slao_encoding **found) {
    for (size_t i = 0; i < encodings->count; i++) {
        slao_encoding *encoding = &encodings->all[i];
        if (encoding->max_length == max_length && strcmp(encoding->task->name, name) == 0) {
            *found = encoding;
            return SLAO_OK;
        }
    }
    SLAO_TRY(slao_grow(&encodings->all, &encodings->capacity, encodings->count + 1,
                       sizeof *encodings->all));
    *found = &encodings->all[encodings->count++];
    **found =
        (slao_encoding){.task = slao_plan_task(encodings->plan, name), .max_length = max_length};
    return SLAO_OK;
}

static slao_status encode(const slao_encodings *encodings, const slao_encoding *encoding,
                          const slao_examples *examples, const char *split,
                          slao_encoded **encoded) {
    if (*encoded)
        return SLAO_OK;
    SLAO_TRY_IN(slao_encode(encoded, encodings->tokenizer, examples, encoding->max_length, split),
                "task %s", encoding->task->name);
    return SLAO_OK;
}

slao_status slao_encodings_train(slao_encodings *encodings, const char *task, int64_t max_length,
                                 slao_encoding **found) {
    SLAO_TRY(find(encodings, task, max_length, found));
    return encode(encodings, *found, &(*found)->task->train, "train", &(*found)->train);
}

slao_status slao_encodings_validation(slao_encodings *encodings, const char *task,
                                      int64_t max_length, slao_encoding **found) {
    SLAO_TRY(find(encodings, task, max_length, found));
    return encode(encodings, *found, &(*found)->task->validation, "validation",
                  &(*found)->validation);
}

slao_status slao_encodings_test(slao_encodings *encodings, const char *task, int64_t max_length,
                                slao_encoding **found) {
    SLAO_TRY(find(encodings, task, max_length, found));
    slao_encoding *encoding = *found;
    return encoding->test ? SLAO_OK
                          : slao_test_set_new(&encoding->test, encodings->tokenizer, encoding->task,
                                              max_length);
}

/* A validated lambda reads examples of all tasks so far. */
static slao_status read_by_merge(slao_encodings *encodings, const slao_step *step) {
    const slao_trial *trial = step->trial;
    slao_encoding *found;
    if (!trial->method.method->uses_lambda || trial->lambda.kind != SLAO_SCHEDULE_VALIDATED)
        return SLAO_OK;
    for (int64_t i = 0; i < step->position; i++)
        SLAO_TRY(slao_encodings_validation(encodings, trial->order->tasks[i],
                                           trial->train.max_length, &found));
    return SLAO_OK;
}

slao_status slao_encodings_of_step(slao_encodings *encodings, const slao_step *step,
                                   int64_t *tokens) {
    const slao_train_settings *train = &step->trial->train;
    int64_t sum = 0;
    slao_encoding *found;
    if (step->kind == SLAO_STEP_MERGE)
        SLAO_TRY(read_by_merge(encodings, step));
    for (int64_t i = 0; i < step->n_tasks && step->kind == SLAO_STEP_FINETUNE; i++) {
        SLAO_TRY(slao_encodings_train(encodings, step->tasks[i], train->max_length, &found));
        sum += found->train->n_ids * train->epochs;
    }
    if (step->kind == SLAO_STEP_EVALUATE) {
        SLAO_TRY(slao_encodings_test(encodings, step->task, train->max_length, &found));
        sum = found->test->encoded->n_ids;
    }
    if (tokens)
        *tokens = sum;
    return SLAO_OK;
}
