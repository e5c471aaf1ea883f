#include "sweep/study.h"

#include "base/memory.h"
#include "continual/layers.h"
#include "model/tokenizer.h"
#include "sweep/archive.h"

#include <stdlib.h>
#include <string.h>

static slao_status hash_model(slao_hash *hash, const slao_inputs *inputs) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_hash_hash(hasher, inputs->model);
    slao_hash_hash(hasher, inputs->tokenizer);
    *hash = slao_hash_value(hasher);
    slao_hasher_free(hasher);
    return SLAO_OK;
}

/* What only the model can tell of a spec: better said now than by every step. */
static slao_status check_spec(const slao_spec *spec, const slao_model_config *config) {
    for (int64_t i = 0; i < spec->n_trials; i++) {
        const slao_trial *trial = &spec->trials[i];
        SLAO_TRY(slao_lora_check(&trial->lora, config));
        const char *merges = slao_method_merges(&trial->method);
        int64_t highest = merges ? slao_layers_highest(merges) : -1;
        if (highest >= config->layers)
            return slao_fail(
                SLAO_BAD_INPUT, "%s.merge names layer %lld, but the model's layers are 0 to %lld",
                trial->method.method->name, (long long)highest, (long long)config->layers - 1);
    }
    return SLAO_OK;
}

slao_status slao_study_open(slao_study *study, slao_spec *spec) {
    *study = (slao_study){.spec = spec};
    slao_hash model;
    SLAO_TRY(slao_checkpoint_open(&study->checkpoint, spec->model));
    study->config = *slao_checkpoint_config(study->checkpoint);
    SLAO_TRY(check_spec(spec, &study->config));
    SLAO_TRY(slao_checkpoint_hash(study->checkpoint, &study->inputs.model));
    SLAO_TRY(slao_tokenizer_hash(&study->inputs.tokenizer, spec->model));
    SLAO_TRY(hash_model(&model, &study->inputs));
    return slao_plan_new(&study->plan, spec, model);
}

/* "results/lambda.h5" is the sweep "lambda" of its store. */
static slao_status name_of(const char *output, char **name) {
    const char *slash = strrchr(output, '/'), *base = slash ? slash + 1 : output;
    const char *dot = strrchr(base, '.');
    return slao_format(name, "%.*s", (int)(dot ? (size_t)(dot - base) : strlen(base)), base);
}

slao_status slao_study_reopen(slao_study *study, const slao_store *store, const char *output) {
    char *name;
    *study = (slao_study){0};
    SLAO_TRY(name_of(output, &name));
    slao_status status = slao_archive_read(&study->archive, store, name);
    free(name);
    if (status == SLAO_OK) {
        slao_archive *archive = study->archive;
        study->config = archive->config;
        study->inputs = archive->inputs;
        status = slao_spec_parse_again(&study->spec, archive->expanded, archive->written,
                                       slao_store_folder(store), archive->folder, &archive->names);
    }
    if (status == SLAO_OK)
        status = slao_archive_plan(study->archive, study->spec, &study->plan);
    return status;
}

slao_status slao_study_keep(const slao_study *study, slao_store *store, const char *output,
                            const char *folder) {
    char *name;
    SLAO_TRY(name_of(output, &name));
    slao_status status =
        slao_archive_write(store, name, study->plan, &study->inputs, &study->config, folder);
    free(name);
    return status;
}

void slao_study_close(slao_study *study) {
    slao_plan_free(study->plan);
    slao_checkpoint_close(study->checkpoint);
    slao_spec_free(study->spec);
    slao_archive_free(study->archive);
    *study = (slao_study){0};
}

slao_status slao_study_hash(const slao_study *study, slao_hash *hash) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    for (int64_t i = 0; i < study->plan->n_steps; i++)
        slao_hash_hash(hasher, study->plan->steps[i].key);
    *hash = slao_hash_value(hasher);
    slao_hasher_free(hasher);
    return SLAO_OK;
}
