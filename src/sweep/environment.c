#include "sweep/environment.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <cblas.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- cgroups ---- */

/* The numbers of a file that holds one or two; how many there are: 0 for "max", or no such file. */
static int read_numbers(double numbers[2], const char *folder, const char *file) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "r");
    if (!stream)
        return 0;
    int n = fscanf(stream, "%lf %lf", &numbers[0], &numbers[1]);
    fclose(stream);
    return n < 0 ? 0 : n;
}

/* What a controller allows in one folder; 0: no limit. */
static double memory_version_2(const char *folder) {
    double bytes[2];
    return read_numbers(bytes, folder, "memory.max") ? bytes[0] : 0;
}
static double memory_version_1(const char *folder) {
    double bytes[2]; /* no limit is told as the largest number of whole pages */
    return read_numbers(bytes, folder, "memory.limit_in_bytes") && bytes[0] < 0x1p62 ? bytes[0] : 0;
}
static double cores_version_2(const char *folder) {
    double quota[2];
    return read_numbers(quota, folder, "cpu.max") == 2 ? quota[0] / quota[1] : 0;
}
static double cores_version_1(const char *folder) {
    double quota[2], period[2];
    bool limited = read_numbers(quota, folder, "cpu.cfs_quota_us") && quota[0] > 0 &&
                   read_numbers(period, folder, "cpu.cfs_period_us") && period[0] > 0;
    return limited ? quota[0] / period[0] : 0;
}

/* The path of this process's cgroup; `controller` is empty for version 2. Lines of the file are
 * "NUMBER:CONTROLLER,CONTROLLER:PATH". */
static bool find_cgroup(char path[PATH_MAX], const char *root, const char *controller) {
    char line[PATH_MAX], name[PATH_MAX];
    snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    FILE *stream = fopen(name, "r");
    bool found = false;
    while (stream && !found && fgets(line, sizeof line, stream)) {
        char *list = strchr(line, ':'), *end = list ? strchr(list + 1, ':') : NULL;
        if (!end)
            continue;
        *end = '\0';
        end[1 + strcspn(end + 1, "\n")] = '\0';
        char *rest = NULL, *word = strtok_r(list + 1, ",", &rest);
        found = !word && !*controller;
        for (; word && !found; word = strtok_r(NULL, ",", &rest))
            found = *controller && strcmp(word, controller) == 0;
        if (found)
            snprintf(path, PATH_MAX, "%s", end + 1);
    }
    if (stream)
        fclose(stream);
    return found;
}

/* The least of what is allowed in the cgroup and in those above it. A container may not see the
 * upper ones, or not under this path: what is not there sets no limit. */
static double least_allowed(const char *root, const char *controller, const char *mount,
                            double (*allowed)(const char *folder)) {
    char path[PATH_MAX], folder[3 * PATH_MAX];
    double least = 0;
    if (!find_cgroup(path, root, controller))
        return 0;
    for (size_t length = strlen(path);; length = (size_t)(strrchr(path, '/') - path)) {
        path[length] = '\0';
        snprintf(folder, sizeof folder, "%s%s%s", root, mount, path);
        double here = allowed(folder);
        if (here > 0 && (least == 0 || here < least))
            least = here;
        if (!strchr(path, '/'))
            return least;
    }
}

static double smaller(double a, double b) { /* limits: 0 is none */
    return a == 0 || (b != 0 && b < a) ? b : a;
}

double slao_cgroup_memory(const char *root) {
    return smaller(least_allowed(root, "", "/sys/fs/cgroup", memory_version_2),
                   least_allowed(root, "memory", "/sys/fs/cgroup/memory", memory_version_1));
}

double slao_cgroup_cores(const char *root) {
    return smaller(least_allowed(root, "", "/sys/fs/cgroup", cores_version_2),
                   least_allowed(root, "cpu", "/sys/fs/cgroup/cpu", cores_version_1));
}

/* ---- Looking around ---- */

static double number_in(const char *variable) { /* 0 if there is none */
    const char *text = getenv(variable);
    return text ? strtod(text, NULL) : 0;
}

