#include "linalg/distributed_qr.h"

#include "base/memory.h"
#include "base/mpi.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- BLACS and ScaLAPACK have no C headers: all that is used of them ---- */

int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridmap(int *context, int *map, int leading, int rows, int columns);
void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit(int context);
void Cblacs_set(int context, int what, int *value);
void Cblacs_exit(int keep_mpi);
enum { BLACS_REPEATABLE = 15, BLACS_COHERENT = 16 };

int numroc_(const int *n, const int *block, const int *place, const int *first, const int *places);
void descinit_(int *descriptor, const int *m, const int *n, const int *row_block,
               const int *column_block, const int *first_row, const int *first_column,
               const int *context, const int *leading, int *info);
void psgeqrf_(const int *m, const int *n, float *a, const int *row, const int *column,
              const int *descriptor, float *tau, float *work, const int *work_size, int *info);
void psorgqr_(const int *m, const int *n, const int *k, float *a, const int *row, const int *column,
              const int *descriptor, const float *tau, float *work, const int *work_size,
              int *info);

enum { BLOCK = 32 };

static bool blacs_is_used;

struct slao_qr_grid {
    MPI_Comm members;
    int handle, context; /* of BLACS */
    int rows, columns;
    int row, column; /* of this rank */
};

/* One dimension of a matrix, dealt out in blocks to `places` rows or columns of the grid. */
typedef struct {
    int length, places, place;
} dealt;

/* How much of it lies at `place`. */
static int count_at(const dealt *d, int place) {
    const int block = BLOCK, first = 0;
    return numroc_(&d->length, &block, &place, &first, &d->places);
}

/* Where entry `local` of what lies at `place` belongs. */
static int global_of(const dealt *d, int place, int local) {
    return (local / BLOCK * d->places + place) * BLOCK + local % BLOCK;
}

/* Where entry `global` lies at its place, or -1 if that is not this rank's. */
static int local_of(const dealt *d, int global) {
    if (global / BLOCK % d->places != d->place)
        return -1;
    return global / BLOCK / d->places * BLOCK + global % BLOCK;
}

/* A decomposition under way. a^T is n x r: `down` its rows, `across` its columns. */
typedef struct {
    const slao_qr_grid *grid;
    dealt down, across;
    int descriptor[9];
    int n_down, n_across, leading; /* of this rank's part */
    int work_size;
    float *part, *tau, *work;
    float *diagonal;       /* r: of R */
    float *gathered;       /* the parts of all ranks, one after another */
    int *counts, *offsets; /* of them */
} decomposition;

slao_status slao_qr_grid_new(slao_qr_grid **grid, MPI_Comm members, int rows, int columns) {
    int size;
    SLAO_MPI(MPI_Comm_size(members, &size));
    SLAO_INVARIANT(rows > 0 && columns > 0 && rows * columns == size);
    int *map;
    slao_status status = slao_allocate(&map, (size_t)size, sizeof *map);
    if (status == SLAO_OK)
        status = slao_allocate(grid, 1, sizeof **grid);
    int worst = (int)status;
    SLAO_MPI(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MAX, members));
    if (worst != SLAO_OK) {
        if (status == SLAO_OK) {
            free(*grid);
            slao_fail((slao_status)worst, "another rank has no memory for a grid");
        }
        free(map);
        *grid = NULL;
        return (slao_status)worst;
    }
    for (int i = 0; i < size; i++)
        map[i] = i;
    slao_qr_grid *made = *grid;
    slao_mpi_duplicate(&made->members, members);
    made->handle = made->context = Csys2blacs_handle(made->members);
    Cblacs_gridmap(&made->context, map, rows, rows, columns);
    free(map);
    blacs_is_used = true;
    Cblacs_gridinfo(made->context, &made->rows, &made->columns, &made->row, &made->column);
    SLAO_INVARIANT(made->rows == rows && made->columns == columns);
    int yes = 1;
    Cblacs_set(made->context, BLACS_REPEATABLE, &yes);
    Cblacs_set(made->context, BLACS_COHERENT, &yes);
    return SLAO_OK;
}

