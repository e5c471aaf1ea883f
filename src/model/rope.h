/* Rotary position embedding (Su et al., RoFormer, 2021): values i and i + d/2 of a head of d are
 * turned, at position p, by the angle p f_i, with
 *
 *   default   f_i = theta^(-2i/d)
 *   linear    f_i / factor                     position interpolation (Chen et al., 2023)
 *   llama3    f_i                              where the wavelength 2 pi / f_i is below
 *                                              original / high_frequency
 *             f_i / factor                     where it is above original / low_frequency
 *             (1 - s) f_i / factor + s f_i     between them, with s = (original f_i / 2 pi
 *                                              - low_frequency) / (high_frequency - low_frequency)
 *                                              (Llama 3.1)
 *
 * and then divided by factors[i] where a GGUF file gives them. All in fp32 and in the
 * order of transformers' modeling_rope_utils.py, since an angle magnifies a frequency's rounding by
 * the position.
 */
#ifndef SLAO_MODEL_ROPE_H
#define SLAO_MODEL_ROPE_H

#include "model/batch.h"
#include "model/config.h"

const char *slao_rope_name(slao_rope_type type); /* "llama3": config.json's name */

/* The type of that name; SLAO_BAD_INPUT names those there are. `where`.`key` is where it came from.
 */
slao_status slao_rope_by_name(slao_rope_type *type, const char *name, const char *where,
                              const char *key);

/* Refuses numbers that give no frequencies. */
slao_status slao_rope_check(const slao_rope_scaling *rope);

/* head_dim / 2 frequencies */
void slao_rope_frequencies(float *frequencies, const slao_model_config *config);

/* Cosine and sine of every angle: rows of the batch x `half` frequencies. */
void slao_rope_tables(float *cosines, float *sines, const slao_batch *batch,
                      const float *frequencies, int64_t half);

#endif
