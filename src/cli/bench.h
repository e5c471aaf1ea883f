/* slao bench NAME: the program's own speed on this machine. Each benchmark is a row of the table in
 * bench.c and a file bench_NAME.c with its options; argv[0] is its name. */
#ifndef SLAO_CLI_BENCH_H
#define SLAO_CLI_BENCH_H

#include "cli/command.h"

slao_command_function slao_bench_qr;
slao_command_function slao_bench_scheduler;

#endif
