#include "adapter/merge_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const slao_setting no_options[] = {{0}};

const slao_merge_rule slao_merge_rules[] = {
    {"asymmetric", "one factor of the new task, the other a running mean by lambda(i) (SLAO)", true,
     slao_asymmetric_options, slao_merge_asymmetric, NULL},
    {"average", "the mean of all changes", false, no_options, slao_merge_average, NULL},
    {"task-arithmetic", "the sum of all changes, scaled", false, slao_task_arithmetic_options, NULL,
     slao_merge_task_arithmetic},
    {"ties", "of the largest entries of each change, the mean of those with the elected sign",
     false, slao_ties_options, NULL, slao_merge_ties},
    {"dare", "the sum of changes whose entries are dropped at random", false, slao_dare_options,
     NULL, slao_merge_dare},
    {"dare-ties", "dare, and the mean of the entries with the elected sign", false,
     slao_dare_ties_options, NULL, slao_merge_dare_ties},
    {"magnitude-prune", "the sum of the largest entries of each change", false, slao_ties_options,
     NULL, slao_merge_magnitude_prune},
    {"magmax", "of each entry the change of largest magnitude", false, slao_magmax_options, NULL,
     slao_merge_magmax},
    {"knots", "ties or mean in a common basis of all changes", false, slao_knots_options, NULL,
     slao_merge_knots},
    {"lora-lego", "clusters of the rank-one units of all adapters", false, slao_lego_options, NULL,
     slao_merge_lego},
    {"opcm", "each new change without what lies along the merged one", false, slao_opcm_options,
     slao_merge_opcm, NULL},
    {0},
};

