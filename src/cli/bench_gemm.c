/* slao bench gemm: the rate of the products that training consists of. */
#include "cli/bench.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/document.h"
#include "cli/options.h"
#include "linalg/bf16.h"
#include "linalg/matrix.h"
#include "linalg/threads.h"
#include "model/checkpoint.h"
#include "sweep/provenance.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 570, RUNS = 7 }; /* rows: a batch of 8 short texts with their prompt computed once */

static double operations(int64_t rows, const slao_product_rate *rate) {
    return 2.0 * (double)rows * (double)rate->n * (double)rate->k;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* y = x times a weight, transposed in the forward: by BLAS, whose columns the threads share, or by
 * the products that training uses. */
static void by_blas(slao_matrix_out y, slao_matrix x, slao_matrix weight, int64_t rows, int64_t n,
                    int64_t k, bool forward) {
    int64_t threads = slao_threads();
#pragma omp parallel for num_threads((int)threads)
    for (int64_t i = 0; i < threads; i++) {
        int64_t from = n * i / threads, to = n * (i + 1) / threads;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, forward ? CblasTrans : CblasNoTrans, (int)rows,
                    (int)(to - from), (int)k, 1, x.values, (int)x.stride,
                    weight.values + from * (forward ? weight.stride : 1), (int)weight.stride, 0,
                    y.values + from, (int)y.stride);
    }
}

static void by_kernels(slao_matrix_out y, slao_matrix x, slao_matrix weight, int64_t rows,
                       int64_t n, int64_t k, bool forward, slao_precision precision) {
    const slao_frozen frozen = {.values = weight};
    if (forward)
        slao_frozen_forward(y, x, &frozen, rows, n, k, 0, precision);
    else
        slao_frozen_backward(y, x, &frozen, rows, k, n, 0, precision);
}

static void by_slao(slao_matrix_out y, slao_matrix x, slao_matrix weight, int64_t rows, int64_t n,
                    int64_t k, bool forward) {
    by_kernels(y, x, weight, rows, n, k, forward, SLAO_PRECISION_FP32);
}

static void by_bf16(slao_matrix_out y, slao_matrix x, slao_matrix weight, int64_t rows, int64_t n,
                    int64_t k, bool forward) {
    by_kernels(y, x, weight, rows, n, k, forward, SLAO_PRECISION_BF16);
}

static int ways_here(void) {
    return slao_bf16() ? SLAO_PRODUCT_WAYS : SLAO_BY_BF16;
}

typedef void product_function(slao_matrix_out y, slao_matrix x, slao_matrix weight, int64_t rows,
                              int64_t n, int64_t k, bool forward);

/* Seconds of the median of some runs of each, in turn. */
static slao_status time_product(int64_t rows, slao_product_rate *rate, bool forward,
                                double seconds[SLAO_PRODUCT_WAYS]) {
    static product_function *const ways[SLAO_PRODUCT_WAYS] = {by_blas, by_slao, by_bf16};
    double runs[SLAO_PRODUCT_WAYS][RUNS];
    int64_t n = rate->n, k = rate->k;
    int n_ways = ways_here();
    float *x = NULL, *weight = NULL, *y = NULL;
    slao_status status = slao_allocate(&x, (size_t)(rows * k), sizeof *x);
    if (status == SLAO_OK)
        status = slao_allocate(&weight, (size_t)(n * k), sizeof *weight);
    if (status == SLAO_OK)
        status = slao_allocate(&y, (size_t)(rows * n), sizeof *y);
    for (int i = 0; status == SLAO_OK && i < RUNS * n_ways; i++) {
        double begin = slao_seconds();
        ways[i % n_ways]((slao_matrix_out){y, n}, (slao_matrix){x, k},
                         (slao_matrix){weight, forward ? k : n}, rows, n, k, forward);
        runs[i % n_ways][i / n_ways] = slao_seconds() - begin;
    }
    for (int way = 0; status == SLAO_OK && way < n_ways; way++) {
        qsort(runs[way], RUNS, sizeof **runs, by_size);
        seconds[way] = runs[way][RUNS / 2];
        rate->gflops[way] = operations(rows, rate) / seconds[way] / 1e9;
    }
    free(x);
    free(weight);
    free(y);
    return status;
}

slao_status slao_measure_products(const slao_model_config *config, int64_t rows,
                                  slao_product_rate rates[SLAO_LAYER_PRODUCTS],
                                  double gflops[SLAO_PRODUCT_WAYS]) {
    int64_t hidden = config->hidden, width = config->intermediate;
    int64_t q = config->heads * config->head_dim, kv = config->kv_heads * config->head_dim;
    const struct {
        const char *name;
        int64_t d_out, d_in;
    } layers[] = {
        {"q, k, v", q + 2 * kv, hidden},
        {"o", hidden, q},
        {"gate, up", 2 * width, hidden},
        {"down", hidden, width},
    };
    double all = 0, all_seconds[SLAO_PRODUCT_WAYS] = {0};
    for (int i = 0; i < SLAO_LAYER_PRODUCTS; i++) {
        bool forward = i % 2 == 0;
        int64_t d_out = layers[i / 2].d_out, d_in = layers[i / 2].d_in;
        double seconds[SLAO_PRODUCT_WAYS] = {0};
        rates[i] = (slao_product_rate){.name = layers[i / 2].name,
                                       .direction = forward ? "forward" : "to the input",
                                       .n = forward ? d_out : d_in,
                                       .k = forward ? d_in : d_out};
        SLAO_TRY(time_product(rows, &rates[i], forward, seconds));
        all += operations(rows, &rates[i]);
        for (int way = 0; way < ways_here(); way++)
            all_seconds[way] += seconds[way];
    }
    gflops[SLAO_BY_BF16] = 0;
    for (int way = 0; way < ways_here(); way++)
        gflops[way] = all / all_seconds[way] / 1e9;
    return SLAO_OK;
}

