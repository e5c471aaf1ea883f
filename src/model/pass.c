#include "model/pass_parts.h"

#include "base/memory.h"
#include "linalg/bf16.h"
#include "linalg/threads.h"
#include "linalg/vec.h"

#include <stdlib.h>
#include <string.h>

const char *const slao_checkpointing_names[] = {"auto", "on", "off", NULL};

slao_status slao_pass_new(slao_pass **pass, const slao_model *model) {
    SLAO_TRY(slao_allocate(pass, 1, sizeof **pass));
    (*pass)->model = model;
    slao_status status = slao_arena_new(&(*pass)->arena);
    if (status == SLAO_OK)
        status = slao_arena_new(&(*pass)->division);
    if (status != SLAO_OK) {
        slao_pass_free(*pass);
        *pass = NULL;
    }
    return status;
}

void slao_pass_free(slao_pass *pass) {
    if (!pass)
        return;
    slao_pass_free(pass->trunk);
    for (size_t i = 0; i < pass->n_strands; i++)
        slao_pass_free(pass->strands[i]);
    free(pass->strands);
    slao_arena_free(pass->division);
    slao_arena_free(pass->arena);
    free(pass);
}

static void copy_settings(slao_pass *to, const slao_pass *from) {
    to->checkpointing = from->checkpointing;
    to->precision = from->precision;
}

slao_status slao_pass_trunk(slao_pass *pass, slao_pass **trunk) {
    if (!pass->trunk) {
        slao_pass *trunk_pass;
        SLAO_TRY(slao_allocate(&trunk_pass, 1, sizeof *trunk_pass));
        slao_status status = slao_arena_new(&trunk_pass->arena);
        if (status != SLAO_OK) {
            free(trunk_pass);
            return status;
        }
        trunk_pass->model = pass->model;
        pass->trunk = trunk_pass;
    }
    *trunk = pass->trunk;
    copy_settings(*trunk, pass);
    return SLAO_OK;
}

slao_status slao_pass_strand(slao_pass *pass, int index, slao_pass **strand) {
    *strand = pass;
    if (index == 0)
        return SLAO_OK;
    size_t i = (size_t)index - 1;
    SLAO_INVARIANT(i <= pass->n_strands);
    if (i == pass->n_strands) {
        SLAO_TRY(slao_grow(&pass->strands, &pass->strands_capacity, i + 1, sizeof(*pass->strands)));
        SLAO_TRY(slao_pass_new(&pass->strands[i], pass->model));
        pass->n_strands++;
    }
    *strand = pass->strands[i];
    copy_settings(*strand, pass);
    return SLAO_OK;
}

void slao_pass_set_checkpointing(slao_pass *pass, slao_checkpointing checkpointing) {
    pass->checkpointing = checkpointing;
}

slao_status slao_pass_set_precision(slao_pass *pass, slao_precision precision) {
    SLAO_TRY(slao_precision_need(precision));
    pass->precision = precision;
    return SLAO_OK;
}

const slao_model *slao_pass_model(const slao_pass *pass) {
    return pass->model;
}

void slao_pass_observe(slao_pass *pass, const slao_observer *observer) {
    pass->observer = observer;
}

size_t slao_pass_bytes(const slao_pass *pass) {
    size_t bytes = slao_arena_most(pass->arena);
    if (pass->trunk)
        bytes += slao_arena_most(pass->trunk->arena) + slao_arena_most(pass->division);
    for (size_t i = 0; i < pass->n_strands; i++)
        bytes += slao_pass_bytes(pass->strands[i]);
    return bytes;
}

slao_status slao_pass_take(slao_pass *pass, float **values, int64_t rows, int64_t width) {
    return slao_arena_take(pass->arena, values, (size_t)rows, (size_t)width * sizeof **values);
}

