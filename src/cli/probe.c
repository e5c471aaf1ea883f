/* slao probe: one forward and backward on given token ids, for comparison with other programs. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/loaded.h"
#include "cli/options.h"
#include "data/packing.h"
#include "learn/optimizer.h"
#include "model/safetensors.h"
#include "model/transformer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    slao_loaded loaded;
    slao_low_ranks pairs;
    float *gradients;  /* as lora->values */
    slao_arena *arena; /* of the sequences and the batch */
    slao_sequence *sequences;
    int64_t n_sequences;
    slao_packed packed;
    double *token_losses; /* n_answers */
    float *losses, *logits;
    char (*names)[SLAO_LORA_NAME + 8];
    slao_safetensors_item *items;
} probe;

typedef struct {
    const cJSON *ids;
    int64_t answer_start;
} given_sequence;

static const slao_json_field sequence_fields[] = {
    {"ids", SLAO_JSON_ARRAY, offsetof(given_sequence, ids), true, 0, 0},
    {"answer_start", SLAO_JSON_INTEGER, offsetof(given_sequence, answer_start), true, 1, 1e9},
    {0},
};

static slao_status read_sequence(probe *p, slao_sequence *sequence, const cJSON *item,
                                 const char *path) {
    given_sequence found = {0};
    SLAO_TRY(slao_json_read(item, path, sequence_fields, false, &found));
    int64_t count = cJSON_GetArraySize(found.ids), k = 0;
    if (found.answer_start >= count)
        return slao_fail(SLAO_BAD_INPUT, "%s: answer_start is %lld, but there are %lld ids", path,
                         (long long)found.answer_start, (long long)count);
    int32_t *ids;
    SLAO_TRY(slao_arena_take(p->arena, &ids, (size_t)count, sizeof *ids));
    const cJSON *id;
    cJSON_ArrayForEach (id, found.ids) {
        int64_t value;
        SLAO_TRY(slao_json_integer(&value, id, path));
        if (value < 0 || value >= p->loaded.model->config.vocabulary)
            return slao_fail(SLAO_BAD_INPUT, "%s: id %lld lies outside the vocabulary of %lld",
                             path, (long long)value, (long long)p->loaded.model->config.vocabulary);
        ids[k++] = (int32_t)value;
    }
    *sequence = (slao_sequence){ids, count, found.answer_start};
    return SLAO_OK;
}

static slao_status read_sequences(probe *p, const char *path) {
    cJSON *root;
    SLAO_TRY(slao_json_load(&root, path));
    const cJSON *list = slao_json_find(root, "sequences"), *item;
    slao_status status = SLAO_OK;
    if (!cJSON_IsArray(list) || !list->child)
        status =
            slao_fail(SLAO_BAD_INPUT, "%s: \"sequences\" must be a list of at least one", path);
    else
        status = slao_arena_take(p->arena, &p->sequences, (size_t)cJSON_GetArraySize(list),
                                 sizeof *p->sequences);
    cJSON_ArrayForEach (item, list) {
        if (status != SLAO_OK)
            break;
        char where[512];
        snprintf(where, sizeof where, "%s: sequences[%lld]", path, (long long)p->n_sequences);
        status = read_sequence(p, &p->sequences[p->n_sequences++], item, where);
    }
    cJSON_Delete(root);
    return status;
}

/* Forward, loss, and backward into the gradients; *loss is the mean over all answer tokens. */
static slao_status compute(probe *p, float *loss) {
    int64_t n_answers = p->packed.batch.n_answers;
    SLAO_TRY(slao_forward_training(p->loaded.pass, &p->packed.batch, &p->pairs));
    SLAO_TRY(slao_loss(p->loaded.pass, p->token_losses, 1.0 / (double)n_answers));
    double sum = 0;
    for (int64_t i = 0; i < n_answers; i++)
        sum += p->token_losses[i];
    *loss = (float)(sum / (double)n_answers);
    if (!p->loaded.lora)
        return SLAO_OK;
    memset(p->gradients, 0, (size_t)p->loaded.lora->n_values * sizeof *p->gradients);
    return slao_backward(p->loaded.pass, &p->pairs);
}

/* "PREFIX.model.layers.0...lora_A.weight" for every tensor of the adapter, out of values laid out
 * like it. */
static void add_tensors(probe *p, int64_t *n_items, const char *prefix, const float *values) {
    for (int64_t i = 0; i < 2 * p->loaded.lora->n_sites; i++) {
        const slao_site *site = &p->loaded.lora->sites[i / 2];
        bool is_a = i % 2 == 0;
        char name[SLAO_LORA_NAME], *full = p->names[*n_items];
        slao_lora_tensor_name(name, site, is_a ? 'A' : 'B');
        snprintf(full, sizeof p->names[0], "%s.%s", prefix, name);
        p->items[(*n_items)++] = (slao_safetensors_item){
            .name = full,
            .n_dims = 2,
            .shape = {is_a ? site->rank : site->d_out, is_a ? site->d_in : site->rank},
            .data = values + ((is_a ? site->a : site->b) - p->loaded.lora->values),
        };
    }
}

