/* sweep/: ranks, protocol, coordinator and workers, with steps that only pretend. Run by mpirun
 * with 1, 2, 3 and 8 ranks, all on this machine: what the steps leave is in memory that the ranks
 * share.
 */
#include "test.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "sweep/crew.h"
#include "sweep/drain.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static slao_ranks ranks;

enum { MOST_PARENTS = 2, MOST_STEPS = 20000 };

/* What a step leaves, seen by all ranks. */
typedef struct {
    atomic_int runs;
    atomic_bool done;
    uint64_t value; /* made from the parents' values: the result */
} trace;

typedef struct {
    int64_t n_steps;
    slao_graph_step *steps;
    int64_t (*parents)[MOST_PARENTS];
    trace *traces; /* shared by the ranks */
    /* What the dummy does beside: */
    double seconds;       /* sleeps */
    int64_t failing_step; /* fails with failing_status; -1: none */
    slao_status failing_status;
    int64_t signal_step; /* its rank gets a SIGUSR1; -1: none */
    /* What the listener heard, on rank 0: */
    int64_t heard[SLAO_EVENT_TICK + 1];
    char last_message[256];
    int64_t fail_after_done; /* the listener fails after so many; 0: never */
} dummy;

static uint64_t value_of(const dummy *self, int64_t step) {
    uint64_t value = 0x9e3779b97f4a7c15u * (uint64_t)(step + 1);
    for (int64_t p = 0; p < self->steps[step].n_parents; p++)
        value = (value ^ self->traces[self->parents[step][p]].value) * 0xff51afd7ed558ccdu;
    return value;
}

static slao_status run_dummy(void *context, int64_t step, slao_step_cost *cost) {
    dummy *self = context;
    trace *own = &self->traces[step];
    if (atomic_fetch_add(&own->runs, 1) > 0)
        return slao_fail(SLAO_BROKEN, "step %lld runs twice", (long long)step);
    for (int64_t p = 0; p < self->steps[step].n_parents; p++) {
        if (!atomic_load(&self->traces[self->parents[step][p]].done))
            return slao_fail(SLAO_BROKEN, "step %lld before its parent", (long long)step);
    }
    if (step == self->failing_step)
        return slao_fail(self->failing_status, "step %lld was to fail", (long long)step);
    if (step == self->signal_step)
        raise(SIGUSR1);
    if (self->seconds > 0) {
        struct timespec time = {0, (long)(1e9 * self->seconds)};
        nanosleep(&time, NULL);
    }
    own->value = value_of(self, step);
    atomic_store(&own->done, true);
    cost->tokens = step;
    return SLAO_OK;
}

static slao_status hear(void *context, const slao_event *event) {
    dummy *self = context;
    self->heard[event->kind]++;
    SLAO_INVARIANT(event->rank >= 0 && event->rank < ranks.size);
    if (event->message)
        snprintf(self->last_message, sizeof self->last_message, "%s", event->message);
    if (event->kind == SLAO_EVENT_DONE) {
        SLAO_INVARIANT(event->tokens == event->step && event->seconds >= self->seconds * 0.9);
        if (self->heard[SLAO_EVENT_DONE] == self->fail_after_done)
            return slao_fail(SLAO_NO_RESOURCE, "the journal's disk is full");
    }
    return SLAO_OK;
}

/* Collective. Steps without parents; the test adds them. */
static void dummy_start(dummy *self, int64_t n_steps) {
    *self = (dummy){.n_steps = n_steps, .failing_step = -1, .signal_step = -1};
    assert_ok(slao_allocate(&self->steps, (size_t)n_steps, sizeof *self->steps));
    assert_ok(slao_allocate(&self->parents, (size_t)n_steps, sizeof *self->parents));
    bool is_first;
    void *shared;
    assert_ok(slao_ranks_share(&ranks, (size_t)n_steps * sizeof(trace), &shared, &is_first));
    assert_int_equal(is_first, ranks.node_rank == 0);
    self->traces = shared;
    for (int64_t i = 0; i < n_steps; i++) {
        self->steps[i].parents = self->parents[i];
        self->steps[i].cost = 1;
        assert_int_equal(self->traces[i].runs, 0);
    }
    slao_ranks_barrier(&ranks);
}

static void dummy_end(dummy *self) {
    slao_ranks_barrier(&ranks);
    free(self->parents);
    free(self->steps);
}

static void add_parent(dummy *self, int64_t step, int64_t parent) {
    self->parents[step][self->steps[step].n_parents++] = parent;
}

/* All ranks get the same. */
static slao_status run(dummy *self) {
    slao_runner runner = {self, run_dummy};
    slao_status status = slao_crew_run(&ranks, self->steps, self->n_steps, &runner,
                                       (slao_listener){self, hear}, NULL);
    slao_ranks_barrier(&ranks);
    return status;
}

