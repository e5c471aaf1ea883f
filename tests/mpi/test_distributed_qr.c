/* linalg/distributed_qr: against LAPACK, on every grid {1, 2, 3, 5} x {1, 2} that the ranks allow
 * (all, with ten). The other ranks wait at a barrier, asleep. */
#include "test.h"

#include "base/memory.h"
#include "base/random.h"
#include "linalg/distributed_qr.h"
#include "sweep/ranks.h"

static slao_ranks ranks;

typedef struct {
    int rows, columns;
} grid_size;

static const grid_size all_grids[] = {{1, 1}, {1, 2}, {2, 1}, {2, 2},
                                      {3, 1}, {3, 2}, {5, 1}, {5, 2}};
enum { N_GRIDS = sizeof all_grids / sizeof *all_grids };

/* Of an entry of Q. */
static const double tolerance = 1e-5;

static void fill(float *values, int64_t n, const char *name) {
    slao_random random = slao_random_stream(7, "test", name, 0);
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(2 * slao_random_uniform(&random) - 1);
}

static double largest_difference(const float *x, const float *y, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)x[i] - (double)y[i]);
        if (!(difference <= largest)) /* NaN too */
            largest = difference;
    }
    return largest;
}

/* Makes the grid out of the first ranks, calls `check` on them, and brings all ranks together. */
static void on_grid(grid_size size, void (*check)(slao_qr_grid *grid, void *context),
                    void *context) {
    int n = size.rows * size.columns;
    if (n > ranks.size)
        return;
    MPI_Comm members;
    SLAO_MPI(MPI_Comm_split(ranks.all, ranks.rank < n ? 0 : MPI_UNDEFINED, ranks.rank, &members));
    if (members != MPI_COMM_NULL) {
        slao_qr_grid *grid;
        assert_ok(slao_qr_grid_new(&grid, members, size.rows, size.columns));
        check(grid, context);
        slao_qr_grid_free(grid);
        SLAO_MPI(MPI_Comm_free(&members));
    }
    slao_ranks_barrier(&ranks);
}

typedef struct {
    int64_t n, r;
    slao_qr_sign sign;
    float *start, *expected, *q; /* r x n */
    float *expected_r, *r_factor;
} problem;

/* Entries within +-1. A large square matrix of them hardly determines the last columns of its Q:
 * what is added to its diagonal keeps the condition below 4. */
static void problem_make(problem *p) {
    int64_t n = p->n, r = p->r;
    size_t size = (size_t)(n * r);
    assert_ok(slao_allocate(&p->start, size, sizeof(float)));
    assert_ok(slao_allocate(&p->expected, size, sizeof(float)));
    assert_ok(slao_allocate(&p->q, size, sizeof(float)));
    assert_ok(slao_allocate(&p->expected_r, (size_t)(r * r), sizeof(float)));
    assert_ok(slao_allocate(&p->r_factor, (size_t)(r * r), sizeof(float)));
    fill(p->start, n * r, "matrix");
    for (int64_t i = 0; n == r && n > 64 && i < n; i++)
        p->start[i * n + i] += 2 * sqrtf((float)n);
    memcpy(p->expected, p->start, size * sizeof(float));
    assert_ok(slao_orthonormal_rows(p->expected, r, n, p->sign, p->expected_r));
}

static void problem_free(problem *p) {
    free(p->start);
    free(p->expected);
    free(p->q);
    free(p->expected_r);
    free(p->r_factor);
}

static void compare_with_lapack(slao_qr_grid *grid, void *context) {
    problem *p = context;
    problem_make(p);
    memcpy(p->q, p->start, (size_t)(p->n * p->r) * sizeof(float));
    memset(p->r_factor, 0x7f, (size_t)(p->r * p->r) * sizeof(float)); /* to be overwritten */
    double begin = MPI_Wtime();
    assert_ok(
        slao_qr_grid_orthonormal_rows(grid, p->q, p->r, p->n, SLAO_SIGN_POSITIVE, p->r_factor));
    double seconds = MPI_Wtime() - begin;
    double difference = largest_difference(p->q, p->expected, p->n * p->r);
    if (ranks.rank == 0)
        print_message("%lld x %lld: Q differs by %.2g, %.3f s\n", (long long)p->n, (long long)p->r,
                      difference, seconds);
    assert_true(difference <= tolerance);
    double scale = 0;
    for (int64_t i = 0; i < p->r; i++) {
        assert_true(p->r_factor[i * p->r + i] >= 0);
        scale = fmax(scale, (double)p->expected_r[i * p->r + i]);
    }
    assert_true(largest_difference(p->r_factor, p->expected_r, p->r * p->r) <= tolerance * scale);
    /* Without R, and again: the same bits. */
    float *again = NULL;
    assert_ok(slao_allocate(&again, (size_t)(p->n * p->r), sizeof(float)));
    memcpy(again, p->start, (size_t)(p->n * p->r) * sizeof(float));
    assert_ok(slao_qr_grid_orthonormal_rows(grid, again, p->r, p->n, SLAO_SIGN_POSITIVE, NULL));
    assert_memory_equal(again, p->q, (size_t)(p->n * p->r) * sizeof(float));
    free(again);
    problem_free(p);
}

static void test_small_shapes_on_all_grids(void **state) {
    (void)state;
    /* n x r on both sides of a block, many and no blocks of a rank; thin, wide, square. */
    static const int64_t shapes[][2] = {{1, 1},   {64, 4},    {64, 64},   {65, 33},
                                        {576, 8}, {1536, 16}, {333, 100}, {200, 200}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        for (int g = 0; g < N_GRIDS; g++)
            on_grid(all_grids[g], compare_with_lapack,
                    &(problem){.n = shapes[k][0], .r = shapes[k][1]});
    }
}

