/* slao bench scheduler: the real coordinator and workers on steps that do nothing, and a simulated
 * cluster on the graph of a whole study. */
#include "cli/bench.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/document.h"
#include "cli/options.h"
#include "sweep/crew.h"
#include "sweep/simulation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    int64_t steps, cluster;
    bool json;
} choices;

typedef struct {
    int64_t ranks, steps;
    double seconds;
} crew_speed;

static slao_status run_nothing(void *context, int64_t step, slao_step_cost *cost) {
    (void)context;
    (void)step;
    cost->tokens = 1;
    return SLAO_OK;
}

static slao_status hear_nothing(void *context, const slao_event *event) {
    (void)context;
    (void)event;
    return SLAO_OK;
}

/* Collective: chains of ten steps, each of which does nothing. */
static slao_status time_crew(slao_ranks *ranks, int64_t n_steps, crew_speed *speed) {
    enum { CHAIN = 10 };
    slao_graph_step *steps;
    int64_t *parents;
    SLAO_TRY(slao_allocate(&steps, (size_t)n_steps, sizeof *steps));
    slao_status status = slao_allocate(&parents, (size_t)n_steps, sizeof *parents);
    if (status != SLAO_OK) {
        free(steps);
        return status;
    }
    for (int64_t i = 0; i < n_steps; i++) {
        parents[i] = i - 1;
        steps[i] = (slao_graph_step){
            .n_parents = i % CHAIN != 0, .parents = &parents[i], .cost = (double)(1 + i % 7)};
    }
    slao_runner runner = {NULL, run_nothing};
    double begin = slao_seconds();
    status =
        slao_crew_run(ranks, steps, n_steps, &runner, (slao_listener){NULL, hear_nothing}, NULL);
    *speed = (crew_speed){ranks->size, n_steps, slao_seconds() - begin};
    free(parents);
    free(steps);
    return status;
}

/* The study of the paper: three orders of 15 tasks, 1000 examples trained on and 500 tested. What
 * steps really take is off the scheduler's belief by up to a fifth. */
static slao_status simulate(int64_t n_ranks, slao_simulation *result, int64_t *n_steps) {
    const slao_study_size size = {.orders = 3,
                                  .tasks = 15,
                                  .schedules = 4,
                                  .rates = 4,
                                  .seeds = 3,
                                  .trained = 1000,
                                  .tested = 500};
    slao_graph_step *steps;
    int64_t *parents;
    double *durations = NULL;
    SLAO_TRY(slao_simulated_study(&size, &steps, &parents, n_steps));
    slao_status status = slao_allocate(&durations, (size_t)*n_steps, sizeof *durations);
    if (status == SLAO_OK) {
        slao_random random = slao_random_stream(0, "study", "durations", 0);
        for (int64_t i = 0; i < *n_steps; i++)
            durations[i] = steps[i].cost * (0.8 + 0.4 * slao_random_uniform(&random));
        status = slao_simulate(result, steps, *n_steps, durations, n_ranks);
    }
    free(durations);
    free(parents);
    free(steps);
    return status;
}

static double per_second(double count, double seconds) {
    return seconds > 0 ? count / seconds : 0;
}

static void print_text(const crew_speed *crew, const slao_simulation *sim, int64_t n_steps,
                       int64_t n_ranks) {
    printf("dummy steps       %" PRId64 " on %" PRId64 " ranks in %.2f s: %.0f steps/s\n",
           crew->steps, crew->ranks, crew->seconds, per_second((double)crew->steps, crew->seconds));
    printf("simulated study   %" PRId64 " steps on %" PRId64 " ranks\n", n_steps, n_ranks);
    printf("  makespan        %.0f passes over examples; no schedule is under %.0f (critical path "
           "%.0f, even share of the work %.0f)\n",
           sim->makespan, sim->bound, sim->critical_path, sim->work / (double)n_ranks);
    printf("  to the bound    %.3f times\n", sim->makespan / sim->bound);
    printf("  utilisation     %.1f %%\n", 100 * sim->utilisation);
    printf("  parent's place  %.1f %% of the steps\n", 100 * (double)sim->near / (double)n_steps);
    printf("  messages        %" PRId64 ", %.0f per second of the queue's own time\n",
           sim->messages, per_second((double)sim->messages, sim->seconds));
}

