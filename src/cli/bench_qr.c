/* slao bench qr: QR decompositions by LAPACK on one rank against ScaLAPACK on several, by shape and
 * grid, and from how many columns on ScaLAPACK is the faster one.
 *
 * A group of G ranks has two ways with the A of all its sites: each member takes some sites to
 * LAPACK, which takes LAPACK's time / G per site; or all members take one site after the other to
 * ScaLAPACK. Where there is a single matrix, LAPACK's own time is what counts. */
#include "cli/bench.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/document.h"
#include "cli/options.h"
#include "linalg/distributed_qr.h"
#include "sweep/ranks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t n, r;
    double lapack; /* seconds */
} shape;

typedef struct {
    int shape, ranks, rows, columns;
    double seconds;
} measured;

typedef struct {
    slao_ranks ranks;
    int64_t repeats;
    shape *shapes;
    int n_shapes;
    measured *grids; /* rank 0 */
    size_t n_grids, capacity;
    float *start, *a; /* the matrix; where it is decomposed */
} bench;

static const char *const default_shapes[] = {"576x8",     "4096x16",   "11008x16",  "11008x64",
                                             "11008x256", "16384x512", "1024x1024", "2048x2048"};

static slao_status read_shapes(bench *b, const slao_option_list *given) {
    const char *const *texts = given->count ? given->values : default_shapes;
    int64_t count =
        given->count ? given->count : (int64_t)(sizeof default_shapes / sizeof *default_shapes);
    SLAO_TRY(slao_allocate(&b->shapes, (size_t)count, sizeof *b->shapes));
    for (int64_t i = 0; i < count; i++) {
        shape *s = &b->shapes[i];
        int used = 0;
        if (sscanf(texts[i], "%" SCNd64 "x%" SCNd64 "%n", &s->n, &s->r, &used) != 2 ||
            texts[i][used] || s->r < 1 || s->n < s->r || s->n > INT32_MAX / s->r)
            return slao_fail(SLAO_BAD_INPUT,
                             "--shape must be like 4096x16 (rows, and columns that are not more), "
                             "not \"%s\"",
                             texts[i]);
        b->n_shapes++;
    }
    return SLAO_OK;
}

static slao_status make_matrix(bench *b, const shape *s) {
    size_t count = (size_t)(s->n * s->r);
    free(b->start);
    free(b->a);
    b->start = b->a = NULL;
    SLAO_TRY(slao_allocate(&b->start, count, sizeof *b->start));
    SLAO_TRY(slao_allocate(&b->a, count, sizeof *b->a));
    slao_random random = slao_random_stream(1, "bench qr", "", 0);
    for (size_t i = 0; i < count; i++)
        b->start[i] = (float)(slao_random_uniform(&random) - 0.5);
    return SLAO_OK;
}

/* The shortest of several times; `grid` NULL: LAPACK. */
static slao_status time_qr(bench *b, const shape *s, slao_qr_grid *grid, double *seconds) {
    *seconds = INFINITY;
    for (int64_t k = 0; k < b->repeats; k++) {
        memcpy(b->a, b->start, (size_t)(s->n * s->r) * sizeof *b->a);
        double begin = slao_seconds();
        SLAO_TRY(
            grid ? slao_qr_grid_orthonormal_rows(grid, b->a, s->r, s->n, SLAO_SIGN_POSITIVE, NULL)
                 : slao_orthonormal_rows(b->a, s->r, s->n, SLAO_SIGN_POSITIVE, NULL));
        double took = slao_seconds() - begin;
        *seconds = took < *seconds ? took : *seconds;
    }
    return SLAO_OK;
}

static slao_status measure_grid(bench *b, int place, int rows, int columns, MPI_Comm members) {
    slao_qr_grid *grid;
    measured m = {.shape = place, .ranks = rows * columns, .rows = rows, .columns = columns};
    SLAO_TRY(slao_qr_grid_new(&grid, members, rows, columns));
    slao_status status = time_qr(b, &b->shapes[place], grid, &m.seconds);
    slao_qr_grid_free(grid);
    if (status == SLAO_OK && b->ranks.rank == 0)
        status = slao_grow(&b->grids, &b->capacity, b->n_grids + 1, sizeof *b->grids);
    if (status == SLAO_OK && b->ranks.rank == 0)
        b->grids[b->n_grids++] = m;
    return status;
}

