#include "continual/method.h"

#include "base/setting.h"
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
     .uses_lambda = true,
     .options = slao_options},
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
        const slao_method_option *options = methods[i].options;
        for (int k = 0; options && options[k].key; k++) {
            SLAO_INVARIANT(k < SLAO_MAX_METHOD_OPTIONS);
            choice->values[k] = options[k].default_value;
        }
        return SLAO_OK;
    }
    const char *nearest = slao_nearest(name, names);
    return slao_fail(SLAO_BAD_INPUT, "%s: \"%s\" is not a method that slao knows%s%s%s", path, name,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

int slao_method_option_find(const slao_method *method, const char *key) {
    for (int k = 0; method->options && method->options[k].key; k++) {
        if (strcmp(method->options[k].key, key) == 0)
            return k;
    }
    return -1;
}

static slao_status unknown_option(const slao_method *method, const char *key, const char *path) {
    const char *names[SLAO_MAX_METHOD_OPTIONS + 1] = {0};
    for (int k = 0; method->options && method->options[k].key; k++)
        names[k] = method->options[k].key;
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
    const slao_method_option *option = &choice->method->options[k];
    const slao_setting setting = {option->key,     option->help,  option->default_value,
                                  option->choices, option->least, option->most};
    return slao_setting_read(&choice->values[k], &setting, value, arena, path);
}

void slao_method_settle(slao_method_choice *choice) {
    const slao_method *method = choice->method;
    if (method->lineage == SLAO_LINEAGE_TOGETHER || slao_method_start(choice)->orthonormal)
        return;
    for (int k = 0; method->options && method->options[k].key; k++) {
        if (method->options[k].part == SLAO_OPTION_OF_START)
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

bool slao_method_is_diagonal(const slao_method *method) {
    return method->lineage == SLAO_LINEAGE_ALONE && !method->merge;
}

bool slao_method_is_final(const slao_method *method) {
    return method->lineage == SLAO_LINEAGE_TOGETHER;
}
