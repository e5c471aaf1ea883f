/* slao status: how a sweep stands, from any shell on any host that sees its store. */
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/document.h"
#include "cli/options.h"
#include "sweep/run.h"
#include "sweep/standing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double tokens_per_second(const slao_standing *standing) {
    return standing->elapsed > 0 ? standing->tokens / standing->elapsed : 0;
}

/* ---- As JSON ---- */

static slao_status fill_json(cJSON *root, const slao_standing *s) {
    const slao_standing_counts *c = &s->counts;
    const struct {
        const char *key, *value;
    } texts[] = {{"state", slao_standing_name(s->state)},
                 {"name", s->name},
                 {"output", s->output},
                 {"message", s->message},
                 {"updated", s->updated},
                 {"host", s->host}};
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"pid", (double)s->pid},
                   {"exit_code", s->exit_code < 0 ? NAN : (double)s->exit_code},
                   {"silence", s->silence},
                   {"elapsed", s->elapsed},
                   {"seconds_left", s->seconds_left},
                   {"tokens", s->tokens},
                   {"tokens_per_second", tokens_per_second(s)}},
      counts[] = {{"steps", (double)c->steps},        {"done", (double)c->done},
                  {"cached", (double)c->done_before}, {"running", (double)c->running},
                  {"failed", (double)c->failed},      {"skipped", (double)c->skipped},
                  {"left", (double)c->left}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        SLAO_TRY(slao_json_add_text(root, texts[i].key, texts[i].value));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        SLAO_TRY(slao_json_add_real(root, numbers[i].key, numbers[i].value));
    SLAO_TRY(slao_json_add(root, "counts", cJSON_CreateObject()));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        SLAO_TRY(
            slao_json_add_real(slao_json_find(root, "counts"), counts[i].key, counts[i].value));
    SLAO_TRY(slao_json_add(root, "ranks", cJSON_Duplicate(s->ranks, true)));
    return slao_json_add(root, "failures", cJSON_Duplicate(s->failures, true));
}

static slao_status print_json(const slao_standing *standing) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, standing));
}

/* ---- As text ---- */

static const char *text_at(const cJSON *object, const char *key, const char *otherwise) {
    const cJSON *item = slao_json_find(object, key);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}