double slao_memory_limit(const char **by) {
    static const double MEBI = 1024 * 1024;
    double least = 0;
    const struct {
        const char *who;
        double bytes;
    } limits[] = {
        {"its memory", (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE)},
        {"its cgroup", slao_cgroup_memory("")},
        {"SLURM_MEM_PER_NODE", number_in("SLURM_MEM_PER_NODE") * MEBI},
        {"SLURM_MEM_PER_CPU",
         number_in("SLURM_MEM_PER_CPU") * number_in("SLURM_CPUS_ON_NODE") * MEBI},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (smaller(least, limits[i].bytes) == least)
            continue;
        least = limits[i].bytes;
        if (by)
            *by = limits[i].who;
    }
    return least;
}

/* The cores that any rank of this node may run on. Collective in the node. */
static void look_for_cores(slao_node *node, const slao_ranks *ranks) {
    cpu_set_t mine, all;
    CPU_ZERO(&mine);
    node->cores_of_host = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) /* more than CPU_SETSIZE */
        CPU_ZERO(&mine);
    MPI_Request request;
    SLAO_MPI(
        MPI_Iallreduce(&mine, &all, (int)sizeof mine, MPI_BYTE, MPI_BOR, ranks->node, &request));
    slao_ranks_wait(&request);
    node->cores = CPU_COUNT(&all) ? CPU_COUNT(&all) : node->cores_of_host;
    double quota = slao_cgroup_cores("");
    if (quota > 0 && quota < node->cores)
        node->cores = (int)ceil(quota);
}

static slao_node look(const slao_ranks *ranks) {
    slao_node node = {.ranks = ranks->node_rank == 0 ? ranks->node_size : 0,
                      .cores_per_rank = (int)number_in("SLURM_CPUS_PER_TASK"),
                      .blas_threads = openblas_get_num_threads()};
    snprintf(node.host, sizeof node.host, "%s", ranks->host);
    look_for_cores(&node, ranks);
    const char *by = "";
    node.memory_limit = slao_memory_limit(&by);
    snprintf(node.limited_by, sizeof node.limited_by, "%s", by);
    return node;
}

static const char *name_of_file_system(const char *folder) {
    static const struct {
        long magic; /* statfs(2), and the sources of those that are not in it */
        const char *name;
    } known[] = {
        {0x0BD00BD0, "Lustre"}, {0x6969, "NFS"},      {0x47504653, "GPFS"},
        {0x19830326, "BeeGFS"}, {0x65735546, "FUSE"}, {0x01021997, "9P"},
    };
    struct statfs facts;
    for (size_t i = 0; statfs(folder, &facts) == 0 && i < sizeof known / sizeof *known; i++) {
        if ((long)facts.f_type == known[i].magic)
            return known[i].name;
    }
    return NULL;
}

/* Tries a lock on a file beside what will be there. Whether files can be made there at all is for
 * others to say. */
static void look_at_place(slao_store_place *place, const char *store) {
    snprintf(place->folder, sizeof place->folder, "%s", store);
    while (!slao_is_folder(place->folder)) {
        char *slash = strrchr(place->folder, '/');
        if (!slash || slash == place->folder) {
            snprintf(place->folder, sizeof place->folder, "%s", slash ? "/" : ".");
            break;
        }
        *slash = '\0';
    }
    place->file_system = name_of_file_system(place->folder);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.slao-lock-XXXXXX", place->folder);
    int fd = mkstemp(path);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        place->lock_error = errno;
    close(fd);
    unlink(path);
}

/* ---- The checks ---- */

static int threads_of_node(const slao_node *node, const slao_run_needs *needs) {
    int each = needs->threads > node->blas_threads ? needs->threads : node->blas_threads;
    return node->ranks * each;
}

static bool finds_too_few_cores(const slao_node *node, const slao_run_needs *needs,
                                const slao_store_place *place, char *text, size_t size) {
    (void)place;
    int threads = threads_of_node(node, needs);
    if (threads <= node->cores)
        return false;
    int each = threads / node->ranks, length = 0;
    if (node->ranks > 1)
        length = snprintf(text, size, "%d ranks%s", node->ranks, each > 1 ? " of " : "");
    if (each > 1)
        length += snprintf(text + length, size - (size_t)length, "%d threads%s", each,
                           node->ranks > 1 ? " each" : "");
    snprintf(
        text + length, size - (size_t)length,
        " on %s share %d core%s, and wait for each other: %s, or ask the batch system "
        "for more cores%s",
        node->host, node->cores, node->cores == 1 ? "" : "s",
        node->ranks > 1 ? "start fewer" : "give fewer --threads",
        node->cores < node->cores_of_host
            ? "; the host has more, which they may not use: mpirun binds ranks to cores unless "
              "it is told --bind-to none"
            : "");
    return true;
}

