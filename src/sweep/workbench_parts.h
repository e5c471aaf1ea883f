/* What the kinds of steps share of a workbench: workbench_finetune.c, workbench_merge.c and
 * workbench_evaluate.c compute them, workbench.c holds adapters and writes the records.
 * Within sweep/ only. */
#ifndef SLAO_SWEEP_WORKBENCH_PARTS_H
#define SLAO_SWEEP_WORKBENCH_PARTS_H

#include "model/transformer.h"
#include "sweep/workbench.h"

typedef struct {
    slao_hash key;
    slao_lora *lora; /* NULL: none */
} slao_workbench_kept;

/* The adapters of some steps; the array is the holder's, the adapters are the bench's. */
typedef struct {
    int64_t count;
    const slao_lora **loras;
} slao_workbench_adapters;

struct slao_workbench {
    slao_workbench_parts parts;
    slao_pass *pass;
    int64_t running;           /* the step */
    double begun, saved;       /* when it was begun, and when its last savepoint was made */
    int64_t resumed_from;      /* optimiser steps that it had done before */
    double seconds_before;     /* that it ran for before it was stopped */
    slao_workbench_kept *kept; /* the last adapters, the one used last first */
    size_t n_kept, kept_capacity;
};

/* ---- Adapters: in memory, else from the store ---- */

/* Takes over the adapter of the step with that key, and lets go of the one that was not used for
 * longest. */
void slao_workbench_remember(slao_workbench *bench, slao_hash key, slao_lora *lora);

/* The adapters of a step's parents, which stay until the step's own is remembered. To be released
 * with free(list->loras), also after a failure. */
slao_status slao_workbench_parents_of(slao_workbench *bench, const slao_step *step,
                                      slao_workbench_adapters *list);

/* Writes STORE/adapters/KEY, or the folder in it of what is evaluated instead. The first member of
 * a team does. */
slao_status slao_workbench_save_adapter(slao_workbench *bench, slao_hash key, bool evaluated,
                                        const slao_lora *lora);

size_t slao_workbench_adapter_bytes(const slao_lora *lora);
size_t slao_workbench_bytes_of_all(const slao_workbench_adapters *list);

/* ---- Records ---- */

slao_status slao_workbench_add_reals(cJSON *record, const char *key, const double *values,
                                     int64_t count);

/* What a step that leaves an adapter records of it: the hash of `lora`; the distance of
 * `evaluated`, which is another one where a stack is evaluated; `state_bytes` is told in
 * continual/method.h. */
slao_status slao_workbench_add_adapter_facts(cJSON *record, const slao_lora *lora,
                                             const slao_lora *evaluated, size_t state_bytes);

/* ---- The kinds of steps: each computes, saves its adapter if it makes one, and fills the record
 * ---- */

slao_status slao_workbench_finetune(slao_workbench *bench, const slao_step *step, cJSON *record,
                                    int64_t *tokens);
slao_status slao_workbench_merge(slao_workbench *bench, const slao_step *step, cJSON *record,
                                 int64_t *tokens);
slao_status slao_workbench_evaluate(slao_workbench *bench, const slao_step *step, cJSON *record,
                                    int64_t *tokens);

#endif