void slao_qr_grid_free(slao_qr_grid *grid) {
    if (!grid)
        return;
    Cblacs_gridexit(grid->context);
    Cfree_blacs_system_handle(grid->handle);
    SLAO_MPI(MPI_Comm_free(&grid->members));
    free(grid);
}

void slao_qr_grids_end(void) {
    if (blacs_is_used)
        Cblacs_exit(1); /* MPI goes on */
    blacs_is_used = false;
}

void slao_qr_grid_shape(int ranks, int64_t r, int64_t n, int *rows, int *columns) {
    enum { TALL = 4 };
    *columns = 1;
    for (int i = 2; n < TALL * r && i * i <= ranks; i++) {
        if (ranks % i == 0)
            *columns = i;
    }
    *rows = ranks / *columns;
}

/* ---- A decomposition ---- */

static slao_status allocate(decomposition *d) {
    size_t r = (size_t)d->across.length, n = (size_t)d->down.length;
    size_t ranks = (size_t)d->down.places * (size_t)d->across.places;
    SLAO_TRY(slao_allocate(&d->part, (size_t)d->leading * (size_t)d->n_across, sizeof(float)));
    SLAO_TRY(slao_allocate(&d->tau, (size_t)d->n_across, sizeof(float)));
    SLAO_TRY(slao_allocate(&d->work, (size_t)d->work_size, sizeof(float)));
    SLAO_TRY(slao_allocate(&d->diagonal, r, sizeof(float)));
    SLAO_TRY(slao_allocate(&d->gathered, r * n, sizeof(float)));
    SLAO_TRY(slao_allocate(&d->counts, ranks, sizeof(int)));
    return slao_allocate(&d->offsets, ranks, sizeof(int));
}

/* The sizes, and memory for them; the same status on all ranks. */
static slao_status prepare(decomposition *d, const slao_qr_grid *grid, int r, int n) {
    d->grid = grid;
    d->down = (dealt){.length = n, .places = grid->rows, .place = grid->row};
    d->across = (dealt){.length = r, .places = grid->columns, .place = grid->column};
    d->n_down = count_at(&d->down, grid->row);
    d->n_across = count_at(&d->across, grid->column);
    d->leading = d->n_down > 0 ? d->n_down : 1;
    /* What both routines ask for; a query would return it in a float, which rounds it. */
    d->work_size = BLOCK * (d->n_down + d->n_across + BLOCK);
    const int block = BLOCK, first = 0;
    int info;
    descinit_(d->descriptor, &n, &r, &block, &block, &first, &first, &grid->context, &d->leading,
              &info);
    slao_status status = info == 0 ? allocate(d) : slao_fail(SLAO_BROKEN, "descinit failed");
    int worst = (int)status;
    SLAO_MPI(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MAX, grid->members));
    if (status == SLAO_OK && worst != SLAO_OK)
        return slao_fail((slao_status)worst, "another rank has no memory for its part of a QR "
                                             "decomposition");
    return (slao_status)worst;
}

static void take_part(decomposition *d, const float *a) {
    for (int j = 0; j < d->n_across; j++) {
        const float *from = a + (int64_t)global_of(&d->across, d->across.place, j) * d->down.length;
        float *to = d->part + (int64_t)j * d->leading;
        for (int i = 0; i < d->n_down; i++)
            to[i] = from[global_of(&d->down, d->down.place, i)];
    }
}

/* After psgeqrf: R's diagonal, and R itself if it is asked for, to all ranks. An entry is one
 * rank's, and zero on the others. */