static double number_at(const cJSON *object, const char *key) {
    const cJSON *item = slao_json_find(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* "running" and what there is to say of it. */
static void print_state(const slao_standing *s) {
    char elapsed[SLAO_DURATION_TEXT], silence[SLAO_DURATION_TEXT];
    slao_duration_text(elapsed, s->elapsed);
    slao_duration_text(silence, s->silence);
    printf("state        %s", slao_standing_name(s->state));
    if (s->state == SLAO_STANDING_STARTING)
        printf(": it reads the model and the data");
    else if (s->state == SLAO_STANDING_DEAD)
        printf(" after %s: its process is gone, or has given no sign of life for %s; the same "
               "command goes on",
               elapsed, silence);
    else if (slao_standing_is_over(s))
        printf(" after %s, at %s", elapsed, s->updated);
    else
        printf(" for %s", elapsed);
    printf("\n");
    if (*s->message)
        printf("             %s\n", s->message);
}

static void print_rank(const cJSON *rank) {
    static const double QUIET = 5; /* seconds without a sign of life that are worth telling */
    char seconds[SLAO_DURATION_TEXT];
    int64_t at = (int64_t)number_at(rank, "at"), of = (int64_t)number_at(rank, "of");
    const char *step = text_at(rank, "step", NULL);
    char name[24];
    snprintf(name, sizeof name, "rank %.0f", number_at(rank, "rank"));
    printf("%-12s %s", name, step ? step : "waits for a step");
    slao_duration_text(seconds, number_at(rank, "seconds"));
    if (step)
        printf(": %s", seconds);
    if (of > 0)
        printf(", optimiser step %" PRId64 " of %" PRId64, at, of);
    printf(" (%s)", text_at(rank, "host", "?"));
    if (number_at(rank, "silence") > QUIET)
        printf(", not heard of for %.0f s", number_at(rank, "silence"));
    printf("\n");
}

static void print_text(const slao_standing *s) {
    const slao_standing_counts *c = &s->counts;
    const cJSON *item;
    bool over = slao_standing_is_over(s), starting = s->state == SLAO_STANDING_STARTING;
    print_state(s);
    printf("process      %" PRId64 " on %s\n", s->pid, s->host);
    if (starting)
        return;
    printf("sweep        %s\nresults      %s\n", s->name, s->output);
    printf("steps        %" PRId64 " of %" PRId64 " done (%" PRId64
           " of them by earlier runs), %" PRId64 " running, %" PRId64 " failed, %" PRId64
           " skipped, %" PRId64 " left\n",
           c->done, c->steps, c->done_before, c->running, c->failed, c->skipped, c->left);
    printf("throughput   %.0f tokens/s\n", tokens_per_second(s));
    if (!over && isfinite(s->seconds_left)) {
        char left[SLAO_DURATION_TEXT];
        slao_duration_text(left, s->seconds_left);
        printf("time left    %s\n", left);
    }
    cJSON_ArrayForEach (item, s->ranks)
        print_rank(item);
    cJSON_ArrayForEach (item, s->failures)
        printf("failed       %s (log: %s)\n", text_at(item, "step", "?"),
               text_at(item, "log", "?"));
}

/* For who watches without a terminal. */
static void print_line(const slao_standing *s) {
    char left[SLAO_DURATION_TEXT];
    slao_duration_text(left, s->seconds_left);
    printf("%s: %" PRId64 "/%" PRId64 " steps, %" PRId64 " running, %" PRId64
           " failed, %.0f tokens/s%s%s\n",
           slao_standing_name(s->state), s->counts.done, s->counts.steps, s->counts.running,
           s->counts.failed, tokens_per_second(s),
           isfinite(s->seconds_left) && !slao_standing_is_over(s) ? ", left: " : "",
           isfinite(s->seconds_left) && !slao_standing_is_over(s) ? left : "");
}

/* ---- The command ---- */

/* Shows how the sweep stands; without a terminal only what is new, or a minute old. */
typedef struct {
    bool json, terminal;
    slao_standing_state state;
    double shown; /* slao_seconds; 0: never */
} watcher;

static slao_status show(watcher *watching, const slao_standing *standing) {
    bool due = watching->shown == 0 || watching->state != standing->state ||
               slao_seconds() - watching->shown >= 60;
    if (watching->json) {
        SLAO_TRY(print_json(standing));
    } else if (watching->terminal) {
        printf("\033[H\033[J");
        print_text(standing);
    } else if (due) {
        print_line(standing);
        watching->state = standing->state;
        watching->shown = slao_seconds();
    }
    if (fflush(stdout) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot write to standard output");
    return SLAO_OK;
}

/* Until the sweep is over; *exit_code is its own. */
static slao_status watch(const char *store, bool json, slao_status *exit_code) {
    watcher watching = {.json = json, .terminal = isatty(STDOUT_FILENO)};
    for (bool over = false; !over;) {
        slao_standing standing;
        slao_status status = slao_standing_read(&standing, store);
        if (status == SLAO_OK)
            status = show(&watching, &standing);
        over = slao_standing_is_over(&standing);
        *exit_code = standing.exit_code >= 0 ? (slao_status)standing.exit_code : SLAO_FAILED;
        slao_standing_free(&standing);
        SLAO_TRY(status);
        if (!over)
            nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
    }
    return SLAO_OK;
}

static slao_status show_once(const char *store, bool json) {
    slao_standing standing;
    slao_status status = slao_standing_read(&standing, store);
    if (status == SLAO_OK && json)
        status = print_json(&standing);
    else if (status == SLAO_OK)
        print_text(&standing);
    slao_standing_free(&standing);
    return status;
}

static slao_status find_store(char **store, const char *output, const char *given) {
    SLAO_TRY(given ? slao_copy_text(store, given) : slao_default_store(store, output));
    if (slao_is_folder(*store))
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT, "there is no store %s: %s", *store,
                     given ? "no sweep has run with it"
                           : "no sweep has run with this output (or its store is elsewhere: say "
                             "--store DIR)");
}

slao_status slao_command_status(int argc, char **argv) {
    bool json = false, watched = false;
    const char *given = NULL;
    const slao_option options[] = {
        {"--watch", NULL, SLAO_OPTION_FLAG, NULL,
         "show it anew every two seconds, until the sweep is over", &watched, false},
        {"--json", NULL, SLAO_OPTION_FLAG, NULL,
         "one JSON document (with --watch one on each line)", &json, false},
        {"--store", NULL, SLAO_OPTION_TEXT, "DIR", "the sweep's store (OUT.store)", &given, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao status OUT.h5 [--watch] [--json] [--store DIR]",
        .summary =
            "Says how a running or stopped sweep stands: starting, running, stopping, finished, "
            "failed (some\nsteps did), drained, stopped, or dead; what is done, what each rank "
            "does "
            "now, how long it\ntakes. Exit code 0 whatever the state is; with --watch that of the "
            "sweep, and 1 if it is dead.",
        .example = "slao status results/lambda.h5 --watch",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    slao_status exit_code = SLAO_OK;
    char *store = NULL;
    slao_status status = find_store(&store, argv[1], given);
    if (status == SLAO_OK)
        status = watched ? watch(store, json, &exit_code) : show_once(store, json);
    free(store);
    return status == SLAO_OK ? slao_fail(exit_code, "%s", "") : status;
}
