/* slao bench NAME: the program's own speed on this machine. Each benchmark is a row of the table in
 * bench.c and a file bench_NAME.c with its options; argv[0] is its name. */
#ifndef SLAO_CLI_BENCH_H
#define SLAO_CLI_BENCH_H

#include "cli/command.h"
#include "model/config.h"

slao_command_function slao_bench_gemm, slao_bench_train, slao_bench_eval, slao_bench_qr,
    slao_bench_scheduler;

/* The products of a layer, forward and to its input, as a training step calls for them. */
enum { SLAO_LAYER_PRODUCTS = 8 };
typedef enum {
    SLAO_BY_BLAS,
    SLAO_BY_SLAO,
    SLAO_BY_BF16, /* slao's in bf16, where the CPU has a unit for it; else its rates are 0 */
    SLAO_PRODUCT_WAYS
} slao_product_way;
typedef struct {
    const char *name, *direction;     /* "q, k, v", "forward" */
    int64_t n, k;                     /* outer and inner width */
    double gflops[SLAO_PRODUCT_WAYS]; /* medians of several runs, in turn */
} slao_product_rate;

/* Measures them on `rows` rows, the ways in turn. Returns in gflops the rates of all
 * together: what training on these cores is compared with. */
slao_status slao_measure_products(const slao_model_config *config, int64_t rows,
                                  slao_product_rate rates[SLAO_LAYER_PRODUCTS],
                                  double gflops[SLAO_PRODUCT_WAYS]);

#endif