static int64_t count_runs(const dummy *self) {
    int64_t count = 0;
    for (int64_t i = 0; i < self->n_steps; i++)
        count += self->traces[i].runs;
    return count;
}

static void test_every_step_runs_once_after_its_parents(void **state) {
    (void)state;
    int64_t n_steps = ranks.size == 8 ? MOST_STEPS : 2000;
    dummy self;
    dummy_start(&self, n_steps);
    slao_random random = slao_random_stream(1, "graph", "", 0);
    for (int64_t i = 1; i < n_steps; i++) {
        for (uint64_t p = slao_random_below(&random, MOST_PARENTS + 1); p > 0; p--)
            add_parent(&self, i, (int64_t)slao_random_below(&random, (uint64_t)i));
        self.steps[i].cost = slao_random_uniform(&random);
    }
    double begin = slao_seconds();
    assert_ok(run(&self));
    double seconds = slao_seconds() - begin;
    if (ranks.rank == 0) {
        print_message("%lld steps on %d ranks: %.2f s, %.0f steps/s\n", (long long)n_steps,
                      ranks.size, seconds, (double)n_steps / seconds);
        assert_int_equal(self.heard[SLAO_EVENT_STARTED], n_steps);
        assert_int_equal(self.heard[SLAO_EVENT_DONE], n_steps);
    }
    /* Whoever ran what: the results are those of running them one after the other. */
    for (int64_t i = 0; i < n_steps; i++) {
        assert_int_equal(self.traces[i].runs, 1);
        assert_true(self.traces[i].value == value_of(&self, i));
    }
    dummy_end(&self);
}

static void test_steps_in_the_store_are_not_run(void **state) {
    (void)state;
    dummy self;
    dummy_start(&self, 10);
    for (int64_t i = 0; i < 10; i++)
        self.steps[i].done = true;
    assert_ok(run(&self));
    assert_int_equal(count_runs(&self), 0);
    dummy_end(&self);
    dummy_start(&self, 0);
    assert_ok(run(&self));
    dummy_end(&self);
}

static void test_a_failure_fails_its_descendants_only(void **state) {
    (void)state;
    dummy self;
    dummy_start(&self, 100);
    for (int64_t i = 2; i < 100; i++)
        add_parent(&self, i, i - 2); /* two chains: the even and the odd */
    self.failing_step = 41;
    self.failing_status = SLAO_BAD_INPUT;
    assert_int_equal(run(&self), SLAO_FAILED);
    if (ranks.rank == 0) {
        assert_non_null(strstr(slao_message(), "1 of 100 steps failed, and 29 "));
        assert_string_equal(self.last_message, "step 41 was to fail");
        assert_int_equal(self.heard[SLAO_EVENT_FAILED], 1);
    } else {
        assert_string_equal(slao_message(), "");
    }
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(self.traces[i].done, i % 2 == 0 || i < 41);
    dummy_end(&self);
}

static void test_a_refused_resource_stops_the_run(void **state) {
    (void)state;
    dummy self;
    dummy_start(&self, 400);
    self.failing_step = 5;
    self.failing_status = SLAO_NO_RESOURCE;
    self.seconds = 0.002;
    assert_int_equal(run(&self), SLAO_NO_RESOURCE);
    assert_true(count_runs(&self) < 200);
    if (ranks.rank == 0) {
        assert_string_equal(slao_message(), "step 5 was to fail");
        assert_int_equal(self.heard[SLAO_EVENT_STOPPING], 1);
        assert_int_equal(self.heard[SLAO_EVENT_DONE], count_runs(&self) - 1); /* all finished */
    }
    dummy_end(&self);
    dummy_start(&self, 400);
    self.fail_after_done = 10;
    self.seconds = 0.002;
    assert_int_equal(run(&self), SLAO_NO_RESOURCE);
    assert_true(count_runs(&self) < 200);
    if (ranks.rank == 0)
        assert_string_equal(slao_message(), "the journal's disk is full");
    dummy_end(&self);
}

static double cpu_seconds(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec +
           (double)usage.ru_stime.tv_sec + 1e-6 * (double)usage.ru_stime.tv_usec;
}

/* A chain keeps one rank busy (sleeping); the others, and the coordinator, wait. */
static void test_waiting_costs_no_core(void **state) {
    (void)state;
    dummy self;
    dummy_start(&self, 20);
    for (int64_t i = 1; i < 20; i++)
        add_parent(&self, i, i - 1);
    self.seconds = 0.1;
    double begin = slao_seconds(), cpu = cpu_seconds();
    assert_ok(run(&self));
    double share = (cpu_seconds() - cpu) / (slao_seconds() - begin);
    print_message("rank %d of %d: %.1f %% of a core while it waits\n", ranks.rank, ranks.size,
                  100 * share);
    assert_true(share < 0.10);
    if (ranks.rank == 0)
        assert_in_range(self.heard[SLAO_EVENT_TICK], 1, 60);
    dummy_end(&self);
}

