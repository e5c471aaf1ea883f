/* slao inspect: what is in a file. One row of `kinds` for each kind of file. */

#include "cli/inspect.h"

#include "base/file.h"
#include "cli/command.h"
#include "cli/document.h"
#include "cli/options.h"
#include "model/checkpoint.h"
#include "model/rope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is told of a model beyond its config. */
typedef struct {
    int64_t parameters, without_embedding, of_type[SLAO_N_DTYPES];
    size_t bytes; /* of the tensors */
    char hash[SLAO_HASH_TEXT];
} model_facts;

static slao_status gather_facts(model_facts *facts, const slao_checkpoint *checkpoint) {
    *facts = (model_facts){0};
    slao_hash hash;
    SLAO_TRY(slao_checkpoint_hash(checkpoint, &hash));
    slao_hash_to_text(hash, facts->hash);
    const slao_tensor_list *list = slao_checkpoint_tensors(checkpoint);
    for (int64_t i = 0; i < list->count; i++) {
        const slao_tensor *tensor = &list->tensors[i];
        facts->parameters += slao_tensor_count(tensor);
        facts->of_type[tensor->dtype]++;
        facts->bytes += tensor->bytes;
    }
    const slao_model_config *config = slao_checkpoint_config(checkpoint);
    facts->without_embedding = facts->parameters - config->vocabulary * config->hidden;
    return SLAO_OK;
}

static slao_status add_integer(cJSON *object, const char *key, int64_t value) {
    return slao_json_add_real(object, key, (double)value);
}

static const char *rope_text(const slao_model_config *config) {
    return config->rope.n_factors ? "factors" : slao_rope_name(config->rope.type);
}

static slao_status fill_model_json(cJSON *root, const slao_model_config *config,
                                   const model_facts *facts, int64_t n_tensors) {
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"layers", config->layers},
        {"hidden", config->hidden},
        {"heads", config->heads},
        {"kv_heads", config->kv_heads},
        {"head_dim", config->head_dim},
        {"intermediate", config->intermediate},
        {"vocabulary", config->vocabulary},
        {"max_positions", config->max_positions},
        {"sliding_window", config->window},
        {"bos", config->bos},
        {"eos", config->eos},
        {"parameters", facts->parameters},
        {"parameters_without_embedding", facts->without_embedding},
        {"bytes", (int64_t)facts->bytes},
        {"tensors", n_tensors},
    };
    SLAO_TRY(slao_json_add_text(root, "kind", "model"));
    SLAO_TRY(slao_json_add_text(root, "architecture", config->family->name));
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        SLAO_TRY(add_integer(root, integers[i].key, integers[i].value));
    SLAO_TRY(slao_json_add_real(root, "rope_theta", config->rope_theta));
    SLAO_TRY(slao_json_add_text(root, "rope_type", rope_text(config)));
    SLAO_TRY(slao_json_add_real(root, "rms_epsilon", config->rms_epsilon));
    SLAO_TRY(slao_json_add(root, "tied_head", cJSON_CreateBool(config->tied_head)));
    cJSON *types = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(root, "tensor_types", types));
    for (slao_dtype dtype = 0; dtype < SLAO_N_DTYPES; dtype++) {
        if (facts->of_type[dtype])
            SLAO_TRY(add_integer(types, slao_dtype_name(dtype), facts->of_type[dtype]));
    }
    cJSON *ends = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "end_tokens", ends));
    for (int64_t i = 0; i < config->n_end_tokens; i++)
        SLAO_TRY(add_integer(ends, "end_tokens", config->end_tokens[i]));
    return slao_json_add_text(root, "hash", facts->hash);
}

static slao_status print_model_json(const slao_model_config *config, const model_facts *facts,
                                    int64_t n_tensors) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_model_json(root, config, facts, n_tensors));
}

