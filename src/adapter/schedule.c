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
    verdict (*parse)(double *parameter, const char *text); /* text without white space; NULL: the
                                                              form itself */
    double (*value)(double parameter, double i);           /* of a fixed one */
    const char *refusal;                                   /* why a text of this form is refused */
    slao_schedule_kind kind;
    bool by_site;
    void (*begin)(double norm, double gradient, double *state); /* of an adaptive one */
    double (*adapt)(double i, const slao_lambda_facts *facts, double *state);
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

/* ---- Adaptive ---- */

static void begin_nothing(double norm, double gradient, double *state) {
    (void)norm;
    (void)gradient;
    state[0] = state[1] = 0;
}

static double by_cosine(double i, const slao_lambda_facts *facts, double *state) {
    (void)state;
    double lengths = sqrt(facts->merged) * sqrt(facts->finetuned);
    double cosine = lengths > 0 ? facts->inner / lengths : 0;
    return fmin(fmax(1 - fmax(0, cosine), 0), 1) / sqrt(i);
}

/* state[0]: sum of ||X(j)|| */
static void begin_norm(double norm, double gradient, double *state) {
    (void)gradient;
    state[0] = norm;
    state[1] = 0;
}

/* ||X_m + lambda (X - X_m)||^2 = a lambda^2 + 2 b lambda + merged is to be `wanted`. */
static double by_norm(double i, const slao_lambda_facts *facts, double *state) {
    state[0] += sqrt(facts->finetuned);
    double wanted = state[0] / i * (state[0] / i);
    double a = facts->merged - 2 * facts->inner + facts->finetuned,
           b = facts->inner - facts->merged;
    if (!(a > 0))
        return 1; /* they are the same */
    double root = b * b - a * (facts->merged - wanted);
    if (root < 0)
        return fmin(fmax(-b / a, 0), 1); /* it is always longer: the shortest */
    double high = (-b + sqrt(root)) / a, low = (-b - sqrt(root)) / a;
    if (high <= 1)
        return fmax(high, 0);
    if (low >= 0 && low <= 1)
        return low;
    return low > 1 ? 1 : facts->finetuned > facts->merged; /* shorter all the way: the longer end */
}

/* state[0]: sum of g_j */
static void begin_gradient(double norm, double gradient, double *state) {
    (void)norm;
    state[0] = gradient;
    state[1] = 0;
}

static double by_gradient(double i, const slao_lambda_facts *facts, double *state) {
    state[0] += facts->gradient;
    return state[0] > 0 ? facts->gradient / state[0] : 1 / i;
}

/* state[0]: l_i, state[1]: sum of ||X(j)|| */
static void begin_opcm(double norm, double gradient, double *state) {
    (void)gradient;
    state[0] = 1;
    state[1] = norm;
}

static double by_opcm(double i, const slao_lambda_facts *facts, double *state) {
    double l = state[0];
    double sum = l * l * facts->merged + 2 * l * facts->inner + facts->finetuned;
    state[1] += sqrt(facts->finetuned);
    double mean = state[1] / i;
    state[0] = mean > 0 && sum > 0 ? sqrt(sum) / mean : sqrt(i);
    return fmin(1, 1 / state[0]);
}

#define ADAPTIVE(name, text, begin, adapt)                                                         \
    {name, text, NULL, NULL, NULL, SLAO_SCHEDULE_ADAPTIVE, false, begin, adapt}, {                 \
        name "(layer)", "the same for each module of each layer by itself", NULL, NULL, NULL,      \
            SLAO_SCHEDULE_ADAPTIVE, true, begin, adapt                                             \
    }

