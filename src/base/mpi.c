#include "base/mpi.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>

void slao_mpi_check(int code, const char *call, const char *file, int line) {
    if (code == MPI_SUCCESS)
        return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error %d", code);
    fprintf(stderr, "slao: MPI failed at %s:%d: %s: %s\n", file, line, call, text);
    MPI_Abort(MPI_COMM_WORLD, SLAO_BROKEN);
    abort(); /* MPI_Abort does not return */
}

void slao_mpi_duplicate(MPI_Comm *copy, MPI_Comm from) {
    SLAO_MPI(MPI_Comm_dup(from, copy));
    SLAO_MPI(MPI_Comm_set_errhandler(*copy, MPI_ERRORS_RETURN));
}
