#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void slao_number_text(char text[SLAO_NUMBER_TEXT], double value) {
    if (value == 0)
        value = 0; /* -0 too */
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, SLAO_NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

bool slao_number_parse(double *value, const char *text) {
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    char *end;
    double number = strtod(text, &end);
    if (*end || !isfinite(number))
        return false;
    *value = number;
    return true;
}
