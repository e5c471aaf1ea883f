#include "continual/gradient_memory.h"

#include "base/memory.h"
#include "linalg/decomposition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* x (rows x width) <- x P; `inner` and `within` have room for rows x width, d rows at most. */
static void project(const slao_gradient_memory *memory, double *x, int64_t rows, double *inner,
                    double *within) {
    int64_t d = memory->width;
    slao_multiply_transposed_f64(inner, x, memory->basis, rows, memory->rows, d);
    slao_multiply_f64(within, inner, memory->basis, rows, d, memory->rows);
    for (int64_t k = 0; k < rows * d; k++)
        x[k] = memory->complement ? within[k] : x[k] - within[k];
}

/* P H and what is made of it: the left singular vectors as rows, and the squares of the singular
 * values, descending. */
typedef struct {
    double *vectors, *squares;
    double *h, *inner, *within; /* scratch */
} spectrum;

static void spectrum_free(spectrum *s) {
    free(s->vectors);
    free(s->squares);
    free(s->h);
    free(s->inner);
    free(s->within);
}

static slao_status decompose(spectrum *s, const slao_gradient_memory *memory, const double *h) {
    int64_t d = memory->width;
    size_t n = (size_t)(d * d);
    SLAO_TRY(slao_allocate(&s->vectors, n, sizeof *s->vectors));
    SLAO_TRY(slao_allocate(&s->squares, (size_t)d, sizeof *s->squares));
    SLAO_TRY(slao_allocate(&s->h, n, sizeof *s->h));
    SLAO_TRY(slao_allocate(&s->inner, n, sizeof *s->inner));
    SLAO_TRY(slao_allocate(&s->within, n, sizeof *s->within));
    memcpy(s->h, h, n * sizeof *h);
    project(memory, s->h, d, s->inner, s->within); /* H P: H is symmetric, so this is (P H)^T */
    slao_transposed_multiply_f64(s->vectors, s->h, s->h, d, d, d);
    return slao_symmetric_eigen(s->vectors, d, s->squares);
}

/* How many vectors there are outside M. */
static int64_t free_dimensions(const slao_gradient_memory *memory) {
    return memory->complement ? memory->rows : memory->width - memory->rows;
}

slao_status slao_gradient_memory_subspace(const slao_gradient_memory *memory, const double *h,
                                          int64_t rank, float *a) {
    SLAO_INVARIANT(rank <= memory->width);
    int64_t d = memory->width, most = free_dimensions(memory);
    spectrum s = {0};
    slao_status status = decompose(&s, memory, h);
    for (int64_t k = 0; k < rank && status == SLAO_OK; k++) {
        double *v = s.vectors + k * d, squares = 0;
        /* Once more, so that rounding leaves nothing of M; a vector that is then gone was of P H's
         * null space. */
        project(memory, v, 1, s.inner, s.within);
        for (int64_t j = 0; j < d; j++)
            squares += v[j] * v[j];
        bool there = k < most && squares > 0.25;
        for (int64_t j = 0; j < d; j++)
            a[k * d + j] = there ? (float)(v[j] / sqrt(3 * squares)) : 0;
    }
    spectrum_free(&s);
    return status;
}

/* The basis becomes the `rows` eigenvectors of `projector` (width x width, overwritten) with the
 * largest eigenvalues. */
static slao_status set_basis(slao_gradient_memory *memory, double *projector, int64_t rows) {
    int64_t d = memory->width;
    double *values, *basis;
    SLAO_TRY(slao_allocate(&values, (size_t)d, sizeof *values));
    slao_status status = slao_symmetric_eigen(projector, d, values);
    free(values);
    SLAO_TRY(status);
    SLAO_TRY(slao_allocate(&basis, (size_t)(rows * d), sizeof *basis));
    memcpy(basis, projector, (size_t)(rows * d) * sizeof *basis);
    free(memory->basis);
    memory->basis = basis;
    memory->rows = rows;
    return SLAO_OK;
}

/* The basis of M grows by the first `count` rows of `vectors`, which are made orthogonal to it once
 * more: rounding leaves something of M in those with small singular values. `inner` and `within`
 * are scratch for a row. */
static slao_status append(slao_gradient_memory *memory, double *vectors, int64_t count,
                          double *inner, double *within) {
    int64_t d = memory->width;
    double *basis;
    SLAO_TRY(slao_allocate(&basis, (size_t)((memory->rows + count) * d), sizeof *basis));
    if (memory->rows)
        memcpy(basis, memory->basis, (size_t)(memory->rows * d) * sizeof *basis);
    free(memory->basis);
    memory->basis = basis;
    for (int64_t k = 0; k < count; k++) {
        double *v = vectors + k * d, squares = 0;
        project(memory, v, 1, inner, within);
        for (int64_t j = 0; j < d; j++)
            squares += v[j] * v[j];
        for (int64_t j = 0; j < d; j++)
            basis[memory->rows * d + j] = v[j] / sqrt(squares);
        memory->rows += squares > 0.25; /* otherwise it was of P H's null space */
    }
    return SLAO_OK;
}

/* The complement loses the first `count` rows of `vectors`; `projector` is scratch. */
static slao_status take_away(slao_gradient_memory *memory, const double *vectors, int64_t count,
                             double *projector, double *within) {
    int64_t d = memory->width;
    slao_transposed_multiply_f64(projector, memory->basis, memory->basis, d, d, memory->rows);
    slao_transposed_multiply_f64(within, vectors, vectors, d, d, count);
    for (int64_t k = 0; k < d * d; k++)
        projector[k] -= within[k];
    return set_basis(memory, projector, memory->rows - count);
}

/* From a basis of M to one of its complement. */
static slao_status turn_around(slao_gradient_memory *memory, double *projector) {
    int64_t d = memory->width;
    slao_transposed_multiply_f64(projector, memory->basis, memory->basis, d, d, memory->rows);
    for (int64_t k = 0; k < d * d; k++)
        projector[k] = (k % (d + 1) == 0) - projector[k];
    memory->complement = true;
    return set_basis(memory, projector, d - memory->rows);
}

/* How many vectors to add. */
static int64_t count_to_add(const spectrum *s, int64_t most, int64_t width, const double *h,
                            double e) {
    double total = 0, left = 0;
    for (int64_t k = 0; k < width * width; k++)
        total += h[k] * h[k];
    for (int64_t k = 0; k < most; k++)
        left += s->squares[k] > 0 ? s->squares[k] : 0;
    int64_t count = 0;
    while (count < most && 1 - left / total < e) {
        left -= s->squares[count] > 0 ? s->squares[count] : 0;
        count++;
    }
    return count;
}

slao_status slao_gradient_memory_add(slao_gradient_memory *memory, const double *h, double e) {
    spectrum s = {0};
    slao_status status = decompose(&s, memory, h);
    if (status == SLAO_OK) {
        int64_t count = count_to_add(&s, free_dimensions(memory), memory->width, h, e);
        if (memory->complement && count)
            status = take_away(memory, s.vectors, count, s.h, s.within);
        else if (count)
            status = append(memory, s.vectors, count, s.inner, s.within);
    }
    if (status == SLAO_OK && !memory->complement && 2 * memory->rows > memory->width)
        status = turn_around(memory, s.h);
    spectrum_free(&s);
    return status;
}

void slao_gradient_memory_free(slao_gradient_memory *memory) {
    free(memory->basis);
    memory->basis = NULL;
    memory->rows = 0;
    memory->complement = false;
}
