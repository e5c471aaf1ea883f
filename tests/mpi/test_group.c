/* sweep/group and the team of its members: groups of 1, 2 and 3 out of all ranks, some left over.
 */
#include "unit/tiny_model.h"

#include "adapter/start.h"
#include "base/memory.h"
#include "base/random.h"
#include "sweep/crew.h"
#include "sweep/group.h"

#include <stdatomic.h>

static slao_ranks ranks;

/* Calls `check` with groups of every size that the ranks allow. */
static void in_groups(void (*check)(slao_group *group)) {
    for (int size = 1; size <= 3 && size <= ranks.size; size++) {
        slao_group *group;
        assert_ok(slao_group_form(&group, &ranks, size));
        assert_int_equal(ranks.group_size, size);
        if (ranks.rank < ranks.size / size * size) {
            assert_int_equal(ranks.member, ranks.rank % size);
            assert_int_equal(ranks.superior,
                             ranks.member == 0 ? 0 : ranks.rank - ranks.rank % size);
            assert_non_null(slao_group_team(group));
        } else {
            assert_int_equal(ranks.member, -1);
            assert_null(slao_group_team(group));
        }
        check(group);
        slao_ranks_barrier(&ranks);
        slao_group_free(group);
    }
}

static float value_of(int member, size_t i) {
    slao_random random = slao_random_stream(3, "test", "values", (uint64_t)member << 32 | i);
    return (float)(slao_random_uniform(&random) - 0.5);
}

/* Bit for bit what one member gets that adds up the others' in their order. */
static void check_sums(slao_group *group) {
    slao_team *team = slao_group_team(group);
    static const size_t counts[] = {0, 1, 2, 5, 1000, 20011};
    for (size_t k = 0; team && k < sizeof counts / sizeof *counts; k++) {
        float *values;
        assert_ok(slao_allocate(&values, counts[k], sizeof *values));
        for (size_t i = 0; i < counts[k]; i++)
            values[i] = value_of(team->member, i);
        double number = 0.1 * (team->member + 1), expected_number = 0.1;
        assert_ok(slao_team_sum(team, SLAO_OK, values, counts[k], &number));
        for (int m = 1; m < team->size; m++)
            expected_number += 0.1 * (m + 1);
        assert_true(number == expected_number);
        for (size_t i = 0; i < counts[k]; i++) {
            float expected = value_of(0, i);
            for (int m = 1; m < team->size; m++)
                expected += value_of(m, i);
            assert_memory_equal(&values[i], &expected, sizeof expected);
        }
        free(values);
    }
}

static void test_sums(void **state) {
    (void)state;
    in_groups(check_sums);
}

static void check_gathering(slao_group *group) {
    slao_team *team = slao_group_team(group);
    if (!team)
        return;
    enum { COUNT = 11 };
    double values[COUNT] = {0};
    size_t starts[4];
    int64_t from, to;
    slao_team_part(team, COUNT, &from, &to);
    for (int m = 0; m <= team->size; m++)
        starts[m] = (size_t)slao_team_begin(team, COUNT, m) * sizeof *values;
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[team->size], sizeof values);
    assert_int_equal(starts[team->member], (size_t)from * sizeof *values);
    for (int64_t i = from; i < to; i++)
        values[i] = 1.5 * (double)i;
    assert_ok(slao_team_gather(team, SLAO_OK, values, starts));
    for (int i = 0; i < COUNT; i++)
        assert_true(values[i] == 1.5 * i);
    double mine = team->member + 7;
    assert_ok(slao_team_share(team, SLAO_OK, &mine, sizeof mine));
    assert_true(mine == 7);
}

static void test_gathering(void **state) {
    (void)state;
    in_groups(check_gathering);
}

