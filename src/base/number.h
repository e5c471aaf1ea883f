/* Numbers as text: the one spelling that results, ids and messages use. */
#ifndef SLAO_BASE_NUMBER_H
#define SLAO_BASE_NUMBER_H

#include <stdbool.h>

enum { SLAO_NUMBER_TEXT = 32 };

/* The shortest "%.Ng" that reads back as the same double: "0.5", "0.0001", "1e-05". -0 is "0". */
void slao_number_text(char text[SLAO_NUMBER_TEXT], double value);

/* Reads a finite decimal number that takes up the whole text (no white space, hexadecimal,
 * infinity or NaN); false for anything else. */
bool slao_number_parse(double *value, const char *text);

#endif