/* All grids of the first `count` ranks that are no wider than high; the others sleep. */
static slao_status measure_ranks(bench *b, int place, int count) {
    MPI_Comm members;
    SLAO_MPI(MPI_Comm_split(b->ranks.all, b->ranks.rank < count ? 0 : MPI_UNDEFINED, b->ranks.rank,
                            &members));
    slao_status status = SLAO_OK;
    if (members != MPI_COMM_NULL) {
        SLAO_MPI(MPI_Comm_set_errhandler(members, MPI_ERRORS_RETURN));
        for (int columns = 1; columns * columns <= count && status == SLAO_OK; columns++) {
            if (count % columns == 0)
                status = measure_grid(b, place, count / columns, columns, members);
        }
        SLAO_MPI(MPI_Comm_free(&members));
    }
    return slao_ranks_agree(&b->ranks, status);
}

static slao_status measure_shape(bench *b, int place) {
    shape *s = &b->shapes[place];
    SLAO_TRY(slao_ranks_agree(&b->ranks, make_matrix(b, s)));
    slao_status status = b->ranks.rank == 0 ? time_qr(b, s, NULL, &s->lapack) : SLAO_OK;
    SLAO_TRY(slao_ranks_agree(&b->ranks, status));
    for (int count = 1; count <= b->ranks.size; count++)
        SLAO_TRY(measure_ranks(b, place, count));
    return SLAO_OK;
}

/* ---- What it comes to, on rank 0 ---- */

static double best_of(const bench *b, int place, int ranks) {
    double best = INFINITY;
    for (size_t i = 0; i < b->n_grids; i++) {
        if (b->grids[i].shape == place && b->grids[i].ranks == ranks)
            best = fmin(best, b->grids[i].seconds);
    }
    return best;
}

/* The fewest columns from which on ScaLAPACK on `ranks` ranks takes less than LAPACK's time /
 * `share`, in all shapes that were measured; NaN: in none with the most columns. */
static double crossover(const bench *b, int ranks, int share) {
    double from = NAN;
    int64_t slowest = 0; /* most columns of a shape in which LAPACK wins */
    for (int i = 0; i < b->n_shapes; i++) {
        if (best_of(b, i, ranks) * share >= b->shapes[i].lapack && b->shapes[i].r > slowest)
            slowest = b->shapes[i].r;
    }
    for (int i = 0; i < b->n_shapes; i++) {
        double r = (double)b->shapes[i].r;
        if (b->shapes[i].r > slowest && !(r >= from))
            from = r;
    }
    return from;
}

static void print_crossover(const bench *b, int ranks, int share, const char *than) {
    double columns = crossover(b, ranks, share);
    if (isnan(columns))
        printf("%d rank%s: ScaLAPACK is nowhere faster than %s\n", ranks, ranks > 1 ? "s" : "",
               than);
    else
        printf("%d rank%s: ScaLAPACK is faster than %s from %.0f columns on\n", ranks,
               ranks > 1 ? "s" : "", than, columns);
}

static void print_text(const bench *b) {
    printf("%14s %12s %6s %8s %12s %10s\n", "rows x columns", "LAPACK ms", "ranks", "grid",
           "ScaLAPACK ms", "speedup");
    for (size_t i = 0; i < b->n_grids; i++) {
        const measured *m = &b->grids[i];
        const shape *s = &b->shapes[m->shape];
        char size[40], grid[24];
        snprintf(size, sizeof size, "%" PRId64 " x %" PRId64, s->n, s->r);
        snprintf(grid, sizeof grid, "%d x %d", m->rows, m->columns);
        printf("%14s %12.3f %6d %8s %12.3f %10.2f\n", size, 1e3 * s->lapack, m->ranks, grid,
               1e3 * m->seconds, s->lapack / m->seconds);
    }
    for (int ranks = 1; ranks <= b->ranks.size; ranks++) {
        print_crossover(b, ranks, 1, "LAPACK on one");
        if (ranks > 1)
            print_crossover(b, ranks, ranks, "LAPACK with the matrices spread over the ranks");
    }
}

