#include "continual/method.h"

#include "continual/layers.h"
#include "continual/tuning.h"

#include <string.h>
#include <strings.h>

static const char *const inits[] = {"last-ft",
                                    "random",
                                    "zero",
                                    "last-merge",
                                    "previous",
                                    "random-orthonormal",
                                    "function-preserving",
                                    NULL};
static const char *const signs[] = {"positive", "lapack", NULL};

static const slao_method_option slao_options[] = {
    {.key = "init",
     .help = "where a task starts: a rule of adapter/start.h",
     .default_value = "last-ft",
     .part = SLAO_OPTION_OF_TRAINING,
     .choices = inits},
    {.key = "qr_sign",
     .help = "signs of the QR: diag(R) > 0, or as LAPACK leaves them",
     .default_value = "positive",
     .part = SLAO_OPTION_OF_START,
     .choices = signs},
    {.key = "row_scale",
     .help = "norm of the rows of an orthonormal A; Kaiming's is 1/sqrt(3)",
     .default_value = "1",
     .part = SLAO_OPTION_OF_START,
     .least = 1e-6,
     .most = 1e6},
    {.key = "qr",
     .help = "the QR of a group of ranks: LAPACK, layers spread over the ranks; ScaLAPACK; auto: "
             "the faster one",
     .default_value = "auto",
     .part = SLAO_OPTION_OF_START,
     .choices = slao_qr_way_names},
    {.key = "merge",
     .help = "the factor that is merged, A, B or both, or a list of them by layers",
     .default_value = "B",
     .part = SLAO_OPTION_OF_MERGE,
     .by_layers = true},
    {0},
};

static const slao_method_option olora_options[] = {
    {.key = "l1",
     .help = "weight of sum |A_old A^T|",
     .default_value = "0.5",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1e9},
    {.key = "l2",
     .help = "weight of the norms of A and B, from task 2 on",
     .default_value = "0",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1e9},
    {0},
};

static const slao_method_option nlora_options[] = {
    {.key = "l",
     .help = "weight of the sum of |B A|'s entries",
     .default_value = "0.0001",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1e9},
    {0},
};

static const slao_method_option ewc_options[] = {
    {.key = "l",
     .help = "weight of what mattered to earlier tasks",
     .default_value = "1000",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1e15},
    {.key = "gamma",
     .help = "what the Fisher information of earlier tasks counts beside a new one's",
     .default_value = "1",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1},
    {0},
};

static const slao_method_option inflora_options[] = {
    {.key = "threshold",
     .help = "e_0: how much of a task's inputs the memory holds, early in the order",
     .default_value = "0.98",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1},
    {.key = "threshold_end",
     .help = "e_end: the same after the last task",
     .default_value = "1",
     .part = SLAO_OPTION_OF_TRAINING,
     .most = 1},
    {0},
};

static const slao_method_option sdlora_options[] = {
    {.key = "magnitude",
     .help = "where every a_i starts at each task",
     .default_value = "0.8",
     .part = SLAO_OPTION_OF_TRAINING,
     .least = 1e-6,
     .most = 1e6},
    {0},
};

static const char *const corda_components[] = {"last", "first", NULL};

static const slao_method_option corda_options[] = {
    {.key = "components",
     .help = "of W C, those that are trained: the last ones preserve knowledge",
     .default_value = "last",
     .part = SLAO_OPTION_OF_TRAINING,
     .choices = corda_components},
    {0},
};

