#include "sweep/simulation.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdlib.h>

/* A rank at work: when it ends what. */
typedef struct {
    double end;
    int64_t rank, step;
} running;

typedef struct {
    slao_queue *queue;
    const double *durations;
    const slao_graph_step *steps;
    int64_t n_ranks;
    running *heap; /* the one that ends first on top */
    int64_t n_heap;
    int64_t *idle, n_idle;
    int64_t *last; /* per rank: the step it ran last, or -1 */
    double now;
    slao_simulation *result;
} simulation;

static bool ends_first(running a, running b) {
    return a.end != b.end ? a.end < b.end : a.rank < b.rank;
}

static void push(simulation *s, running added) {
    int64_t at = s->n_heap++;
    for (; at > 0 && ends_first(added, s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = added;
}

static running pop(simulation *s) {
    running first = s->heap[0], last = s->heap[--s->n_heap];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap && ends_first(s->heap[child + 1], s->heap[child]))
            child++;
        if (!ends_first(s->heap[child], last))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return first;
}

static double duration_of(const simulation *s, int64_t step) {
    return s->durations ? s->durations[step] : s->steps[step].cost;
}

/* As the coordinator does: first to those that have an adapter for a step, then to anyone. */
static void hand_out(simulation *s) {
    for (int pass = 0; pass < 2; pass++) {
        int64_t left = 0;
        for (int64_t i = 0; i < s->n_idle; i++) {
            int64_t rank = s->idle[i];
            int64_t step = pass == 0 ? slao_queue_next_near(s->queue, s->last[rank])
                                     : slao_queue_next(s->queue);
            if (step < 0) {
                s->idle[left++] = rank;
                continue;
            }
            s->last[rank] = step;
            s->result->near += pass == 0;
            s->result->messages++; /* run */
            push(s, (running){s->now + duration_of(s, step), rank, step});
        }
        s->n_idle = left;
    }
}

static void play(simulation *s) {
    s->n_idle = s->n_ranks;
    for (int64_t rank = 0; rank < s->n_ranks; rank++) {
        s->idle[rank] = rank;
        s->last[rank] = -1;
    }
    s->result->messages = 2 * s->n_ranks; /* ask, and stop at the end */
    hand_out(s);
    while (s->n_heap > 0) {
        running ended = pop(s);
        s->now = ended.end;
        s->idle[s->n_idle++] = ended.rank;
        s->result->messages++; /* done */
        slao_queue_done(s->queue, ended.step);
        if (slao_queue_count(s->queue).ready > 0)
            hand_out(s);
    }
}

/* The longest chain by durations; parents come before children. */
static slao_status measure(simulation *s, int64_t n_steps) {
    double *chains;
    SLAO_TRY(slao_allocate(&chains, (size_t)n_steps, sizeof *chains));
    for (int64_t i = 0; i < n_steps; i++) {
        if (s->steps[i].done || s->steps[i].left_out)
            continue;
        for (int64_t p = 0; p < s->steps[i].n_parents; p++) {
            if (chains[s->steps[i].parents[p]] > chains[i])
                chains[i] = chains[s->steps[i].parents[p]];
        }
        chains[i] += duration_of(s, i);
        s->result->work += duration_of(s, i);
        if (chains[i] > s->result->critical_path)
            s->result->critical_path = chains[i];
    }
    free(chains);
    return SLAO_OK;
}

slao_status slao_simulate(slao_simulation *result, const slao_graph_step *steps, int64_t n_steps,
                          const double *durations, int64_t n_ranks) {
    *result = (slao_simulation){0};
    simulation s = {.durations = durations, .steps = steps, .n_ranks = n_ranks, .result = result};
    size_t n = (size_t)n_ranks;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_allocate(&s.heap, n, sizeof *s.heap), out);
    SLAO_TRY_GOTO(status, slao_allocate(&s.idle, n, sizeof *s.idle), out);
    SLAO_TRY_GOTO(status, slao_allocate(&s.last, n, sizeof *s.last), out);
    SLAO_TRY_GOTO(status, measure(&s, n_steps), out);
    double begin = slao_seconds();
    SLAO_TRY_GOTO(status, slao_queue_new(&s.queue, steps, n_steps), out);
    play(&s);
    result->seconds = slao_seconds() - begin;
    result->makespan = s.now;
    double even = result->work / (double)n_ranks;
    result->bound = even > result->critical_path ? even : result->critical_path;
    result->utilisation = s.now > 0 ? even / s.now : 1;
out:
    slao_queue_free(s.queue);
    free(s.last);
    free(s.idle);
    free(s.heap);
    return status;
}