const slao_merge_rule *slao_merge_rule_find(const char *name) {
    for (const slao_merge_rule *rule = slao_merge_rules; rule->name; rule++) {
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}

slao_status slao_merge_choose(slao_merge_choice *choice, const char *name, const char *path) {
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    const slao_merge_rule *rule = slao_merge_rule_find(name);
    if (!rule) {
        for (int i = 0; slao_merge_rules[i].name; i++) {
            SLAO_INVARIANT(i < MOST);
            names[i] = slao_merge_rules[i].name;
        }
        const char *nearest = slao_nearest(name, names);
        return slao_fail(SLAO_BAD_INPUT, "%s: \"%s\" is not a merge rule that slao knows%s%s%s",
                         path, name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                         nearest ? "\"?" : "");
    }
    *choice = (slao_merge_choice){.rule = rule};
    for (int k = 0; rule->options[k].key; k++) {
        SLAO_INVARIANT(k < SLAO_MAX_MERGE_OPTIONS);
        choice->values[k] = rule->options[k].default_value;
    }
    return SLAO_OK;
}

slao_status slao_merge_set(slao_merge_choice *choice, const char *key, const char *value,
                           slao_arena *arena, const char *path) {
    const slao_setting *options = choice->rule->options;
    int place = slao_setting_find(options, key);
    if (place >= 0)
        return slao_setting_read(&choice->values[place], &options[place], value, arena, path);
    const char *names[SLAO_MAX_MERGE_OPTIONS + 1] = {0};
    for (int k = 0; options[k].key; k++)
        names[k] = options[k].key;
    const char *nearest = slao_nearest(key, names);
    return slao_fail(SLAO_BAD_INPUT, "%s: the rule %s has no option \"%s\"%s%s%s", path,
                     choice->rule->name, key, nearest ? "; did you mean \"" : "",
                     nearest ? nearest : "", nearest ? "\"?" : "");
}

/* *text becomes longer by `line`, which is taken over. */
static slao_status add_line(char **text, char *line) {
    char *longer;
    slao_status status = slao_format(&longer, "%s%s", *text ? *text : "", line);
    free(line);
    free(*text);
    *text = longer;
    return status;
}

slao_status slao_merge_help(char **text) {
    *text = NULL;
    for (const slao_merge_rule *rule = slao_merge_rules; rule->name; rule++) {
        char *line;
        SLAO_TRY(slao_format(&line, "  %-16s %s\n", rule->name, rule->help));
        SLAO_TRY(add_line(text, line));
        for (const slao_setting *option = rule->options; option->key; option++) {
            SLAO_TRY(slao_format(&line, "  %-16s   %s=%s: %s\n", "", option->key,
                                 option->default_value, option->help));
            SLAO_TRY(add_line(text, line));
        }
    }
    return SLAO_OK;
}

static const char *value_of(const slao_merge_choice *choice, const char *key, int *place) {
    *place = slao_setting_find(choice->rule->options, key);
    SLAO_INVARIANT(*place >= 0);
    return choice->values[*place];
}

double slao_merge_number(const slao_merge_choice *choice, const char *key) {
    int place;
    return slao_setting_number(value_of(choice, key, &place));
}

int slao_merge_name(const slao_merge_choice *choice, const char *key) {
    int place;
    const char *value = value_of(choice, key, &place);
    return slao_setting_choice(&choice->rule->options[place], value);
}

/* ---- Do adapters fit together? ---- */

static slao_status refuse_sites(const slao_lora *first, const slao_lora *other, int64_t number) {
    for (int64_t i = 0; i < first->n_sites && i < other->n_sites; i++) {
        const slao_site *x = &first->sites[i], *y = &other->sites[i];
        if (x->layer != y->layer || x->module != y->module)
            return slao_fail(
                SLAO_BAD_INPUT,
                "adapter %lld has %s of layer %lld where the first has %s of layer %lld: they must "
                "sit on the same modules",
                (long long)number, slao_module_name(y->module), (long long)y->layer,
                slao_module_name(x->module), (long long)x->layer);
        if (x->d_out != y->d_out || x->d_in != y->d_in)
            return slao_fail(
                SLAO_BAD_INPUT,
                "adapter %lld is made for a %s of %lld x %lld in layer %lld, the first for "
                "one of %lld x %lld: they are not of the same model",
                (long long)number, slao_module_name(x->module), (long long)y->d_out,
                (long long)y->d_in, (long long)x->layer, (long long)x->d_out, (long long)x->d_in);
    }
    return slao_fail(
        SLAO_BAD_INPUT,
        "adapter %lld sits on %lld modules, the first on %lld: they must sit on the same",
        (long long)number, (long long)other->n_sites, (long long)first->n_sites);
}

static slao_status need_finite_values(const slao_lora *lora, int64_t number) {
    for (int64_t i = 0; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        for (int64_t k = 0; k < site->rank * (site->d_in + site->d_out); k++) {
            if (!isfinite(site->a[k])) /* B lies behind A */
                return slao_fail(
                    SLAO_BAD_INPUT,
                    "adapter %lld: %s of layer %lld holds a value that is not a finite "
                    "number",
                    (long long)number, slao_module_name(site->module), (long long)site->layer);
        }
    }
    return SLAO_OK;
}

/* All on the same sites, and made of numbers. */
static slao_status check_adapters(const slao_lora *const *adapters, int64_t n) {
    for (int64_t t = 0; t < n; t++)
        SLAO_TRY(need_finite_values(adapters[t], t + 1));
    for (int64_t t = 1; t < n; t++) {
        if (!slao_lora_same_sites(adapters[0], adapters[t]))
            return refuse_sites(adapters[0], adapters[t], t + 1);
    }
    return SLAO_OK;
}

slao_status slao_merge_need_same_factors(const slao_lora *const *adapters, int64_t n) {
    for (int64_t t = 1; t < n; t++) {
        for (int64_t i = 0; i < adapters[0]->n_sites; i++) {
            const slao_site *x = &adapters[0]->sites[i], *y = &adapters[t]->sites[i];
            if (x->rank != y->rank)
                return slao_fail(SLAO_BAD_INPUT,
                                 "%s of layer %lld has rank %lld in adapter %lld, %lld in the "
                                 "first: this rule merges factors, which must be of one shape",
                                 slao_module_name(x->module), (long long)x->layer,
                                 (long long)y->rank, (long long)(t + 1), (long long)x->rank);
            if (x->scale != y->scale)
                return slao_fail(SLAO_BAD_INPUT,
                                 "%s of layer %lld is scaled by %g in adapter %lld, by %g in the "
                                 "first: this rule merges factors, which must have one scale",
                                 slao_module_name(x->module), (long long)x->layer, y->scale,
                                 (long long)(t + 1), x->scale);
        }
    }
    return SLAO_OK;
}

/* ---- What rules make their results with ---- */

slao_status slao_merge_pair_new(slao_merge_pair *pair, int64_t rank, int64_t d_out, int64_t d_in) {
    pair->rank = rank;
    SLAO_TRY(slao_allocate(&pair->b, (size_t)(rank * (d_out + d_in)), sizeof *pair->b));
    pair->a = pair->b + d_out * rank;
    return SLAO_OK;
}

void slao_merge_pairs_free(slao_merge_pair *pairs, int64_t n) {
    for (int64_t i = 0; pairs && i < n; i++)
        free(pairs[i].b);
    free(pairs);
}

/* An adapter of scale 1 on the sites of `like`: of their ranks, or of those of the pairs. */
static slao_status new_of_ranks(slao_lora **lora, const slao_lora *like,
                                const slao_merge_pair *pairs) {
    slao_site *sites;
    *lora = NULL;
    SLAO_TRY(slao_allocate(&sites, (size_t)like->n_sites, sizeof *sites));
    memcpy(sites, like->sites, (size_t)like->n_sites * sizeof *sites);
    for (int64_t i = 0; i < like->n_sites; i++) {
        if (pairs)
            sites[i].rank = pairs[i].rank;
        sites[i].alpha = (double)sites[i].rank;
    }
    slao_lora_settings settings = {.dropout = like->settings.dropout};
    slao_status status = slao_lora_from_sites(lora, &settings, sites, like->n_sites);
    if (status == SLAO_OK)
        (*lora)->every_layer = like->every_layer;
    free(sites);
    return status;
}

slao_status slao_merge_new_like(slao_lora **lora, const slao_lora *like) {
    return new_of_ranks(lora, like, NULL);
}

slao_status slao_merge_from_pairs(slao_lora **lora, const slao_lora *like,
                                  const slao_merge_pair *pairs) {
    SLAO_TRY(new_of_ranks(lora, like, pairs));
    for (int64_t i = 0; i < like->n_sites; i++) {
        const slao_site *site = &(*lora)->sites[i];
        memcpy(site->a, pairs[i].a, (size_t)(site->rank * site->d_in) * sizeof *site->a);
        memcpy(site->b, pairs[i].b, (size_t)(site->d_out * site->rank) * sizeof *site->b);
    }
    return SLAO_OK;
}

slao_status slao_merge_by_site(slao_lora **merged, const slao_merge_choice *choice,
                               const slao_lora *const *adapters, int64_t n,
                               slao_merge_site_function *merge_site) {
    slao_merge_pair *pairs;
    int64_t n_sites = adapters[0]->n_sites;
    SLAO_TRY(slao_allocate(&pairs, (size_t)n_sites, sizeof *pairs));
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < n_sites && status == SLAO_OK; i++)
        status = merge_site(adapters, n, i, choice, &pairs[i]);
    if (status == SLAO_OK)
        status = slao_merge_from_pairs(merged, adapters[0], pairs);
    slao_merge_pairs_free(pairs, n_sites);
    return status;
}

