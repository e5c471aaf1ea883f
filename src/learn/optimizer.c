#include "learn/optimizer.h"

#include "base/memory.h"
#include "linalg/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

slao_status slao_optimizer_new(slao_optimizer **optimizer, int64_t n_values) {
    SLAO_TRY(slao_allocate(optimizer, 1, sizeof **optimizer));
    (*optimizer)->n_values = n_values;
    slao_status status = slao_allocate(&(*optimizer)->first, (size_t)n_values, sizeof(float));
    if (status == SLAO_OK)
        status = slao_allocate(&(*optimizer)->second, (size_t)n_values, sizeof(float));
    if (status != SLAO_OK) {
        slao_optimizer_free(*optimizer);
        *optimizer = NULL;
    }
    return status;
}

void slao_optimizer_free(slao_optimizer *optimizer) {
    if (!optimizer)
        return;
    free(optimizer->first);
    free(optimizer->second);
    free(optimizer);
}

static double norm_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

slao_status slao_optimizer_step(slao_optimizer *optimizer, float *values, const float *gradients,
                                double learning_rate, const slao_train_settings *settings,
                                double *norm) {
    static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    *norm = norm_of(gradients, optimizer->n_values);
    if (!isfinite(*norm))
        return slao_fail(
            SLAO_FAILED,
            "the gradient of optimiser step %lld is not finite: training has diverged; try a "
            "smaller learning rate",
            (long long)optimizer->steps + 1);
    double clipped = settings->clip_norm > 0 ? settings->clip_norm / (*norm + 1e-6) : 1;
    double t = (double)++optimizer->steps;
    const slao_value_range all = {0, optimizer->n_values};
    const slao_value_range *ranges = optimizer->n_ranges ? optimizer->ranges : &all;
    for (int64_t i = 0; i < (optimizer->n_ranges ? optimizer->n_ranges : 1); i++) {
        int64_t at = ranges[i].first;
        slao_vec()->adamw(values + at, optimizer->first + at, optimizer->second + at,
                          gradients + at, (float)(clipped < 1 ? clipped : 1), (float)beta1,
                          (float)beta2, (float)(learning_rate / (1 - pow(beta1, t))),
                          (float)(1 / sqrt(1 - pow(beta2, t))), (float)epsilon,
                          (float)(learning_rate * settings->weight_decay), (size_t)ranges[i].count);
    }
    return SLAO_OK;
}

/* What is left of the rate when `progress` (0 to 1) of the steps after the warm-up are done. */
static double constant(double progress) {
    (void)progress;
    return 1;
}

static double linear(double progress) {
    return 1 - progress;
}

static double cosine(double progress) {
    return 0.5 * (1 + cos(3.14159265358979323846 * progress));
}

static const struct {
    const char *name;
    double (*left)(double progress);
} schedules[] = {{"constant", constant}, {"linear", linear}, {"cosine", cosine}};

double slao_learning_rate(const slao_train_settings *settings, int64_t step, int64_t total) {
    if (step < settings->warmup_steps)
        return settings->learning_rate * (double)step / (double)settings->warmup_steps;
    int64_t after = total - settings->warmup_steps;
    double progress = (double)(step - settings->warmup_steps) / (double)(after > 1 ? after : 1);
    size_t row = 0;
    while (strcmp(schedules[row].name, settings->schedule) != 0)
        SLAO_INVARIANT(++row < sizeof schedules / sizeof *schedules);
    return settings->learning_rate * schedules[row].left(progress);
}
