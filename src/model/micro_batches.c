#include "model/micro_batches.h"

#include "linalg/threads.h"
#include "linalg/vec.h"
#include "model/division.h"
#include "model/pass_parts.h"

#include <string.h>

/* What one micro-batch after another is computed in, by one thread or by all together. */
typedef struct {
    slao_pass *pass;
    slao_cache cache; /* the trunk's slots first */
} strand;

/* What a micro-batch gives. */
typedef struct {
    slao_cache d_trunk;   /* gradients of the trunk's keys and values */
    slao_low_ranks pairs; /* those of the batch, whose gradients are the values below */
    float *gradients;
    double *scale_gradients;
    size_t n_gradients, n_scale_gradients;
} output;

typedef struct {
    const slao_model_config *config;
    slao_division division;
    const slao_low_ranks *pairs;
    double gradient_scale;
    double *losses;
    slao_cache d_trunk; /* what all micro-batches give */
    strand *strands;
    output *outputs;
} job;

/* ---- Gradients of a micro-batch's own ---- */

/* Values of a pair's gradients; 0 of those that are not asked for. */
static void sizes_of(const job *j, int64_t list, const slao_low_rank *pair, size_t *a, size_t *b) {
    int64_t d_out, d_in;
    slao_module_shape(j->config, (slao_module)(list % SLAO_N_MODULES), &d_out, &d_in);
    *a = pair->grad_a ? (size_t)(pair->rank * d_in) : 0;
    *b = pair->grad_b ? (size_t)(pair->rank * d_out) : 0;
}

static int64_t n_lists(const job *j) {
    return j->pairs && j->pairs->lists ? j->config->layers * SLAO_N_MODULES : 0;
}

/* The pairs of the batch, with gradients of the output's own. */
static slao_status take_gradients(output *o, const job *j, slao_arena *arena) {
    slao_low_rank_list *lists;
    size_t a, b, value = 0, scale = 0;
    for (int64_t i = 0; i < n_lists(j); i++) {
        for (int64_t k = 0; k < j->pairs->lists[i].count; k++) {
            const slao_low_rank *pair = &j->pairs->lists[i].pairs[k];
            sizes_of(j, i, pair, &a, &b);
            o->n_gradients += a + b;
            o->n_scale_gradients += pair->grad_scale != NULL;
        }
    }
    SLAO_TRY(slao_arena_take(arena, &o->gradients, o->n_gradients, sizeof *o->gradients));
    SLAO_TRY(slao_arena_take(arena, &o->scale_gradients, o->n_scale_gradients,
                             sizeof *o->scale_gradients));
    SLAO_TRY(slao_arena_take(arena, &lists, (size_t)n_lists(j), sizeof *lists));
    for (int64_t i = 0; i < n_lists(j); i++) {
        slao_low_rank *pairs;
        int64_t count = j->pairs->lists[i].count;
        SLAO_TRY(slao_arena_take(arena, &pairs, (size_t)count, sizeof *pairs));
        lists[i] = (slao_low_rank_list){count, pairs};
        for (int64_t k = 0; k < count; k++) {
            slao_low_rank *pair = &pairs[k];
            *pair = j->pairs->lists[i].pairs[k];
            sizes_of(j, i, pair, &a, &b);
            pair->grad_a = a ? o->gradients + value : NULL;
            pair->grad_b = b ? o->gradients + value + a : NULL;
            value += a + b;
            if (pair->grad_scale)
                pair->grad_scale = &o->scale_gradients[scale++];
        }
    }
    o->pairs = (slao_low_ranks){n_lists(j) ? lists : NULL, j->pairs ? j->pairs->noise_seed : 0};
    return SLAO_OK;
}

static void add_gradients(const job *j, const output *o) {
    for (int64_t i = 0; i < n_lists(j); i++) {
        for (int64_t k = 0; k < j->pairs->lists[i].count; k++) {
            const slao_low_rank *to = &j->pairs->lists[i].pairs[k],
                                *from = &o->pairs.lists[i].pairs[k];
            size_t a, b;
            sizes_of(j, i, to, &a, &b);
            if (a)
                slao_vec()->add(to->grad_a, from->grad_a, a);
            if (b)
                slao_vec()->add(to->grad_b, from->grad_b, b);
            if (to->grad_scale)
                *to->grad_scale += *from->grad_scale;
        }
    }
}

/* ---- The trunk's keys and values ---- */

static size_t cached_values(const job *j, const slao_cache *cache) {
    return (size_t)(j->config->layers * cache->slots * cache->width);
}

static void clear(const job *j, slao_cache *d_trunk) {
    memset(d_trunk->keys, 0, cached_values(j, d_trunk) * sizeof *d_trunk->keys);
    memset(d_trunk->values, 0, cached_values(j, d_trunk) * sizeof *d_trunk->values);
}

static void copy_trunk(const job *j, slao_cache *to, const slao_cache *from) {
    size_t bytes = (size_t)(j->division.trunk.batch.n_rows * to->width) * sizeof *to->keys;
    for (int64_t layer = 0; layer < j->config->layers; layer++) {
        int64_t there = layer * to->slots * to->width, here = layer * from->slots * to->width;
        memcpy(to->keys + there, from->keys + here, bytes);
        memcpy(to->values + there, from->values + here, bytes);
    }
}

/* ---- Parts ---- */

/* A strand for micro-batches of no more rows than `largest`. */
static slao_status take_strand(strand *s, const job *j, int index, const slao_part *largest,
                               slao_pass *pass, slao_arena *arena) {
    int64_t slots = j->division.trunk.batch.n_rows + largest->batch.n_rows;
    SLAO_TRY(slao_pass_strand(pass, index, &s->pass));
    return slao_cache_take(&s->cache, j->config, slots, arena);
}