static slao_status fill_json(cJSON *root, const crew_speed *crew, const slao_simulation *sim,
                             int64_t n_steps, int64_t n_ranks) {
    const struct {
        const char *key;
        double value;
    } crew_rows[] = {{"ranks", (double)crew->ranks},
                     {"steps", (double)crew->steps},
                     {"seconds", crew->seconds},
                     {"steps_per_second", per_second((double)crew->steps, crew->seconds)}},
      sim_rows[] = {{"ranks", (double)n_ranks},
                    {"steps", (double)n_steps},
                    {"makespan", sim->makespan},
                    {"bound", sim->bound},
                    {"critical_path", sim->critical_path},
                    {"work", sim->work},
                    {"makespan_to_bound", sim->makespan / sim->bound},
                    {"utilisation", sim->utilisation},
                    {"near", (double)sim->near},
                    {"messages", (double)sim->messages},
                    {"queue_seconds", sim->seconds},
                    {"messages_per_second", per_second((double)sim->messages, sim->seconds)}};
    SLAO_TRY(slao_json_add(root, "crew", cJSON_CreateObject()));
    for (size_t i = 0; i < sizeof crew_rows / sizeof *crew_rows; i++)
        SLAO_TRY(
            slao_json_add_real(slao_json_find(root, "crew"), crew_rows[i].key, crew_rows[i].value));
    SLAO_TRY(slao_json_add(root, "simulation", cJSON_CreateObject()));
    for (size_t i = 0; i < sizeof sim_rows / sizeof *sim_rows; i++)
        SLAO_TRY(slao_json_add_real(slao_json_find(root, "simulation"), sim_rows[i].key,
                                    sim_rows[i].value));
    return SLAO_OK;
}

/* On rank 0. */
static slao_status report(const choices *chosen, const crew_speed *crew) {
    slao_simulation sim;
    int64_t n_steps;
    SLAO_TRY(simulate(chosen->cluster, &sim, &n_steps));
    if (!chosen->json) {
        print_text(crew, &sim, n_steps, chosen->cluster);
        return SLAO_OK;
    }
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, crew, &sim, n_steps, chosen->cluster));
}

static slao_status run(const choices *chosen) {
    slao_ranks ranks;
    crew_speed crew;
    SLAO_TRY(slao_ranks_start(&ranks));
    slao_status status = time_crew(&ranks, chosen->steps, &crew);
    if (status == SLAO_OK)
        status = slao_ranks_agree(&ranks, ranks.rank == 0 ? report(chosen, &crew) : SLAO_OK);
    slao_ranks_finish(&ranks);
    return status;
}

slao_status slao_bench_scheduler(int argc, char **argv) {
    choices chosen = {.steps = 20000, .cluster = 1024};
    const slao_option options[] = {
        {"--steps", NULL, SLAO_OPTION_INTEGER, "N", "dummy steps for the real ranks (20000)",
         &chosen.steps, false},
        {"--cluster", NULL, SLAO_OPTION_INTEGER, "N", "simulated ranks (1024)", &chosen.cluster,
         false},
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &chosen.json, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "[mpirun -n N] slao bench scheduler [--steps N] [--cluster N] [--json]",
        .summary = "Steps per second that coordinator and workers manage when steps do nothing, "
                   "and how a whole\nstudy (3 orders x 15 tasks x 5 methods x 4 schedules x 4 "
                   "learning rates x 3 seeds) would fill\na cluster: makespan against what no "
                   "schedule can beat, utilisation, messages.",
        .example = "mpirun -n 8 --oversubscribe --bind-to none slao bench scheduler --steps 100000",
        .options = options,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    if (chosen.steps < 1 || chosen.cluster < 1)
        return slao_fail(SLAO_BAD_INPUT, "--steps and --cluster must be at least 1");
    return run(&chosen);
}
