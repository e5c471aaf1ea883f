#include "learn/trainer.h"

#include "base/memory.h"
#include "base/profile.h"
#include "base/random.h"
#include "learn/optimizer.h"
#include "model/micro_batches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    slao_pass *pass;
    slao_lora *lora;
    const slao_lesson *lesson;
    const slao_train_settings *settings;
    slao_arena *arena;
    slao_optimizer *optimizer;
    slao_low_ranks pairs; /* of lora, with `gradients`, on top of those below it */
    const slao_model_config *config;
    slao_lora_stack stack; /* what `pairs` is a view of: the two arrays below */
    const slao_lora **loras;
    double *weights, *scale_gradients;
    float *gradients;
    slao_value_range *ranges; /* trained values, where a factor is frozen */
    int64_t *order;
    const slao_training_watch *watch;
    slao_training_state state;
} run;

/* Forward and backward of one batch; adds to the gradients and to *loss what it contributes to the
 * step's mean. */
static slao_status train_batch(run *r, const int64_t *chosen, int64_t count, int64_t epoch,
                               double n_answers, double *loss) {
    slao_arena_return(r->arena, (slao_arena_mark){0});
    slao_sequence *sequences;
    uint64_t *names = NULL;
    SLAO_TRY(slao_arena_take(r->arena, &sequences, (size_t)count, sizeof *sequences));
    bool dropout = r->lora->settings.dropout > 0;
    if (dropout)
        SLAO_TRY(slao_arena_take(r->arena, &names, (size_t)count, sizeof *names));
    for (int64_t i = 0; i < count; i++) {
        sequences[i] = r->lesson->examples[chosen[i]];
        if (dropout) /* example and epoch, with room for the tokens of an example below them */
            names[i] = ((uint64_t)epoch * (uint64_t)r->lesson->n_examples + (uint64_t)chosen[i])
                       << 20;
    }
    slao_packed packed;
    slao_profile_mark mark = slao_profile_begin();
    SLAO_TRY(slao_pack(&packed, sequences, count,
                       dropout ? SLAO_SHARE_NOTHING : SLAO_SHARE_PREFIXES, names, r->arena));
    slao_profile_end(mark, "packing of batches", 0, 0, 0);
    double *losses;
    SLAO_TRY(slao_arena_take(r->arena, &losses, (size_t)packed.batch.n_answers, sizeof *losses));
    SLAO_TRY(slao_gradients(r->pass, &packed.batch, &r->pairs, r->settings->micro_tokens, losses,
                            1.0 / n_answers));
    for (int64_t i = 0; i < packed.batch.n_answers; i++)
        *loss += losses[i] / n_answers;
    return SLAO_OK;
}