static slao_status take_output(output *o, const job *j, slao_arena *arena) {
    *o = (output){0};
    SLAO_TRY(slao_cache_take(&o->d_trunk, j->config, j->division.trunk.batch.n_rows, arena));
    return take_gradients(o, j, arena);
}

static slao_status forward_and_loss(const job *j, slao_pass *pass, const slao_part *part,
                                    const slao_low_ranks *pairs, slao_cache *cache,
                                    slao_cache *d_trunk) {
    SLAO_TRY(slao_forward_part(pass, &part->batch, pairs, cache, d_trunk));
    SLAO_TRY(slao_loss(pass, part->losses, j->gradient_scale));
    for (int64_t i = 0; i < part->batch.n_answers; i++)
        j->losses[part->answers[i]] = part->losses[i];
    return SLAO_OK;
}

static slao_status compute(void *context, int strand_index, int output_index, int64_t i) {
    const job *j = context;
    strand *s = &j->strands[strand_index];
    output *o = &j->outputs[output_index];
    memset(o->gradients, 0, o->n_gradients * sizeof *o->gradients);
    memset(o->scale_gradients, 0, o->n_scale_gradients * sizeof *o->scale_gradients);
    clear(j, &o->d_trunk);
    SLAO_TRY(forward_and_loss(j, s->pass, &j->division.micro_batches[i], &o->pairs, &s->cache,
                              &o->d_trunk));
    return slao_backward(s->pass, &o->pairs);
}

static void gather(void *context, int output_index, int64_t i) {
    job *j = context;
    const output *o = &j->outputs[output_index];
    (void)i;
    add_gradients(j, o);
    slao_vec()->add(j->d_trunk.keys, o->d_trunk.keys, cached_values(j, &j->d_trunk));
    slao_vec()->add(j->d_trunk.values, o->d_trunk.values, cached_values(j, &j->d_trunk));
}

/* How many micro-batches, the first, all threads compute together: those of more than `most_rows`
 * rows, for which there is no room beside others; and one alone. */
static int64_t count_together(const slao_division *division, int64_t most_rows) {
    int64_t n = 0;
    while (n < division->n_micro_batches && division->micro_batches[n].batch.n_rows > most_rows)
        n++;
    return n == division->n_micro_batches - 1 ? n + 1 : n;
}

/* Strands and outputs for the micro-batches that threads take one each; the first strand and output
 * are also those of all threads together. */
static slao_status take_memory(job *j, slao_pieces *pieces, slao_pass *pass, slao_arena *arena) {
    int64_t apart = pieces->to - pieces->from;
    pieces->strands = apart < slao_threads() ? (int)apart : slao_threads();
    int64_t most = pieces->strands > 1 ? 2 * pieces->strands : pieces->strands;
    pieces->outputs = (int)(apart < most ? apart : most);
    int strands = apart ? pieces->strands : 1, outputs = apart ? pieces->outputs : 1;
    SLAO_TRY(slao_arena_take(arena, &j->strands, (size_t)strands, sizeof *j->strands));
    SLAO_TRY(slao_arena_take(arena, &j->outputs, (size_t)outputs, sizeof *j->outputs));
    for (int i = 0; i < strands; i++) {
        const slao_part *largest = &j->division.micro_batches[i ? pieces->from : 0];
        SLAO_TRY(take_strand(&j->strands[i], j, i, largest, pass, arena));
    }
    for (int i = 0; i < outputs; i++)
        SLAO_TRY(take_output(&j->outputs[i], j, arena));
    return slao_cache_take(&j->d_trunk, j->config, j->division.trunk.batch.n_rows, arena);
}

static slao_status in_parts(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                            int64_t most_rows, double *losses, double gradient_scale) {
    slao_arena *arena = pass->division;
    job j = {.config = &pass->model->config,
             .pairs = pairs,
             .gradient_scale = gradient_scale,
             .losses = losses};
    slao_pieces pieces = {.compute = compute, .gather = gather, .context = &j};
    slao_pass *trunk;
    SLAO_INVARIANT(!pass->observer);
    slao_arena_return(arena, (slao_arena_mark){0});
    SLAO_TRY(slao_divide(&j.division, batch, most_rows, arena));
    pieces.from = count_together(&j.division, most_rows);
    pieces.to = j.division.n_micro_batches;
    SLAO_TRY(take_memory(&j, &pieces, pass, arena));
    SLAO_TRY(slao_pass_trunk(pass, &trunk));
    clear(&j, &j.d_trunk);
    SLAO_TRY(
        forward_and_loss(&j, trunk, &j.division.trunk, pairs, &j.strands[0].cache, &j.d_trunk));
    for (int i = 1; i < pieces.strands; i++)
        copy_trunk(&j, &j.strands[i].cache, &j.strands[0].cache);
    for (int64_t i = 0; i < pieces.from; i++) {
        SLAO_TRY(compute(&j, 0, 0, i));
        gather(&j, 0, i);
    }
    SLAO_TRY(slao_pieces_run(&pieces));
    return slao_backward(trunk, pairs);
}

slao_status slao_gradients(slao_pass *pass, const slao_batch *batch, const slao_low_ranks *pairs,
                           int64_t most_rows, double *losses, double gradient_scale) {
    if (most_rows && batch->n_rows > most_rows)
        return in_parts(pass, batch, pairs, most_rows, losses, gradient_scale);
    SLAO_TRY(slao_forward_training(pass, batch, pairs));
    SLAO_TRY(slao_loss(pass, losses, gradient_scale));
    return slao_backward(pass, pairs);
}