static const form forms[] = {
    [INVERSE_ROOT] = {"1/sqrt(i)", "SLAO's: the weight of task i falls with the root of its number",
                      parse_inverse_root, inverse_root, NULL, SLAO_SCHEDULE_FIXED, false, NULL,
                      NULL},
    [INVERSE] = {"1/i", "the running mean of all fine-tuned factors", parse_inverse, inverse, NULL,
                 SLAO_SCHEDULE_FIXED, false, NULL, NULL},
    [POWER] = {"i^(-p)", "for a number p >= 0, as in i^(-0.25)", parse_power, power,
               "p must not be negative: later tasks would be taken with a lambda beyond 1",
               SLAO_SCHEDULE_FIXED, false, NULL, NULL},
    [CONSTANT] = {"c", "a constant in [0, 1], as in 0.5; 1 keeps the last task alone",
                  parse_constant, constant,
                  "a constant lambda must lie in [0, 1]: outside, the merged factor would leave "
                  "the line between the old merged factor and the new fine-tuned one",
                  SLAO_SCHEDULE_FIXED, false, NULL, NULL},
    ADAPTIVE("cosine", "the less, the more the new factor is like the merged one", begin_nothing,
             by_cosine),
    ADAPTIVE("norm", "such that the merged factor's norm is the mean of all fine-tuned ones'",
             begin_norm, by_norm),
    ADAPTIVE("gradient", "the share of the new task in all tasks' gradient norms", begin_gradient,
             by_gradient),
    ADAPTIVE("opcm", "OPCM's: 1 over its running scale", begin_opcm, by_opcm),
    {"validation", "chosen by the loss on a split of train: not free of old data", NULL, NULL, NULL,
     SLAO_SCHEDULE_VALIDATED, false, NULL, NULL},
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
    *schedule = (slao_schedule){
        .parameter = parameter, .row = row, .kind = forms[row].kind, .by_site = forms[row].by_site};
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
            double parameter = 0;
            verdict answer = forms[row].parse ? forms[row].parse(&parameter, compact)
                             : strcmp(forms[row].form, compact) == 0 ? TAKEN
                                                                     : OTHER_FORM;
            if (answer == REFUSED)
                return slao_fail(SLAO_BAD_INPUT, "\"%s\" is no schedule lambda(i): %s", text,
                                 forms[row].refusal);
            if (answer == TAKEN) {
                make_canonical(schedule, row, parameter);
                return SLAO_OK;
            }
        }
    }
    char names[256] = "";
    for (int row = 0, at = 0; row < N_FORMS; row++)
        at += snprintf(names + at, sizeof names - (size_t)at, "%s%s", row ? ", " : "",
                       forms[row].form);
    return slao_fail(SLAO_BAD_INPUT,
                     "\"%.60s\" is no schedule lambda(i); the forms are %s (p >= 0, c in [0, 1])",
                     text, names);
}

double slao_schedule_value(const slao_schedule *schedule, int64_t i) {
    SLAO_INVARIANT(i >= 1 && schedule->kind == SLAO_SCHEDULE_FIXED);
    return forms[schedule->row].value(schedule->parameter, (double)i);
}

void slao_schedule_begin(const slao_schedule *schedule, double finetuned, double gradient,
                         double state[SLAO_LAMBDA_STATE]) {
    SLAO_INVARIANT(schedule->kind == SLAO_SCHEDULE_ADAPTIVE);
    forms[schedule->row].begin(sqrt(finetuned), gradient, state);
}

double slao_schedule_adapt(const slao_schedule *schedule, int64_t i, const slao_lambda_facts *facts,
                           double state[SLAO_LAMBDA_STATE]) {
    SLAO_INVARIANT(i >= 2 && schedule->kind == SLAO_SCHEDULE_ADAPTIVE);
    return forms[schedule->row].adapt((double)i, facts, state);
}

slao_status slao_schedule_help(char **text) {
    *text = NULL;
    char *lines = NULL;
    for (int row = 0; row < N_FORMS; row++) {
        char *longer;
        slao_status status = slao_format(&longer, "%s  %-16s %s\n", lines ? lines : "",
                                         forms[row].form, forms[row].help);
        free(lines);
        SLAO_TRY(status);
        lines = longer;
    }
    *text = lines;
    return SLAO_OK;
}
