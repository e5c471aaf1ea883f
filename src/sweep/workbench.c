#include "sweep/workbench_parts.h"

#include "adapter/peft.h"
#include "base/file.h"
#include "base/log.h"
#include "sweep/geometry.h"
#include "sweep/savepoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `count` adapters at a time; it is never made smaller. */
static slao_status keep_adapters(slao_workbench *bench, size_t count) {
    SLAO_TRY(slao_grow(&bench->kept, &bench->kept_capacity, count, sizeof *bench->kept));
    while (bench->n_kept < count)
        bench->kept[bench->n_kept++] = (slao_workbench_kept){0};
    return SLAO_OK;
}

slao_status slao_workbench_new(slao_workbench **bench, const slao_workbench_parts *parts) {
    SLAO_TRY(slao_allocate(bench, 1, sizeof **bench));
    (*bench)->parts = *parts;
    slao_status status = keep_adapters(*bench, SLAO_WORKBENCH_ADAPTERS);
    if (status == SLAO_OK)
        status = slao_pass_new(&(*bench)->pass, parts->model);
    if (status == SLAO_OK)
        status = slao_pass_set_precision((*bench)->pass, parts->plan->spec->precision);
    if (status != SLAO_OK) {
        slao_workbench_free(*bench);
        *bench = NULL;
    }
    return status;
}

void slao_workbench_free(slao_workbench *bench) {
    if (!bench)
        return;
    for (size_t i = 0; i < bench->n_kept; i++)
        slao_lora_free(bench->kept[i].lora);
    free(bench->kept);
    slao_pass_free(bench->pass);
    free(bench);
}

/* ---- Adapters: in memory, else from the store ---- */

/* Puts what stands at `place` first; what was before it moves down by one. */
static void move_to_front(slao_workbench *bench, size_t place) {
    slao_workbench_kept moved = bench->kept[place];
    memmove(&bench->kept[1], &bench->kept[0], place * sizeof moved);
    bench->kept[0] = moved;
}

void slao_workbench_remember(slao_workbench *bench, slao_hash key, slao_lora *lora) {
    size_t last = bench->n_kept - 1;
    slao_lora_free(bench->kept[last].lora);
    bench->kept[last] = (slao_workbench_kept){key, lora};
    move_to_front(bench, last);
}

/* Where the step's adapter is, or what is evaluated instead of it; the caller frees *folder. */
static slao_status folder_of(const slao_workbench *bench, slao_hash key, bool evaluated,
                             char **folder) {
    return (evaluated ? slao_store_evaluated_path : slao_store_adapter_path)(bench->parts.store,
                                                                             key, folder);
}

/* The adapter of a step, or what is evaluated instead of it; it belongs to the bench and stays for
 * n_kept - 1 further calls. */
static slao_status adapter_of(slao_workbench *bench, int64_t step, bool evaluated,
                              const slao_lora **adapter) {
    slao_hash key = bench->parts.plan->steps[step].key, kept_as = key;
    kept_as.low ^= evaluated;
    for (size_t i = 0; i < bench->n_kept; i++) {
        if (bench->kept[i].lora && slao_hash_equal(bench->kept[i].key, kept_as)) {
            move_to_front(bench, i);
            *adapter = bench->kept[0].lora;
            return SLAO_OK;
        }
    }
    char *folder;
    slao_lora *lora;
    SLAO_TRY(folder_of(bench, key, evaluated, &folder));
    slao_status status = slao_peft_load(&lora, folder, &bench->parts.model->config);
    free(folder);
    SLAO_TRY(status);
    slao_workbench_remember(bench, kept_as, lora);
    *adapter = lora;
    return SLAO_OK;
}

slao_status slao_workbench_parents_of(slao_workbench *bench, const slao_step *step,
                                      slao_workbench_adapters *list) {
    const slao_plan *plan = bench->parts.plan;
    *list = (slao_workbench_adapters){.count = step->n_parents};
    SLAO_TRY(slao_allocate(&list->loras, (size_t)step->n_parents, sizeof(const slao_lora *)));
    SLAO_TRY(keep_adapters(bench, (size_t)step->n_parents + 1));
    for (int64_t i = 0; i < step->n_parents; i++)
        SLAO_TRY(adapter_of(bench, step->parents[i],
                            step->kind == SLAO_STEP_EVALUATE &&
                                slao_step_has_own_evaluation(&plan->steps[step->parents[i]]),
                            &list->loras[i]));
    return SLAO_OK;
}

slao_status slao_workbench_save_adapter(slao_workbench *bench, slao_hash key, bool evaluated,
                                        const slao_lora *lora) {
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    char *folder;
    SLAO_TRY(folder_of(bench, key, evaluated, &folder));
    slao_status status = slao_peft_save(lora, folder, bench->parts.plan->spec->model);
    free(folder);
    return status;
}

/* ---- Records ---- */

static slao_status hash_adapter(const slao_lora *lora, char text[SLAO_HASH_TEXT]) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_hash_bytes(hasher, lora->values, (size_t)lora->n_values * sizeof *lora->values);
    slao_hash_to_text(slao_hash_value(hasher), text);
    slao_hasher_free(hasher);
    return SLAO_OK;
}

slao_status slao_workbench_add_reals(cJSON *record, const char *key, const double *values,
                                     int64_t count) {
    return slao_json_add(record, key, cJSON_CreateDoubleArray(values, (int)count));
}

