/* What the settings of a trial add to a hash: the parts that trial ids and step keys share.
 *
 * Every field is named here one by one: the order is part of every key there is, so a new field
 * goes to the end, and changes all keys.
 */
#ifndef SLAO_SWEEP_KEY_H
#define SLAO_SWEEP_KEY_H

#include "sweep/spec.h"

void slao_hash_lora(slao_hasher *hasher, const slao_lora_settings *lora);
void slao_hash_train(slao_hasher *hasher, const slao_train_settings *train);

/* Adds nothing for FP32. In the id of every trial and the key of every step. */
void slao_hash_precision(slao_hasher *hasher, slao_precision precision);

/* The hash that a trial's id is the head of: method and options, the order's tasks, lambda, seed,
 * lora, train, how tasks are scored, which samples are drawn, and the precision of products. No
 * paths, no names of files. */
slao_hash slao_trial_hash(slao_hasher *hasher, const slao_trial *trial,
                          const slao_score_settings *score,
                          const slao_benchmark_settings *benchmark, slao_precision precision);

#endif
