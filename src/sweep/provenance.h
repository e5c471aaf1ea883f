/* What computes here: libraries, BLAS kernel, CPU. For results files and `slao --version`. */
#ifndef SLAO_SWEEP_PROVENANCE_H
#define SLAO_SWEEP_PROVENANCE_H

#include "base/hash.h"
#include "base/json.h"

enum { SLAO_PROVENANCE_TEXT = 160 };

typedef struct {
    char mpi[SLAO_PROVENANCE_TEXT];  /* "Open MPI 4.1.4" */
    char blas[SLAO_PROVENANCE_TEXT]; /* "OpenBLAS 0.3.21, kernel Zen" : bits may differ between
                                        kernels */
    char hdf5[SLAO_PROVENANCE_TEXT];
    char cpu[SLAO_PROVENANCE_TEXT]; /* "AMD EPYC 7763, vector level avx2"; "..., bf16 by amx" */
    char bits[2 * SLAO_PROVENANCE_TEXT]; /* what the last bits of results may depend on: blas
                                            and vector level */
    int threads;                         /* that a rank computes on */
} slao_machine;

/* What a study reads beside its tasks, which have hashes of their own (data/benchmark.h). */
typedef struct {
    slao_hash model; /* weights and config */
    slao_hash tokenizer;
} slao_inputs;

/* Were files of the source changed since the commit that the program was built from? */
bool slao_built_from_changed_source(void);

/* Adds to a step's record what computed it and what of: version, commit, numeric_version, mpi,
 * blas, hdf5, cpu, machine (`bits`), threads, model and tokenizer (hashes). */
slao_status slao_provenance_record(cJSON *record, const slao_machine *machine,
                                   const slao_inputs *inputs);

/* Records of steps that were computed where the last bits may be others than here. */
typedef struct {
    const slao_machine *here;
    int64_t count;
    char other[2 * SLAO_PROVENANCE_TEXT]; /* `machine` of one of them */
} slao_other_machines;
void slao_other_machines_note(slao_other_machines *others, const cJSON *record);
void slao_other_machines_warn(const slao_other_machines *others); /* if there are any */

/* Needs no MPI_Init. */
slao_status slao_machine_describe(slao_machine *machine);

#endif