/* ---- Merging ---- */

slao_status slao_merge_step(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_merge_moment *moment, const slao_lora *last,
                            const slao_lora *finetuned, slao_merge_state *state) {
    SLAO_INVARIANT(choice->rule->step && moment->i >= 2);
    *merged = NULL;
    const slao_lora *both[] = {last, finetuned};
    SLAO_TRY(check_adapters(both, 2));
    return choice->rule->step(merged, choice, moment, last, finetuned, state);
}

slao_status slao_merge_list(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_lora *const *adapters, int64_t n, const double *lambdas) {
    SLAO_INVARIANT(n >= 1 && (lambdas || !choice->rule->uses_lambda));
    *merged = NULL;
    SLAO_TRY(check_adapters(adapters, n));
    if (choice->rule->list)
        return choice->rule->list(merged, choice, adapters, n);
    slao_merge_state state = {{0}};
    slao_lora *last;
    SLAO_TRY(slao_lora_copy(&last, adapters[0]));
    for (int64_t i = 2; i <= n; i++) {
        slao_merge_moment moment = {.i = i, .lambda = lambdas ? lambdas[i - 1] : 0};
        slao_lora *next;
        slao_status status = slao_merge_step(&next, choice, &moment, last, adapters[i - 1], &state);
        slao_lora_free(last);
        if (status != SLAO_OK)
            return slao_fail_context(status, "merging adapter %lld", (long long)i);
        last = next;
    }
    *merged = last;
    return SLAO_OK;
}
