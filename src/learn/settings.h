/* What a user chooses about training and scoring: the `train` and `evaluate` parts of a spec that
 * change what is computed. Texts are names from the tables of learn/. */
#ifndef SLAO_LEARN_SETTINGS_H
#define SLAO_LEARN_SETTINGS_H

#include <stdint.h>

/* The default: few enough for memory (docs/performance.md), enough for products at full speed. */
enum { SLAO_MICRO_TOKENS = 352 };

typedef struct {
    int64_t epochs;
    int64_t batch_size;    /* examples in one forward and backward pass */
    int64_t accumulation;  /* passes per optimiser step: the loss is the mean over all their answer
                              tokens */
    int64_t max_length;    /* tokens of an example, answer and EOS included */
    const char *optimizer; /* "adamw" */
    double learning_rate, weight_decay;
    const char *schedule; /* of the learning rate: "constant", "linear", "cosine" */
    int64_t warmup_steps;
    double clip_norm;          /* of the whole gradient; 0: no clipping */
    int64_t micro_tokens;      /* a batch of more is computed in micro-batches of so many
                                  (model/micro_batches.h); 0: no limit */
    const char *checkpointing; /* of activations (model/transformer.h): "auto", "on", "off"; NULL:
                                  auto. Nothing that is computed depends on it. */
    int64_t linearisation_samples; /* train examples on which learn/linearisation.h is measured
                                      after a task; 0: not measured. Nothing else depends on it. */
} slao_train_settings;

typedef struct {
    const char *score; /* "exact", "generate", "rank", "rouge_l"; NULL: what fits the task */
    int64_t max_new_tokens;
} slao_score_settings;

/* The names there are, each list ended by NULL: for checks, help texts and messages. */
extern const char *const slao_optimizer_names[];
extern const char *const slao_rate_schedule_names[]; /* of the learning rate */
extern const char *const slao_score_names[];

#endif
