/* What users get wrong about where a sweep runs, noticed before it runs.
 *
 * The first rank of each node looks around for all ranks of it; rank 0 goes through a table of
 * checks. All of them warn: the results will be right, but late, or the run will be killed, or
 * something else will not work. (What would make results wrong is refused where it is found:
 * sweep/launch.h, and slao_ranks_start.)
 */
#ifndef SLAO_SWEEP_ENVIRONMENT_H
#define SLAO_SWEEP_ENVIRONMENT_H

#include "sweep/footprint.h"
#include "sweep/ranks.h"

/* A node, as its ranks see it. */
typedef struct {
    char host[SLAO_HOST_NAME];
    int ranks;
    int cores;           /* that one or several of its ranks may run on, and its cgroup pays for */
    int cores_of_host;   /* that are online */
    int cores_per_rank;  /* that Slurm has set aside (--cpus-per-task); 0: not told */
    double memory_limit; /* bytes that all of them may take; 0: no limit */
    char limited_by[32]; /* "its memory", "its cgroup", or a variable of Slurm's */
    int blas_threads;    /* that BLAS computes on in each rank */
} slao_node;

/* What the run is about. */
typedef struct {
    int threads; /* that each rank computes on */
    slao_footprint memory;
    const char *store; /* its folder, which need not exist yet */
} slao_run_needs;

/* Collective: looks and judges; rank 0 prints the warnings, each once. */
slao_status slao_environment_check(slao_ranks *ranks, const slao_run_needs *needs);

/* Bytes of memory that all of slao may take on this host, as what tells the least of them has it:
 * *by, unless NULL, becomes "its memory", "its cgroup", or the name of a variable of Slurm's. */
double slao_memory_limit(const char **by);

/* ---- The parts of it, for tests ---- */

/* Where the store is to be. */
typedef struct {
    char folder[1024];       /* it, or the nearest one above it that exists */
    int lock_error;          /* errno of flock() there; 0: it works */
    const char *file_system; /* "Lustre"; NULL: none that is known for this */
} slao_store_place;

typedef struct {
    const char *name;
    /* Writes what is wrong, where and what to do; false: nothing is. */
    bool (*finds)(const slao_node *node, const slao_run_needs *needs, const slao_store_place *place,
                  char *text, size_t size);
} slao_environment_row;
extern const slao_environment_row slao_environment_rows[]; /* ends in a row without a name */

/* Memory that the cgroup of this process, or one above it, may take, in bytes, and cores' worth of
 * time; 0: no limit. Version 1 and 2 of cgroups. `root` comes before the paths of files in /proc
 * and /sys: "" but for tests. */
double slao_cgroup_memory(const char *root);
double slao_cgroup_cores(const char *root);

#endif
