/* What a method's fine-tuning does beyond plain training: a start that depends on data, an extra
 * loss, factors that stay frozen, state that is kept for the tasks to come. One row per rule, named
 * by the method (continual/method.h).
 *
 *   begin  before training, with `lora` at its start: may change that, and the lesson
 *          (learn/trainer.h: extra loss, frozen factors, weights of the adapters below)
 *   end    after training: may change `lora`, and fills `state`; where the rule says so, leaves
 * what is evaluated
 *
 * The key of a fine-tune holds the rule's name, the method's options of training, and the keys of
 * all steps whose adapters or state are read here.
 */
#ifndef SLAO_CONTINUAL_TUNING_H
#define SLAO_CONTINUAL_TUNING_H

#include "continual/method.h"
#include "continual/state.h"
#include "learn/observation.h"
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
    slao_state *state;    /* empty at first; kept for the next task */
    slao_lora *evaluated; /* from `end`, if the rule says own_evaluation: what is evaluated instead
                             of the pair, or the stack of pairs; taken over. It lies as a PEFT
                             folder in STORE/adapters/KEY/evaluated. */
    void *work;           /* the rule's own, NULL at first */
} slao_tuning;

struct slao_tuning_rule {
    const char *name;
    bool from_first_task; /* it already acts on task 1, or leaves state there: task 1 is then not
                             shared with plain training, and its key holds what is said above */
    bool reads_n_tasks;   /* the key then holds the number */
    bool own_evaluation;  /* only for rules that act from the first task on */
    slao_status (*begin)(slao_tuning *tuning); /* NULL: nothing to do; so for all three */
    slao_status (*end)(slao_tuning *tuning);
    void (*release)(slao_tuning *tuning); /* of `work`; called in any case */
};

extern const slao_tuning_rule slao_tuning_olora, slao_tuning_nlora,
    slao_tuning_ewc; /* tuning_penalty.c */
extern const slao_tuning_rule slao_tuning_inflora, slao_tuning_corda, slao_tuning_sdlora;
extern const slao_tuning_rule slao_tuning_lorm_ab, slao_tuning_lorm_ba; /* tuning_lorm.c */

/* For the rules: from task 2 on, SLAO_BAD_INPUT if the task before left no state. */
slao_status slao_tuning_need_state(const slao_tuning *tuning);

/* For the rules: the whole model as it is now, the adapters below and then the new one, all frozen;
 * to be released with slao_lora_view_free. */
slao_status slao_tuning_view(const slao_tuning *tuning, slao_low_ranks *pairs);

/* For the rules: shows `take` what the inputs of the adapted modules are like on the task
 * (learn/observation.h), with the model as it is now. */
slao_status slao_tuning_observe(const slao_tuning *tuning,
                                slao_status (*take)(void *context, const slao_gram *gram),
                                void *context);

/* For the rules: "PREFIX.model.layers.0.self_attn.q_proj", with the module's own name or, for
 * `suffix`,
 * ".lora_A.weight" after it. */
enum { SLAO_TUNING_NAME = 160 };
void slao_tuning_name(char name[SLAO_TUNING_NAME], const char *prefix, int64_t layer,
                      slao_module module, const char *suffix);

#endif