static void test_agreement(void **state) {
    (void)state;
    assert_ok(slao_ranks_agree(&ranks, SLAO_OK));
    int culprit = ranks.size - 1;
    slao_status mine = SLAO_OK;
    if (ranks.rank == culprit)
        mine = slao_fail(SLAO_BAD_INPUT, "the model is missing here");
    assert_int_equal(slao_ranks_agree(&ranks, mine), SLAO_BAD_INPUT);
    if (ranks.rank == 0) {
        char expected[64];
        snprintf(expected, sizeof expected, "rank %d on ", culprit);
        const char *message = slao_message();
        if (culprit == 0)
            assert_string_equal(message, "the model is missing here");
        else
            assert_ptr_equal(strstr(message, expected), message);
        assert_non_null(strstr(message, "the model is missing here"));
    } else {
        assert_string_equal(slao_message(), "");
    }
    /* All fail, each in its own way: the first counts. */
    mine = slao_fail(ranks.rank == 0 ? SLAO_BAD_INPUT : SLAO_BROKEN, "seen by %d", ranks.rank);
    assert_int_equal(slao_ranks_agree(&ranks, mine), SLAO_BAD_INPUT);
    assert_string_equal(slao_message(), ranks.rank == 0 ? "seen by 0" : "");
}

static void test_texts_and_hashes_reach_all(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 300000;
    if (ranks.rank == 0) {
        assert_ok(slao_allocate(&text, size + 1, 1));
        memset(text, 'x', size);
    }
    assert_ok(slao_ranks_broadcast_text(&ranks, &text));
    assert_int_equal(strlen(text), size);
    free(text);
    slao_hash hash = {1, 2};
    assert_ok(slao_ranks_check_same(&ranks, hash, "the plan"));
    if (ranks.size == 1)
        return;
    hash.low += ranks.rank == 1;
    assert_int_equal(slao_ranks_check_same(&ranks, hash, "the plan"), SLAO_BAD_INPUT);
    if (ranks.rank == 0)
        assert_non_null(strstr(slao_message(), "the plan differs from rank 0's"));
}

static void test_too_much_shared_memory_is_refused(void **state) {
    (void)state;
    void *pointer;
    bool is_first;
    assert_int_equal(slao_ranks_share(&ranks, (size_t)1 << 52, &pointer, &is_first),
                     SLAO_NO_RESOURCE);
    assert_null(pointer);
    if (ranks.rank == 0)
        assert_non_null(strstr(slao_message(), "/dev/shm"));
}

/* The last test: a request to drain is never taken back. Any rank may be the one that gets the
 * signal. */
static void test_a_signal_drains(void **state) {
    (void)state;
    assert_ok(slao_drain_watch());
    dummy self;
    dummy_start(&self, 400);
    self.signal_step = 20;
    self.seconds = 0.003;
    assert_int_equal(run(&self), SLAO_DRAINED);
    int64_t runs = count_runs(&self);
    assert_true(runs > 20 && runs < 200);
    for (int64_t i = 0; i < 400; i++)
        assert_int_equal(self.traces[i].done,
                         self.traces[i].runs); /* what was begun was finished */
    if (ranks.rank == 0) {
        char expected[64];
        snprintf(expected, sizeof expected, "stopped on request with %lld of 400", (long long)runs);
        assert_non_null(strstr(slao_message(), expected));
        assert_int_equal(self.heard[SLAO_EVENT_STOPPING], 1);
    }
    dummy_end(&self);
}

int main(void) {
    slao_status status = slao_ranks_start(&ranks);
    if (status != SLAO_OK) {
        fprintf(stderr, "%s\n", slao_message());
        return (int)status;
    }
    const char *wanted = getenv("WANTED_RANKS");
    if (wanted && atoi(wanted) != ranks.size) {
        fprintf(stderr, "%d ranks were started, not %s\n", ranks.size, wanted);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_texts_and_hashes_reach_all),
        cmocka_unit_test(test_too_much_shared_memory_is_refused),
        cmocka_unit_test(test_every_step_runs_once_after_its_parents),
        cmocka_unit_test(test_steps_in_the_store_are_not_run),
        cmocka_unit_test(test_a_failure_fails_its_descendants_only),
        cmocka_unit_test(test_a_refused_resource_stops_the_run),
        cmocka_unit_test(test_waiting_costs_no_core),
        cmocka_unit_test(test_a_signal_drains),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        MPI_Abort(MPI_COMM_WORLD, 1); /* the other ranks may wait for this one */
    slao_ranks_finish(&ranks);
    return 0;
}
