/* slao sweep: runs or resumes a sweep, under mpirun or alone. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/plan.h"
#include "sweep/drain.h"
#include "sweep/run.h"

#include <stdio.h>
#include <stdlib.h>

/* Started by mpirun with others? Then this error is theirs, too, and one of them tells. */
static slao_status fail_once(slao_status status) {
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");
    slao_ranks ranks;
    char message[4096];
    if (!size || atoi(size) < 2)
        return status;
    snprintf(message, sizeof message, "%s", slao_message());
    SLAO_TRY(slao_ranks_start(&ranks));
    status = slao_ranks_agree(&ranks, slao_fail(status, "%s", message));
    slao_ranks_finish(&ranks);
    return status;
}

static slao_status run(const slao_sweep_choices *choices, bool dry_run) {
    slao_ranks ranks;
    /* First: MPI takes its time to start, and a request to stop that comes then is not lost. */
    SLAO_TRY(slao_drain_watch());
    SLAO_TRY(slao_ranks_start(&ranks));
    slao_status status = SLAO_OK;
    if (!dry_run)
        status = slao_sweep_run(&ranks, choices);
    else if (ranks.rank == 0)
        status = slao_print_plan(choices, ranks.size, false);
    if (dry_run)
        status = slao_ranks_agree(&ranks, status);
    slao_ranks_finish(&ranks);
    return status;
}

slao_status slao_command_sweep(int argc, char **argv) {
    slao_sweep_choices choices = {.checkpoint_seconds = 60};
    slao_option_list settings = {0};
    const char *progress = "auto", *shard = NULL, *only = NULL;
    bool dry_run = false;
    const slao_option options[] = {
        {"--output", "-o", SLAO_OPTION_TEXT, "OUT.h5", "results file (results/NAME.h5)",
         &choices.output, false},
        {"--store", NULL, SLAO_OPTION_TEXT, "DIR", "where finished steps are kept (OUT.store)",
         &choices.store, false},
        {"--set", NULL, SLAO_OPTION_LIST, "KEY=VALUE",
         "a key of the spec by its dotted path, or preset=NAME; may come several times", &settings,
         false},
        SLAO_THREADS_ROW,
        {"--dry-run", NULL, SLAO_OPTION_FLAG, NULL, "say what would run (as slao plan), and stop",
         &dry_run, false},
        {"--fresh", NULL, SLAO_OPTION_FLAG, NULL, "run every step again, finished or not",
         &choices.selection.fresh, false},
        {"--shard", NULL, SLAO_OPTION_TEXT, "k/n",
         "the k-th of n parts of the trials, into a store of its own (slao collect joins them)",
         &shard, false},
        {"--only", NULL, SLAO_OPTION_TEXT, "failed,missing",
         "the trials of which a step failed, the other ones that are not done, or both; without it "
         "a step that failed earlier is not run again",
         &only, false},
        {"--max-fails", NULL, SLAO_OPTION_INTEGER, "K", "stop once K steps have failed (never)",
         &choices.max_fails, false},
        {"--max-retries", NULL, SLAO_OPTION_INTEGER, "K", "try a step that fails K times more (0)",
         &choices.max_retries, false},
        {"--time-limit", NULL, SLAO_OPTION_REAL, "MIN",
         "be over in so many minutes, with exit code 75 if work is left (what the batch system "
         "says)",
         &choices.time_limit, false},
        {"--checkpoint-seconds", NULL, SLAO_OPTION_REAL, "S",
         "keep what a kill would lose of a training so often (60)", &choices.checkpoint_seconds,
         false},
        {"--model-copy", NULL, SLAO_OPTION_TEXT, "PATH",
         "a copy of the spec's model, to read in its place: on the node's own disk, say",
         &choices.model_copy, false},
        {"--progress", NULL, SLAO_OPTION_TEXT, "MODE", "auto, bar, lines or none", &progress,
         false},
        {0},
    };
    const slao_usage usage = {
        .usage =
            "mpirun -n N slao sweep SPEC.json [-o OUT.h5] [--store DIR] [--threads T] [--set "
            "KEY=VALUE]... "
            "[--dry-run] [--fresh] [--shard k/n] [--only failed,missing] [--max-fails K] "
            "[--max-retries K] [--time-limit MIN] [--checkpoint-seconds S] [--model-copy PATH] "
            "[--progress MODE]",
        .summary = "Trains and evaluates every trial of a sweep, sharing all work that trials have "
                   "in common,\n"
                   "and writes one HDF5 file. Stop it at any time: the same command goes on.",
        .example = "mpirun -n 2 --bind-to none slao sweep experiments/ablation_lambda.json --set "
                   "preset=small",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    slao_status status = slao_options_parse(argc, argv, &usage, NULL);
    if (status == SLAO_OK)
        status = slao_progress_parse(&choices.progress, progress);
    if (status == SLAO_OK && shard)
        status = slao_selection_read_shard(&choices.selection, shard);
    if (status == SLAO_OK && only)
        status = slao_selection_read_only(&choices.selection, only);
    if (status == SLAO_OK && (choices.time_limit < 0 || choices.checkpoint_seconds < 0))
        status =
            slao_fail(SLAO_BAD_INPUT, "--time-limit and --checkpoint-seconds must not be negative");
    if (status != SLAO_OK)
        status = fail_once(status);
    if (status == SLAO_OK) {
        choices.spec = argv[1];
        choices.settings = settings.values;
        choices.n_settings = settings.count;
        status = run(&choices, dry_run);
    }
    free(settings.values);
    return status;
}
