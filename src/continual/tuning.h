/* What a method's fine-tuning does beyond plain training: a start that depends on data, an extra
 * loss, factors that stay frozen, state that is kept for the tasks to come. One row per rule, named
 * by the method (continual/method.h).
 *
 *   begin  before training, with `lora` at its start: may change that, and the lesson
 *          (learn/trainer.h: extra loss, frozen factors, weights of the adapters below)
 *   end    after training: may change `lora`, and fills `state`
 *
 * The key of a fine-tune holds the rule's name, the method's options of training, and the keys of
 * all steps whose adapters or state are read here.
 */
#ifndef SLAO_CONTINUAL_TUNING_H
#define SLAO_CONTINUAL_TUNING_H

#include "continual/method.h"
#include "continual/state.h"
#include "learn/trainer.h"

typedef struct {
    slao_pass *pass;
    const slao_model_config *config;
    const slao_method_choice *choice;
    const slao_train_settings *settings;
    int64_t position; /* of the task in the order, from 1 */
    int64_t n_tasks;  /* of the order: only for rules that say reads_n_tasks */
    int64_t n_earlier;
    const slao_lora *const *earlier; /* in a stack: the fine-tuned pairs of tasks 1 .. position-1 */
    const slao_state *before;        /* what the task before left; empty at task 1 */
    slao_lora *lora;
    slao_lesson *lesson;
    slao_state *state; /* empty at first; kept for the next task */
    void *work;        /* the rule's own, NULL at first */
} slao_tuning;

struct slao_tuning_rule {
    const char *name;
    bool from_first_task; /* it already acts on task 1, or leaves state there: task 1 is then not
                             shared with plain training, and its key holds what is said above */
    bool reads_n_tasks;   /* the key then holds the number */
    slao_status (*begin)(slao_tuning *tuning); /* NULL: nothing to do; so for all three */
    slao_status (*end)(slao_tuning *tuning);
    void (*release)(slao_tuning *tuning); /* of `work`; called in any case */
};

#endif
