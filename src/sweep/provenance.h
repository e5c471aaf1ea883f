/* What computes here: libraries, BLAS kernel, CPU. For results files and `slao --version`. */
#ifndef SLAO_SWEEP_PROVENANCE_H
#define SLAO_SWEEP_PROVENANCE_H

#include "base/status.h"

enum { SLAO_PROVENANCE_TEXT = 160 };

typedef struct {
    char mpi[SLAO_PROVENANCE_TEXT];  /* "Open MPI 4.1.4" */
    char blas[SLAO_PROVENANCE_TEXT]; /* "OpenBLAS 0.3.21, kernel Zen" : bits may differ between
                                        kernels */
    char hdf5[SLAO_PROVENANCE_TEXT];
    char cpu[SLAO_PROVENANCE_TEXT];      /* "AMD EPYC 7763, vector level avx2" */
    char bits[2 * SLAO_PROVENANCE_TEXT]; /* what the last bits of results may depend on: blas
                                            and vector level */
    int threads;                         /* that a rank computes on */
} slao_machine;

/* Needs no MPI_Init. */
slao_status slao_machine_describe(slao_machine *machine);

#endif
