/* The commands of slao: one row each, one file each. */
#ifndef SLAO_CLI_COMMAND_H
#define SLAO_CLI_COMMAND_H

#include "base/status.h"

/* argv[0] is the command's name. What it returns is the exit code; main prints the message of a
 * failure. */
typedef slao_status slao_command_function(int argc, char **argv);

typedef struct {
    const char *name, *help; /* help: one line */
    slao_command_function *run;
} slao_command;

slao_command_function slao_command_bench;
slao_command_function slao_command_collect;
slao_command_function slao_command_eval;
slao_command_function slao_command_export;
slao_command_function slao_command_generate;
slao_command_function slao_command_inspect;
slao_command_function slao_command_merge;
slao_command_function slao_command_plan;
slao_command_function slao_command_probe;
slao_command_function slao_command_status;
slao_command_function slao_command_sweep;
slao_command_function slao_command_tokenize;

extern const slao_command slao_commands[]; /* ends in a row without a name */

/* Runs the command that argv names; returns the exit code of the program. */
int slao_cli_main(int argc, char **argv);

#endif