/* The last member fails by itself, and only comes to the end of the team's work. */
static void check_lone_failure(slao_group *group) {
    slao_team *team = slao_group_team(group);
    if (!team)
        return;
    for (int round = 0; round < 2; round++) {
        float value = 1;
        double number = 0;
        slao_status status;
        if (team->member == team->size - 1)
            status = slao_fail(SLAO_NO_RESOURCE, "no memory for it");
        else
            status = slao_team_sum(team, SLAO_OK, &value, 1, &number);
        assert_int_equal(status, SLAO_NO_RESOURCE);
        assert_int_equal(slao_team_end(team, status), SLAO_NO_RESOURCE);
        assert_non_null(strstr(slao_message(), "no memory for it"));
        char origin[32];
        snprintf(origin, sizeof origin, "rank %d on ", ranks.rank - team->member + team->size - 1);
        assert_int_equal(strstr(slao_message(), origin) != NULL, team->member != team->size - 1);
        /* The next work is not touched by it. */
        value = 1;
        assert_ok(slao_team_sum(team, SLAO_OK, &value, 1, &number));
        assert_true(value == (float)team->size);
        assert_ok(slao_team_end(team, SLAO_OK));
    }
}

static void test_a_lone_failure_is_everyones(void **state) {
    (void)state;
    in_groups(check_lone_failure);
}

static void check_qr(slao_group *group) {
    slao_team *team = slao_group_team(group);
    static const int64_t shapes[][2] = {{8, 576}, {40, 300}, {96, 96}, {8, 576}};
    for (size_t k = 0; team && k < sizeof shapes / sizeof *shapes; k++) {
        int64_t r = shapes[k][0], n = shapes[k][1];
        float *a, *expected;
        assert_ok(slao_allocate(&a, (size_t)(r * n), sizeof *a));
        assert_ok(slao_allocate(&expected, (size_t)(r * n), sizeof *a));
        for (int64_t i = 0; i < r * n; i++)
            a[i] = expected[i] = value_of(0, (size_t)i) + (i % n == i / n ? 4.0F : 0);
        assert_ok(slao_orthonormal_rows(expected, r, n, SLAO_SIGN_POSITIVE, NULL));
        assert_ok(slao_team_orthonormal_rows(team, SLAO_OK, a, r, n, SLAO_SIGN_POSITIVE, NULL));
        for (int64_t i = 0; i < r * n; i++)
            assert_near((double)a[i], (double)expected[i], 1e-5);
        free(expected);
        free(a);
    }
}

static void test_qr(void **state) {
    (void)state;
    in_groups(check_qr);
}

/* Every start with orthonormal rows is what one rank makes of it: bit for bit by LAPACK, and up to
 * rounding by ScaLAPACK. */
static void check_starts(slao_group *group) {
    static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_V_PROJ, SLAO_DOWN_PROJ};
    slao_team *team = slao_group_team(group);
    slao_lora *last = tiny_lora_new(modules, 3, 0);
    int n_rules = 0;
    for (const slao_start_rule *rule = slao_start_rules; team && rule->name; rule++) {
        if (!rule->orthonormal)
            continue;
        n_rules++;
        for (int way = 0; slao_qr_way_names[way]; way++) {
            slao_start start = {.last = last,
                                .task = "t",
                                .seed = 1,
                                .row_scale = 0.5,
                                .qr = slao_qr_way_find(slao_qr_way_names[way]),
                                .team = team};
            slao_lora *shared, *alone;
            assert_int_equal(start.qr, way);
            assert_ok(slao_lora_copy(&shared, last));
            assert_ok(slao_lora_copy(&alone, last));
            assert_ok(slao_team_end(team, rule->set(shared, &start)));
            start.team = NULL;
            start.qr = SLAO_QR_LAPACK;
            assert_ok(rule->set(alone, &start));
            for (int64_t i = 0; i < last->n_values; i++) {
                double tolerance = way == SLAO_QR_SCALAPACK ? 1e-5 : 0;
                assert_near((double)shared->values[i], (double)alone->values[i], tolerance);
            }
            slao_lora_free(shared);
            slao_lora_free(alone);
        }
    }
    assert_true(!team || n_rules >= 4);
    slao_lora_free(last);
}