static void test_large_shapes(void **state) {
    (void)state;
    on_grid((grid_size){2, 1}, compare_with_lapack, &(problem){.n = 16384, .r = 512});
    on_grid((grid_size){2, 2}, compare_with_lapack, &(problem){.n = 1024, .r = 1024});
    on_grid((grid_size){1, 2}, compare_with_lapack, &(problem){.n = 4096, .r = 256});
}

/* The signs as the library leaves them: Q R is the matrix, whatever they are. */
static void check_product(slao_qr_grid *grid, void *context) {
    problem *p = context;
    problem_make(p);
    memcpy(p->q, p->start, (size_t)(p->n * p->r) * sizeof(float));
    assert_ok(slao_qr_grid_orthonormal_rows(grid, p->q, p->r, p->n, SLAO_SIGN_LAPACK, p->r_factor));
    for (int64_t i = 0; i < p->r; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0; /* a = R^T Q^T */
            for (int64_t k = 0; k <= i; k++)
                sum += (double)p->r_factor[k * p->r + i] * (double)p->q[k * p->n + j];
            assert_near(sum, (double)p->start[i * p->n + j], 1e-5);
        }
    }
    problem_free(p);
}

static void test_signs_left_alone(void **state) {
    (void)state;
    for (int g = 0; g < N_GRIDS; g++)
        on_grid(all_grids[g], check_product,
                &(problem){.n = 200, .r = 40, .sign = SLAO_SIGN_LAPACK});
}

/* A matrix of rank 0: R is zero, zeros count as positive, and Q is LAPACK's. */
static void check_zero(slao_qr_grid *grid, void *context) {
    (void)context;
    float q[3 * 40] = {0}, expected[3 * 40] = {0};
    assert_ok(slao_orthonormal_rows(expected, 3, 40, SLAO_SIGN_POSITIVE, NULL));
    assert_ok(slao_qr_grid_orthonormal_rows(grid, q, 3, 40, SLAO_SIGN_POSITIVE, NULL));
    assert_true(largest_difference(q, expected, 3 * 40) == 0);
}

static void check_not_a_number(slao_qr_grid *grid, void *context) {
    (void)context;
    float q[2 * 64] = {1, 2, 3};
    q[70] = NAN;
    assert_fails(slao_qr_grid_orthonormal_rows(grid, q, 2, 64, SLAO_SIGN_POSITIVE, NULL),
                 SLAO_BAD_INPUT, "not a number");
}

static void check_too_large(slao_qr_grid *grid, void *context) {
    (void)context;
    float q = 0;
    assert_fails(
        slao_qr_grid_orthonormal_rows(grid, &q, 1 << 16, 1 << 16, SLAO_SIGN_POSITIVE, NULL),
        SLAO_BAD_INPUT, "too large");
}

static void test_odd_input(void **state) {
    (void)state;
    for (int g = 0; g < N_GRIDS; g++) {
        on_grid(all_grids[g], check_zero, NULL);
        on_grid(all_grids[g], check_not_a_number, NULL);
        on_grid(all_grids[g], check_too_large, NULL);
    }
}

/* Communicators and BLACS contexts are given back: both have a limit that this would meet. */
static void test_grids_leave_nothing(void **state) {
    (void)state;
    int n = ranks.size < 2 ? ranks.size : 2;
    MPI_Comm members;
    SLAO_MPI(MPI_Comm_split(ranks.all, ranks.rank < n ? 0 : MPI_UNDEFINED, 0, &members));
    for (int k = 0; k < 3000 && members != MPI_COMM_NULL; k++) {
        slao_qr_grid *grid;
        assert_ok(slao_qr_grid_new(&grid, members, n, 1));
        slao_qr_grid_free(grid);
    }
    if (members != MPI_COMM_NULL)
        SLAO_MPI(MPI_Comm_free(&members));
    slao_ranks_barrier(&ranks);
}

static void test_grid_shapes(void **state) {
    (void)state;
    static const struct {
        int ranks;
        int64_t r, n;
        grid_size expected;
    } cases[] = {{1, 8, 576, {1, 1}},   {4, 8, 576, {4, 1}},    {4, 512, 16384, {4, 1}},
                 {4, 512, 512, {2, 2}}, {6, 300, 400, {3, 2}},  {5, 512, 512, {5, 1}},
                 {2, 64, 64, {2, 1}},   {12, 512, 512, {4, 3}}, {16, 512, 512, {4, 4}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int rows, columns;
        slao_qr_grid_shape(cases[k].ranks, cases[k].r, cases[k].n, &rows, &columns);
        assert_int_equal(rows, cases[k].expected.rows);
        assert_int_equal(columns, cases[k].expected.columns);
    }
}

int main(void) {
    slao_status status = slao_ranks_start(&ranks);
    if (status != SLAO_OK) {
        fprintf(stderr, "%s\n", slao_message());
        return (int)status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_shapes),
        cmocka_unit_test(test_small_shapes_on_all_grids),
        cmocka_unit_test(test_signs_left_alone),
        cmocka_unit_test(test_odd_input),
        cmocka_unit_test(test_grids_leave_nothing),
        cmocka_unit_test(test_large_shapes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        MPI_Abort(MPI_COMM_WORLD, 1); /* the other ranks may wait for this one */
    slao_ranks_finish(&ranks);
    return 0;
}