static void share_r(decomposition *d, float *r_factor) {
    int r = d->across.length;
    if (r_factor)
        memset(r_factor, 0, (size_t)r * (size_t)r * sizeof *r_factor);
    for (int j = 0; j < d->n_across; j++) {
        int column = global_of(&d->across, d->across.place, j);
        const float *part = d->part + (int64_t)j * d->leading;
        int at = local_of(&d->down, column);
        if (at >= 0)
            d->diagonal[column] = part[at];
        for (int i = 0; r_factor && i < d->n_down; i++) {
            int row = global_of(&d->down, d->down.place, i);
            if (row <= column)
                r_factor[(int64_t)row * r + column] = part[i];
        }
    }
    SLAO_MPI(MPI_Allreduce(MPI_IN_PLACE, d->diagonal, r, MPI_FLOAT, MPI_SUM, d->grid->members));
    if (r_factor)
        SLAO_MPI(
            MPI_Allreduce(MPI_IN_PLACE, r_factor, r * r, MPI_FLOAT, MPI_SUM, d->grid->members));
}

/* All parts to all ranks, and each into its place in `a`. */
static void gather(decomposition *d, float *a) {
    int ranks = d->grid->rows * d->grid->columns, offset = 0;
    for (int k = 0; k < ranks; k++) {
        d->counts[k] =
            count_at(&d->down, k % d->grid->rows) * count_at(&d->across, k / d->grid->rows);
        d->offsets[k] = offset;
        offset += d->counts[k];
    }
    SLAO_MPI(MPI_Allgatherv(d->part, d->n_down * d->n_across, MPI_FLOAT, d->gathered, d->counts,
                            d->offsets, MPI_FLOAT, d->grid->members));
    for (int k = 0; k < ranks; k++) {
        int row = k % d->grid->rows, column = k / d->grid->rows;
        int n_down = count_at(&d->down, row), n_across = count_at(&d->across, column);
        const float *from = d->gathered + d->offsets[k];
        for (int j = 0; j < n_across; j++, from += n_down) {
            float *to = a + (int64_t)global_of(&d->across, column, j) * d->down.length;
            for (int i = 0; i < n_down; i++)
                to[global_of(&d->down, row, i)] = from[i];
        }
    }
}

static slao_status decompose(decomposition *d, float *a, slao_qr_sign sign, float *r_factor) {
    const int one = 1, n = d->down.length, r = d->across.length;
    int info;
    take_part(d, a);
    psgeqrf_(&n, &r, d->part, &one, &one, d->descriptor, d->tau, d->work, &d->work_size, &info);
    if (info != 0)
        return slao_fail(SLAO_BROKEN, "ScaLAPACK's psgeqrf failed with %d", info);
    share_r(d, r_factor);
    psorgqr_(&n, &r, &r, d->part, &one, &one, d->descriptor, d->tau, d->work, &d->work_size, &info);
    if (info != 0)
        return slao_fail(SLAO_BROKEN, "ScaLAPACK's psorgqr failed with %d", info);
    gather(d, a);
    for (int i = 0; i < r; i++) {
        if (sign != SLAO_SIGN_POSITIVE || !(d->diagonal[i] < 0))
            continue;
        for (int j = 0; j < n; j++)
            a[(int64_t)i * n + j] = -a[(int64_t)i * n + j];
        for (int j = i; r_factor && j < r; j++)
            r_factor[(int64_t)i * r + j] = -r_factor[(int64_t)i * r + j];
    }
    return SLAO_OK;
}

slao_status slao_qr_grid_orthonormal_rows(slao_qr_grid *grid, float *a, int64_t r, int64_t n,
                                          slao_qr_sign sign, float *r_factor) {
    SLAO_INVARIANT(r > 0 && r <= n);
    if (n > INT_MAX / r)
        return slao_fail(SLAO_BAD_INPUT,
                         "a matrix of %lld x %lld is too large for ScaLAPACK, which counts in 32 "
                         "bits",
                         (long long)n, (long long)r);
    for (int64_t i = 0; i < r * n; i++) {
        if (isnan(a[i]))
            return slao_fail(SLAO_BAD_INPUT,
                             "the QR decomposition met a value that is not a number");
    }
    decomposition d = {0};
    slao_status status = prepare(&d, grid, (int)r, (int)n);
    if (status == SLAO_OK)
        status = decompose(&d, a, sign, r_factor);
    free(d.part);
    free(d.tau);
    free(d.work);
    free(d.diagonal);
    free(d.gathered);
    free(d.counts);
    free(d.offsets);
    return status;
}