static slao_status add_products(cJSON *root, const slao_product_rate *rates) {
    cJSON *list = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "products", list));
    for (int i = 0; i < SLAO_LAYER_PRODUCTS; i++) {
        cJSON *row = cJSON_CreateObject();
        SLAO_TRY(slao_json_add(list, "products", row));
        SLAO_TRY(slao_json_add_text(row, "name", rates[i].name));
        SLAO_TRY(slao_json_add_text(row, "direction", rates[i].direction));
        SLAO_TRY(slao_json_add_real(row, "n", (double)rates[i].n));
        SLAO_TRY(slao_json_add_real(row, "k", (double)rates[i].k));
        SLAO_TRY(slao_json_add_real(row, "blas_gflops", rates[i].gflops[SLAO_BY_BLAS]));
        SLAO_TRY(slao_json_add_real(row, "slao_gflops", rates[i].gflops[SLAO_BY_SLAO]));
        if (slao_bf16())
            SLAO_TRY(slao_json_add_real(row, "bf16_gflops", rates[i].gflops[SLAO_BY_BF16]));
    }
    return SLAO_OK;
}

static slao_status fill_json(cJSON *root, const slao_machine *machine, int64_t rows,
                             const double *gflops, const slao_product_rate *rates) {
    SLAO_TRY(slao_json_add_text(root, "cpu", machine->cpu));
    SLAO_TRY(slao_json_add_text(root, "blas", machine->blas));
    SLAO_TRY(slao_json_add_real(root, "rows", (double)rows));
    SLAO_TRY(slao_json_add_real(root, "threads", machine->threads));
    SLAO_TRY(
        slao_json_add_real(root, "gemm_gflops_per_core", gflops[SLAO_BY_BLAS] / machine->threads));
    SLAO_TRY(
        slao_json_add_real(root, "slao_gflops_per_core", gflops[SLAO_BY_SLAO] / machine->threads));
    if (slao_bf16())
        SLAO_TRY(slao_json_add_real(root, "bf16_gflops_per_core",
                                    gflops[SLAO_BY_BF16] / machine->threads));
    return add_products(root, rates);
}

static slao_status print_json(const slao_machine *machine, int64_t rows, const double *gflops,
                              const slao_product_rate *rates) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, machine, rows, gflops, rates));
}

static slao_status read_config(const char *model, slao_model_config *config) {
    slao_checkpoint *checkpoint;
    SLAO_TRY(slao_checkpoint_open(&checkpoint, model));
    *config = *slao_checkpoint_config(checkpoint);
    slao_checkpoint_close(checkpoint);
    return SLAO_OK;
}

static const char *const way_names[SLAO_PRODUCT_WAYS] = {"BLAS", "slao", "bf16"};

static void print_rates(const double *gflops) {
    for (int way = 0; way < ways_here(); way++)
        printf(" %9.1f", gflops[way]);
}

static slao_status run(const char *model, int64_t rows, bool json) {
    slao_model_config config;
    slao_machine machine;
    slao_product_rate rates[SLAO_LAYER_PRODUCTS];
    double gflops[SLAO_PRODUCT_WAYS];
    SLAO_TRY(read_config(model, &config));
    SLAO_TRY(slao_machine_describe(&machine));
    SLAO_TRY(slao_measure_products(&config, rows, rates, gflops));
    if (json)
        return print_json(&machine, rows, gflops, rates);
    printf("%s; %s; %lld rows, %d thread(s)\n", machine.cpu, machine.blas, (long long)rows,
           machine.threads);
    printf("  %-40s", "GFLOP/s");
    for (int way = 0; way < ways_here(); way++)
        printf(" %9s", way_names[way]);
    for (int i = 0; i < SLAO_LAYER_PRODUCTS; i++) {
        printf("\n  %-9s %-13s %6lld x %-6lld  ", rates[i].name, rates[i].direction,
               (long long)rates[i].n, (long long)rates[i].k);
        print_rates(rates[i].gflops);
    }
    printf("\n  %-40s", "together");
    print_rates(gflops);
    printf("\n");
    return SLAO_OK;
}

slao_status slao_bench_gemm(int argc, char **argv) {
    const char *model = NULL;
    int64_t rows = ROWS;
    bool json = false;
    const slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "model folder or GGUF file: its shapes", &model,
         true},
        {"--rows", NULL, SLAO_OPTION_INTEGER, "N", "rows of the batch (570)", &rows, false},
        SLAO_THREADS_ROW,
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &json, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao bench gemm --model M [--rows N] [--threads T] [--json]",
        .summary = "The rate of the products that a training step on this model consists of, on so "
                   "many cores: as BLAS computes them and as slao does, which is the limit of "
                   "training.",
        .example = "slao bench gemm --model models/SmolLM2-135M",
        .options = options,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    if (rows == 0)
        return slao_fail(SLAO_BAD_INPUT, "--rows must be at least 1");
    return run(model, rows, json);
}
