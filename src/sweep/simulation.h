/* A run of a graph on many ranks, played through by the clock of its steps alone: the coordinator's
 * queue and its rule of who gets what, with as many ranks as one likes and no time spent. It tells
 * how well a sweep would fill a cluster.
 */
#ifndef SLAO_SWEEP_SIMULATION_H
#define SLAO_SWEEP_SIMULATION_H

#include "sweep/queue.h"

typedef struct {
    double makespan;      /* from the start to the end of the last step, in units of cost */
    double work;          /* sum of all durations */
    double critical_path; /* the longest chain of steps that wait for one another */
    double bound;         /* no schedule is faster: the larger of critical_path and work / ranks */
    double utilisation;   /* work / (ranks * makespan) */
    int64_t messages;     /* that coordinator and workers would send */
    int64_t near;         /* steps that went to a rank that had an adapter for them */
    double seconds;       /* that the queue really took for all of it */
} slao_simulation;

/* `durations` (n_steps) are what steps take, where `steps[i].cost` is what the scheduler believes;
 * NULL: it is right. Ranks are at least 1; steps that are done cost nothing. */
slao_status slao_simulate(slao_simulation *result, const slao_graph_step *steps, int64_t n_steps,
                          const double *durations, int64_t n_ranks);

/* A graph of the size of a published study: the sequence of fine-tunes of each order, learning rate
 * and seed under three ways to train, merges of two of them under each of four schedules, and every
 * adapter evaluated on every task; individual runs shared by all orders. Costs are passes over
 * examples: a task trains on `trained` and is tested on `tested` ones, give or take a half by task.
 * The caller frees *steps and *parents, which the steps point into. */
typedef struct {
    int64_t orders, tasks, schedules, rates, seeds;
    double trained, tested;
} slao_study_size;
slao_status slao_simulated_study(const slao_study_size *size, slao_graph_step **steps,
                                 int64_t **parents, int64_t *n_steps);

#endif
