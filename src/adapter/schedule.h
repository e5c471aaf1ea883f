/* Merge schedules lambda(i): how much of task i's fine-tuned factor enters the merged one.
 *
 * A schedule is one row of a table (form, help, parser, value).
 *
 * Fixed, by i alone: "1/sqrt(i)" (SLAO, arXiv 2512.23017; after Tang et al. 2025), "1/i", "i^(-p)"
 * for a number p >= 0, and a constant in [0, 1].
 *
 * Adaptive, by what is merged: the merged factor X_m(i-1) so far and the fine-tuned one X(i), X
 * being the factor that is merged (B in SLAO, or A, or both). They change nothing about training.
 *
 *   cosine     1/sqrt(i) (1 - max(0, cos(X(i), X_m(i-1)))): the less, the more alike they are
 *   norm       the lambda in [0, 1] for which ||X_m(i)|| is the mean of ||X(j)||, j <= i: the
 *              larger one of two; if there is none, that which comes nearest
 *   gradient   g_i / sum_{j <= i} g_j, g_j the mean norm of the loss' gradient with respect to X
 *              while task j was trained
 *   opcm       1 / l_i, at most 1, with OPCM's l_i = ||l_{i-1} X_m(i-1) + X(i)|| / mean_{j <= i}
 *              ||X(j)||, l_1 = 1 (Tang et al. 2025): 1/sqrt(i) if all X(j) are orthogonal and of
 *              one norm
 *
 * each for all adapted modules together, or "cosine(layer)" and so on for each module of each layer
 * by itself. Where a norm or all gradients are zero, cosine and opcm are 1/sqrt(i), gradient is
 * 1/i.
 *
 * "validation" is chosen out of 0.1, 0.2, ... 1 by the loss on a split of train
 * (sweep/workbench.c): not free of old data.
 */
#ifndef SLAO_ADAPTER_SCHEDULE_H
#define SLAO_ADAPTER_SCHEDULE_H

#include "base/status.h"

#include <stdint.h>

enum { SLAO_SCHEDULE_TEXT = 48 };

typedef enum {
    SLAO_SCHEDULE_FIXED,
    SLAO_SCHEDULE_ADAPTIVE,
    SLAO_SCHEDULE_VALIDATED
} slao_schedule_kind;

typedef struct {
    char text[SLAO_SCHEDULE_TEXT]; /* canonical: what results files show; equal texts mean equal
                                      schedules */
    double parameter;              /* p, or the constant */
    int row;                       /* of the table */
    slao_schedule_kind kind;
    bool by_site; /* adaptive: a lambda for each module of each layer */
} slao_schedule;

/* Parses `text` ("0.50" becomes "0.5", "i^(-0.5)" becomes "1/sqrt(i)", "i^(-1)" becomes "1/i").
 * White space is ignored. Anything else is SLAO_BAD_INPUT, listing the forms. */
slao_status slao_schedule_parse(slao_schedule *schedule, const char *text);

/* lambda(i) of a fixed schedule for the i-th task, i >= 1. */
double slao_schedule_value(const slao_schedule *schedule, int64_t i);

/* What an adaptive schedule looks at when task i >= 2 is merged, over the values of one module of
 * one layer, or of all: ||X_m(i-1)||^2, ||X(i)||^2, their inner product, and g_i. */
typedef struct {
    double merged, finetuned, inner, gradient;
} slao_lambda_facts;

/* What it carries along from task to task. */
enum { SLAO_LAMBDA_STATE = 2 };

/* The state after task 1, whose ||X(1)||^2 and g_1 are given. */
void slao_schedule_begin(const slao_schedule *schedule, double finetuned, double gradient,
                         double state[SLAO_LAMBDA_STATE]);
/* lambda(i) of an adaptive schedule; the state becomes that after task i. */
double slao_schedule_adapt(const slao_schedule *schedule, int64_t i, const slao_lambda_facts *facts,
                           double state[SLAO_LAMBDA_STATE]);

/* A line of help per form, for help texts and messages; the caller frees *text. */
slao_status slao_schedule_help(char **text);

#endif
