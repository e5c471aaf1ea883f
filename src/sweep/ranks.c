#include "sweep/ranks.h"

#include "base/memory.h"
#include "linalg/distributed_qr.h"
#include "sweep/launch.h"
#include "sweep/life.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_FOR_RESULTS = 60 };

void slao_take_nap(slao_nap *nap) {
    enum { SHORTEST = 20 * 1000, LONGEST = 1000 * 1000 };
    nap->nanoseconds = nap->nanoseconds ? 2 * nap->nanoseconds : SHORTEST;
    if (nap->nanoseconds > LONGEST)
        nap->nanoseconds = LONGEST;
    struct timespec time = {0, nap->nanoseconds};
    nanosleep(&time, NULL); /* a signal may shorten it */
}

void slao_ranks_wait(MPI_Request *request) {
    slao_nap nap = {0};
    for (int done = 0;;) {
        SLAO_MPI(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        if (done)
            return;
        slao_take_nap(&nap);
    }
}

static slao_status gather_hosts(slao_ranks *ranks) {
    slao_status status = SLAO_OK;
    if (ranks->rank == 0)
        status = slao_allocate(&ranks->hosts, (size_t)ranks->size, sizeof *ranks->hosts);
    SLAO_TRY(slao_ranks_agree(ranks, status));
    MPI_Request request;
    SLAO_MPI(MPI_Igather(ranks->host, SLAO_HOST_NAME, MPI_CHAR, ranks->hosts, SLAO_HOST_NAME,
                         MPI_CHAR, 0, ranks->all, &request));
    slao_ranks_wait(&request);
    return SLAO_OK;
}

slao_status slao_ranks_start(slao_ranks *ranks) {
    *ranks = (slao_ranks){0};
    SLAO_TRY(slao_launch_check_step());
    int level;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS)
        return slao_fail(SLAO_BROKEN, "MPI does not start: is the mpirun that started slao the one "
                                      "of the library that slao was built with?");
    SLAO_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    slao_mpi_duplicate(&ranks->all, MPI_COMM_WORLD);
    slao_mpi_duplicate(&ranks->protocol, MPI_COMM_WORLD);
    ranks->group_size = 1;
    SLAO_MPI(MPI_Comm_rank(ranks->all, &ranks->rank));
    SLAO_MPI(MPI_Comm_size(ranks->all, &ranks->size));
    SLAO_MPI(MPI_Comm_split_type(ranks->all, MPI_COMM_TYPE_SHARED, ranks->rank, MPI_INFO_NULL,
                                 &ranks->node));
    SLAO_MPI(MPI_Comm_set_errhandler(ranks->node, MPI_ERRORS_RETURN));
    SLAO_MPI(MPI_Comm_rank(ranks->node, &ranks->node_rank));
    SLAO_MPI(MPI_Comm_size(ranks->node, &ranks->node_size));
    const char *recovery = getenv("OMPI_MCA_orte_enable_recovery");
    ranks->recovery = recovery && strcmp(recovery, "1") == 0;
    slao_status status = SLAO_OK;
    if (gethostname(ranks->host, sizeof ranks->host - 1) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot tell this host's name");
    else if (level < MPI_THREAD_MULTIPLE)
        status = slao_fail(SLAO_BAD_INPUT, "this MPI was built without MPI_THREAD_MULTIPLE, which "
                                           "slao needs: use one that has it");
    else
        status = slao_launch_check(ranks->size);
    if (status == SLAO_OK)
        status = slao_life_start(&ranks->life, ranks);
    status = slao_ranks_agree(ranks, status);
    if (status == SLAO_OK)
        status = gather_hosts(ranks);
    if (status != SLAO_OK)
        slao_ranks_finish(ranks);
    return status;
}

/* Without --enable-recovery mpirun means to end the job when a host is lost, but waits for that
 * host for minutes. */
static void end_mpirun(void) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)getppid());
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (!fgets(name, sizeof name, file))
        name[0] = '\0';
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
    static const char *const names[] = {"mpirun", "mpiexec", "orterun"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            kill(getppid(), SIGKILL);
    }
}

/* MPI_Finalize, and what MPI does as a process exits, would wait for ranks that are lost. */
static void leave_without_mpi(int code, void *ends_mpirun) {
    fflush(NULL);
    if (ends_mpirun)
        end_mpirun();
    _exit(code);
}

