#include "continual/method.h"

#include "base/setting.h"

#include <string.h>

static const slao_method_option no_options[] = {{0}};

const slao_method slao_methods[] = {
    {"slao", "one merged LoRA, orthonormal starts, asymmetric merging (arXiv 2512.23017)",
     SLAO_LINEAGE_SEQUENCE, "qr-last", "asymmetric", no_options},
    {"seqlora", "one LoRA, trained on one task after another", SLAO_LINEAGE_SEQUENCE, "previous",
     NULL, no_options},
    {"individual", "a LoRA of its own for each task: what a task reaches alone", SLAO_LINEAGE_ALONE,
     NULL, NULL, no_options},
    {0},
};

slao_status slao_method_choose(slao_method_choice *choice, const slao_method *methods,
                               const char *name, const char *path) {
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; methods[i].name; i++) {
        SLAO_INVARIANT(i < MOST);
        names[i] = methods[i].name;
        if (strcmp(methods[i].name, name) != 0)
            continue;
        *choice = (slao_method_choice){.method = &methods[i]};
        for (int k = 0; methods[i].options[k].key; k++) {
            SLAO_INVARIANT(k < SLAO_MAX_METHOD_OPTIONS);
            choice->values[k] = methods[i].options[k].default_value;
        }
        return SLAO_OK;
    }
    const char *nearest = slao_nearest(name, names);
    return slao_fail(SLAO_BAD_INPUT, "%s: \"%s\" is not a method that slao knows%s%s%s", path, name,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

int slao_method_option_find(const slao_method *method, const char *key) {
    for (int k = 0; method->options[k].key; k++) {
        if (strcmp(method->options[k].key, key) == 0)
            return k;
    }
    return -1;
}

static slao_status unknown_option(const slao_method *method, const char *key, const char *path) {
    const char *names[SLAO_MAX_METHOD_OPTIONS + 1] = {0};
    for (int k = 0; method->options[k].key; k++)
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

const char *slao_method_start(const slao_method_choice *choice) {
    const char *start = choice->method->start;
    SLAO_INVARIANT(start);
    if (start[0] != '=')
        return start;
    int k = slao_method_option_find(choice->method, start + 1);
    SLAO_INVARIANT(k >= 0);
    return choice->values[k];
}

bool slao_method_uses_lambda(const slao_method *method) {
    return method->merge != NULL;
}