static slao_status add_shape(cJSON *list, const bench *b, int place) {
    const shape *s = &b->shapes[place];
    cJSON *object = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(list, "shapes", object));
    cJSON *grids = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(object, "grids", grids));
    SLAO_TRY(slao_json_add_real(object, "rows", (double)s->n));
    SLAO_TRY(slao_json_add_real(object, "columns", (double)s->r));
    SLAO_TRY(slao_json_add_real(object, "lapack_seconds", s->lapack));
    for (size_t i = 0; i < b->n_grids; i++) {
        const measured *m = &b->grids[i];
        if (m->shape != place)
            continue;
        cJSON *row = cJSON_CreateObject();
        SLAO_TRY(slao_json_add(grids, "grids", row));
        SLAO_TRY(slao_json_add_real(row, "ranks", m->ranks));
        SLAO_TRY(slao_json_add_real(row, "grid_rows", m->rows));
        SLAO_TRY(slao_json_add_real(row, "grid_columns", m->columns));
        SLAO_TRY(slao_json_add_real(row, "seconds", m->seconds));
    }
    return SLAO_OK;
}

static slao_status fill_json(cJSON *root, const bench *b) {
    SLAO_TRY(slao_json_add(root, "shapes", cJSON_CreateArray()));
    SLAO_TRY(slao_json_add(root, "crossover", cJSON_CreateArray()));
    for (int i = 0; i < b->n_shapes; i++)
        SLAO_TRY(add_shape(slao_json_find(root, "shapes"), b, i));
    for (int ranks = 1; ranks <= b->ranks.size; ranks++) {
        cJSON *row = cJSON_CreateObject();
        SLAO_TRY(slao_json_add(slao_json_find(root, "crossover"), "crossover", row));
        SLAO_TRY(slao_json_add_real(row, "ranks", ranks));
        SLAO_TRY(slao_json_add_real(row, "columns", crossover(b, ranks, 1)));
        SLAO_TRY(slao_json_add_real(row, "columns_spread", crossover(b, ranks, ranks)));
    }
    return SLAO_OK;
}

static slao_status print_json(const bench *b) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, b));
}

static slao_status measure_all(bench *b, const slao_option_list *shapes) {
    SLAO_TRY(slao_ranks_agree(&b->ranks, read_shapes(b, shapes)));
    for (int i = 0; i < b->n_shapes; i++)
        SLAO_TRY(measure_shape(b, i));
    return SLAO_OK;
}

static slao_status run(bench *b, const slao_option_list *shapes, bool json) {
    SLAO_TRY(slao_ranks_start(&b->ranks));
    slao_status status = measure_all(b, shapes);
    if (status == SLAO_OK && b->ranks.rank == 0) {
        if (json)
            status = print_json(b);
        else
            print_text(b);
    }
    status = slao_ranks_agree(&b->ranks, status);
    slao_ranks_finish(&b->ranks);
    free(b->shapes);
    free(b->grids);
    free(b->start);
    free(b->a);
    return status;
}

slao_status slao_bench_qr(int argc, char **argv) {
    bench b = {.repeats = 3};
    slao_option_list shapes = {0};
    bool json = false;
    const slao_option options[] = {
        {"--shape", NULL, SLAO_OPTION_LIST, "ROWSxCOLUMNS",
         "a matrix to decompose; may come several times (eight of 576x8 to 2048x2048)", &shapes,
         false},
        {"--repeats", NULL, SLAO_OPTION_INTEGER, "N", "the shortest of N times counts (3)",
         &b.repeats, false},
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &json, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "[mpirun -n N] slao bench qr [--shape ROWSxCOLUMNS]... [--repeats N] [--json]",
        .summary = "QR decompositions by LAPACK on one rank and by ScaLAPACK on 1 to N, on every "
                   "grid, and from how\nmany columns on ScaLAPACK is faster: than LAPACK on one "
                   "rank, and than LAPACK when each rank\ndecomposes other matrices.",
        .example = "mpirun -n 2 --bind-to none slao bench qr --shape 11008x64 --shape 2048x2048",
        .options = options,
    };
    slao_status status = slao_options_parse(argc, argv, &usage, NULL);
    if (status == SLAO_OK && b.repeats < 1)
        status = slao_fail(SLAO_BAD_INPUT, "--repeats must be at least 1");
    if (status == SLAO_OK)
        status = run(&b, &shapes, json);
    free(shapes.values);
    return status;
}
