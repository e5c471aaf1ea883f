/* The ranks of a run: start and end of MPI, agreement among ranks, memory shared by a node.
 *
 * Everything works alike for one rank, also when the program was started without mpirun.
 *
 * A rank that waits sleeps between looks, so that it costs no core: Open MPI's own waiting spins.
 * That goes for all collective calls here.
 */
#ifndef SLAO_SWEEP_RANKS_H
#define SLAO_SWEEP_RANKS_H

#include "base/hash.h"
#include "base/mpi.h"
#include "base/status.h"

#include <stdint.h>

enum { SLAO_HOST_NAME = 256 };

typedef struct {
    void *bytes;
    size_t size;
} slao_shared_memory;

typedef struct slao_ranks {
    int rank, size;           /* of all */
    int node_rank, node_size; /* of those on this host */
    int group_size; /* ranks that run a step together: 1, until sweep/group.h forms groups */
    int member;     /* of this rank's group, 0 its first; -1: of none, for it is left over */
    int superior;   /* who tells this rank what to do: rank 0, or the first of its group */
    bool recovery;  /* mpirun --enable-recovery: the death of a rank does not end the job */
    bool some_lost; /* ranks are gone: nothing collective is done any more, see below */
    char host[SLAO_HOST_NAME];
    char (*hosts)[SLAO_HOST_NAME]; /* rank 0: of all ranks */
    MPI_Comm all;                  /* for the collective calls below */
    MPI_Comm protocol;             /* for sweep/protocol.h alone */
    MPI_Comm node;
    struct slao_life *life;     /* sweep/life.h */
    slao_shared_memory *shared; /* of slao_ranks_share */
    size_t n_shared, shared_capacity;
} slao_ranks;

/* Starts MPI. SLAO_BAD_INPUT if this MPI cannot serve several threads of a rank, and if srun
 * started several programs that know nothing of each other. */
slao_status slao_ranks_start(slao_ranks *ranks);

/* Releases shared memory and ends MPI. Every rank must come here, or the job hangs or aborts. */
void slao_ranks_finish(slao_ranks *ranks);

/* Ends this process, and the mpirun that started it, at once: for when ranks that are needed are
 * lost. */
_Noreturn void slao_ranks_give_up(slao_status status);

/* Collective: brings in each rank's status and returns the same on all: SLAO_OK if it is that on
 * all, otherwise that of the first rank that failed. Its message is then rank 0's slao_message()
 * ("rank 3 on node7: " before it, if it was not rank 0), and empty on the other ranks, so that a
 * message that every rank prints comes once. Forward it without context. */
slao_status slao_ranks_agree(const slao_ranks *ranks, slao_status status);

/* The same among the ranks of another communicator, all of which get the message. */
slao_status slao_ranks_agree_among(const slao_ranks *ranks, MPI_Comm members, slao_status status);

/* Collective: rank 0's text (any bytes up to a NUL) for all. Rank 0 passes its own, which it keeps;
 * the others get *text, which they free. */
slao_status slao_ranks_broadcast_text(const slao_ranks *ranks, char **text);

/* Collective: SLAO_BAD_INPUT on all unless all ranks have the same hash of `what` ("the plan"). */
slao_status slao_ranks_check_same(const slao_ranks *ranks, slao_hash hash, const char *what);

/* Collective: waits, asleep, until all ranks are here. */
void slao_ranks_barrier(const slao_ranks *ranks);

/* Collective: memory of `bytes` bytes (the same on all ranks of a node), zeroed, one copy per node.
 * *is_first tells the rank that is to fill it; the others read it after a barrier. It lives until
 * slao_ranks_finish. SLAO_NO_RESOURCE if a node cannot give it.
 *
 * It is a file in /dev/shm, or where that is too small (containers) in TMPDIR or /tmp, that all
 * ranks of the node map and that has no name any more when the call returns. Its pages are reserved
 * here, so that a lack of memory is an error now and not a SIGBUS later. (MPI_Win_allocate_shared
 * is not used: when Open MPI's /dev/shm is too small, its first rank gets an error and the others
 * hang.) */
slao_status slao_ranks_share(slao_ranks *ranks, size_t bytes, void **pointer, bool *is_first);

/* Waits, asleep, for the end of `request`. */
void slao_ranks_wait(MPI_Request *request);

/* Sleep between two looks at something: short at first and up to a millisecond, so that what
 * follows at once is seen at once, and long waits cost about a percent of a core. */
typedef struct {
    long nanoseconds; /* 0 to begin anew */
} slao_nap;
void slao_take_nap(slao_nap *nap);

#endif
