/* slao collect: makes a results file again, from one store or several. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "sweep/results.h"
#include "sweep/run.h"
#include "sweep/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static slao_status collect(const char *output, const slao_store *const *stores, int64_t n_stores) {
    slao_study study;
    slao_machine machine;
    char fingerprint[SLAO_HASH_TEXT];
    slao_status status = slao_study_reopen(&study, stores[0], output);
    if (status == SLAO_OK)
        status = slao_machine_describe(&machine);
    if (status == SLAO_OK) {
        slao_results_context context = {
            .machine = &machine, .inputs = &study.inputs, .config = &study.config};
        status = slao_results_write(output, study.plan, stores, n_stores, &context, fingerprint);
    }
    if (status == SLAO_OK)
        printf("results      %s\nfingerprint  %s\n", output, fingerprint);
    slao_study_close(&study);
    return status;
}

/* Opens the stores, collects from them and closes them. */
static slao_status collect_from(const char *output, const slao_option_list *folders) {
    slao_store **stores;
    SLAO_TRY(slao_allocate(&stores, (size_t)folders->count, sizeof(slao_store *)));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < folders->count && status == SLAO_OK; i++) {
        if (slao_is_folder(folders->values[i]))
            status = slao_store_look_into(&stores[i], folders->values[i]);
        else
            status = slao_fail(SLAO_BAD_INPUT, "there is no store %s", folders->values[i]);
    }
    if (status == SLAO_OK)
        status = collect(output, (const slao_store *const *)stores, folders->count);
    for (int64_t i = 0; i < folders->count; i++)
        slao_store_close(stores[i]);
    free(stores);
    return status;
}

slao_status slao_command_collect(int argc, char **argv) {
    slao_option_list from = {0};
    const slao_option options[] = {
        {"--from", NULL, SLAO_OPTION_LIST, "STORE",
         "a store to collect from; may come several times (OUT.store)", &from, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao collect OUT.h5 [--from STORE]...",
        .summary =
            "Makes the results file of a sweep again, from its store or from those of its "
            "shards. A step\n"
            "that has not run is NaN in it, or not there. The stores alone suffice: model and "
            "benchmark are not\n"
            "looked at.",
        .example = "slao collect results/lambda.h5 --from part-1.store --from part-2.store",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    char *folder = NULL;
    slao_status status = slao_options_parse(argc, argv, &usage, NULL);
    if (status == SLAO_OK) {
        slao_option_list only = {.values = (const char **)&folder, .count = 1};
        if (from.count == 0)
            status = slao_default_store(&folder, argv[1]);
        if (status == SLAO_OK)
            status = collect_from(argv[1], from.count ? &from : &only);
    }
    free(folder);
    free(from.values);
    return status;
}
