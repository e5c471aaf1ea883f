/* slao merge: merges PEFT LoRA adapters, in the order given, by any merge rule. No model is needed:
 * the adapters tell their shapes. */
#include "adapter/merge.h"
#include "adapter/peft.h"
#include "adapter/schedule.h"
#include "adapter/spectrum.h"
#include "cli/command.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *rule, *lambda, *output;
    slao_option_list options;
    int64_t rank, seed; /* rank: -1 where none was asked for */
} merge_choices;

/* "key=value" */
static slao_status set_option(slao_merge_choice *choice, const char *text, slao_arena *arena) {
    const char *equals = strchr(text, '=');
    if (!equals)
        return slao_fail(SLAO_BAD_INPUT, "--option must be key=value, not \"%s\"", text);
    char *key;
    SLAO_TRY(slao_format(&key, "%.*s", (int)(equals - text), text));
    slao_status status = slao_merge_set(choice, key, equals + 1, arena, "--option");
    free(key);
    return status;
}

static slao_status choose(slao_merge_choice *choice, const merge_choices *c, slao_arena *arena) {
    SLAO_TRY(slao_merge_choose(choice, c->rule, "--rule"));
    choice->seed = (uint64_t)c->seed;
    choice->rank = c->rank > 0 ? c->rank : 0;
    for (int64_t i = 0; i < c->options.count; i++)
        SLAO_TRY(set_option(choice, c->options.values[i], arena));
    if (c->lambda && !choice->rule->uses_lambda)
        return slao_fail(SLAO_BAD_INPUT, "--lambda means nothing to the rule %s", c->rule);
    return SLAO_OK;
}

/* lambda(1) .. lambda(n); NULL for a rule that does not use it. */
static slao_status make_lambdas(double **lambdas, const slao_merge_choice *choice,
                                const merge_choices *c, int64_t n) {
    *lambdas = NULL;
    if (!choice->rule->uses_lambda)
        return SLAO_OK;
    slao_schedule schedule;
    SLAO_TRY_IN(slao_schedule_parse(&schedule, c->lambda ? c->lambda : "1/sqrt(i)"), "--lambda");
    if (schedule.kind != SLAO_SCHEDULE_FIXED)
        return slao_fail(SLAO_BAD_INPUT,
                         "--lambda: \"%s\" depends on more than i: slao sweep has it; slao merge "
                         "takes a constant in [0, 1], 1/sqrt(i), 1/i or i^(-p)",
                         schedule.text);
    SLAO_TRY(slao_allocate(lambdas, (size_t)n, sizeof **lambdas));
    for (int64_t i = 0; i < n; i++)
        (*lambdas)[i] = slao_schedule_value(&schedule, i + 1);
    return SLAO_OK;
}

static void report(const slao_lora *merged, const merge_choices *c, int64_t n,
                   const slao_truncation *loss) {
    int64_t least = merged->sites[0].rank, most = least;
    for (int64_t i = 1; i < merged->n_sites; i++) {
        least = merged->sites[i].rank < least ? merged->sites[i].rank : least;
        most = merged->sites[i].rank > most ? merged->sites[i].rank : most;
    }
    printf("merged       %lld adapters by %s, %lld modules\n", (long long)n, c->rule,
           (long long)merged->n_sites);
    if (least == most)
        printf("rank         %lld\n", (long long)least);
    else
        printf("rank         %lld to %lld\n", (long long)least, (long long)most);
    if (c->rank >= 0) {
        const slao_site *worst = &merged->sites[loss->worst_site];
        printf("truncation   error %.3g of the norm", loss->error);
        if (loss->worst_error > 0)
            printf("; at most %.3g, in layer %lld, %s", loss->worst_error, (long long)worst->layer,
                   slao_module_name(worst->module));
        putchar('\n');
    } else {
        printf("truncation   none\n");
    }
    printf("written to   %s\n", c->output);
}

static slao_status save(const slao_lora *merged, const merge_choices *c, const char *first) {
    char *base;
    SLAO_TRY(slao_peft_base(&base, first));
    slao_status status = slao_peft_save(merged, c->output, base);
    free(base);
    return status;
}