void slao_ranks_give_up(slao_status status) {
    fflush(NULL);
    end_mpirun();
    _exit((int)status);
}

void slao_ranks_finish(slao_ranks *ranks) {
    if (ranks->some_lost) {
        slao_life_stop(ranks->life);
        bool first = ranks->rank == 0;
        if (!first && !ranks->recovery) /* mpirun would end rank 0, which writes the results */
            sleep(SECONDS_FOR_RESULTS);
        void *ends_mpirun = first && !ranks->recovery ? ranks : NULL;
        SLAO_INVARIANT(on_exit(leave_without_mpi, ends_mpirun) == 0);
        free(ranks->shared);
        free(ranks->hosts);
        *ranks = (slao_ranks){0};
        return;
    }
    slao_ranks_barrier(ranks); /* asleep: what follows spins until all are here */
    slao_life_stop(ranks->life);
    for (size_t i = 0; i < ranks->n_shared; i++)
        munmap(ranks->shared[i].bytes, ranks->shared[i].size);
    free(ranks->shared);
    free(ranks->hosts);
    slao_qr_grids_end();
    SLAO_MPI(MPI_Comm_free(&ranks->node));
    SLAO_MPI(MPI_Comm_free(&ranks->protocol));
    SLAO_MPI(MPI_Comm_free(&ranks->all));
    SLAO_MPI(MPI_Finalize());
    *ranks = (slao_ranks){0};
}

void slao_ranks_barrier(const slao_ranks *ranks) {
    if (ranks->some_lost)
        return;
    MPI_Request request;
    SLAO_MPI(MPI_Ibarrier(ranks->all, &request));
    slao_ranks_wait(&request);
}

static void broadcast_in(MPI_Comm members, void *bytes, int count, int root) {
    MPI_Request request;
    SLAO_MPI(MPI_Ibcast(bytes, count, MPI_BYTE, root, members, &request));
    slao_ranks_wait(&request);
}

static void broadcast(const slao_ranks *ranks, void *bytes, int count, int root) {
    broadcast_in(ranks->all, bytes, count, root);
}

/* Member `first` failed: gives its status and message to all. */
static slao_status tell_failure(const slao_ranks *ranks, MPI_Comm members, int first, bool mine,
                                slao_status status) {
    struct {
        int status, rank;
        char host[SLAO_HOST_NAME], message[SLAO_MESSAGE_SIZE];
    } told = {.status = (int)status, .rank = ranks->rank};
    if (mine) {
        memcpy(told.host, ranks->host, sizeof told.host);
        snprintf(told.message, sizeof told.message, "%s", slao_message());
    }
    broadcast_in(members, &told, (int)sizeof told, first);
    status = (slao_status)told.status;
    if (mine)
        return slao_fail(status, "%s", told.message);
    return slao_fail(status, "rank %d on %s: %s", told.rank, told.host, told.message);
}

slao_status slao_ranks_agree_among(const slao_ranks *ranks, MPI_Comm members, slao_status status) {
    int member, size, first;
    SLAO_MPI(MPI_Comm_rank(members, &member));
    SLAO_MPI(MPI_Comm_size(members, &size));
    int mine = status == SLAO_OK ? size : member;
    MPI_Request request;
    SLAO_MPI(MPI_Iallreduce(&mine, &first, 1, MPI_INT, MPI_MIN, members, &request));
    slao_ranks_wait(&request);
    if (first == size)
        return SLAO_OK;
    return tell_failure(ranks, members, first, first == member, status);
}

slao_status slao_ranks_agree(const slao_ranks *ranks, slao_status status) {
    if (ranks->some_lost)
        return status;
    status = slao_ranks_agree_among(ranks, ranks->all, status);
    return status == SLAO_OK || ranks->rank == 0 ? status : slao_fail(status, "%s", "");
}

slao_status slao_ranks_broadcast_text(const slao_ranks *ranks, char **text) {
    int64_t size = ranks->rank == 0 ? (int64_t)strlen(*text) + 1 : 0;
    broadcast(ranks, &size, (int)sizeof size, 0);
    slao_status status = SLAO_OK;
    if (size > INT32_MAX)
        status = slao_fail(SLAO_BAD_INPUT, "a text of %lld bytes is too long to send to all ranks",
                           (long long)size);
    else if (ranks->rank != 0)
        status = slao_allocate(text, (size_t)size, 1);
    SLAO_TRY(slao_ranks_agree(ranks, status));
    broadcast(ranks, *text, (int)size, 0);
    return SLAO_OK;
}

