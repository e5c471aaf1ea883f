#include "sweep/provenance.h"

#include "base/log.h"
#include "linalg/bf16.h"
#include "linalg/threads.h"
#include "linalg/vec.h"
#include "sweep/h5.h"
#include "sweep/plan.h"

#include <cblas.h>
#include <inttypes.h>
#include <mpi.h>
#include <slao_version.h>
#include <stdio.h>
#include <string.h>

/* The first line that begins with `key` and a colon in /proc/cpuinfo; empty where there is none
 * (other CPUs). */
static void cpu_fact(const char *key, char *value, size_t size) {
    value[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && !value[0] && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(value, size, "%s", colon + (colon[1] == ' ' ? 2 : 1));
    }
    if (file)
        fclose(file);
}

slao_status slao_machine_describe(slao_machine *machine) {
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    if (MPI_Get_library_version(library, &length) != MPI_SUCCESS)
        return slao_fail(SLAO_BROKEN, "MPI does not tell its version");
    library[strcspn(library, ",\n")] = '\0';
    snprintf(machine->mpi, sizeof machine->mpi, "%.*s", SLAO_PROVENANCE_TEXT - 1, library);

    const char *config = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
    const char *second = strchr(config, ' ');
    int named = second ? (int)(strcspn(second + 1, " ") + (size_t)(second + 1 - config))
                       : (int)strlen(config);
    snprintf(machine->blas, sizeof machine->blas, "%.*s, kernel %s", named, config,
             openblas_get_corename());

    SLAO_TRY(slao_h5_version(machine->hdf5, sizeof machine->hdf5));

    char name[96];
    cpu_fact("model name", name, sizeof name);
    snprintf(machine->cpu, sizeof machine->cpu, "%s, vector level %s%s%s", name[0] ? name : "CPU",
             slao_vec()->name, slao_bf16() ? ", bf16 by " : "",
             slao_bf16() ? slao_bf16()->name : "");
    /* Of the CPU only the vector level: which model it is changes no bit. */
    snprintf(machine->bits, sizeof machine->bits, "%s, vector level %s", machine->blas,
             slao_vec()->name);
    machine->threads = slao_threads();
    return SLAO_OK;
}

bool slao_built_from_changed_source(void) {
    return strstr(SLAO_GIT_COMMIT, "+dirty") != NULL;
}

slao_status slao_provenance_record(cJSON *record, const slao_machine *machine,
                                   const slao_inputs *inputs) {
    char model[SLAO_HASH_TEXT], tokenizer[SLAO_HASH_TEXT];
    slao_hash_to_text(inputs->model, model);
    slao_hash_to_text(inputs->tokenizer, tokenizer);
    const struct {
        const char *key, *text;
    } texts[] = {
        {"version", SLAO_VERSION},  {"commit", SLAO_GIT_COMMIT},
        {"mpi", machine->mpi},      {"blas", machine->blas},
        {"hdf5", machine->hdf5},    {"cpu", machine->cpu},
        {"machine", machine->bits}, {"model", model},
        {"tokenizer", tokenizer},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        SLAO_TRY(slao_json_add_text(record, texts[i].key, texts[i].text));
    SLAO_TRY(slao_json_add_real(record, "numeric_version", SLAO_NUMERIC_VERSION));
    return slao_json_add_real(record, "threads", machine->threads);
}

void slao_other_machines_note(slao_other_machines *others, const cJSON *record) {
    const cJSON *machine = slao_json_find(record, "machine");
    if (!cJSON_IsString(machine) || strcmp(machine->valuestring, others->here->bits) == 0)
        return;
    others->count++;
    snprintf(others->other, sizeof others->other, "%s", machine->valuestring);
}

void slao_other_machines_warn(const slao_other_machines *others) {
    if (others->count == 0)
        return;
    slao_warn("%" PRId64 " steps were done on another kind of machine (%s) than this one (%s): "
              "results may differ in their last bits from those of one machine. /provenance in the "
              "results file tells where each step ran; --fresh runs all of them here",
              others->count, others->other, others->here->bits);
}
