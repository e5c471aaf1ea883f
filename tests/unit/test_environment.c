/* sweep/environment: limits of cgroups of both versions, and each check by itself. sweep/launch. */
#include "test.h"

#include "fixture.h"
#include "sweep/environment.h"
#include "sweep/launch.h"

#include <errno.h>

/* ---- cgroups ---- */

typedef struct {
    const char *folder, *file, *text;
} lie; /* a file under the root */

static char *make_root(const char *cgroup, const lie *lies, size_t n) {
    char *root = scratch_folder(), *path;
    assert_ok(slao_format(&path, "%s/proc/self", root));
    assert_ok(slao_make_folders(path));
    free(path);
    assert_ok(slao_format(&path, "%s/proc/self/cgroup", root));
    assert_ok(slao_write_file(path, cgroup, strlen(cgroup)));
    free(path);
    for (size_t i = 0; i < n; i++) {
        assert_ok(slao_format(&path, "%s/sys/fs/cgroup%s", root, lies[i].folder));
        assert_ok(slao_make_folders(path));
        free(path);
        assert_ok(slao_format(&path, "%s/sys/fs/cgroup%s/%s", root, lies[i].folder, lies[i].file));
        assert_ok(slao_write_file(path, lies[i].text, strlen(lies[i].text)));
        free(path);
    }
    return root;
}

static void check_limits(const char *cgroup, const lie *lies, size_t n, double memory,
                         double cores) {
    char *root = make_root(cgroup, lies, n);
    assert_near(slao_cgroup_memory(root), memory, 0);
    assert_near(slao_cgroup_cores(root), cores, 0);
    remove_scratch_folder(root);
}

static void test_limits_of_version_2(void **state) {
    (void)state;
    static const lie lies[] = {
        {"/slurm/job_7/step_0", "memory.max", "max\n"},
        {"/slurm/job_7", "memory.max", "4000000\n"}, /* the least counts, wherever it is */
        {"/slurm", "memory.max", "8000000\n"},
        {"/slurm/job_7/step_0", "cpu.max", "max 100000\n"},
        {"/slurm", "cpu.max", "250000 100000\n"},
    };
    check_limits("0::/slurm/job_7/step_0\n", lies, 5, 4e6, 2.5);
    check_limits("0::/\n", lies, 5, 0, 0); /* a container that sees its own alone */
    check_limits("0::/elsewhere\n", NULL, 0, 0, 0);
}

static void test_limits_of_version_1(void **state) {
    (void)state;
    static const lie lies[] = {
        {"/memory/job", "memory.limit_in_bytes", "3000000\n"},
        {"/memory", "memory.limit_in_bytes", "9223372036854771712\n"},
        {"/cpu/job", "cpu.cfs_quota_us", "-1\n"},
        {"/cpu/job", "cpu.cfs_period_us", "100000\n"},
        {"/cpu", "cpu.cfs_quota_us", "50000\n"},
        {"/cpu", "cpu.cfs_period_us", "100000\n"},
    };
    check_limits("9:name=systemd:/x\n5:memory:/job\n1:cpu,cpuacct:/job\n0::/\n", lies, 6, 3e6, 0.5);
    check_limits("5:memory:/\n1:cpuacct,cpu:/\n", lies, 6, 0, 0.5);
}

/* ---- The checks ---- */

static const slao_node node = {
    .host = "n1", .ranks = 4, .cores = 4, .cores_of_host = 64, .blas_threads = 1};
static const slao_run_needs needs = {
    .threads = 1, .memory = {.weights = 1e9, .rank = 5e8}, .store = "results/x.store"};
static const slao_store_place place = {.folder = "results"};

/* Only the check of that name finds fault, and its text holds the parts; NULL: none does. */
static void check_found(const slao_node *a, const slao_run_needs *b, const slao_store_place *c,
                        const char *name, const char *const parts[3]) {
    for (const slao_environment_row *row = slao_environment_rows; row->name; row++) {
        char text[2048] = "";
        bool wanted = name && strcmp(row->name, name) == 0;
        if (row->finds(a, b, c, text, sizeof text) != wanted)
            fail_msg("%s: %s", row->name, wanted ? "finds nothing" : text);
        for (int i = 0; wanted && i < 3; i++) {
            if (parts[i] && !strstr(text, parts[i]))
                fail_msg("%s: \"%s\" has no \"%s\"", row->name, text, parts[i]);
        }
    }
}

static void test_nothing_is_wrong(void **state) {
    (void)state;
    check_found(&node, &needs, &place, NULL, NULL);
    slao_node limited = node;
    limited.memory_limit = 3e9;
    limited.cores_per_rank = 1;
    check_found(&limited, &needs, &place, NULL, NULL);
}

