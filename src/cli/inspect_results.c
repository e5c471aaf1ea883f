/* slao inspect of a results file: its trials. */
#include "cli/document.h"
#include "cli/inspect.h"
#include "sweep/results_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static slao_status fill_json(cJSON *root, const slao_results_summary *summary) {
    SLAO_TRY(slao_json_add_text(root, "kind", "results"));
    SLAO_TRY(slao_json_add_text(root, "name", summary->name));
    SLAO_TRY(slao_json_add_text(root, "fingerprint", summary->fingerprint));
    SLAO_TRY(slao_json_add_text(root, "slao_version", summary->version));
    SLAO_TRY(slao_json_add_text(root, "finished", summary->finished));
    cJSON *trials = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "trials", trials));
    for (int64_t i = 0; i < summary->n_trials; i++) {
        const slao_result_row *row = &summary->trials[i];
        cJSON *trial = cJSON_CreateObject();
        SLAO_TRY(slao_json_add(trials, "", trial));
        SLAO_TRY(slao_json_add_text(trial, "id", row->id));
        SLAO_TRY(slao_json_add_text(trial, "method", row->method));
        SLAO_TRY(slao_json_add_text(trial, "order", row->order));
        SLAO_TRY(slao_json_add_text(trial, "lambda", row->lambda));
        SLAO_TRY(slao_json_add_real(trial, "learning_rate", row->learning_rate));
        SLAO_TRY(slao_json_add_real(trial, "seed", (double)row->seed));
        SLAO_TRY(slao_json_add_text(trial, "status", row->status));
        SLAO_TRY(slao_json_add_real(trial, "AA", row->aa));
        SLAO_TRY(slao_json_add_real(trial, "BWT", row->bwt));
    }
    return SLAO_OK;
}

static slao_status print_json(const slao_results_summary *summary) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, summary));
}

static void print_percent(double fraction) {
    if (isnan(fraction))
        printf(" %7s", "-");
    else
        printf(" %7.1f", 100 * fraction);
}

static void print_text(const slao_results_summary *summary) {
    printf("sweep          %s\n", summary->name);
    printf("fingerprint    %s\n", summary->fingerprint);
    printf("written by     slao %s\n", summary->version);
    printf("trials         %lld\n\n", (long long)summary->n_trials);
    printf("%-12s %-16s %-12s %10s %5s %-8s %7s %7s  %s\n", "trial", "method", "lambda", "rate",
           "seed", "status", "AA", "BWT", "order");
    for (int64_t i = 0; i < summary->n_trials; i++) {
        const slao_result_row *row = &summary->trials[i];
        printf("%-12s %-16s %-12s %10g %5lld %-8s", row->id, row->method,
               *row->lambda ? row->lambda : "-", row->learning_rate, (long long)row->seed,
               row->status);
        print_percent(row->aa);
        print_percent(row->bwt);
        printf("  %s\n", row->order);
    }
}

slao_status slao_inspect_results(const char *path, bool json) {
    slao_arena *arena;
    slao_results_summary summary;
    SLAO_TRY(slao_arena_new(&arena));
    slao_status status = slao_results_read(&summary, path, arena);
    if (status == SLAO_OK && json)
        status = print_json(&summary);
    else if (status == SLAO_OK)
        print_text(&summary);
    slao_arena_free(arena);
    return status;
}
