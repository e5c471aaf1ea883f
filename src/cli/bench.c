/* slao bench: picks a benchmark from the table and runs it. */
#include "cli/bench.h"

#include <stdio.h>
#include <string.h>

static const slao_command benches[] = {
    {"gemm", "the rate of the products that training consists of", slao_bench_gemm},
    {"train", "training on tasks of a benchmark, part by part", slao_bench_train},
    {"eval", "scoring on tasks of a benchmark, part by part", slao_bench_eval},
    {"qr", "QR decompositions by LAPACK and by ScaLAPACK, and where they cross", slao_bench_qr},
    {"scheduler", "steps per second of coordinator and workers, and a simulated cluster",
     slao_bench_scheduler},
    {NULL, NULL, NULL},
};

static void print_help(void) {
    printf("usage: slao bench NAME ... [--json]      (slao bench NAME --help tells more)\n\n"
           "The program's own speed on this machine.\n\nbenchmarks:\n");
    for (const slao_command *bench = benches; bench->name; bench++)
        printf("  %-10s %s\n", bench->name, bench->help);
    printf("\nexample:\n  slao bench scheduler --json\n");
}

static slao_status unknown(const char *word) {
    enum { MOST = 32 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; i < MOST && benches[i].name; i++)
        names[i] = benches[i].name;
    const char *nearest = slao_nearest(word, names);
    return slao_fail(SLAO_BAD_INPUT, "%s is not a benchmark%s%s%s (slao bench --help lists them)",
                     word, nearest ? "; did you mean " : "", nearest ? nearest : "",
                     nearest ? "?" : "");
}

slao_status slao_command_bench(int argc, char **argv) {
    if (argc < 2)
        return slao_fail(SLAO_BAD_INPUT, "which benchmark? (slao bench --help lists them)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return SLAO_OK;
    }
    for (const slao_command *bench = benches; bench->name; bench++) {
        if (strcmp(bench->name, argv[1]) == 0)
            return bench->run(argc - 1, argv + 1);
    }
    return unknown(argv[1]);
}
