#include "learn/test_set.h"

#include <stdlib.h>

static slao_status fill_questions(slao_test_set *set, const slao_task *task) {
    SLAO_TRY(slao_allocate(&set->questions, (size_t)task->test.count, sizeof *set->questions));
    for (int64_t i = 0; i < task->test.count; i++) {
        const slao_example *example = &task->test.examples[i];
        set->questions[set->n_questions++] = (slao_question){
            .sequence = set->encoded->sequences[i],
            .n_references = example->n_references,
            .references = example->references,
        };
    }
    return SLAO_OK;
}

/* A label is encoded as the answer to a prompt of nothing. */
static slao_status encode_labels(slao_test_set *set, const slao_tokenizer *tokenizer,
                                 const slao_task *task, int64_t max_length) {
    slao_examples labels = {0};
    SLAO_TRY(slao_allocate(&labels.examples, (size_t)task->n_labels, sizeof *labels.examples));
    for (; labels.count < task->n_labels; labels.count++)
        labels.examples[labels.count] = (slao_example){
            .head = "", .sentence = "", .tail = "", .answer = task->answers[labels.count]};
    slao_status status =
        slao_encode(&set->encoded_labels, tokenizer, &labels, max_length, "labels");
    free(labels.examples);
    SLAO_TRY(status);
    set->labels = (slao_labels){task->n_labels, task->labels, set->encoded_labels->sequences};
    return SLAO_OK;
}

static slao_status fill(slao_test_set *set, const slao_tokenizer *tokenizer, const slao_task *task,
                        int64_t max_length) {
    SLAO_TRY(slao_encode(&set->encoded, tokenizer, &task->test, max_length, "test"));
    SLAO_TRY(encode_labels(set, tokenizer, task, max_length));
    return fill_questions(set, task);
}

slao_status slao_test_set_new(slao_test_set **set, const slao_tokenizer *tokenizer,
                              const slao_task *task, int64_t max_length) {
    SLAO_TRY(slao_allocate(set, 1, sizeof **set));
    slao_status status = fill(*set, tokenizer, task, max_length);
    if (status != SLAO_OK) {
        slao_test_set_free(*set);
        *set = NULL;
    }
    SLAO_TRY_IN(status, "task %s", task->name);
    return SLAO_OK;
}

void slao_test_set_free(slao_test_set *set) {
    if (!set)
        return;
    slao_encoded_free(set->encoded);
    slao_encoded_free(set->encoded_labels);
    free(set->questions);
    free(set);
}