static void test_starts(void **state) {
    (void)state;
    in_groups(check_starts);
}

/* ---- A run of steps ---- */

enum { N_STEPS = 300 };

typedef struct {
    slao_team *team;
    atomic_int *runs; /* of each step, seen by all ranks */
    int64_t failing_step;
} work;

/* All members of a group run the same step, at the same time. */
static slao_status run_step(void *context, int64_t step, slao_step_cost *cost) {
    work *self = context;
    atomic_fetch_add(&self->runs[step], 1);
    float product = (float)(step + 1);
    double number = 0;
    slao_status status = SLAO_OK;
    if (step == self->failing_step && self->team->member == self->team->size - 1)
        status = slao_fail(SLAO_BAD_INPUT, "the last member fails");
    if (status == SLAO_OK)
        status = slao_team_sum(self->team, status, &product, 1, &number);
    status = slao_team_end(self->team, status);
    if (status == SLAO_OK && product != (float)(step + 1) * (float)self->team->size)
        return slao_fail(SLAO_BROKEN, "members run different steps");
    cost->tokens = step;
    return status;
}

static int64_t heard_done, heard_failed;

static slao_status hear(void *context, const slao_event *event) {
    (void)context;
    heard_done += event->kind == SLAO_EVENT_DONE;
    heard_failed += event->kind == SLAO_EVENT_FAILED;
    if (event->kind == SLAO_EVENT_FAILED)
        SLAO_INVARIANT(strstr(event->message, "the last member fails"));
    if (event->kind == SLAO_EVENT_DONE)
        SLAO_INVARIANT(event->rank % ranks.group_size == 0);
    return SLAO_OK;
}

static void check_crew(slao_group *group) {
    static slao_graph_step steps[N_STEPS];
    static int64_t parents[N_STEPS];
    work self = {.team = slao_group_team(group), .failing_step = N_STEPS - 1};
    void *shared;
    bool is_first;
    assert_ok(slao_ranks_share(&ranks, N_STEPS * sizeof *self.runs, &shared, &is_first));
    self.runs = shared;
    slao_ranks_barrier(&ranks);
    for (int64_t i = 0; i < N_STEPS; i++) {
        parents[i] = i - 3; /* three chains */
        steps[i] = (slao_graph_step){.n_parents = i >= 3, .parents = &parents[i], .cost = 1};
    }
    heard_done = heard_failed = 0;
    slao_runner runner = {&self, run_step};
    slao_status status =
        slao_crew_run(&ranks, steps, N_STEPS, &runner, (slao_listener){NULL, hear}, NULL);
    assert_int_equal(status, SLAO_FAILED);
    slao_ranks_barrier(&ranks);
    for (int64_t i = 0; i < N_STEPS; i++)
        assert_int_equal(self.runs[i], ranks.group_size);
    if (ranks.rank == 0) {
        assert_int_equal(heard_done, N_STEPS - 1);
        assert_int_equal(heard_failed, 1);
    }
}

static void test_groups_run_steps(void **state) {
    (void)state;
    in_groups(check_crew);
}

static void test_too_few_ranks_are_refused(void **state) {
    (void)state;
    slao_group *group;
    assert_int_equal(slao_group_form(&group, &ranks, ranks.size + 1), SLAO_BAD_INPUT);
    assert_null(group);
    if (ranks.rank == 0)
        assert_non_null(strstr(slao_message(), "mpirun -n"));
}

int main(void) {
    slao_status status = slao_ranks_start(&ranks);
    if (status != SLAO_OK) {
        fprintf(stderr, "%s\n", slao_message());
        return (int)status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_gathering),
        cmocka_unit_test(test_a_lone_failure_is_everyones),
        cmocka_unit_test(test_qr),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_groups_run_steps),
        cmocka_unit_test(test_too_few_ranks_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        MPI_Abort(MPI_COMM_WORLD, 1); /* the other ranks may wait for this one */
    slao_ranks_finish(&ranks);
    return 0;
}
