#include "cli/options.h"

#include "base/memory.h"
#include "linalg/threads.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void print_help(const slao_usage *usage) {
    printf("usage: %s\n\n%s\n\noptions:\n", usage->usage, usage->summary);
    for (const slao_option *option = usage->options; option->name; option++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s%s%s%s", option->short_name ? option->short_name : "",
                 option->short_name ? ", " : "", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("  %-32s %s\n", left, option->help);
    }
    printf("  %-32s %s\n\nexample:\n  %s\n", "--help", "this text", usage->example);
    exit(fflush(stdout) == 0 ? SLAO_OK : SLAO_NO_RESOURCE);
}

static slao_status store_value(const slao_option *option, const char *value) {
    char *end;
    errno = 0;
    switch (option->kind) {
    case SLAO_OPTION_FLAG:
        *(bool *)option->target = true;
        return SLAO_OK;
    case SLAO_OPTION_TEXT:
        *(const char **)option->target = value;
        return SLAO_OK;
    case SLAO_OPTION_INTEGER:
    case SLAO_OPTION_THREADS: {
        long long number = strtoll(value, &end, 10);
        if (end == value || *end || errno || number < 0 || number > INT32_MAX)
            return slao_fail(SLAO_BAD_INPUT, "%s must be a whole number from 0 to %d, not \"%s\"",
                             option->name, INT32_MAX, value);
        if (option->kind == SLAO_OPTION_THREADS)
            return slao_threads_set(number);
        *(int64_t *)option->target = number;
        return SLAO_OK;
    }
    case SLAO_OPTION_REAL: {
        double number = strtod(value, &end);
        if (end == value || *end || errno || !isfinite(number))
            return slao_fail(SLAO_BAD_INPUT, "%s must be a number, not \"%s\"", option->name,
                             value);
        *(double *)option->target = number;
        return SLAO_OK;
    }
    case SLAO_OPTION_LIST: {
        slao_option_list *list = option->target;
        size_t capacity = (size_t)list->count;
        SLAO_TRY(slao_grow(&list->values, &capacity, capacity + 1, sizeof *list->values));
        list->values[list->count++] = value;
        return SLAO_OK;
    }
    }
    return SLAO_OK;
}

static const slao_option *find_option(const slao_option *options, const char *word, size_t length) {
    for (const slao_option *option = options; option->name; option++) {
        bool is_long = strncmp(option->name, word, length) == 0 && !option->name[length];
        bool is_short = option->short_name && strncmp(option->short_name, word, length) == 0 &&
                        !option->short_name[length];
        if (is_long || is_short)
            return option;
    }
    return NULL;
}

static slao_status unknown_option(const slao_usage *usage, const char *word) {
    enum { MOST = 32 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; i < MOST && usage->options[i].name; i++)
        names[i] = usage->options[i].name;
    const char *nearest = slao_nearest(word, names);
    return slao_fail(SLAO_BAD_INPUT, "%s is not an option%s%s%s\nusage: %s", word,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "",
                     usage->usage);
}

slao_status slao_options_parse(int argc, char **argv, const slao_usage *usage,
                               int64_t *n_arguments) {
    enum { MOST_OPTIONS = 64 };
    bool given[MOST_OPTIONS] = {false};
    int64_t n = 0;
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (options_ended || word[0] != '-' || !word[1]) {
            argv[++n] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            print_help(usage);
        const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
        size_t length = equals ? (size_t)(equals - word) : strlen(word);
        const slao_option *option = find_option(usage->options, word, length);
        if (!option)
            return unknown_option(usage, word);
        if (option->kind == SLAO_OPTION_FLAG && equals)
            return slao_fail(SLAO_BAD_INPUT, "%s takes no value", option->name);
        const char *value = equals ? equals + 1 : NULL;
        if (option->kind != SLAO_OPTION_FLAG && !equals) {
            if (i + 1 == argc)
                return slao_fail(SLAO_BAD_INPUT, "%s needs a value: %s\nusage: %s", option->name,
                                 option->value, usage->usage);
            value = argv[++i];
        }
        SLAO_TRY(store_value(option, value));
        given[option - usage->options] = true;
    }
    for (const slao_option *option = usage->options; option->name; option++) {
        SLAO_INVARIANT(option - usage->options < MOST_OPTIONS);
        if (option->required && !given[option - usage->options])
            return slao_fail(SLAO_BAD_INPUT, "%s is missing\nusage: %s", option->name,
                             usage->usage);
    }
    if (n < usage->least_arguments)
        return slao_fail(SLAO_BAD_INPUT, "too few arguments\nusage: %s", usage->usage);
    if (n > usage->most_arguments)
        return slao_fail(SLAO_BAD_INPUT, "\"%s\" is an argument too many\nusage: %s",
                         argv[usage->most_arguments + 1], usage->usage);
    if (n_arguments)
        *n_arguments = n;
    return SLAO_OK;
}
