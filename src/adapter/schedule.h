/* Merge schedules lambda(i): how much of task i's fine-tuned factor enters the merged one.
 *
 * A schedule is one row of a table (form, help, parser, value). The forms: "1/sqrt(i)" (SLAO, arXiv
 * 2512.23017; after Tang et al. 2025), "1/i", "i^(-p)" for a number p >= 0, and a constant in [0,
 * 1].
 */
#ifndef SLAO_ADAPTER_SCHEDULE_H
#define SLAO_ADAPTER_SCHEDULE_H

#include "base/status.h"

#include <stdint.h>

enum { SLAO_SCHEDULE_TEXT = 48 };

typedef struct {
    char text[SLAO_SCHEDULE_TEXT]; /* canonical: what results files show; equal texts mean equal
                                      schedules */
    double parameter;              /* p, or the constant */
    int row;                       /* of the table */
} slao_schedule;

/* Parses `text` ("0.50" becomes "0.5", "i^(-0.5)" becomes "1/sqrt(i)", "i^(-1)" becomes "1/i").
 * White space is ignored. Anything else is SLAO_BAD_INPUT, listing the forms. */
slao_status slao_schedule_parse(slao_schedule *schedule, const char *text);

/* lambda(i) for the i-th task, i >= 1. */
double slao_schedule_value(const slao_schedule *schedule, int64_t i);

/* A line of help per form, for help texts and messages; the caller frees *text. */
slao_status slao_schedule_help(char **text);

#endif
