#include "model/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float linear(float frequency, const slao_rope_scaling *rope) {
    return frequency / (float)rope->factor;
}

static float llama3(float frequency, const slao_rope_scaling *rope) {
    const float two_pi = 6.283185307179586F;
    float original = (float)rope->original_positions, factor = (float)rope->factor;
    float low = (float)rope->low_frequency, high = (float)rope->high_frequency;
    float wavelength = two_pi / frequency;
    if (wavelength > (float)((double)rope->original_positions / rope->low_frequency))
        return frequency / factor;
    if (wavelength < (float)((double)rope->original_positions / rope->high_frequency))
        return frequency;
    float smooth = (original / wavelength - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

static const struct {
    const char *name;
    float (*scale)(float frequency, const slao_rope_scaling *rope); /* NULL: as it is */
} ropes[SLAO_N_ROPES] = {
    [SLAO_ROPE_DEFAULT] = {"default", NULL},
    [SLAO_ROPE_LINEAR] = {"linear", linear},
    [SLAO_ROPE_LLAMA3] = {"llama3", llama3},
};

const char *slao_rope_name(slao_rope_type type) {
    return ropes[type].name;
}

slao_status slao_rope_by_name(slao_rope_type *type, const char *name, const char *where,
                              const char *key) {
    char known[64] = "";
    for (slao_rope_type t = 0; t < SLAO_N_ROPES; t++) {
        if (strcmp(ropes[t].name, name) == 0) {
            *type = t;
            return SLAO_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", t ? ", " : "", ropes[t].name);
    }
    return slao_fail(SLAO_BAD_INPUT, "%s.%s is \"%.40s\": slao supports RoPE of the types: %s",
                     where, key, name, known);
}

slao_status slao_rope_check(const slao_rope_scaling *rope) {
    if (rope->type != SLAO_ROPE_DEFAULT && !(rope->factor > 0 && isfinite(rope->factor)))
        return slao_fail(SLAO_BAD_INPUT, "RoPE of type %s: factor is %g, but must be positive",
                         slao_rope_name(rope->type), rope->factor);
    if (rope->type != SLAO_ROPE_LLAMA3)
        return SLAO_OK;
    if (!(rope->low_frequency > 0 && rope->high_frequency > rope->low_frequency) ||
        !isfinite(rope->high_frequency))
        return slao_fail(SLAO_BAD_INPUT,
                         "RoPE of type llama3: low_freq_factor %g must be positive, and "
                         "high_freq_factor %g above it",
                         rope->low_frequency, rope->high_frequency);
    if (rope->original_positions < 1)
        return slao_fail(SLAO_BAD_INPUT,
                         "RoPE of type llama3: original_max_position_embeddings must be positive");
    return SLAO_OK;
}

void slao_rope_frequencies(float *frequencies, const slao_model_config *config) {
    const slao_rope_scaling *rope = &config->rope;
    for (int64_t i = 0; i < config->head_dim / 2; i++) {
        float frequency =
            1.0F / powf((float)config->rope_theta, (float)(2 * i) / (float)config->head_dim);
        if (ropes[rope->type].scale)
            frequency = ropes[rope->type].scale(frequency, rope);
        frequencies[i] = rope->n_factors ? frequency / rope->factors[i] : frequency;
    }
}

void slao_rope_tables(float *cosines, float *sines, const slao_batch *batch,
                      const float *frequencies, int64_t half) {
    int64_t row = 0;
    for (int64_t s = 0; s < batch->n_spans; s++) {
        const slao_span *span = &batch->spans[s];
        int64_t position = batch->segments[span->segment].position + span->from;
        for (int64_t i = 0; i < span->count; i++, row++, position++) {
            for (int64_t j = 0; j < half; j++) {
                float angle = (float)position * frequencies[j];
                cosines[row * half + j] = cosf(angle);
                sines[row * half + j] = sinf(angle);
            }
        }
    }
}
