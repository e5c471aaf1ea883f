#include "sweep/selection.h"

#include "sweep/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

slao_status slao_selection_read_shard(slao_selection *selection, const char *text) {
    long long shard, shards;
    int end = 0;
    if (sscanf(text, "%lld/%lld%n", &shard, &shards, &end) != 2 || text[end] != '\0' || shard < 1 ||
        shard > shards)
        return slao_fail(SLAO_BAD_INPUT,
                         "--shard %s: write k/n, the k-th of n parts, as in --shard 2/8", text);
    selection->shard = shard;
    selection->shards = shards;
    return SLAO_OK;
}

slao_status slao_selection_read_only(slao_selection *selection, const char *text) {
    const struct {
        const char *name;
        bool *chosen;
    } kinds[] = {{"failed", &selection->failed}, {"missing", &selection->missing}};
    for (const char *word = text;;) {
        size_t length = strcspn(word, ","), k = 0;
        while (k < 2 &&
               (strlen(kinds[k].name) != length || strncmp(kinds[k].name, word, length) != 0))
            k++;
        if (k == 2)
            return slao_fail(SLAO_BAD_INPUT, "--only %s: write failed, missing or failed,missing",
                             text);
        *kinds[k].chosen = true;
        if (word[length] == '\0')
            return SLAO_OK;
        word += length + 1;
    }
}

/* ---- Shards ---- */

static int by_trajectory(const void *a, const void *b, void *context) {
    const slao_plan *plan = context;
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    const int64_t *left = plan->trials[first].finetunes, *right = plan->trials[second].finetunes;
    int64_t n_left = plan->spec->trials[first].order->n_tasks;
    int64_t n_right = plan->spec->trials[second].order->n_tasks;
    for (int64_t i = 0; i < n_left && i < n_right; i++) {
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    }
    if (n_left != n_right)
        return n_left < n_right ? -1 : 1;
    return first < second ? -1 : first > second;
}

/* Adds what the trial needs; returns the work of what was not needed before. */
static double add_trial(slao_needs *needs, int64_t trial, const slao_graph_step *graph) {
    int64_t from = needs->count;
    double work = 0;
    slao_needs_add_own(needs, trial);
    slao_needs_add_references(needs, trial);
    for (int64_t i = from; i < needs->count; i++)
        work += graph[needs->steps[i]].cost;
    return work;
}

/* chosen[t]: is the trial of the shard? */
static slao_status choose_shard(const slao_selection *selection, const slao_plan *plan,
                                const slao_graph_step *graph, bool *chosen) {
    int64_t n = plan->spec->n_trials, *trials;
    for (int64_t t = 0; t < n; t++)
        chosen[t] = true;
    if (selection->shards == 0)
        return SLAO_OK;
    slao_needs needs;
    SLAO_TRY(slao_allocate(&trials, (size_t)n, sizeof *trials));
    for (int64_t t = 0; t < n; t++)
        trials[t] = t;
    qsort_r(trials, (size_t)n, sizeof *trials, by_trajectory, (void *)(uintptr_t)plan);
    slao_status status = slao_needs_new(&needs, plan);
    if (status == SLAO_OK) {
        double all = 0, before = 0;
        for (int64_t i = 0; i < n; i++)
            all += add_trial(&needs, trials[i], graph);
        slao_needs_clear(&needs);
        for (int64_t i = 0; i < n; i++) { /* by the middle of its own work, or of its number */
            double own = add_trial(&needs, trials[i], graph);
            double place = all > 0 ? (before + own / 2) / all : ((double)i + 0.5) / (double)n;
            int64_t shard = 1 + (int64_t)(place * (double)selection->shards);
            chosen[trials[i]] =
                (shard < selection->shards ? shard : selection->shards) == selection->shard;
            before += own;
        }
        slao_needs_free(&needs);
    }
    free(trials);
    return status;
}

/* ---- What is asked for of a trial's state ---- */

static bool is_asked_for(const slao_selection *selection, const slao_needs *needs,
                         const slao_graph_step *graph) {
    if (!selection->failed && !selection->missing)
        return true;
    bool done = true, failed = false;
    for (int64_t i = 0; i < needs->count; i++) {
        done = done && graph[needs->steps[i]].done;
        failed = failed || graph[needs->steps[i]].failed;
    }
    return failed ? selection->failed : !done && selection->missing;
}

static slao_status choose_trials(const slao_selection *selection, const slao_plan *plan,
                                 slao_graph_step *graph, const bool *in_shard) {
    slao_needs needs;
    SLAO_TRY(slao_needs_new(&needs, plan));
    for (int64_t i = 0; i < plan->n_steps; i++)
        graph[i].left_out = true;
    for (int64_t t = 0; t < plan->spec->n_trials; t++) {
        slao_needs_clear(&needs);
        if (!in_shard[t])
            continue;
        slao_needs_add_own(&needs, t);
        slao_needs_add_references(&needs, t);
        if (!is_asked_for(selection, &needs, graph))
            continue;
        for (int64_t i = 0; i < needs.count; i++)
            graph[needs.steps[i]].left_out = false;
    }
    slao_needs_free(&needs);
    return SLAO_OK;
}

slao_status slao_selection_apply(const slao_selection *selection, const slao_plan *plan,
                                 slao_graph_step *graph) {
    bool *in_shard;
    SLAO_TRY(slao_allocate(&in_shard, (size_t)plan->spec->n_trials, sizeof *in_shard));
    slao_status status = choose_shard(selection, plan, graph, in_shard);
    if (status == SLAO_OK)
        status = choose_trials(selection, plan, graph, in_shard);
    for (int64_t i = 0; i < plan->n_steps; i++) {
        slao_graph_step *step = &graph[i];
        step->done = step->done && (step->left_out || !selection->fresh);
        step->failed = step->failed && !selection->failed && !selection->fresh;
    }
    free(in_shard);
    return status;
}
