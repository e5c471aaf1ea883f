#include "sweep/group.h"

#include "base/log.h"
#include "base/memory.h"
#include "linalg/distributed_qr.h"
#include "linalg/vec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GRIDS = 4 };

struct slao_group {
    slao_team team;
    const slao_ranks *ranks;
    MPI_Comm members;
    float *buffer; /* of slao_team_sum: this member's part of the values, as each member has it */
    size_t buffer_capacity;
    int *counts, *offsets, *buffer_counts, *buffer_offsets; /* size each */
    double *numbers;
    struct {
        int rows;
        slao_qr_grid *grid; /* NULL: not made yet */
    } grids[MOST_GRIDS];
};

static slao_status agree(slao_team *team, slao_status status) {
    slao_group *group = team->context;
    return slao_ranks_agree_among(group->ranks, group->members, status);
}

/* One message, however large: MPI counts in 32 bits. */
static void give_to_all(const slao_group *group, unsigned char *bytes, size_t count, int member) {
    enum { MOST = 1 << 30 };
    for (size_t at = 0; at < count; at += MOST) {
        int size = (int)(count - at < MOST ? count - at : MOST);
        SLAO_MPI(MPI_Bcast(bytes + at, size, MPI_BYTE, member, group->members));
    }
}

static slao_status gather(slao_team *team, slao_status status, void *bytes, const size_t *starts) {
    SLAO_TRY(slao_team_agree(team, status));
    for (int m = 0; m < team->size; m++)
        give_to_all(team->context, (unsigned char *)bytes + starts[m], starts[m + 1] - starts[m],
                    m);
    return SLAO_OK;
}

static slao_status share(slao_team *team, slao_status status, void *bytes, size_t count) {
    SLAO_TRY(slao_team_agree(team, status));
    give_to_all(team->context, bytes, count, 0);
    return SLAO_OK;
}

/* Each member adds up its part of the values, and gives it to all. */
static void sum_values(const slao_group *group, float *values, size_t count) {
    int64_t from, to;
    slao_team_part(&group->team, (int64_t)count, &from, &to);
    size_t part = (size_t)(to - from);
    SLAO_MPI(MPI_Alltoallv(values, group->counts, group->offsets, MPI_FLOAT, group->buffer,
                           group->buffer_counts, group->buffer_offsets, MPI_FLOAT, group->members));
    if (part > 0) /* of fewer values than members, some have none, and no buffer */
        memcpy(values + from, group->buffer, part * sizeof *values);
    for (size_t m = 1; part > 0 && m < (size_t)group->team.size; m++)
        slao_vec()->add(values + from, group->buffer + m * part, part);
    SLAO_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_FLOAT, values, group->counts, group->offsets,
                            MPI_FLOAT, group->members));
}

/* Who sends how much to whom; and the place for what comes. */
static slao_status plan_sum(slao_group *group, size_t count) {
    const slao_team *team = &group->team;
    SLAO_INVARIANT(count <= INT_MAX / 2);
    int64_t from, to;
    slao_team_part(team, (int64_t)count, &from, &to);
    for (int m = 0; m < team->size; m++) {
        group->offsets[m] = (int)slao_team_begin(team, (int64_t)count, m);
        group->counts[m] = (int)slao_team_begin(team, (int64_t)count, m + 1) - group->offsets[m];
        group->buffer_offsets[m] = m * (int)(to - from);
        group->buffer_counts[m] = (int)(to - from);
    }
    return slao_grow(&group->buffer, &group->buffer_capacity,
                     (size_t)(to - from) * (size_t)team->size, sizeof *group->buffer);
}

static slao_status sum(slao_team *team, slao_status status, float *values, size_t count,
                       double *number) {
    slao_group *group = team->context;
    if (status == SLAO_OK)
        status = plan_sum(group, count);
    SLAO_TRY(slao_team_agree(team, status));
    if (count > 0)
        sum_values(group, values, count);
    SLAO_MPI(MPI_Allgather(number, 1, MPI_DOUBLE, group->numbers, 1, MPI_DOUBLE, group->members));
    *number = group->numbers[0];
    for (int m = 1; m < team->size; m++)
        *number += group->numbers[m];
    return SLAO_OK;
}