slao_status slao_ranks_check_same(const slao_ranks *ranks, slao_hash hash, const char *what) {
    slao_hash first = hash;
    broadcast(ranks, &first, (int)sizeof first, 0);
    slao_status status = SLAO_OK;
    if (!slao_hash_equal(first, hash))
        status = slao_fail(SLAO_BAD_INPUT,
                           "%s differs from rank 0's: do all hosts see the same files and run the "
                           "same slao?",
                           what);
    return slao_ranks_agree(ranks, status);
}

/* Makes a file of `size` reserved bytes in `folder`. */
static slao_status make_shared_file(const char *folder, size_t size, char **path, int *fd) {
    SLAO_TRY(slao_format(path, "%s/slao-shared-XXXXXX", folder));
    *fd = mkstemp(*path);
    int error = *fd < 0 ? errno : posix_fallocate(*fd, 0, (off_t)size);
    if (error == 0)
        return SLAO_OK;
    if (*fd >= 0) {
        unlink(*path);
        close(*fd);
    }
    free(*path);
    *path = NULL;
    *fd = -1;
    errno = error;
    return slao_fail_errno(SLAO_NO_RESOURCE, "%s", folder);
}

static slao_status make_shared_file_somewhere(const slao_ranks *ranks, size_t size, char **path,
                                              int *fd) {
    if (make_shared_file("/dev/shm", size, path, fd) == SLAO_OK)
        return SLAO_OK;
    const char *temporary = getenv("TMPDIR");
    if (!temporary || !*temporary)
        temporary = "/tmp";
    slao_status status = make_shared_file(temporary, size, path, fd);
    if (status == SLAO_OK)
        return SLAO_OK;
    return slao_fail_context(status,
                             "%zu bytes of memory for the %d ranks of this host to share have no "
                             "room in /dev/shm (see df /dev/shm), nor elsewhere (TMPDIR may name a "
                             "folder that has room)",
                             size, ranks->node_size);
}

static slao_status map_shared_file(slao_ranks *ranks, int fd, size_t size, void **pointer) {
    SLAO_TRY(slao_grow(&ranks->shared, &ranks->shared_capacity, ranks->n_shared + 1,
                       sizeof *ranks->shared));
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return slao_fail_errno(SLAO_NO_RESOURCE, "cannot map %zu bytes of shared memory", size);
    ranks->shared[ranks->n_shared++] = (slao_shared_memory){bytes, size};
    *pointer = bytes;
    return SLAO_OK;
}

/* Opens the file that the node's first rank made, by the path that it tells. */
static slao_status open_shared_file(const slao_ranks *ranks, char *path, int *fd) {
    char told[PATH_MAX] = "";
    if (ranks->node_rank == 0)
        snprintf(told, sizeof told, "%s", path);
    MPI_Request request;
    SLAO_MPI(MPI_Ibcast(told, (int)sizeof told, MPI_CHAR, 0, ranks->node, &request));
    slao_ranks_wait(&request);
    if (ranks->node_rank == 0)
        return SLAO_OK;
    *fd = open(told, O_RDWR | O_CLOEXEC);
    return *fd >= 0 ? SLAO_OK
                    : slao_fail_errno(SLAO_BROKEN, "cannot open the shared memory %s", told);
}

slao_status slao_ranks_share(slao_ranks *ranks, size_t bytes, void **pointer, bool *is_first) {
    *pointer = NULL;
    *is_first = ranks->node_rank == 0;
    char *path = NULL;
    int fd = -1;
    size_t size = bytes ? bytes : 1; /* a mapping must not be empty */
    slao_status status = SLAO_OK;
    if (*is_first)
        status = make_shared_file_somewhere(ranks, size, &path, &fd);
    status = slao_ranks_agree(ranks, status);
    if (status == SLAO_OK) {
        status = open_shared_file(ranks, path, &fd);
        if (status == SLAO_OK)
            status = map_shared_file(ranks, fd, size, pointer);
        status = slao_ranks_agree(ranks, status); /* and all have opened it */
    }
    if (path)
        unlink(path);
    free(path);
    if (fd >= 0)
        close(fd);
    return status;
}