/* ---- A study's graph ---- */

enum { TRAININGS = 3, MERGED_TRAININGS = 2 };

typedef struct {
    const slao_study_size *size;
    slao_graph_step *steps; /* NULL: only counted */
    int64_t *parents;
    int64_t n_steps, n_parents;
    double *weights; /* per task: how long it is, about 1 */
} study;

static int64_t add(study *s, double cost, int64_t first, int64_t second) {
    int64_t n_parents = (first >= 0) + (second >= 0);
    if (s->steps) {
        int64_t *parents = s->parents + s->n_parents;
        s->steps[s->n_steps] =
            (slao_graph_step){.n_parents = n_parents, .parents = parents, .cost = cost};
        if (first >= 0)
            *parents++ = first;
        if (second >= 0)
            *parents++ = second;
    }
    s->n_parents += n_parents;
    return s->n_steps++;
}

static void add_evaluations(study *s, int64_t adapter) {
    for (int64_t t = 0; t < s->size->tasks; t++)
        add(s, s->size->tested * s->weights[t], adapter, -1);
}

static double training(const study *s, int64_t task) {
    enum { PASSES = 3 }; /* a forward and a backward */
    return PASSES * s->size->trained * s->weights[task];
}

/* The sequence of an order: the i-th task is (first + i) modulo their number. */
static void add_sequence(study *s, int64_t first, bool merged) {
    int64_t n = s->size->tasks, schedules = merged ? s->size->schedules : 0, parent = -1;
    enum { MOST_SCHEDULES = 16 };
    int64_t merges[MOST_SCHEDULES];
    SLAO_INVARIANT(schedules <= MOST_SCHEDULES);
    for (int64_t i = 0; i < n; i++) {
        int64_t task = (first + i) % n;
        int64_t tuned = add(s, training(s, task), parent, -1);
        if (!merged || i == 0)
            add_evaluations(s, tuned);
        for (int64_t k = 0; k < schedules; k++) {
            merges[k] = i == 0 ? tuned : add(s, 1, merges[k], tuned);
            if (i > 0)
                add_evaluations(s, merges[k]);
        }
        parent = tuned;
    }
}

static void build(study *s) {
    s->n_steps = s->n_parents = 0;
    for (int64_t k = 0; k < s->size->rates * s->size->seeds; k++) {
        for (int64_t t = 0; t < s->size->tasks; t++) {
            int64_t alone = add(s, training(s, t), -1, -1);
            add(s, s->size->tested * s->weights[t], alone, -1);
        }
        for (int64_t o = 0; o < s->size->orders; o++) {
            for (int method = 0; method < TRAININGS; method++)
                add_sequence(s, o * s->size->tasks / s->size->orders, method < MERGED_TRAININGS);
        }
    }
}

slao_status slao_simulated_study(const slao_study_size *size, slao_graph_step **steps,
                                 int64_t **parents, int64_t *n_steps) {
    study s = {.size = size};
    *steps = NULL;
    *parents = NULL;
    slao_status status = slao_allocate(&s.weights, (size_t)size->tasks, sizeof *s.weights);
    if (status == SLAO_OK) {
        slao_random random = slao_random_stream(0, "study", "tasks", 0);
        for (int64_t t = 0; t < size->tasks; t++)
            s.weights[t] = 0.5 + slao_random_uniform(&random);
        build(&s);
        status = slao_allocate(steps, (size_t)s.n_steps, sizeof **steps);
    }
    if (status == SLAO_OK)
        status = slao_allocate(parents, (size_t)s.n_parents, sizeof **parents);
    if (status == SLAO_OK) {
        s.steps = *steps;
        s.parents = *parents;
        build(&s);
        *n_steps = s.n_steps;
    } else {
        free(*steps);
        *steps = NULL;
    }
    free(s.weights);
    return status;
}
