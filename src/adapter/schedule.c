#include "adapter/schedule.h"

#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a form makes of a text: not of this form, a schedule, or of this form but not allowed. */
typedef enum { OTHER_FORM, TAKEN, REFUSED } verdict;

typedef struct {
    const char *form, *help;
    verdict (*parse)(double *parameter, const char *text); /* text without white space */
    double (*value)(double parameter, double i);
    const char *refusal; /* why a text of this form is refused */
} form;

/* The rows by name, where one form is another's special case. */
enum { INVERSE_ROOT, INVERSE, POWER, CONSTANT };

static verdict parse_inverse_root(double *parameter, const char *text) {
    *parameter = 0.5;
    return strcmp(text, "1/sqrt(i)") == 0 ? TAKEN : OTHER_FORM;
}

static double inverse_root(double parameter, double i) {
    (void)parameter;
    return 1 / sqrt(i);
}

static verdict parse_inverse(double *parameter, const char *text) {
    *parameter = 1;
    return strcmp(text, "1/i") == 0 ? TAKEN : OTHER_FORM;
}

static double inverse(double parameter, double i) {
    (void)parameter;
    return 1 / i;
}

static verdict parse_power(double *parameter, const char *text) {
    static const char head[] = "i^(-";
    size_t start = sizeof head - 1, length = strlen(text);
    char number[SLAO_NUMBER_TEXT];
    if (strncmp(text, head, start) != 0 || text[length - 1] != ')' ||
        length - start - 1 >= sizeof number)
        return OTHER_FORM;
    memcpy(number, text + start, length - start - 1);
    number[length - start - 1] = '\0';
    if (!slao_number_parse(parameter, number))
        return OTHER_FORM;
    return *parameter >= 0 ? TAKEN : REFUSED;
}

static double power(double parameter, double i) {
    return pow(i, -parameter);
}

static verdict parse_constant(double *parameter, const char *text) {
    if (!slao_number_parse(parameter, text))
        return OTHER_FORM;
    return *parameter >= 0 && *parameter <= 1 ? TAKEN : REFUSED;
}

static double constant(double parameter, double i) {
    (void)i;
    return parameter;
}

static const form forms[] = {
    [INVERSE_ROOT] = {"1/sqrt(i)", "SLAO's: the weight of task i falls with the root of its number",
                      parse_inverse_root, inverse_root, NULL},
    [INVERSE] = {"1/i", "the running mean of all fine-tuned factors", parse_inverse, inverse, NULL},
    [POWER] = {"i^(-p)", "for a number p >= 0, as in i^(-0.25)", parse_power, power,
               "p must not be negative: later tasks would be taken with a lambda beyond 1"},
    [CONSTANT] = {"c", "a constant in [0, 1], as in 0.5; 1 keeps the last task alone",
                  parse_constant, constant,
                  "a constant lambda must lie in [0, 1]: outside, the merged factor would leave "
                  "the line between the old merged factor and the new fine-tuned one"},
};
enum { N_FORMS = sizeof forms / sizeof *forms };

/* Schedules that are equal get the same row and text: 1/sqrt(i) is i^(-0.5). */
static void make_canonical(slao_schedule *schedule, int row, double parameter) {
    if (row == POWER && parameter == 0.5) {
        row = INVERSE_ROOT;
    } else if (row == POWER && parameter == 1) {
        row = INVERSE;
    } else if (row == POWER && parameter == 0) {
        row = CONSTANT;
        parameter = 1;
    }
    char number[SLAO_NUMBER_TEXT];
    slao_number_text(number, parameter);
    *schedule = (slao_schedule){.parameter = parameter, .row = row};
    if (row == POWER)
        snprintf(schedule->text, sizeof schedule->text, "i^(-%s)", number);
    else
        snprintf(schedule->text, sizeof schedule->text, "%s",
                 row == CONSTANT ? number : forms[row].form);
}

slao_status slao_schedule_parse(slao_schedule *schedule, const char *text) {
    char compact[SLAO_SCHEDULE_TEXT];
    size_t length = 0;
    for (const char *c = text; *c && length < sizeof compact; c++) {
        if (!strchr(" \t\r\n", *c))
            compact[length++] = *c;
    }
    if (length < sizeof compact) {
        compact[length] = '\0';
        for (int row = 0; row < N_FORMS; row++) {
            double parameter;
            verdict answer = forms[row].parse(&parameter, compact);
            if (answer == REFUSED)
                return slao_fail(SLAO_BAD_INPUT, "\"%s\" is no schedule lambda(i): %s", text,
                                 forms[row].refusal);
            if (answer == TAKEN) {
                make_canonical(schedule, row, parameter);
                return SLAO_OK;
            }
        }
    }
    char names[128] = "";
    for (int row = 0, at = 0; row < N_FORMS; row++)
        at += snprintf(names + at, sizeof names - (size_t)at, "%s%s", row ? ", " : "",
                       forms[row].form);
    return slao_fail(SLAO_BAD_INPUT,
                     "\"%.60s\" is no schedule lambda(i); the forms are %s (p >= 0, c in [0, 1])",
                     text, names);
}

double slao_schedule_value(const slao_schedule *schedule, int64_t i) {
    SLAO_INVARIANT(i >= 1 && schedule->row >= 0 && schedule->row < N_FORMS);
    return forms[schedule->row].value(schedule->parameter, (double)i);
}

slao_status slao_schedule_help(char **text) {
    *text = NULL;
    char *lines = NULL;
    for (int row = 0; row < N_FORMS; row++) {
        char *longer;
        slao_status status = slao_format(&longer, "%s  %-10s %s\n", lines ? lines : "",
                                         forms[row].form, forms[row].help);
        free(lines);
        SLAO_TRY(status);
        lines = longer;
    }
    *text = lines;
    return SLAO_OK;
}