/* Grids are made as they are needed; a group uses two at most, tall and square. */
static slao_status grid_for(slao_group *group, int64_t r, int64_t n, slao_qr_grid **grid) {
    int rows, columns, place = 0;
    slao_qr_grid_shape(group->team.size, r, n, &rows, &columns);
    while (group->grids[place].grid && group->grids[place].rows != rows)
        SLAO_INVARIANT(++place < MOST_GRIDS);
    if (!group->grids[place].grid)
        SLAO_TRY(slao_qr_grid_new(&group->grids[place].grid, group->members, rows, columns));
    group->grids[place].rows = rows;
    *grid = group->grids[place].grid;
    return SLAO_OK;
}

static slao_status orthonormal_rows(slao_team *team, slao_status status, float *a, int64_t r,
                                    int64_t n, slao_qr_sign sign, float *r_factor) {
    slao_qr_grid *grid;
    SLAO_TRY(slao_team_agree(team, status));
    SLAO_TRY(grid_for(team->context, r, n, &grid));
    return slao_qr_grid_orthonormal_rows(grid, a, r, n, sign, r_factor);
}

static const slao_team_calls calls = {agree, sum, gather, share, orthonormal_rows};

static slao_status check_size(const slao_ranks *ranks, int64_t size) {
    if (size > ranks->size)
        return slao_fail(SLAO_BAD_INPUT,
                         "ranks_per_trial is %lld, but there %s: start slao with mpirun -n %lld, "
                         "or a multiple of it",
                         (long long)size, ranks->size == 1 ? "is 1 rank" : "are fewer ranks",
                         (long long)size);
    int left = ranks->size % (int)size;
    if (left > 0 && ranks->rank == 0)
        slao_warn("%d of %d ranks stay idle: ranks_per_trial is %lld", left, ranks->size,
                  (long long)size);
    return SLAO_OK;
}

static slao_status allocate(slao_group **group, int size) {
    SLAO_TRY(slao_allocate(group, 1, sizeof **group));
    (*group)->members = MPI_COMM_NULL;
    SLAO_TRY(slao_allocate(&(*group)->counts, (size_t)size, sizeof(int)));
    SLAO_TRY(slao_allocate(&(*group)->offsets, (size_t)size, sizeof(int)));
    SLAO_TRY(slao_allocate(&(*group)->buffer_counts, (size_t)size, sizeof(int)));
    SLAO_TRY(slao_allocate(&(*group)->numbers, (size_t)size, sizeof(double)));
    return slao_allocate(&(*group)->buffer_offsets, (size_t)size, sizeof(int));
}

slao_status slao_group_form(slao_group **group, slao_ranks *ranks, int64_t size) {
    *group = NULL;
    SLAO_TRY(slao_ranks_agree(ranks, check_size(ranks, size)));
    slao_status status = slao_ranks_agree(ranks, allocate(group, (int)size));
    if (status != SLAO_OK) {
        slao_group_free(*group);
        *group = NULL;
        return status;
    }
    slao_group *made = *group;
    int n_groups = ranks->size / (int)size, index = ranks->rank / (int)size;
    bool left_over = index == n_groups;
    ranks->group_size = (int)size;
    ranks->member = left_over ? -1 : ranks->rank % (int)size;
    ranks->superior = ranks->member > 0 ? index * (int)size : 0;
    made->ranks = ranks;
    made->team =
        (slao_team){.size = (int)size, .member = ranks->member, .calls = &calls, .context = made};
    SLAO_MPI(
        MPI_Comm_split(ranks->all, left_over ? MPI_UNDEFINED : index, ranks->rank, &made->members));
    if (!left_over)
        SLAO_MPI(MPI_Comm_set_errhandler(made->members, MPI_ERRORS_RETURN));
    return SLAO_OK;
}

void slao_group_free(slao_group *group) {
    if (!group)
        return;
    for (int i = 0; i < MOST_GRIDS; i++)
        slao_qr_grid_free(group->grids[i].grid);
    if (group->members != MPI_COMM_NULL)
        SLAO_MPI(MPI_Comm_free(&group->members));
    free(group->buffer);
    free(group->counts);
    free(group->offsets);
    free(group->buffer_counts);
    free(group->buffer_offsets);
    free(group->numbers);
    free(group);
}

slao_team *slao_group_team(slao_group *group) {
    return group->members != MPI_COMM_NULL ? &group->team : NULL;
}