const slao_method slao_methods[] = {
    {.name = "slao",
     .help = "one merged LoRA, orthonormal starts, asymmetric merging (arXiv 2512.23017)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "=init",
     .merge = "asymmetric",
     .merges = "=merge",
     .uses_lambda = true,
     .options = slao_options},
    {.name = "freb-ma",
     .help = "SLAO's ablation: B frozen from task 2 on, A trained and merged, no QR",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .frozen = SLAO_FACTOR_B,
     .merge = "asymmetric",
     .merges = "A",
     .uses_lambda = true},
    {.name = "frea-mb",
     .help = "SLAO's ablation: A frozen from task 2 on, B trained and merged, no QR",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .frozen = SLAO_FACTOR_A,
     .merge = "asymmetric",
     .merges = "B",
     .uses_lambda = true},
    {.name = "ftba-ma",
     .help = "SLAO's ablation: both factors trained, A merged, no QR",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .merge = "asymmetric",
     .merges = "A",
     .uses_lambda = true},
    {.name = "ftba-mba",
     .help = "SLAO's ablation: both factors trained, both merged, no QR",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .merge = "asymmetric",
     .merges = "both",
     .uses_lambda = true},
    {.name = "ftba-mb",
     .help = "SLAO's ablation: both factors trained, B merged, no QR",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .merge = "asymmetric",
     .merges = "B",
     .uses_lambda = true},
    {.name = "seqlora",
     .help = "one LoRA, trained on one task after another",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous"},
    {.name = "inclora",
     .help = "a new LoRA per task on top of all earlier ones, which are frozen",
     .lineage = SLAO_LINEAGE_STACK,
     .start = "random"},
    {.name = "olora",
     .help = "inclora whose new rows of A are kept orthogonal to the old ones (arXiv 2310.14152)",
     .lineage = SLAO_LINEAGE_STACK,
     .start = "random",
     .tuning = &slao_tuning_olora,
     .options = olora_options},
    {.name = "nlora",
     .help = "inclora with few entries of B A away from zero (arXiv 2410.10179)",
     .lineage = SLAO_LINEAGE_STACK,
     .start = "random",
     .tuning = &slao_tuning_nlora,
     .options = nlora_options},
    {.name = "inflora",
     .help =
         "inclora that trains B alone, A outside the inputs of earlier tasks (arXiv 2404.00228)",
     .lineage = SLAO_LINEAGE_STACK,
     .start = "random",
     .frozen = SLAO_FACTOR_A,
     .tuning = &slao_tuning_inflora,
     .options = inflora_options},
    {.name = "sdlora",
     .help = "inclora with trained magnitudes of the earlier directions (arXiv 2501.13198)",
     .lineage = SLAO_LINEAGE_STACK,
     .start = "random",
     .tuning = &slao_tuning_sdlora,
     .options = sdlora_options},
    {.name = "ewc",
     .help = "seqlora held back where earlier tasks were sensitive, online (arXiv 1805.06370)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .tuning = &slao_tuning_ewc,
     .options = ewc_options},
    {.name = "corda",
     .help = "seqlora from components of the weights, chosen by the inputs (arXiv 2406.05223)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .tuning = &slao_tuning_corda,
     .options = corda_options},
    {.name = "lorm-ab",
     .help = "B shared and frozen, the A of all tasks merged in closed form (arXiv 2410.17961)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "fresh",
     .frozen = SLAO_FACTOR_B,
     .tuning = &slao_tuning_lorm_ab},
    {.name = "lorm-ba",
     .help = "A shared and frozen, the B of all tasks merged in closed form (arXiv 2410.17961)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "fresh",
     .frozen = SLAO_FACTOR_A,
     .tuning = &slao_tuning_lorm_ba},
    {.name = "average",
     .help = "the running mean of all individual runs' changes",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "average",
     .inputs = SLAO_MERGE_NEWEST},
    {.name = "task-arithmetic",
     .help = "the scaled sum of all individual runs' changes (arXiv 2212.04089)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "task-arithmetic",
     .inputs = SLAO_MERGE_ALL},
    {.name = "ties",
     .help = "of the largest entries of the individual changes, those of the elected sign (arXiv "
             "2306.01708)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "ties",
     .inputs = SLAO_MERGE_ALL},
    {.name = "dare",
     .help = "the sum of individual changes whose entries are dropped at random (arXiv 2311.03099)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "dare",
     .inputs = SLAO_MERGE_ALL},
    {.name = "knots",
     .help = "individual changes merged in their common basis (arXiv 2410.19735)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "knots",
     .inputs = SLAO_MERGE_ALL},
    {.name = "lora-lego",
     .help = "clusters of the rank-one units of all individual adapters (arXiv 2409.16167)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "lora-lego",
     .inputs = SLAO_MERGE_ALL},
    {.name = "opcm",
     .help = "each individual change without what lies along the merged one (arXiv 2501.09522)",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "opcm",
     .inputs = SLAO_MERGE_NEWEST},
    {.name = "magmax",
     .help = "seqlora, of each entry the change of largest magnitude (arXiv 2407.06322)",
     .lineage = SLAO_LINEAGE_SEQUENCE,
     .start = "previous",
     .merge = "magmax",
     .inputs = SLAO_MERGE_ALL},
    {.name = "individual",
     .help = "a LoRA of its own for each task: what a task reaches alone",
     .lineage = SLAO_LINEAGE_ALONE},
    {.name = "multitask",
     .help = "one LoRA, trained on all tasks of the order at once: the upper bound",
     .lineage = SLAO_LINEAGE_TOGETHER},
    {0},
};

slao_status slao_method_choose(slao_method_choice *choice, const slao_method *methods,
                               const char *name, const char *path) {
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; methods[i].name; i++) {
        SLAO_INVARIANT(i < MOST);
        names[i] = methods[i].name;
        if (strcasecmp(methods[i].name, name) != 0)
            continue;
        *choice = (slao_method_choice){.method = &methods[i]};
        slao_method_option option;
        for (int k = 0; slao_method_option_at(&methods[i], k, &option); k++)
            choice->values[k] = option.default_value;
        return SLAO_OK;
    }
    const char *nearest = slao_nearest(name, names);
    return slao_fail(SLAO_BAD_INPUT, "%s: \"%s\" is not a method that slao knows%s%s%s", path, name,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

/* Is an option of the merge rule settled by the row, or by an option of the method's own? */
static bool is_settled(const slao_method *method, const char *key, int n_own) {
    if (method->merges && strcmp(key, "merge") == 0)
        return true;
    for (int k = 0; k < n_own; k++) {
        if (strcmp(method->options[k].key, key) == 0)
            return true;
    }
    return false;
}

bool slao_method_option_at(const slao_method *method, int k, slao_method_option *option) {
    int n_own = 0;
    while (method->options && method->options[n_own].key)
        n_own++;
    SLAO_INVARIANT(k >= 0 && k <= SLAO_MAX_METHOD_OPTIONS);
    if (k < n_own) {
        *option = method->options[k];
        return true;
    }
    const slao_merge_rule *rule = method->merge ? slao_merge_rule_find(method->merge) : NULL;
    int left = k - n_own;
    for (const slao_setting *s = rule ? rule->options : NULL; s && s->key; s++) {
        if (is_settled(method, s->key, n_own) || left-- > 0)
            continue;
        *option = (slao_method_option){.key = s->key,
                                       .help = s->help,
                                       .default_value = s->default_value,
                                       .part = SLAO_OPTION_OF_MERGE,
                                       .choices = s->choices,
                                       .least = s->least,
                                       .most = s->most};
        return true;
    }
    return false;
}

int slao_method_option_find(const slao_method *method, const char *key) {
    slao_method_option option;
    for (int k = 0; slao_method_option_at(method, k, &option); k++) {
        if (strcmp(option.key, key) == 0)
            return k;
    }
    return -1;
}

static slao_status unknown_option(const slao_method *method, const char *key, const char *path) {
    const char *names[SLAO_MAX_METHOD_OPTIONS + 1] = {0};
    slao_method_option option;
    for (int k = 0; slao_method_option_at(method, k, &option); k++)
        names[k] = option.key;
    const char *nearest = slao_nearest(key, names);
    return slao_fail(SLAO_BAD_INPUT, "%s: %s has no option \"%s\"%s%s%s", path, method->name, key,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

slao_status slao_method_set(slao_method_choice *choice, const char *key, const char *value,
                            slao_arena *arena, const char *path) {
    int k = slao_method_option_find(choice->method, key);
    if (k < 0)
        return unknown_option(choice->method, key, path);
    slao_method_option option;
    SLAO_INVARIANT(slao_method_option_at(choice->method, k, &option));
    if (option.by_layers)
        return slao_layers_read(&choice->values[k], value, arena, path);
    const slao_setting setting = {option.key,     option.help,  option.default_value,
                                  option.choices, option.least, option.most};
    return slao_setting_read(&choice->values[k], &setting, value, arena, path);
}

void slao_method_settle(slao_method_choice *choice) {
    const slao_method *method = choice->method;
    if (method->lineage == SLAO_LINEAGE_TOGETHER || slao_method_start(choice)->orthonormal)
        return;
    slao_method_option option;
    for (int k = 0; slao_method_option_at(method, k, &option); k++) {
        if (option.part == SLAO_OPTION_OF_START)
            choice->values[k] = "";
    }
}

const char *slao_method_text(const slao_method_choice *choice, const char *key) {
    int k = slao_method_option_find(choice->method, key);
    return k >= 0 && choice->values[k][0] ? choice->values[k] : NULL;
}

double slao_method_number(const slao_method_choice *choice, const char *key, double otherwise) {
    const char *text = slao_method_text(choice, key);
    return text ? slao_setting_number(text) : otherwise;
}

const slao_start_rule *slao_method_start(const slao_method_choice *choice) {
    const slao_method *method = choice->method;
    SLAO_INVARIANT(method->lineage != SLAO_LINEAGE_TOGETHER);
    const char *name = method->lineage == SLAO_LINEAGE_ALONE ? "fresh" : method->start;
    if (name[0] == '=')
        name = slao_method_text(choice, name + 1);
    const slao_start_rule *rule = slao_start_rule_find(name);
    SLAO_INVARIANT(rule);
    return rule;
}

bool slao_method_names_part(const slao_method *method, const char *key) {
    const char *const parts[] = {method->start, method->merges};
    for (int p = 0; p < 2; p++) {
        if (parts[p] && parts[p][0] == '=' && strcmp(parts[p] + 1, key) == 0)
            return true;
    }
    return false;
}

const char *slao_method_merges(const slao_method_choice *choice) {
    const char *merges = choice->method->merges;
    return merges && merges[0] == '=' ? slao_method_text(choice, merges + 1) : merges;
}

slao_status slao_method_merge_choice(const slao_method_choice *choice, uint64_t seed,
                                     slao_merge_choice *merge) {
    SLAO_TRY(slao_merge_choose(merge, choice->method->merge, choice->method->name));
    merge->seed = seed;
    const slao_setting *options = merge->rule->options;
    for (int k = 0; options[k].key; k++) {
        const char *value = slao_method_text(choice, options[k].key);
        if (value && !slao_method_names_part(choice->method, options[k].key))
            merge->values[k] = value;
    }
    return SLAO_OK;
}

bool slao_method_is_diagonal(const slao_method *method) {
    return method->lineage == SLAO_LINEAGE_ALONE && !method->merge;
}

bool slao_method_is_final(const slao_method *method) {
    return method->lineage == SLAO_LINEAGE_TOGETHER;
}
