/* QR decompositions spread over several ranks, by ScaLAPACK.
 *
 * The ranks of an MPI communicator (linalg/ knows it only as such: who its ranks are is not its
 * business) form a grid of BLACS; ranks count down its columns. The matrix a^T (n x r) is dealt out
 * to the grid in square blocks, row blocks in turn to the rows of the grid, column blocks in turn
 * to its columns:
 *
 *     grid 2 x 2      blocks of a^T, by rank      psgeqrf and psorgqr decompose it there; then
 *      0 | 2             0 | 2 | 0 ...            every rank gets all of Q^T.
 *      1 | 3             1 | 3 | 1 ...
 *                        0 | 2 | 0 ...
 *
 * With the signs settled (SLAO_SIGN_POSITIVE) Q equals LAPACK's up to rounding, on any grid. On the
 * same grid it is the same to the bit: BLACS is told to sum in a fixed order.
 *
 * Everything here is collective over the ranks of the grid, and spins while it waits for them.
 */
#ifndef SLAO_LINALG_DISTRIBUTED_QR_H
#define SLAO_LINALG_DISTRIBUTED_QR_H

#include "base/status.h"
#include "linalg/matrix.h"

#include <mpi.h>

typedef struct slao_qr_grid slao_qr_grid;

/* A grid of `rows` x `columns`, which must be the number of ranks of `members`. The communicator is
 * duplicated: the caller keeps its own. */
slao_status slao_qr_grid_new(slao_qr_grid **grid, MPI_Comm members, int rows, int columns);
void slao_qr_grid_free(slao_qr_grid *grid); /* NULL is allowed */

/* As slao_orthonormal_rows (linalg/matrix.h). All ranks bring the same `a`, and each gets the whole
 * result; r_factor is NULL on all of them or on none. A value that is not a number is
 * SLAO_BAD_INPUT on all; if a rank lacks memory, all get its status. */
slao_status slao_qr_grid_orthonormal_rows(slao_qr_grid *grid, float *a, int64_t r, int64_t n,
                                          slao_qr_sign sign, float *r_factor);

/* The grid for n x r that `ranks` ranks had best form: one column for tall matrices, and as near
 * to a square as the number allows for square ones. */
void slao_qr_grid_shape(int ranks, int64_t r, int64_t n, int *rows, int *columns);

/* Releases what BLACS keeps, once after the last grid and before MPI_Finalize; does nothing where
 * no grid was ever made. */
void slao_qr_grids_end(void);

#endif