static bool finds_idle_cores(const slao_node *node, const slao_run_needs *needs,
                             const slao_store_place *place, char *text, size_t size) {
    (void)place;
    if (node->cores_per_rank <= needs->threads)
        return false;
    snprintf(
        text, size,
        "Slurm has set aside %d cores for each rank (--cpus-per-task), of which slao uses %d, "
        "whatever OMP_NUM_THREADS says: give it --threads %d, or ask for more tasks of one core",
        node->cores_per_rank, needs->threads, node->cores_per_rank);
    return true;
}

static bool finds_too_little_memory(const slao_node *node, const slao_run_needs *needs,
                                    const slao_store_place *place, char *text, size_t size) {
    (void)place;
    double bytes = needs->memory.weights + node->ranks * needs->memory.rank;
    if (node->memory_limit == 0 || bytes <= node->memory_limit)
        return false;
    snprintf(
        text, size,
        "%d rank%s on %s will take about %.2f GB (%.2f for the weights, %.2f for each rank), but "
        "%s allows %.2f GB, above which they are killed: ask for more memory (sbatch --mem=%.0fM), "
        "start fewer ranks on a node, give each fewer --threads, or lower train.micro_tokens",
        node->ranks, node->ranks == 1 ? "" : "s", node->host, bytes / 1e9,
        needs->memory.weights / 1e9, needs->memory.rank / 1e9, node->limited_by,
        node->memory_limit / 1e9, 1.2 * bytes / (1024 * 1024));
    return true;
}

static bool finds_no_locks(const slao_node *node, const slao_run_needs *needs,
                           const slao_store_place *place, char *text, size_t size) {
    (void)node;
    (void)needs;
    if (place->lock_error == 0)
        return false;
    snprintf(
        text, size,
        "%s is on a file system %s%s%swithout file locks (flock: %s): if a sweep there is killed, "
        "its lock has to be deleted by hand; and h5py, h5ls and others may need "
        "HDF5_USE_FILE_LOCKING=FALSE in their environment to open the results file. Write them "
        "elsewhere (-o), or have it mounted with locks (Lustre: -o flock)",
        place->folder, place->file_system ? "(" : "", place->file_system ? place->file_system : "",
        place->file_system ? ") " : "", strerror(place->lock_error));
    return true;
}

const slao_environment_row slao_environment_rows[] = {
    {"cores", finds_too_few_cores},
    {"idle cores", finds_idle_cores},
    {"memory", finds_too_little_memory},
    {"locks", finds_no_locks},
    {NULL, NULL},
};

/* The first node at which a check finds fault speaks for the others. */
static void judge(const slao_node *nodes, int n_nodes, const slao_run_needs *needs,
                  const slao_store_place *place) {
    for (const slao_environment_row *row = slao_environment_rows; row->name; row++) {
        char text[2048];
        for (int i = 0; i < n_nodes; i++) {
            if (nodes[i].ranks > 0 && row->finds(&nodes[i], needs, place, text, sizeof text)) {
                slao_warn("%s", text);
                break;
            }
        }
    }
}

slao_status slao_environment_check(slao_ranks *ranks, const slao_run_needs *needs) {
    slao_node *nodes = NULL, mine = look(ranks);
    slao_status status = SLAO_OK;
    if (ranks->rank == 0)
        status = slao_allocate(&nodes, (size_t)ranks->size, sizeof *nodes);
    SLAO_TRY(slao_ranks_agree(ranks, status));
    MPI_Request request;
    SLAO_MPI(MPI_Igather(&mine, (int)sizeof mine, MPI_BYTE, nodes, (int)sizeof mine, MPI_BYTE, 0,
                         ranks->all, &request));
    slao_ranks_wait(&request);
    if (ranks->rank == 0) {
        slao_store_place place = {0};
        look_at_place(&place, needs->store);
        judge(nodes, ranks->size, needs, &place);
    }
    free(nodes);
    return SLAO_OK;
}