static double squares(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Sums over the steps; `train` makes means of them. */
static void add_gradient_norms(const run *r, slao_training *training) {
    double all_a = 0, all_b = 0;
    for (int64_t i = 0; i < r->lora->n_sites; i++) {
        const slao_site *site = &r->lora->sites[i];
        const float *grad_a = r->gradients + (site->a - r->lora->values);
        const float *grad_b = r->gradients + (site->b - r->lora->values);
        double a = squares(grad_a, site->rank * site->d_in);
        double b = squares(grad_b, site->rank * site->d_out);
        training->gradient_norms[2 * i] += sqrt(a);
        training->gradient_norms[2 * i + 1] += sqrt(b);
        all_a += a;
        all_b += b;
    }
    training->gradient_norm_a += sqrt(all_a);
    training->gradient_norm_b += sqrt(all_b);
}

/* Makes `pairs` anew from the stack. */
static slao_status view_stack(run *r) {
    uint64_t noise_seed = r->pairs.noise_seed;
    slao_lora_view_free(&r->pairs);
    SLAO_TRY(
        slao_lora_view_stack(&r->pairs, &r->stack, r->gradients, r->lesson->frozen, r->config));
    r->pairs.noise_seed = noise_seed;
    return SLAO_OK;
}

/* The scalars as they are now become the weights of the stack. */
static slao_status set_magnitudes(run *r) {
    const float *scalars = slao_lora_scalars(r->lora);
    for (int64_t k = 0; k < r->stack.count; k++) {
        r->weights[k] = (double)scalars[k];
        r->scale_gradients[k] = 0;
    }
    return view_stack(r);
}

/* A weight's gradient is that of the scale, weight x s, times s. */
static void add_magnitude_gradients(run *r) {
    float *gradients = r->gradients + (slao_lora_scalars(r->lora) - r->lora->values);
    for (int64_t k = 0; k < r->stack.count; k++)
        gradients[k] += (float)(r->loras[k]->sites[0].scale * r->scale_gradients[k]);
}

/* One optimiser step on the `count` examples at `chosen`. */
static slao_status train_step(run *r, const int64_t *chosen, int64_t count, int64_t epoch,
                              int64_t total_steps, slao_training *training) {
    int64_t n_answers = 0, batch_size = r->settings->batch_size;
    for (int64_t i = 0; i < count; i++) {
        const slao_sequence *example = &r->lesson->examples[chosen[i]];
        n_answers += example->count - example->answer_start;
        training->tokens += example->count;
    }
    memset(r->gradients, 0, (size_t)r->lora->n_values * sizeof *r->gradients);
    double loss = 0, extra = 0, norm;
    if (r->lesson->magnitudes)
        SLAO_TRY(set_magnitudes(r));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < count && status == SLAO_OK; i += batch_size) {
        int64_t from, to;
        slao_team_part(r->lesson->team, count - i < batch_size ? count - i : batch_size, &from,
                       &to);
        if (from < to)
            status = train_batch(r, chosen + i + from, to - from, epoch, (double)n_answers, &loss);
    }
    if (r->lesson->magnitudes)
        add_magnitude_gradients(r);
    SLAO_TRY(
        slao_team_sum(r->lesson->team, status, r->gradients, (size_t)r->lora->n_values, &loss));
    if (r->lesson->extra.add)
        SLAO_TRY(r->lesson->extra.add(r->lesson->extra.context, r->lora, r->gradients, &extra));
    if (!isfinite(loss + extra))
        return slao_fail(
            SLAO_FAILED,
            "the loss of step %lld is not finite: training has diverged; try a smaller "
            "learning rate",
            (long long)training->steps + 1);
    add_gradient_norms(r, training);
    double rate = slao_learning_rate(r->settings, training->steps, total_steps);
    slao_profile_mark mark = slao_profile_begin();
    SLAO_TRY(
        slao_optimizer_step(r->optimizer, r->lora->values, r->gradients, rate, r->settings, &norm));
    slao_profile_end(mark, "optimiser", 0, 0, 0);
    SLAO_TRY(slao_training_reserve(training, training->steps + 1, r->state.extra));
    if (r->state.extra)
        training->extra_losses[training->steps] = extra;
    training->losses[training->steps++] = loss;
    return SLAO_OK;
}

/* What the next step's loss would tell of every step but the last. */
static slao_status check_values(const slao_lora *lora) {
    for (int64_t i = 0; i < lora->n_values; i++) {
        if (!isfinite(lora->values[i]))
            return slao_fail(SLAO_FAILED,
                             "the adapter holds values that are not finite after the last "
                             "step: training has diverged; try a smaller learning rate");
    }
    return SLAO_OK;
}

/* What the first member of a team has put back, to all. */
static slao_status share_state(slao_team *team, slao_status status,
                               const slao_training_state *state) {
    slao_training *training = state->training;
    SLAO_TRY(slao_team_share(team, status, &training->steps, sizeof training->steps));
    if (training->steps == 0 || slao_team_size(team) == 1)
        return SLAO_OK;
    status = slao_training_reserve(training, training->steps, state->extra);
    size_t values = (size_t)state->n_values * sizeof(float);
    size_t losses = (size_t)training->steps * sizeof(double);
    const struct {
        void *bytes;
        size_t count;
    } parts[] = {{state->values, values},
                 {state->first, values},
                 {state->second, values},
                 {training->losses, losses},
                 {training->extra_losses, state->extra ? losses : 0},
                 {training->gradient_norms, (size_t)state->n_norms * sizeof(double)},
                 {&training->gradient_norm_a, sizeof(double)},
                 {&training->gradient_norm_b, sizeof(double)},
                 {&training->tokens, sizeof training->tokens}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        SLAO_TRY(slao_team_share(team, status, parts[i].bytes, parts[i].count));
        status = SLAO_OK;
    }
    return SLAO_OK;
}