static slao_status run(probe *p, const char *output, int64_t steps, double learning_rate) {
    SLAO_TRY(
        slao_pack(&p->packed, p->sequences, p->n_sequences, SLAO_SHARE_PREFIXES, NULL, p->arena));
    int64_t n_answers = p->packed.batch.n_answers, vocabulary = p->loaded.model->config.vocabulary;
    int64_t n_tensors = p->loaded.lora ? 2 * p->loaded.lora->n_sites : 0, n_items = 0;
    SLAO_TRY(
        slao_arena_take(p->arena, &p->token_losses, (size_t)n_answers, sizeof *p->token_losses));
    SLAO_TRY(slao_arena_take(p->arena, &p->losses, (size_t)steps + 1, sizeof *p->losses));
    SLAO_TRY(slao_arena_take(p->arena, &p->logits, (size_t)n_answers,
                             (size_t)vocabulary * sizeof(float)));
    SLAO_TRY(slao_allocate(&p->names, (size_t)(2 * n_tensors), sizeof *p->names));
    SLAO_TRY(slao_allocate(&p->items, (size_t)(2 * n_tensors) + 3, sizeof *p->items));
    SLAO_TRY(compute(p, &p->losses[0]));
    slao_logits(p->loaded.pass, 0, n_answers, p->logits);
    float *first_gradients = NULL;
    if (p->loaded.lora) {
        SLAO_TRY(slao_arena_take(p->arena, &first_gradients, (size_t)p->loaded.lora->n_values,
                                 sizeof(float)));
        memcpy(first_gradients, p->gradients, (size_t)p->loaded.lora->n_values * sizeof(float));
        add_tensors(p, &n_items, "grad", first_gradients);
    }
    if (steps > 0) {
        const slao_train_settings settings = {.learning_rate = learning_rate};
        slao_optimizer *optimizer;
        SLAO_TRY(slao_optimizer_new(&optimizer, p->loaded.lora->n_values));
        slao_status status = SLAO_OK;
        for (int64_t i = 0; i < steps && status == SLAO_OK; i++) {
            double norm;
            status = slao_optimizer_step(optimizer, p->loaded.lora->values, p->gradients,
                                         learning_rate, &settings, &norm);
            if (status == SLAO_OK)
                status = compute(p, &p->losses[i + 1]);
        }
        slao_optimizer_free(optimizer);
        SLAO_TRY(status);
        add_tensors(p, &n_items, "param", p->loaded.lora->values);
    }
    float loss = p->losses[0];
    p->items[n_items++] = (slao_safetensors_item){.name = "loss", .data = &loss};
    p->items[n_items++] = (slao_safetensors_item){
        .name = "losses", .n_dims = 1, .shape = {steps + 1}, .data = p->losses};
    p->items[n_items++] = (slao_safetensors_item){
        .name = "logits", .n_dims = 2, .shape = {n_answers, vocabulary}, .data = p->logits};
    printf("loss %.7g\n", (double)loss);
    return slao_safetensors_write(output, p->items, n_items, NULL, 0);
}

static slao_status load(probe *p, const char *model, const char *adapter,
                        const slao_load_options *options, const char *tokens) {
    SLAO_TRY(slao_arena_new(&p->arena));
    SLAO_TRY(slao_load(&p->loaded, model, adapter, options, false));
    if (adapter) {
        p->loaded.lora->settings.dropout = 0; /* gradients of the function itself */
        SLAO_TRY(
            slao_allocate(&p->gradients, (size_t)p->loaded.lora->n_values, sizeof *p->gradients));
        SLAO_TRY(slao_lora_view(&p->pairs, p->loaded.lora, p->gradients, &p->loaded.model->config));
    }
    return read_sequences(p, tokens);
}

slao_status slao_command_probe(int argc, char **argv) {
    const char *model = NULL, *adapter = NULL, *tokens = NULL, *output = NULL;
    slao_load_options load_options = {0};
    int64_t steps = 0;
    double learning_rate = 1e-3;
    const slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "model folder or GGUF file", &model, true},
        {"--adapter", NULL, SLAO_OPTION_TEXT, "DIR", "PEFT LoRA adapter", &adapter, false},
        SLAO_OPTIONS_OF_MODEL(load_options),
        {"--tokens", NULL, SLAO_OPTION_TEXT, "FILE.json",
         "{\"sequences\": [{\"ids\": [...], \"answer_start\": n}]}", &tokens, true},
        {"--output", "-o", SLAO_OPTION_TEXT, "OUT.safetensors",
         "loss, losses, logits, grad.NAME, param.NAME", &output, true},
        {"--steps", NULL, SLAO_OPTION_INTEGER, "K", "AdamW steps to take (0)", &steps, false},
        {"--lr", NULL, SLAO_OPTION_REAL, "X", "their learning rate (1e-3)", &learning_rate, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao probe --model M [--adapter DIR] --tokens FILE.json -o OUT.safetensors "
                 "[--steps K --lr X] [--weights WHERE] [--matmul-precision P]",
        .summary = "One forward and backward on given token ids. The loss is the mean over all "
                   "answer tokens of the\n"
                   "batch; gradients are those of the adapter.",
        .example = "slao probe --model models/SmolLM2-135M --adapter my-adapter --tokens "
                   "tokens.json -o probe.safetensors",
        .options = options,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    if (steps > 0 && !adapter)
        return slao_fail(SLAO_BAD_INPUT, "--steps trains an adapter: name one with --adapter");
    probe p = {0};
    slao_status status = load(&p, model, adapter, &load_options, tokens);
    if (status == SLAO_OK)
        status = run(&p, output, steps, learning_rate);
    free(p.items);
    free(p.names);
    slao_lora_view_free(&p.pairs);
    free(p.gradients);
    slao_loaded_free(&p.loaded);
    slao_arena_free(p.arena);
    return status;
}
