#include "cli/command.h"

#include "slao_version.h"
#include "sweep/provenance.h"

#include <cblas.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const slao_command slao_commands[] = {
    {"sweep", "run or resume a sweep (under mpirun)", slao_command_sweep},
    {"plan", "what a sweep would run", slao_command_plan},
    {"status", "how a running or stopped sweep stands", slao_command_status},
    {"collect", "make a results file again from its store", slao_command_collect},
    {"eval", "score a model, with any adapter, on a task", slao_command_eval},
    {"merge", "merge PEFT LoRA adapters, by any merge rule", slao_command_merge},
    {"export", "an adapter of a sweep as a PEFT folder", slao_command_export},
    {"inspect", "what is in a model, an adapter or a results file", slao_command_inspect},
    {"tokenize", "token ids of text, line by line", slao_command_tokenize},
    {"generate", "greedy text, for a look", slao_command_generate},
    {"bench", "the program's own speed on this machine", slao_command_bench},
    {"probe", "loss, logits and gradients on given token ids", slao_command_probe},
    {NULL, NULL, NULL},
};

static void print_help(void) {
    printf("usage: slao COMMAND ...      (slao COMMAND --help tells more)\n\n"
           "Experiments in continual learning of language models with one merged "
           "LoRA.\n\ncommands:\n");
    for (const slao_command *command = slao_commands; command->name; command++)
        printf("  %-10s %s\n", command->name, command->help);
    printf(
        "\nexit codes: 0 done; 1 some trials failed; 2 wrong usage or bad input; 3 a resource was "
        "refused;\n            75 drained on request: the same command goes on\n");
}

static slao_status print_version(void) {
    slao_machine machine;
    SLAO_TRY(slao_machine_describe(&machine));
    printf("slao %s (commit %s)\n%s; %s; %s\n%s\n", SLAO_VERSION, SLAO_GIT_COMMIT, machine.mpi,
           machine.blas, machine.hdf5, machine.cpu);
    return SLAO_OK;
}

/* OpenBLAS starts its threads as it is loaded, before main: a rank computes on the cores that it
 * was given, so the program starts itself again with one BLAS thread unless the environment already
 * says so. */
static void restart_with_one_blas_thread(char **argv) {
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    if (threads && strcmp(threads, "1") == 0)
        return;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0)
        execv("/proc/self/exe", argv);
    openblas_set_num_threads(1); /* no /proc: the idle threads stay, but do nothing */
}

static slao_status unknown_command(const char *word) {
    enum { MOST = 32 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; i < MOST && slao_commands[i].name; i++)
        names[i] = slao_commands[i].name;
    const char *nearest = slao_nearest(word, names);
    return slao_fail(SLAO_BAD_INPUT, "%s is not a command%s%s%s (slao --help lists them)", word,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

int slao_cli_main(int argc, char **argv) {
    restart_with_one_blas_thread(argv);
    /* A file that comes to the limit on its size (ulimit -f) fails to be written like one on a full
     * disk, where the signal would end the program. */
    (void)signal(SIGXFSZ, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? SLAO_BAD_INPUT : SLAO_OK;
    }
    const slao_command *command = slao_commands;
    while (command->name && strcmp(command->name, argv[1]) != 0)
        command++;
    slao_status status = SLAO_OK;
    if (strcmp(argv[1], "--version") == 0)
        status = print_version();
    else
        status = command->name ? command->run(argc - 1, argv + 1) : unknown_command(argv[1]);
    if (status != SLAO_OK && *slao_message())
        fprintf(stderr, "slao: %s\n", slao_message());
    if (fflush(stdout) != 0 && status == SLAO_OK) {
        fprintf(stderr, "slao: cannot write to standard output\n");
        status = SLAO_NO_RESOURCE;
    }
    return (int)status;
}
