/* What a fine-tune step records about the geometry of its adapter (continual/analysis.h): lists of
 * layers, each a list of the adapted modules.
 *
 *   orthogonality    ||A0 A0^T - I||_F of the pair it started from
 *   interference_a   ||A0 dA^T||_F
 *   interference_b   ||dB^T B0||_F
 *   distance_from_start   ||theta - theta_start|| of the pair it started from: a list of one number
 *   gradient_a       mean over the optimiser steps of ||dL/dA||_F, before clipping
 *   gradient_b       the same of B
 *
 * gradient_norm_a and gradient_norm_b, the same of all A and of all B together; and what every step
 * that leaves an adapter records: distance, ||theta - theta_0||.
 */
#ifndef SLAO_SWEEP_GEOMETRY_H
#define SLAO_SWEEP_GEOMETRY_H

#include "adapter/lora.h"
#include "base/json.h"
#include "learn/trainer.h"

slao_status slao_geometry_record_change(cJSON *record, const slao_lora *start,
                                        const slao_lora *finetuned);
slao_status slao_geometry_record_gradients(cJSON *record, const slao_lora *lora,
                                           const slao_training *training);
/* One number per site, as lists of layers. */
slao_status slao_geometry_record_sites(cJSON *record, const char *key, const slao_lora *lora,
                                       const double *values);
slao_status slao_geometry_record_distance(cJSON *record, const slao_lora *lora);

#endif