void slao_pass_forward_product(slao_pass *pass, int64_t layer, slao_module module, slao_matrix x,
                               slao_matrix_out y, int64_t rows, float beta) {
    int64_t d_out, d_in;
    slao_frozen weights = slao_model_weights(pass->model, layer, module, &d_out, &d_in);
    slao_frozen_forward(y, x, &weights, rows, d_out, d_in, beta, pass->precision);
}

void slao_pass_backward_product(slao_pass *pass, int64_t layer, slao_module module, slao_matrix dy,
                                slao_matrix_out dx, int64_t rows) {
    int64_t d_out, d_in;
    slao_frozen weights = slao_model_weights(pass->model, layer, module, &d_out, &d_in);
    slao_frozen_backward(dx, dy, &weights, rows, d_out, d_in, 0, pass->precision);
}

bool slao_pass_is_last(const slao_pass *pass, int64_t layer) {
    return layer == pass->model->config.layers - 1;
}

const slao_batch *slao_pass_upper(const slao_pass *pass, int64_t layer) {
    return slao_pass_is_last(pass, layer) ? &pass->answering : pass->batch;
}

const slao_batch *slao_pass_module_rows(const slao_pass *pass, int64_t layer, slao_module module) {
    return module < SLAO_O_PROJ ? pass->batch : slao_pass_upper(pass, layer);
}

void slao_pass_pick_upper(const slao_pass *pass, int64_t layer, float *y, slao_matrix x,
                          int64_t width) {
    for (int64_t i = 0; i < slao_pass_upper(pass, layer)->n_rows; i++) {
        int64_t row = slao_pass_is_last(pass, layer) ? pass->answering_rows[i] : i;
        memmove(y + i * width, x.values + row * x.stride, (size_t)width * sizeof *y);
    }
}

void slao_pass_spread_answering(const slao_pass *pass, slao_matrix_out y, const float *x,
                                int64_t width) {
    for (int64_t i = 0; i < pass->answering.n_rows; i++)
        memcpy(y.values + pass->answering_rows[i] * y.stride, x + i * width,
               (size_t)width * sizeof *x);
}

void slao_pass_norm(const slao_pass *pass, int64_t rows, float *y, const float *x,
                    const float *weight, float *rms) {
    int64_t width = pass->model->config.hidden;
#pragma omp parallel for num_threads(slao_threads_for(4 * rows * width))
    for (int64_t row = 0; row < rows; row++)
        rms[row] = slao_vec()->rms_norm(y + row * width, x + row * width, weight,
                                        (float)pass->model->config.rms_epsilon, (size_t)width);
}

void slao_pass_norm_again(const slao_pass *pass, int64_t rows, float *y, const float *x,
                          const float *weight, const float *rms) {
    int64_t width = pass->model->config.hidden;
#pragma omp parallel for num_threads(slao_threads_for(2 * rows * width))
    for (int64_t row = 0; row < rows; row++)
        slao_vec()->rms_apply(y + row * width, x + row * width, weight, rms[row], (size_t)width);
}

void slao_pass_swiglu(const slao_pass *pass, int64_t rows, float *y, const float *gate_up) {
    int64_t width = pass->model->config.intermediate;
#pragma omp parallel for num_threads(slao_threads_for(10 * rows * width))
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + 2 * row * width;
        slao_vec()->swiglu(y + row * width, gate, gate + width, (size_t)width);
    }
}

void slao_pass_rotate(const slao_pass *pass, slao_matrix_out x, int64_t heads, float sign) {
    int64_t d = pass->model->config.head_dim;
#pragma omp parallel for num_threads(slao_threads_for(4 * pass->batch->n_rows * heads * d))
    for (int64_t row = 0; row < pass->batch->n_rows; row++) {
        const float *cosine = pass->cosines + row * d / 2, *sine = pass->sines + row * d / 2;
        for (int64_t head = 0; head < heads; head++)
            slao_vec()->rotate(x.values + row * x.stride + head * d, cosine, sine, sign, (size_t)d);
    }
}
