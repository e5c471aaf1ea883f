/* Products whose operands are rounded to bf16 (to nearest, ties to even) and whose sums are fp32,
 * on the unit that some CPUs have for them: what they are made of, for linalg/matrix.c.
 *
 * Numbers of bf16 are uint16_t here. Operands are packed in squares: SLAO_BF16_SIDE rows of the
 * first operand a, or columns of the second b, by SLAO_BF16_DEPTH values of k, filled up with
 * zeros; each is two tiles of 1 KiB as AMX reads them. A tile of a: 16 rows of 32 values of k. A
 * tile of b: 16 rows, each of the pairs k, k + 1 of 16 columns. Squares that follow one another in
 * k lie one after another. Denormal numbers count as 0.
 */
#ifndef SLAO_LINALG_BF16_H
#define SLAO_LINALG_BF16_H

#include "linalg/matrix.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SLAO_BF16_SIDE = 32,
    SLAO_BF16_DEPTH = 32,
    SLAO_BF16_SQUARE = SLAO_BF16_SIDE * SLAO_BF16_DEPTH
};

typedef struct {
    const char *name;
    void (*begin)(void); /* in a thread, before it multiplies */
    void (*end)(void);   /* and after */

    /* The squares of rows of x (k values each, `stride` apart), as an a; side after side. */
    void (*pack_rows)(uint16_t *squares, const float *x, size_t stride, size_t rows, size_t k);
    /* Those of a b whose columns are rows of x. */
    void (*pack_transposed)(uint16_t *squares, const float *x, size_t stride, size_t columns,
                            size_t k);
    /* Those of columns of x (k rows, `stride` apart), as a b. */
    void (*pack_columns)(uint16_t *squares, const float *x, size_t stride, size_t columns,
                         size_t k);

    /* c (rows x columns, of a square) = the sum over `squares` products of one of a, one of b, +
     * beta c */
    void (*multiply)(float *c, size_t stride, const uint16_t *a, const uint16_t *b, size_t squares,
                     size_t rows, size_t columns, float beta);
} slao_bf16_unit;

/* The unit of this CPU ("amx"), or NULL where the CPU, the system or the build has none.
 * SLAO_BF16=none in the environment: as if there were none. */
const slao_bf16_unit *slao_bf16(void);

/* SLAO_NO_RESOURCE, with a message, where products cannot be computed so here. */
slao_status slao_precision_need(slao_precision precision);

#endif