static void print_model(const slao_model_config *config, const model_facts *facts,
                        int64_t n_tensors) {
    printf("architecture   %s\n", config->family->name);
    printf("layers         %lld\n", (long long)config->layers);
    printf("hidden         %lld\n", (long long)config->hidden);
    printf("attention      %lld heads of %lld; %lld for keys and values\n",
           (long long)config->heads, (long long)config->head_dim, (long long)config->kv_heads);
    printf("intermediate   %lld\n", (long long)config->intermediate);
    printf("vocabulary     %lld; head %s\n", (long long)config->vocabulary,
           config->tied_head ? "tied to the embedding" : "of its own");
    printf("positions      %lld; RoPE base %g, %s\n", (long long)config->max_positions,
           config->rope_theta, rope_text(config));
    if (config->window)
        printf("window         %lld, from layer %lld on\n", (long long)config->window,
               (long long)config->window_layer);
    printf("tokens         bos %lld; end", (long long)config->bos);
    for (int64_t i = 0; i < config->n_end_tokens; i++)
        printf(" %lld", (long long)config->end_tokens[i]);
    printf("%s\n", config->n_end_tokens ? "" : " none");
    printf("parameters     %lld; %lld without the embedding\n", (long long)facts->parameters,
           (long long)facts->without_embedding);
    printf("tensors        %lld:", (long long)n_tensors);
    for (slao_dtype dtype = 0; dtype < SLAO_N_DTYPES; dtype++) {
        if (facts->of_type[dtype])
            printf(" %lld %s", (long long)facts->of_type[dtype], slao_dtype_name(dtype));
    }
    printf("\nbytes          %zu\n", facts->bytes);
    printf("hash           %s\n", facts->hash);
}

static slao_status inspect_model(const char *path, bool json) {
    slao_checkpoint *checkpoint;
    model_facts facts;
    SLAO_TRY(slao_checkpoint_open(&checkpoint, path));
    const slao_model_config *config = slao_checkpoint_config(checkpoint);
    int64_t n_tensors = slao_checkpoint_tensors(checkpoint)->count;
    slao_status status = gather_facts(&facts, checkpoint);
    if (status == SLAO_OK && json)
        status = print_model_json(config, &facts, n_tensors);
    else if (status == SLAO_OK)
        print_model(config, &facts, n_tensors);
    slao_checkpoint_close(checkpoint);
    return status;
}

static slao_status has_file(bool *has, const char *folder, const char *name) {
    char *path;
    SLAO_TRY(slao_join_path(&path, folder, name));
    *has = slao_is_file(path);
    free(path);
    return SLAO_OK;
}

static slao_status is_model_folder(bool *is, const char *path) {
    return has_file(is, path, "config.json");
}

static slao_status is_adapter(bool *is, const char *path) {
    return has_file(is, path, "adapter_config.json");
}

static slao_status begins_with(bool *is, const char *path, const char *magic) {
    *is = false;
    if (!slao_is_file(path))
        return SLAO_OK;
    slao_mapping mapping;
    SLAO_TRY(slao_map_file(&mapping, path));
    *is = mapping.size >= 4 && memcmp(mapping.bytes, magic, 4) == 0;
    slao_unmap_file(&mapping);
    return SLAO_OK;
}

static slao_status is_gguf(bool *is, const char *path) {
    return begins_with(is, path, "GGUF");
}

static slao_status is_hdf5(bool *is, const char *path) {
    return begins_with(is, path, "\x89HDF");
}

static const struct {
    const char *name;
    slao_status (*recognise)(bool *is, const char *path);
    slao_status (*inspect)(const char *path, bool json);
} kinds[] = {
    {"a model folder with a config.json", is_model_folder, inspect_model},
    {"a GGUF file", is_gguf, inspect_model},
    {"an adapter folder with an adapter_config.json", is_adapter, slao_inspect_adapter},
    {"a results file", is_hdf5, slao_inspect_results},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static slao_status inspect(const char *path, bool json) {
    char known[512] = "";
    for (int i = 0; i < N_KINDS; i++) {
        bool is = false;
        SLAO_TRY(kinds[i].recognise(&is, path));
        if (is)
            return kinds[i].inspect(path, json);
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", kinds[i].name);
    }
    if (!slao_is_file(path) && !slao_is_folder(path))
        return slao_fail(SLAO_BAD_INPUT, "there is no file or folder %s", path);
    return slao_fail(SLAO_BAD_INPUT, "%s is none of what slao can look into: %s", path, known);
}

slao_status slao_command_inspect(int argc, char **argv) {
    bool json = false;
    const slao_option options[] = {
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &json, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao inspect MODEL|ADAPTER|OUT.h5 [--json]",
        .summary = "Tells what is in a model folder or GGUF file (sizes, parameters, types, the "
                   "hash that stands for\nit in the keys of results), in a PEFT adapter (modules, "
                   "ranks, norm) or in a results file (trials).",
        .example = "slao inspect results/lambda.h5",
        .options = options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    return inspect(argv[1], json);
}
