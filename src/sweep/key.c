#include "sweep/key.h"

void slao_hash_lora(slao_hasher *hasher, const slao_lora_settings *lora) {
    slao_hash_integer(hasher, lora->rank);
    slao_hash_real(hasher, lora->alpha);
    slao_hash_real(hasher, lora->dropout);
    slao_hash_integer(hasher, lora->rslora);
    for (int m = 0; m < SLAO_N_MODULES; m++) {
        if (lora->targets[m])
            slao_hash_text(hasher, slao_module_name((slao_module)m));
    }
    slao_hash_text(hasher, ""); /* no module: the list ends */
}

void slao_hash_train(slao_hasher *hasher, const slao_train_settings *train) {
    slao_hash_integer(hasher, train->epochs);
    slao_hash_integer(hasher, train->batch_size);
    slao_hash_integer(hasher, train->accumulation);
    slao_hash_integer(hasher, train->max_length);
    slao_hash_text(hasher, train->optimizer);
    slao_hash_real(hasher, train->learning_rate);
    slao_hash_real(hasher, train->weight_decay);
    slao_hash_text(hasher, train->schedule);
    slao_hash_integer(hasher, train->warmup_steps);
    slao_hash_real(hasher, train->clip_norm);
    slao_hash_integer(hasher, train->micro_tokens);
    if (train->linearisation_samples) { /* so that ids of trials without them stay the same */
        slao_hash_text(hasher, "linearisation_samples");
        slao_hash_integer(hasher, train->linearisation_samples);
    }
}

void slao_hash_precision(slao_hasher *hasher, slao_precision precision) {
    if (precision != SLAO_PRECISION_FP32) /* so that ids and keys in fp32 stay the same */
        slao_hash_text(hasher, slao_precision_names[precision]);
}

slao_hash slao_trial_hash(slao_hasher *hasher, const slao_trial *trial,
                          const slao_score_settings *score,
                          const slao_benchmark_settings *benchmark, slao_precision precision) {
    slao_hasher_reset(hasher);
    slao_hash_text(hasher, "trial");
    const slao_method *method = trial->method.method;
    slao_hash_text(hasher, method->name);
    slao_method_option option;
    for (int k = 0; slao_method_option_at(method, k, &option); k++) {
        slao_hash_text(hasher, option.key);
        slao_hash_text(hasher, trial->method.values[k]);
    }
    slao_hash_integer(hasher, trial->order->n_tasks);
    for (int64_t i = 0; i < trial->order->n_tasks; i++)
        slao_hash_text(hasher, trial->order->tasks[i]);
    slao_hash_text(hasher, trial->lambda.text);
    slao_hash_integer(hasher, trial->seed);
    slao_hash_lora(hasher, &trial->lora);
    slao_hash_train(hasher, &trial->train);
    slao_hash_text(hasher, score->score ? score->score : "");
    slao_hash_integer(hasher, score->max_new_tokens);
    slao_hash_text(hasher, benchmark->format);
    slao_hash_integer(hasher, benchmark->train_samples);
    slao_hash_integer(hasher, benchmark->test_samples);
    slao_hash_integer(hasher, benchmark->validation_samples);
    slao_hash_integer(hasher, benchmark->sample_seed);
    slao_hash_integer(hasher, benchmark->answer_space);
    slao_hash_precision(hasher, precision);
    return slao_hash_value(hasher);
}
