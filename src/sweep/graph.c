#include "sweep/graph.h"

#include "base/file.h"
#include "base/log.h"
#include "sweep/work.h"

#include <stdlib.h>

static slao_status is_done(const slao_store *store, slao_hash key, slao_other_machines *others,
                           bool *done) {
    *done = slao_store_has(store, key);
    if (!*done)
        return SLAO_OK;
    cJSON *record;
    slao_status status = slao_store_get(store, key, &record);
    if (status == SLAO_OK && others->here)
        slao_other_machines_note(others, record);
    cJSON_Delete(record);
    if (status != SLAO_BAD_INPUT)
        return status;
    slao_warn("%s: it runs again", slao_message());
    *done = false;
    return SLAO_OK;
}

/* Did the step fail in an earlier run? */
static slao_status has_failed(const slao_store *store, slao_hash key, bool *failed) {
    char *path;
    SLAO_TRY(slao_store_log_path(store, key, &path));
    *failed = slao_is_file(path);
    free(path);
    return SLAO_OK;
}

static slao_status fill(slao_graph_step *graph, const slao_plan *plan, const slao_store *store,
                        const slao_machine *machine) {
    slao_other_machines others = {.here = machine};
    for (int64_t i = 0; i < plan->n_steps; i++) {
        const slao_step *step = &plan->steps[i];
        graph[i] = (slao_graph_step){.n_parents = step->n_parents,
                                     .parents = step->parents,
                                     .cost = slao_work_of(plan, step),
                                     .resumable = step->kind == SLAO_STEP_FINETUNE};
        if (store)
            SLAO_TRY(is_done(store, step->key, &others, &graph[i].done));
        if (store && !graph[i].done)
            SLAO_TRY(has_failed(store, step->key, &graph[i].failed));
    }
    slao_other_machines_warn(&others);
    return SLAO_OK;
}

slao_status slao_graph_new(slao_graph_step **graph, const slao_plan *plan, const slao_store *store,
                           const slao_selection *selection, const slao_machine *machine) {
    SLAO_TRY(slao_allocate(graph, (size_t)plan->n_steps, sizeof **graph));
    slao_status status = fill(*graph, plan, store, machine);
    if (status == SLAO_OK)
        status = slao_selection_apply(selection, plan, *graph);
    if (status != SLAO_OK) {
        free(*graph);
        *graph = NULL;
    }
    return status;
}
