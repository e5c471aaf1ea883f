/* slao sweep: runs or resumes a sweep, under mpirun or alone. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "sweep/run.h"

#include <stdlib.h>

static slao_status run(const slao_sweep_choices *choices, const slao_option_list *settings,
                       bool dry_run) {
    slao_ranks ranks;
    SLAO_TRY(slao_ranks_start(&ranks));
    slao_status status = SLAO_OK;
    if (!dry_run)
        status = slao_sweep_run(&ranks, choices);
    else if (ranks.rank == 0)
        status = slao_print_plan(choices->spec, settings, ranks.size, false);
    if (dry_run)
        status = slao_ranks_agree(&ranks, status);
    slao_ranks_finish(&ranks);
    return status;
}

slao_status slao_command_sweep(int argc, char **argv) {
    slao_sweep_choices choices = {0};
    slao_option_list settings = {0};
    const char *progress = "auto";
    bool dry_run = false;
    const slao_option options[] = {
        {"--output", "-o", SLAO_OPTION_TEXT, "OUT.h5", "results file (results/NAME.h5)",
         &choices.output, false},
        {"--store", NULL, SLAO_OPTION_TEXT, "DIR", "where finished steps are kept (OUT.store)",
         &choices.store, false},
        {"--set", NULL, SLAO_OPTION_LIST, "KEY=VALUE",
         "a key of the spec by its dotted path, or preset=NAME; may come several times", &settings,
         false},
        {"--dry-run", NULL, SLAO_OPTION_FLAG, NULL, "say what would run (as slao plan), and stop",
         &dry_run, false},
        {"--fresh", NULL, SLAO_OPTION_FLAG, NULL, "run every step again", &choices.fresh, false},
        {"--progress", NULL, SLAO_OPTION_TEXT, "MODE", "auto, bar, lines or none", &progress,
         false},
        {0},
    };
    const slao_usage usage = {
        .usage = "mpirun -n N slao sweep SPEC.json [-o OUT.h5] [--store DIR] [--set KEY=VALUE]... "
                 "[--dry-run] "
                 "[--fresh] [--progress MODE]",
        .summary = "Trains and evaluates every trial of a sweep, sharing all work that trials have "
                   "in common,\n"
                   "and writes one HDF5 file. Stop it at any time: the same command goes on.",
        .example =
            "mpirun -n 2 --bind-to none slao sweep experiments/lambda.json --set preset=small",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    const char **arguments;
    int64_t n_arguments;
    bool helped;
    slao_status status = slao_options_parse(argc, argv, &usage, &arguments, &n_arguments, &helped);
    if (status == SLAO_OK && !helped)
        status = slao_progress_parse(&choices.progress, progress);
    if (status == SLAO_OK && !helped) {
        choices.spec = arguments[0];
        choices.settings = settings.values;
        choices.n_settings = settings.count;
        status = run(&choices, &settings, dry_run);
    }
    free(arguments);
    free(settings.values);
    return status;
}