static void test_more_threads_than_cores(void **state) {
    (void)state;
    slao_node few = node, blas = node;
    few.cores = 3;
    check_found(&few, &needs, &place, "cores",
                (const char *[3]){"4 ranks on n1 share 3 cores", "--bind-to none", NULL});
    few.cores = few.cores_of_host = 1;
    check_found(&few, &needs, &place, "cores",
                (const char *[3]){"4 ranks on n1 share 1 core,", "ask the batch system", NULL});
    blas.blas_threads = 8;
    check_found(&blas, &needs, &place, "cores",
                (const char *[3]){"4 ranks of 8 threads each on n1 share 4 cores", NULL, NULL});
    slao_run_needs threads = needs;
    threads.threads = 2;
    check_found(&node, &threads, &place, "cores",
                (const char *[3]){"4 ranks of 2 threads each", NULL, NULL});
    slao_node one = node;
    one.ranks = 1;
    one.cores = 3;
    threads.threads = 4;
    check_found(&one, &threads, &place, "cores",
                (const char *[3]){"4 threads on n1 share 3 cores", "give fewer --threads", NULL});
    threads.threads = 3;
    check_found(&one, &threads, &place, NULL, NULL);
}

static void test_cores_that_nobody_uses(void **state) {
    (void)state;
    slao_node idle = node;
    idle.cores_per_rank = 8;
    idle.cores = 32;
    check_found(&idle, &needs, &place, "idle cores",
                (const char *[3]){"8 cores for each rank", "uses 1", "--threads 8"});
    slao_run_needs threads = needs;
    threads.threads = 8;
    check_found(&idle, &threads, &place, NULL, NULL);
}

static void test_too_little_memory(void **state) {
    (void)state;
    slao_node small = node;
    small.memory_limit = 2e9;
    snprintf(small.limited_by, sizeof small.limited_by, "its cgroup");
    check_found(
        &small, &needs, &place, "memory",
        (const char *[3]){"4 ranks on n1 will take about 3.00 GB (1.00 for the weights, 0.50 "
                          "for each rank)",
                          "its cgroup allows 2.00 GB", "sbatch --mem=3433M"});
    small.ranks = 2; /* just fits: the weights are there once */
    check_found(&small, &needs, &place, NULL, NULL);
    small.memory_limit -= 1;
    check_found(&small, &needs, &place, "memory", (const char *[3]){"2 ranks on n1", NULL, NULL});
}

static void test_no_locks(void **state) {
    (void)state;
    slao_store_place lustre = place;
    lustre.lock_error = ENOSYS;
    lustre.file_system = "Lustre";
    check_found(&node, &needs, &lustre, "locks",
                (const char *[3]){"results is on a file system (Lustre) without file locks",
                                  "HDF5_USE_FILE_LOCKING=FALSE", "-o flock"});
}

/* ---- Programs that know nothing of each other ---- */

static void test_programs_in_place_of_ranks(void **state) {
    (void)state;
    assert_int_equal(setenv("SLURM_NTASKS", "4", 1), 0); /* of a batch shell: says nothing */
    assert_ok(slao_launch_check(1));
    assert_int_equal(setenv("SLURM_STEP_NUM_TASKS", "4", 1), 0);
    assert_int_equal(setenv("SLURM_PROCID", "0", 1), 0);
    assert_ok(slao_launch_check(4));
    assert_fails(slao_launch_check(1), SLAO_BAD_INPUT, "srun started 4 programs");
    assert_fails(slao_launch_check_step(), SLAO_BAD_INPUT, "srun started 4 programs");
    assert_int_equal(setenv("PMIX_NAMESPACE", "slurm.pmix.1.0", 1), 0); /* srun --mpi=pmix */
    assert_ok(slao_launch_check_step());
    assert_int_equal(setenv("SLURM_PROCID", "2", 1), 0);
    assert_int_equal(slao_launch_check(1), SLAO_BAD_INPUT);
    assert_string_equal(slao_message(), "");
    assert_int_equal(setenv("SLURM_STEP_NUM_TASKS", "1", 1), 0);
    assert_ok(slao_launch_check(1));
    assert_int_equal(setenv("PMI_SIZE", "2", 1), 0);
    assert_fails(slao_launch_check(1), SLAO_BAD_INPUT, "the mpiexec of another MPI started 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_version_2),
        cmocka_unit_test(test_limits_of_version_1),
        cmocka_unit_test(test_nothing_is_wrong),
        cmocka_unit_test(test_more_threads_than_cores),
        cmocka_unit_test(test_cores_that_nobody_uses),
        cmocka_unit_test(test_too_little_memory),
        cmocka_unit_test(test_no_locks),
        cmocka_unit_test(test_programs_in_place_of_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
