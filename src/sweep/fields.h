/* The keys of a spec file: one table per object of it, all filling one struct.
 *
 * What a key is called, of what type it is and between which bounds it lies stands in the tables;
 * what its value must be beyond that (a name out of a list, a module of a model) is checked by
 * slao_fields_check. Keys of `sweep` are axes: see sweep/axis.h.
 */
#ifndef SLAO_SWEEP_FIELDS_H
#define SLAO_SWEEP_FIELDS_H

#include "base/json.h"
#include "sweep/spec.h"

enum { SLAO_SECTION_BENCHMARK, SLAO_SECTION_LORA, SLAO_SECTION_TRAIN, SLAO_SECTION_EVALUATE };
enum { SLAO_N_SECTIONS = 4 };

/* Texts and lists belong to the document that was read. */
typedef struct {
    const char *name, *model, *weights, *precision, *store, *missing_tasks;
    int64_t ranks_per_trial, seed;
    const cJSON *sections[SLAO_N_SECTIONS];
    const cJSON *sweep, *presets;
    slao_benchmark_settings benchmark;
    slao_lora_settings lora; /* its targets: out of the list below, by slao_fields_check */
    const cJSON *targets;
    slao_train_settings train;
    slao_score_settings score;
    const char *when, *tasks;
    const cJSON *references;
    bool reference_base, reference_individual; /* out of the list */
} slao_fields;

/* The defaults of every key that has one, as the JSON of a spec. */
extern const char slao_fields_defaults[];

typedef struct {
    const char *name;             /* "lora" */
    const slao_json_field *table; /* offsets into slao_fields */
    bool swept;                   /* its keys may be axes of the sweep, by their dotted path */
} slao_section;

extern const slao_section slao_sections[SLAO_N_SECTIONS];

/* The axes of `sweep` that set one field and have a name of their own; ended as a table is. */
extern const slao_json_field slao_sweep_table[];

/* Reads all keys of `object`, none of which has to be there, save those within `sweep` and
 * `presets`. `where` stands before every path in messages: "spec.json: ". */
slao_status slao_fields_read(slao_fields *fields, const cJSON *object, const char *where);

/* Checks what the tables cannot. All keys with a default must have been read. */
slao_status slao_fields_check(slao_fields *fields, const char *where);

#endif
