/* Calls of MPI: each is wrapped in SLAO_MPI. A failed one has no remedy, for the other ranks are
 * waiting somewhere else: it prints what failed and aborts the job with exit code 4. */
#ifndef SLAO_BASE_MPI_H
#define SLAO_BASE_MPI_H

#include <mpi.h>

#define SLAO_MPI(call) slao_mpi_check((call), #call, __FILE__, __LINE__)
void slao_mpi_check(int code, const char *call, const char *file, int line);

/* *copy becomes a communicator of the same ranks, whose failures are returned and not fatal.
 * Collective; released with MPI_Comm_free. */
void slao_mpi_duplicate(MPI_Comm *copy, MPI_Comm from);

#endif
