#include "learn/observation.h"

#include "base/memory.h"
#include "linalg/decomposition.h"

#include <stdlib.h>
#include <string.h>

slao_module slao_input_module(slao_module module) {
    static const slao_module first[SLAO_N_MODULES] = {
        [SLAO_Q_PROJ] = SLAO_Q_PROJ,       [SLAO_K_PROJ] = SLAO_Q_PROJ,
        [SLAO_V_PROJ] = SLAO_Q_PROJ,       [SLAO_O_PROJ] = SLAO_O_PROJ,
        [SLAO_GATE_PROJ] = SLAO_GATE_PROJ, [SLAO_UP_PROJ] = SLAO_GATE_PROJ,
        [SLAO_DOWN_PROJ] = SLAO_DOWN_PROJ,
    };
    return first[module];
}

int64_t slao_input_index(int64_t layer, slao_module module) {
    return layer * SLAO_N_MODULES + slao_input_module(module);
}

/* An input that is asked for. */
typedef struct {
    slao_gram gram;
    double *sum;
} watched;

typedef struct {
    slao_pass *pass;
    const slao_model_config *config;
    const slao_low_ranks *pairs;
    const slao_observation_settings *settings;
    watched *inputs; /* by layer, then by module */
    int64_t n_inputs;
    int64_t first, last; /* of the inputs, those being summed: first .. last-1 */
    double *product;     /* widest x widest: of one batch */
    slao_arena *arena;
} observation;

static slao_status see(void *context, int64_t layer, slao_module module, slao_matrix x,
                       int64_t rows) {
    observation *o = context;
    for (int64_t i = o->first; i < o->last; i++) {
        watched *input = &o->inputs[i];
        if (input->gram.layer != layer || input->gram.module != module)
            continue;
        int64_t width = input->gram.width;
        double *wide;
        SLAO_TRY(slao_allocate(&wide, (size_t)(rows * width), sizeof *wide));
        for (int64_t k = 0; k < rows * width; k++)
            wide[k] = (double)x.values[k / width * x.stride + k % width];
        slao_transposed_multiply_f64(o->product, wide, wide, width, width, rows);
        free(wide);
        for (int64_t k = 0; k < width * width; k++)
            input->sum[k] += o->product[k];
        input->gram.rows += rows;
    }
    return SLAO_OK;
}

static slao_status run_batch(observation *o, const slao_sequence *examples, int64_t count) {
    slao_arena_return(o->arena, (slao_arena_mark){0});
    slao_packed packed;
    slao_cache *cache;
    SLAO_TRY(slao_pack(&packed, examples, count, SLAO_SHARE_NOTHING, NULL, o->arena));
    SLAO_TRY(slao_cache_new(&cache, o->config, packed.batch.n_rows));
    slao_status status = slao_forward(o->pass, &packed.batch, o->pairs, cache);
    slao_cache_free(cache);
    return status;
}

/* One pass over the examples for the inputs first .. last-1. */
static slao_status run_examples(observation *o) {
    const slao_observation_settings *settings = o->settings;
    slao_observer observer = {see, o};
    slao_status status = SLAO_OK;
    slao_pass_observe(o->pass, &observer);
    for (int64_t i = 0; i < settings->n_examples && status == SLAO_OK; i += settings->batch_size) {
        int64_t left = settings->n_examples - i;
        status = run_batch(o, settings->examples + i,
                           left < settings->batch_size ? left : settings->batch_size);
    }
    slao_pass_observe(o->pass, NULL);
    return status;
}

static int by_place(const void *a, const void *b) {
    const slao_gram *x = &((const watched *)a)->gram, *y = &((const watched *)b)->gram;
    return x->layer != y->layer ? (x->layer < y->layer ? -1 : 1) : (int)x->module - (int)y->module;
}

/* The inputs of the adapter's sites, each once. */
static slao_status list_inputs(observation *o, const slao_lora *lora) {
    SLAO_TRY(slao_allocate(&o->inputs, (size_t)lora->n_sites, sizeof *o->inputs));
    int64_t widest = 0;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        slao_gram gram = {
            .layer = site->layer, .module = slao_input_module(site->module), .width = site->d_in};
        bool known = false;
        for (int64_t k = 0; k < o->n_inputs; k++)
            known = known || (o->inputs[k].gram.layer == gram.layer &&
                              o->inputs[k].gram.module == gram.module);
        if (!known)
            o->inputs[o->n_inputs++].gram = gram;
        widest = gram.width > widest ? gram.width : widest;
    }
    qsort(o->inputs, (size_t)o->n_inputs, sizeof *o->inputs, by_place);
    return slao_allocate(&o->product, (size_t)(widest * widest), sizeof *o->product);
}

/* Makes room for the next sums, as many as fit. */
static slao_status begin_group(observation *o) {
    size_t bytes = 0;
    o->first = o->last;
    while (o->last < o->n_inputs) {
        watched *input = &o->inputs[o->last];
        size_t values = (size_t)(input->gram.width * input->gram.width);
        bytes += values * sizeof *input->sum;
        if (o->last > o->first && bytes > o->settings->memory)
            break;
        SLAO_TRY(slao_allocate(&input->sum, values, sizeof *input->sum));
        o->last++;
    }
    return SLAO_OK;
}

static slao_status observe(observation *o, const slao_lora *lora,
                           slao_status (*take)(void *context, const slao_gram *gram),
                           void *context) {
    SLAO_TRY(slao_arena_new(&o->arena));
    SLAO_TRY(list_inputs(o, lora));
    while (o->last < o->n_inputs) {
        SLAO_TRY(begin_group(o));
        SLAO_TRY(run_examples(o));
        for (int64_t i = o->first; i < o->last; i++) {
            watched *input = &o->inputs[i];
            input->gram.sum = input->sum;
            SLAO_TRY_IN(take(context, &input->gram), "layer %lld, input of %s",
                        (long long)input->gram.layer, slao_module_name(input->gram.module));
            free(input->sum);
            input->sum = NULL;
        }
    }
    return SLAO_OK;
}

slao_status slao_observe_inputs(slao_pass *pass, const slao_model_config *config,
                                const slao_lora *lora, const slao_low_ranks *pairs,
                                const slao_observation_settings *settings,
                                slao_status (*take)(void *context, const slao_gram *gram),
                                void *context) {
    observation o = {.pass = pass, .config = config, .pairs = pairs, .settings = settings};
    slao_status status = observe(&o, lora, take, context);
    for (int64_t i = 0; i < o.n_inputs; i++)
        free(o.inputs[i].sum);
    free(o.inputs);
    free(o.product);
    slao_arena_free(o.arena);
    return status;
}
