#include "sweep/deadline.h"

#include "base/log.h"
#include "base/number.h"

#include <stdlib.h>
#include <time.h>

/* The number in a variable of the environment; *there tells whether it is set. */
static slao_status read_variable(const char *name, bool *there, double *value) {
    const char *text = getenv(name);
    *there = text && *text;
    if (*there && !slao_number_parse(value, text))
        return slao_fail(SLAO_BAD_INPUT, "%s is \"%s\" in the environment, not a number of seconds",
                         name, text);
    return SLAO_OK;
}

static void take_earlier(double *left, double seconds) {
    if (*left < 0 || seconds < *left)
        *left = seconds > 0 ? seconds : 0;
}

slao_status slao_deadline(double *deadline, double minutes) {
    static const double MOST_KEPT_BACK = 60, KEPT_BACK = 0.1;
    double left = -1, value = 0; /* -1: no limit */
    bool there;
    if (minutes > 0)
        take_earlier(&left, 60 * minutes);
    SLAO_TRY(read_variable("SLURM_JOB_END_TIME", &there, &value));
    if (there)
        take_earlier(&left, value - (double)time(NULL));
    SLAO_TRY(read_variable("PBS_WALLTIME", &there, &value));
    if (there)
        take_earlier(&left, value);
    double back = KEPT_BACK * left < MOST_KEPT_BACK ? KEPT_BACK * left : MOST_KEPT_BACK;
    *deadline = left < 0 ? 0 : slao_seconds() + left - back;
    return SLAO_OK;
}