slao_status slao_workbench_add_adapter_facts(cJSON *record, const slao_lora *lora,
                                             const slao_lora *evaluated, size_t state_bytes) {
    char hash[SLAO_HASH_TEXT];
    SLAO_TRY(hash_adapter(lora, hash));
    SLAO_TRY(slao_json_add_text(record, "adapter_hash", hash));
    SLAO_TRY(slao_geometry_record_distance(record, evaluated));
    return slao_json_add_real(record, "state_bytes", (double)state_bytes);
}

size_t slao_workbench_adapter_bytes(const slao_lora *lora) {
    return (size_t)lora->n_values * sizeof *lora->values;
}

size_t slao_workbench_bytes_of_all(const slao_workbench_adapters *list) {
    size_t bytes = 0;
    for (int64_t i = 0; i < list->count; i++)
        bytes += slao_workbench_adapter_bytes(list->loras[i]);
    return bytes;
}

static slao_status (*const run_kind[SLAO_N_STEP_KINDS])(slao_workbench *, const slao_step *,
                                                        cJSON *, int64_t *) = {
    [SLAO_STEP_FINETUNE] = slao_workbench_finetune,
    [SLAO_STEP_MERGE] = slao_workbench_merge,
    [SLAO_STEP_EVALUATE] = slao_workbench_evaluate,
};

/* The hashes of the examples that the step reads, by task. */
static slao_status record_data(cJSON *record, const slao_plan *plan, const slao_step *step) {
    if (step->kind == SLAO_STEP_MERGE)
        return SLAO_OK;
    SLAO_TRY(slao_json_add(record, "data", cJSON_CreateObject()));
    cJSON *data = slao_json_find(record, "data");
    for (int64_t i = 0; i < step->n_tasks; i++) {
        const slao_task *task = slao_plan_task(plan, step->tasks[i]);
        char hash[SLAO_HASH_TEXT];
        slao_hash_to_text(step->kind == SLAO_STEP_FINETUNE ? task->train_hash : task->test_hash,
                          hash);
        SLAO_TRY(slao_json_add_text(data, task->name, hash));
    }
    return SLAO_OK;
}

static slao_status begin_record(const slao_workbench *bench, const slao_step *step, cJSON *record) {
    char key[SLAO_HASH_TEXT], started[SLAO_TIME_TEXT];
    slao_hash_to_text(step->key, key);
    slao_time_text(started);
    SLAO_TRY(slao_json_add_text(record, "key", key));
    SLAO_TRY(slao_json_add_text(record, "kind", slao_step_kind_name(step->kind)));
    SLAO_TRY(slao_json_add_text(record, "task", step->task));
    SLAO_TRY(slao_json_add_real(record, "position", (double)step->position));
    SLAO_TRY(slao_json_add_text(record, "started", started));
    SLAO_TRY(slao_json_add_real(record, "mpi_rank", bench->parts.rank));
    SLAO_TRY(slao_json_add_text(record, "host", bench->parts.host));
    if (step->kind != SLAO_STEP_EVALUATE) /* which draws nothing */
        SLAO_TRY(slao_json_add_real(record, "seed", (double)step->trial->seed));
    SLAO_TRY(slao_provenance_record(record, bench->parts.machine, bench->parts.inputs));
    return record_data(record, bench->parts.plan, step);
}

static slao_status run_recorded(slao_workbench *bench, const slao_step *step, cJSON *record,
                                slao_step_cost *cost) {
    SLAO_TRY(begin_record(bench, step, record));
    SLAO_TRY(run_kind[step->kind](bench, step, record, &cost->tokens));
    double seconds = bench->seconds_before + slao_seconds() - bench->begun;
    SLAO_TRY(slao_json_add_real(record, "seconds", seconds));
    SLAO_TRY(slao_json_add_real(record, "tokens", (double)cost->tokens));
    SLAO_TRY(slao_json_add_real(record, "peak_memory_bytes", slao_memory_peak()));
    if (!slao_team_leads(bench->parts.team))
        return SLAO_OK;
    SLAO_TRY(slao_store_put(bench->parts.store, step->key, record));
    return step->kind == SLAO_STEP_FINETUNE ? slao_savepoint_remove(bench->parts.store, step->key)
                                            : SLAO_OK;
}

static slao_status run_step(void *context, int64_t index, slao_step_cost *cost) {
    slao_workbench *bench = context;
    const slao_step *step = &bench->parts.plan->steps[index];
    bench->running = index;
    bench->begun = slao_seconds();
    bench->seconds_before = 0;
    bench->resumed_from = 0;
    bool done = slao_store_has(bench->parts.store, step->key); /* by a rank that seemed lost */
    SLAO_TRY(slao_team_share(bench->parts.team, SLAO_OK, &done, sizeof done));
    if (done)
        return SLAO_OK;
    cJSON *record = cJSON_CreateObject();
    slao_status status = SLAO_OK;
    if (!record)
        status = slao_fail(SLAO_NO_RESOURCE, "out of memory for a step's record");
    if (status == SLAO_OK)
        status = run_recorded(bench, step, record, cost);
    status = slao_team_end(bench->parts.team, status);
    cJSON_Delete(record);
    return status;
}

slao_runner slao_workbench_runner(slao_workbench *bench) {
    return (slao_runner){bench, run_step};
}
