#include "sweep/queue.h"

#include "base/memory.h"

#include <stdlib.h>

/* How much longer the longest chain must be to take a rank away from its adapter. */
static const double NEAR_ENOUGH = 1.1;

typedef enum { WAITING, READY, RUNNING, DONE, FAILED, SKIPPED, LEFT_OUT } step_state;

typedef struct {
    step_state state;
    bool in_heap;
    double cost, chain;
    int64_t missing; /* parents that are not done */
    /* Into queue->children and queue->parents. Children are ordered by chain; those before `fresh`
     * are neither waiting nor ready. */
    int64_t first_child, fresh, end_child;
    int64_t first_parent, end_parent;
} node;

struct slao_queue {
    int64_t n_steps;
    node *nodes;
    int64_t *children, *parents;
    int64_t *heap; /* of ready steps, and of some that were taken from its midst meanwhile */
    int64_t n_heap;
    int64_t *stack; /* for walks over descendants */
    slao_queue_counts counts;
};

static bool comes_first(const slao_queue *queue, int64_t a, int64_t b) {
    double chain_a = queue->nodes[a].chain, chain_b = queue->nodes[b].chain;
    return chain_a != chain_b ? chain_a > chain_b : a < b;
}

static void push(slao_queue *queue, int64_t step) {
    if (queue->nodes[step].in_heap) /* taken from its midst, and returned */
        return;
    queue->nodes[step].in_heap = true;
    int64_t at = queue->n_heap++;
    for (; at > 0 && comes_first(queue, step, queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
        queue->heap[at] = queue->heap[(at - 1) / 2];
    queue->heap[at] = step;
}

static void pop(slao_queue *queue) {
    queue->nodes[queue->heap[0]].in_heap = false;
    int64_t last = queue->heap[--queue->n_heap], at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= queue->n_heap)
            break;
        if (child + 1 < queue->n_heap &&
            comes_first(queue, queue->heap[child + 1], queue->heap[child]))
            child++;
        if (!comes_first(queue, queue->heap[child], last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
}

/* The ready step of the longest chain, or -1. */
static int64_t top(slao_queue *queue) {
    while (queue->n_heap > 0 && queue->nodes[queue->heap[0]].state != READY)
        pop(queue);
    return queue->n_heap > 0 ? queue->heap[0] : -1;
}

static int64_t take(slao_queue *queue, int64_t step) {
    queue->nodes[step].state = RUNNING;
    queue->counts.ready--;
    queue->counts.running++;
    return step;
}

int64_t slao_queue_next(slao_queue *queue) {
    int64_t first = top(queue);
    return first < 0 ? -1 : take(queue, first);
}

/* The ready child of the longest chain, or -1. */
static int64_t ready_child(slao_queue *queue, int64_t parent) {
    node *of = &queue->nodes[parent];
    while (of->fresh < of->end_child && queue->nodes[queue->children[of->fresh]].state > READY)
        of->fresh++;
    for (int64_t i = of->fresh; i < of->end_child; i++) {
        if (queue->nodes[queue->children[i]].state == READY)
            return queue->children[i];
    }
    return -1;
}

int64_t slao_queue_next_near(slao_queue *queue, int64_t last) {
    int64_t first = top(queue);
    if (first < 0 || last < 0)
        return -1;
    int64_t best = ready_child(queue, last);
    for (int64_t i = queue->nodes[last].first_parent; i < queue->nodes[last].end_parent; i++) {
        int64_t sibling = ready_child(queue, queue->parents[i]);
        if (sibling >= 0 && (best < 0 || comes_first(queue, sibling, best)))
            best = sibling;
    }
    if (best < 0 || queue->nodes[first].chain > NEAR_ENOUGH * queue->nodes[best].chain)
        return -1;
    return take(queue, best);
}

void slao_queue_done(slao_queue *queue, int64_t step) {
    node *ended = &queue->nodes[step];
    SLAO_INVARIANT(ended->state == RUNNING);
    ended->state = DONE;
    queue->counts.running--;
    queue->counts.done++;
    queue->counts.cost_done += ended->cost;
    queue->counts.cost_left -= ended->cost;
    for (int64_t i = ended->first_child; i < ended->end_child; i++) {
        node *child = &queue->nodes[queue->children[i]];
        if (--child->missing > 0 || child->state != WAITING)
            continue;
        child->state = READY;
        queue->counts.waiting--;
        queue->counts.ready++;
        push(queue, queue->children[i]);
    }
}

void slao_queue_return(slao_queue *queue, int64_t step) {
    node *returned = &queue->nodes[step];
    SLAO_INVARIANT(returned->state == RUNNING);
    returned->state = READY;
    queue->counts.running--;
    queue->counts.ready++;
    for (int64_t i = returned->first_parent; i < returned->end_parent; i++) {
        node *parent = &queue->nodes[queue->parents[i]];
        parent->fresh = parent->first_child;
    }
    push(queue, step);
}

/* Skips all that waits for a step that failed. */
static void skip_descendants(slao_queue *queue, int64_t step) {
    int64_t n_stack = 0;
    queue->stack[n_stack++] = step;
    while (n_stack > 0) {
        const node *lost = &queue->nodes[queue->stack[--n_stack]];
        for (int64_t i = lost->first_child; i < lost->end_child; i++) {
            node *child = &queue->nodes[queue->children[i]];
            if (child->state != WAITING)
                continue;
            child->state = SKIPPED;
            queue->counts.waiting--;
            queue->counts.skipped++;
            queue->counts.cost_left -= child->cost;
            queue->stack[n_stack++] = queue->children[i];
        }
    }
}

slao_queue_counts slao_queue_count(const slao_queue *queue) {
    return queue->counts;
}

void slao_queue_failed(slao_queue *queue, int64_t step) {
    SLAO_INVARIANT(queue->nodes[step].state == RUNNING);
    queue->nodes[step].state = FAILED;
    queue->counts.running--;
    queue->counts.failed++;
    queue->counts.cost_left -= queue->nodes[step].cost;
    skip_descendants(queue, step);
}

/* Lists the parents of each step and, by counting sort, the children. */
static void link_steps(slao_queue *queue, const slao_graph_step *steps) {
    node *nodes = queue->nodes;
    int64_t at = 0;
    for (int64_t i = 0; i < queue->n_steps; i++) {
        nodes[i].first_parent = at;
        for (int64_t p = 0; p < steps[i].n_parents; p++) {
            int64_t parent = steps[i].parents[p];
            SLAO_INVARIANT(parent >= 0 && parent < i);
            queue->parents[at++] = parent;
            nodes[parent].end_child++; /* a count so far */
        }
        nodes[i].end_parent = at;
    }
    at = 0;
    for (int64_t i = 0; i < queue->n_steps; i++) {
        int64_t count = nodes[i].end_child;
        nodes[i].first_child = nodes[i].fresh = nodes[i].end_child = at;
        at += count;
    }
    for (int64_t i = 0; i < queue->n_steps; i++) {
        for (int64_t p = nodes[i].first_parent; p < nodes[i].end_parent; p++)
            queue->children[nodes[queue->parents[p]].end_child++] = i;
    }
}

static int by_chain(const void *a, const void *b, void *queue) {
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return comes_first(queue, first, second) ? -1 : comes_first(queue, second, first);
}

/* Chains from the last step to the first, so that a step's children have theirs. */
static void measure_chains(slao_queue *queue) {
    for (int64_t i = queue->n_steps - 1; i >= 0; i--) {
        node *of = &queue->nodes[i];
        size_t n_children = (size_t)(of->end_child - of->first_child);
        qsort_r(queue->children + of->first_child, n_children, sizeof *queue->children, by_chain,
                queue);
        double longest = 0;
        for (int64_t c = of->first_child; c < of->end_child; c++) {
            const node *child = &queue->nodes[queue->children[c]];
            if (child->state == WAITING && child->chain > longest)
                longest = child->chain;
        }
        of->chain = of->cost + longest;
    }
}

static void set_states(slao_queue *queue) {
    slao_queue_counts *counts = &queue->counts;
    for (int64_t i = 0; i < queue->n_steps; i++) {
        node *of = &queue->nodes[i];
        for (int64_t p = of->first_parent; p < of->end_parent; p++)
            of->missing += queue->nodes[queue->parents[p]].state != DONE;
        if (of->state == LEFT_OUT) {
            counts->steps--;
            continue;
        }
        if (of->state == DONE) {
            counts->done++;
            counts->done_before++;
            continue;
        }
        if (of->state == FAILED) {
            counts->failed++;
            continue;
        }
        counts->cost_left += of->cost;
        if (of->missing > 0) {
            counts->waiting++;
        } else {
            of->state = READY;
            counts->ready++;
            push(queue, i);
        }
    }
    for (int64_t i = 0; i < queue->n_steps; i++) {
        if (queue->nodes[i].state == FAILED)
            skip_descendants(queue, i);
    }
}

slao_status slao_queue_new(slao_queue **queue, const slao_graph_step *steps, int64_t n_steps) {
    SLAO_TRY(slao_allocate(queue, 1, sizeof **queue));
    slao_queue *made = *queue;
    made->n_steps = made->counts.steps = n_steps;
    size_t n_parents = 0, n = (size_t)n_steps;
    for (int64_t i = 0; i < n_steps; i++)
        n_parents += (size_t)steps[i].n_parents;
    slao_status status;
    SLAO_TRY_GOTO(status, slao_allocate(&made->nodes, n, sizeof *made->nodes), fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->children, n_parents, sizeof *made->children), fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->parents, n_parents, sizeof *made->parents), fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->heap, n, sizeof *made->heap), fail);
    SLAO_TRY_GOTO(status, slao_allocate(&made->stack, n, sizeof *made->stack), fail);
    for (int64_t i = 0; i < n_steps; i++) {
        SLAO_INVARIANT(steps[i].cost >= 0);
        made->nodes[i].cost = steps[i].cost;
        made->nodes[i].state = steps[i].done       ? DONE
                               : steps[i].left_out ? LEFT_OUT
                               : steps[i].failed   ? FAILED
                                                   : WAITING;
    }
    link_steps(made, steps);
    measure_chains(made);
    set_states(made);
    return SLAO_OK;
fail:
    slao_queue_free(made);
    *queue = NULL;
    return status;
}

void slao_queue_free(slao_queue *queue) {
    if (!queue)
        return;
    free(queue->stack);
    free(queue->heap);
    free(queue->parents);
    free(queue->children);
    free(queue->nodes);
    free(queue);
}