static slao_status begin(run *r) {
    slao_status status = SLAO_OK;
    if (slao_team_leads(r->lesson->team))
        status = r->watch->begin(r->watch->context, &r->state);
    SLAO_TRY(share_state(r->lesson->team, status, &r->state));
    SLAO_INVARIANT(r->state.training->steps <= r->state.total_steps);
    r->optimizer->steps = r->state.training->steps;
    return SLAO_OK;
}

static slao_status train(run *r, slao_training *training) {
    int64_t n = r->lesson->n_examples,
            per_step = r->settings->batch_size * r->settings->accumulation;
    int64_t per_epoch = (n + per_step - 1) / per_step, total = per_epoch * r->settings->epochs;
    SLAO_TRY(slao_allocate(&r->order, (size_t)n, sizeof *r->order));
    r->state = (slao_training_state){.n_values = r->lora->n_values,
                                     .values = r->lora->values,
                                     .first = r->optimizer->first,
                                     .second = r->optimizer->second,
                                     .n_norms = 2 * r->lora->n_sites,
                                     .extra = r->lesson->extra.add != NULL,
                                     .training = training,
                                     .total_steps = total};
    bool watched = r->watch && r->watch->after_step && slao_team_leads(r->lesson->team);
    if (r->watch && r->watch->begin)
        SLAO_TRY(begin(r));
    int64_t first_epoch = per_epoch ? training->steps / per_epoch : 0;
    for (int64_t epoch = first_epoch; epoch < r->settings->epochs; epoch++) {
        slao_random random =
            slao_random_stream(r->lesson->seed, "order", r->lesson->task, (uint64_t)epoch);
        slao_random_permutation(&random, r->order, n);
        for (int64_t i = (training->steps - epoch * per_epoch) * per_step; i < n; i += per_step) {
            SLAO_TRY(train_step(r, r->order + i, n - i < per_step ? n - i : per_step, epoch, total,
                                training));
            if (watched && training->steps < total)
                SLAO_TRY(r->watch->after_step(r->watch->context, &r->state));
        }
    }
    for (int64_t i = 0; i < 2 * r->lora->n_sites; i++)
        training->gradient_norms[i] /= (double)training->steps;
    training->gradient_norm_a /= (double)training->steps;
    training->gradient_norm_b /= (double)training->steps;
    return check_values(r->lora);
}

slao_status slao_training_reserve(slao_training *training, int64_t count, bool extra) {
    SLAO_TRY(
        slao_grow(&training->losses, &training->capacity, (size_t)count, sizeof *training->losses));
    return !extra ? SLAO_OK
                  : slao_grow(&training->extra_losses, &training->extra_capacity, (size_t)count,
                              sizeof *training->extra_losses);
}

/* The adapters below, then the trained one, with their weights. */
static slao_status make_stack(run *r) {
    const slao_lora_stack *below = &r->lesson->below;
    size_t count = (size_t)below->count + 1;
    SLAO_TRY(slao_allocate(&r->loras, count, sizeof *r->loras));
    SLAO_TRY(slao_allocate(&r->weights, count, sizeof *r->weights));
    for (int64_t k = 0; k < below->count; k++) {
        r->loras[k] = below->loras[k];
        r->weights[k] = below->weights ? below->weights[k] : 1;
    }
    r->loras[below->count] = r->lora;
    r->weights[below->count] = 1;
    r->stack =
        (slao_lora_stack){.count = below->count + 1, .loras = r->loras, .weights = r->weights};
    if (!r->lesson->magnitudes)
        return SLAO_OK;
    SLAO_INVARIANT(r->lora->n_scalars == r->stack.count && r->lesson->frozen == SLAO_FACTOR_NONE);
    SLAO_TRY(slao_allocate(&r->scale_gradients, count, sizeof *r->scale_gradients));
    r->stack.scale_gradients = r->scale_gradients;
    return SLAO_OK;
}

/* Tells the optimiser which values are trained, if not all are. */
static slao_status leave_out_frozen(run *r) {
    const slao_lora *lora = r->lora;
    if (r->lesson->frozen == SLAO_FACTOR_NONE)
        return SLAO_OK;
    SLAO_INVARIANT(r->lesson->frozen != SLAO_FACTORS);
    bool is_a = r->lesson->frozen == SLAO_FACTOR_B;
    SLAO_TRY(slao_allocate(&r->ranges, (size_t)lora->n_sites, sizeof *r->ranges));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        r->ranges[i] = (slao_value_range){(is_a ? site->a : site->b) - lora->values,
                                          site->rank * (is_a ? site->d_in : site->d_out)};
    }
    r->optimizer->n_ranges = lora->n_sites;
    r->optimizer->ranges = r->ranges;
    return SLAO_OK;
}

