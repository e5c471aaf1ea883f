#include "sweep/results.h"

#include "base/file.h"
#include "sweep/results_parts.h"

#include <slao_version.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- attributes of the file --- */

enum { TIME_TEXT = 32 };

static slao_status end_of_step(const slao_step_outcome *step, time_t *end) {
    struct tm parts = {0};
    if (!strptime(step->started, "%Y-%m-%dT%H:%M:%S", &parts))
        return slao_fail(SLAO_BAD_INPUT,
                         "record: started is \"%s\", not a time as in "
                         "2026-01-31T12:00:00Z",
                         step->started);
    *end = timegm(&parts) + (time_t)step->seconds;
    return SLAO_OK;
}

static int compare_texts(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The hosts that ran steps, sorted, joined by commas; the caller frees *joined. */
static slao_status join_hosts(const slao_outcome *outcome, char **joined) {
    const char **hosts;
    size_t count = (size_t)outcome->n_origins, size = 1;
    SLAO_TRY(slao_allocate(&hosts, count, sizeof *hosts));
    for (size_t i = 0; i < count; i++) {
        hosts[i] = outcome->origins[i].host;
        size += strlen(hosts[i]) + 1;
    }
    qsort(hosts, count, sizeof *hosts, compare_texts);
    slao_status status = slao_allocate(joined, size, 1);
    char *end = *joined;
    for (size_t i = 0; i < count && status == SLAO_OK; i++) {
        if (i && strcmp(hosts[i], hosts[i - 1]) == 0)
            continue;
        end = stpcpy(end, i ? "," : "");
        end = stpcpy(end, hosts[i]);
    }
    free(hosts);
    return status;
}

/* When the first step started, when the last one ended, and how many ranks ran steps. */
static slao_status write_run(slao_h5 file, const slao_outcome *outcome, int64_t ranks) {
    const char *started = "";
    time_t finished = 0;
    int64_t seen_ranks = 0;
    for (int64_t i = 0; i < outcome->plan->n_steps; i++) {
        const slao_step_outcome *step = &outcome->steps[i];
        if (!step->recorded)
            continue;
        time_t end = 0;
        SLAO_TRY(end_of_step(step, &end));
        if (!*started || strcmp(step->started, started) < 0)
            started = step->started;
        finished = end > finished ? end : finished;
        seen_ranks = step->mpi_rank >= seen_ranks ? step->mpi_rank + 1 : seen_ranks;
    }
    char text[TIME_TEXT] = "";
    struct tm parts;
    if (finished && gmtime_r(&finished, &parts))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    SLAO_TRY(slao_h5_set_text(file, "/", "started", started));
    SLAO_TRY(slao_h5_set_text(file, "/", "finished", text));
    return slao_h5_set_integer(file, "/", "ranks", ranks ? ranks : seen_ranks);
}

static slao_status write_attributes(slao_h5 file, const slao_outcome *outcome,
                                    const slao_results_context *context, const char *fingerprint) {
    const slao_spec *spec = outcome->plan->spec;
    char *hosts;
    SLAO_TRY(join_hosts(outcome, &hosts));
    const struct {
        const char *name, *text;
    } texts[] = {
        {"name", spec->name},
        {"spec", spec->text},
        {"fingerprint", fingerprint},
        {"slao_version", SLAO_VERSION},
        {"git_commit", SLAO_GIT_COMMIT},
        {"hosts", hosts},
        {"mpi", context->machine->mpi},
        {"blas", context->machine->blas},
        {"hdf5", context->machine->hdf5},
        {"cpu", context->machine->cpu},
    };
    const struct {
        const char *name;
        int64_t value;
    } integers[] = {
        {"schema_version", SLAO_RESULTS_SCHEMA},
        {"numeric_version", SLAO_NUMERIC_VERSION},
        {"git_dirty", slao_built_from_changed_source()},
        {"threads", context->machine->threads},
    };
    slao_status status = SLAO_OK;
    for (size_t i = 0; i < sizeof integers / sizeof *integers && status == SLAO_OK; i++)
        status = slao_h5_set_integer(file, "/", integers[i].name, integers[i].value);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == SLAO_OK; i++)
        status = slao_h5_set_text(file, "/", texts[i].name, texts[i].text);
    if (status == SLAO_OK)
        status = write_run(file, outcome, context->ranks);
    free(hosts);
    return status;
}

/* --- the file --- */

static slao_status write_all_trials(slao_h5 file, const slao_outcome *outcome,
                                    const slao_model_config *config,
                                    char fingerprint[SLAO_HASH_TEXT]) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < outcome->plan->spec->n_trials && status == SLAO_OK; i++)
        status = slao_results_write_trial(file, outcome, config, i, hasher);
    slao_hash_to_text(slao_hash_value(hasher), fingerprint);
    slao_hasher_free(hasher);
    return status;
}

static slao_status write_contents(slao_h5 file, const slao_outcome *outcome,
                                  const slao_results_context *context,
                                  char fingerprint[SLAO_HASH_TEXT]) {
    SLAO_TRY(slao_results_write_trials(file, outcome));
    SLAO_TRY(slao_results_write_accuracy(file, outcome));
    SLAO_TRY(slao_results_write_categories(file, outcome));
    SLAO_TRY(slao_results_write_orders(file, outcome));
    SLAO_TRY(slao_results_write_steps(file, outcome));
    SLAO_TRY(slao_results_write_provenance(file, outcome));
    SLAO_TRY(slao_results_write_inputs(file, outcome, context->inputs));
    SLAO_TRY(write_all_trials(file, outcome, context->config, fingerprint));
    return write_attributes(file, outcome, context, fingerprint);
}

static slao_status write_file(const char *path, const slao_outcome *outcome,
                              const slao_results_context *context,
                              char fingerprint[SLAO_HASH_TEXT]) {
    slao_h5 file;
    SLAO_TRY(slao_h5_create(&file, path));
    slao_status status = write_contents(file, outcome, context, fingerprint);
    if (status == SLAO_OK)
        return slao_h5_close(file, path);
    slao_h5_discard(file);
    return status;
}

slao_status slao_results_write(const char *path, const slao_plan *plan,
                               const slao_store *const *stores, int64_t n_stores,
                               const slao_results_context *context,
                               char fingerprint[SLAO_HASH_TEXT]) {
    slao_outcome *outcome;
    char *temporary = NULL;
    SLAO_TRY_IN(slao_outcome_new(&outcome, plan, stores, n_stores), "%s", path);
    slao_status status = slao_temporary_name(&temporary, path);
    if (status == SLAO_OK)
        status = write_file(temporary, outcome, context, fingerprint);
    if (status == SLAO_OK) {
        status = slao_publish_file(temporary, path);
    } else {
        status = slao_fail_context(status, "results file %s", path);
        if (temporary)
            unlink(temporary);
    }
    free(temporary);
    slao_outcome_free(outcome);
    return status;
}