static slao_status merge_adapters(const merge_choices *c, const slao_merge_choice *choice,
                                  slao_lora **adapters, char *const *folders, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        SLAO_TRY_IN(slao_peft_load(&adapters[i], folders[i], NULL), "adapter %lld",
                    (long long)(i + 1));
    double *lambdas;
    slao_lora *merged = NULL, *cut = NULL;
    slao_truncation loss = {0};
    SLAO_TRY(make_lambdas(&lambdas, choice, c, n));
    slao_status status =
        slao_merge_list(&merged, choice, (const slao_lora *const *)adapters, n, lambdas);
    if (status == SLAO_OK && c->rank >= 0)
        status = slao_lora_truncate(&cut, merged, c->rank, &loss);
    if (status == SLAO_OK)
        status = save(cut ? cut : merged, c, folders[0]);
    if (status == SLAO_OK)
        report(cut ? cut : merged, c, n, &loss);
    slao_lora_free(cut);
    slao_lora_free(merged);
    free(lambdas);
    return status;
}

static slao_status merge(const merge_choices *c, char *const *folders, int64_t n) {
    slao_arena *arena;
    slao_lora **adapters;
    slao_merge_choice choice;
    SLAO_TRY(slao_arena_new(&arena));
    slao_status status = choose(&choice, c, arena);
    if (status == SLAO_OK) {
        status = slao_allocate(&adapters, (size_t)n, sizeof *adapters);
        if (status == SLAO_OK)
            status = merge_adapters(c, &choice, adapters, folders, n);
        for (int64_t i = 0; adapters && i < n; i++)
            slao_lora_free(adapters[i]);
        free(adapters);
    }
    slao_arena_free(arena);
    return status;
}

static slao_status run(int argc, char **argv, merge_choices *c, const char *summary) {
    enum { MOST_ADAPTERS = 1 << 20 };
    const slao_option options[] = {
        {"--rule", NULL, SLAO_OPTION_TEXT, "RULE", "one of the rules above", &c->rule, true},
        {"--output", "-o", SLAO_OPTION_TEXT, "DIR", "folder of the merged adapter", &c->output,
         true},
        {"--lambda", NULL, SLAO_OPTION_TEXT, "L",
         "lambda(i) of adapter i: a constant in [0, 1], 1/sqrt(i), 1/i, i^(-p) (1/sqrt(i))",
         &c->lambda, false},
        {"--rank", NULL, SLAO_OPTION_INTEGER, "R",
         "the merged adapter's rank (what it needs to be exact)", &c->rank, false},
        {"--option", NULL, SLAO_OPTION_LIST, "KEY=VALUE",
         "an option of the rule; may come several times", &c->options, false},
        {"--seed", NULL, SLAO_OPTION_INTEGER, "N", "of rules that draw random numbers (0)",
         &c->seed, false},
        {0},
    };
    const slao_usage usage = {
        .usage =
            "slao merge --rule RULE [--lambda L] [--rank R] [--option KEY=VALUE]... [--seed N] "
            "ADAPTER... -o DIR",
        .summary = summary,
        .example = "slao merge --rule ties --option density=0.3 --rank 16 task-1 task-2 task-3 -o "
                   "merged",
        .options = options,
        .least_arguments = 1,
        .most_arguments = MOST_ADAPTERS,
    };
    int64_t n;
    SLAO_TRY(slao_options_parse(argc, argv, &usage, &n));
    return merge(c, argv + 1, n);
}

slao_status slao_command_merge(int argc, char **argv) {
    merge_choices c = {.rank = -1};
    char *rules, *summary = NULL;
    SLAO_TRY(slao_merge_help(&rules));
    slao_status status =
        slao_format(&summary,
                    "Merges PEFT LoRA adapters, in the order given, into one. Rules, and their "
                    "options with defaults:\n\n%s\n"
                    "Without --rank the result is exact, of whatever rank that takes; with it, the "
                    "nearest one of that rank,\nand the error is printed.",
                    rules);
    if (status == SLAO_OK)
        status = run(argc, argv, &c, summary);
    free(c.options.values);
    free(summary);
    free(rules);
    return status;
}