/* What training and a gradient alone have in common; to be closed also after a failure. */
static slao_status open_run(run *r) {
    SLAO_TRY(slao_arena_new(&r->arena));
    SLAO_TRY(slao_allocate(&r->gradients, (size_t)r->lora->n_values, sizeof *r->gradients));
    SLAO_TRY(make_stack(r));
    return view_stack(r);
}

static void close_run(run *r) {
    slao_lora_view_free(&r->pairs);
    free(r->loras);
    free(r->weights);
    free(r->scale_gradients);
    free(r->ranges);
    free(r->order);
    free(r->gradients);
    slao_optimizer_free(r->optimizer);
    slao_arena_free(r->arena);
}

slao_checkpointing slao_train_checkpointing(const slao_train_settings *settings) {
    const char *name = settings->checkpointing;
    return name ? (slao_checkpointing)slao_name_index(name, slao_checkpointing_names)
                : SLAO_CHECKPOINTING_AUTO;
}

slao_status slao_train(slao_pass *pass, const slao_model_config *config, slao_lora *lora,
                       const slao_lesson *lesson, const slao_train_settings *settings,
                       const slao_training_watch *watch, slao_training *training) {
    *training = (slao_training){0};
    run r = {.pass = pass,
             .config = config,
             .lora = lora,
             .lesson = lesson,
             .settings = settings,
             .watch = watch};
    slao_pass_set_checkpointing(pass, slao_train_checkpointing(settings));
    slao_status status = open_run(&r);
    if (status == SLAO_OK)
        status = slao_optimizer_new(&r.optimizer, lora->n_values);
    if (status == SLAO_OK)
        status = slao_allocate(&training->gradient_norms, 2 * (size_t)lora->n_sites,
                               sizeof *training->gradient_norms);
    if (status == SLAO_OK)
        status = leave_out_frozen(&r);
    if (status == SLAO_OK) {
        slao_random noise = slao_random_stream(lesson->seed, "dropout", lesson->task, 0);
        r.pairs.noise_seed = (uint64_t)slao_random_bits(&noise) << 32 | slao_random_bits(&noise);
        status = train(&r, training);
    }
    close_run(&r);
    return status;
}

static slao_status gradient_of_first(run *r, int64_t n_examples, double *loss) {
    double n_answers = 0;
    int64_t *chosen, batch_size = r->settings->batch_size;
    SLAO_TRY(slao_allocate(&chosen, (size_t)n_examples, sizeof *chosen));
    r->order = chosen;
    for (int64_t i = 0; i < n_examples; i++) {
        chosen[i] = i;
        n_answers += (double)(r->lesson->examples[i].count - r->lesson->examples[i].answer_start);
    }
    if (r->lesson->magnitudes)
        SLAO_TRY(set_magnitudes(r));
    for (int64_t i = 0; i < n_examples; i += batch_size) {
        int64_t left = n_examples - i;
        SLAO_TRY(
            train_batch(r, chosen + i, left < batch_size ? left : batch_size, 0, n_answers, loss));
    }
    if (r->lesson->magnitudes)
        add_magnitude_gradients(r);
    return SLAO_OK;
}

slao_status slao_lesson_gradient(slao_pass *pass, const slao_model_config *config,
                                 const slao_lora *lora, const slao_lesson *lesson,
                                 const slao_train_settings *settings, int64_t n_examples,
                                 double *loss, float *gradients) {
    SLAO_INVARIANT(n_examples > 0 && n_examples <= lesson->n_examples);
    slao_lora quiet = *lora; /* the same values without dropout */
    quiet.settings.dropout = 0;
    run r = {
        .pass = pass, .config = config, .lora = &quiet, .lesson = lesson, .settings = settings};
    *loss = 0;
    slao_status status = open_run(&r);
    if (status == SLAO_OK)
        status = gradient_of_first(&r, n_examples, loss);
    if (status == SLAO_OK)
        memcpy(gradients, r.gradients, (size_t)lora->n_values * sizeof *gradients);
    close_run(&r);
    return status;
}

void slao_training_free(slao_training *training) {
    free(training->losses);
    free(training->extra_losses);
    free(training->gradient_norms);
    *training = (slao_training){0};
}
