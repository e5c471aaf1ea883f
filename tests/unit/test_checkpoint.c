/* model/: configs and checkpoints, against transformers (tests/reference/make_gguf_fixtures.py). */
#include "test.h"

#include "base/json.h"
#include "base/random.h"
#include "fixture.h"
#include "image.h"
#include "linalg/matrix.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"

static slao_checkpoint *open_fixture(const char *name) {
    slao_checkpoint *checkpoint;
    char *path = fixture(name);
    assert_ok(slao_checkpoint_open(&checkpoint, path));
    free(path);
    return checkpoint;
}

static slao_checkpoint *open_default_model(void) {
    slao_checkpoint *checkpoint;
    const char *path = getenv("SLAO_MODEL");
    if (!path)
        fail_msg("SLAO_MODEL must name the default model (ctest sets it)");
    assert_ok(slao_checkpoint_open(&checkpoint, path));
    return checkpoint;
}

static float *expand(const slao_checkpoint *checkpoint, const char *name) {
    const slao_tensor *tensor = slao_tensor_list_find(slao_checkpoint_tensors(checkpoint), name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    float *values;
    assert_ok(slao_allocate(&values, (size_t)slao_tensor_count(tensor), sizeof *values));
    assert_ok(slao_checkpoint_expand(checkpoint, name, values));
    return values;
}

static void test_default_model(void **state) {
    (void)state;
    slao_checkpoint *checkpoint = open_default_model();
    const slao_model_config *config = slao_checkpoint_config(checkpoint);
    assert_string_equal(config->family->name, "llama");
    assert_int_equal(config->hidden, 576);
    assert_int_equal(config->layers, 30);
    assert_int_equal(config->heads, 9);
    assert_int_equal(config->kv_heads, 3);
    assert_int_equal(config->head_dim, 64);
    assert_int_equal(config->intermediate, 1536);
    assert_int_equal(config->vocabulary, 49152);
    assert_int_equal(config->max_positions, 8192);
    assert_near(config->rope_theta, 100000, 0);
    assert_near(config->rms_epsilon, 1e-5, 1e-12);
    assert_true(config->tied_head);
    assert_int_equal(config->bos, 1);
    assert_int_equal(config->eos, 2);
    const slao_tensor_list *list = slao_checkpoint_tensors(checkpoint);
    assert_int_equal(list->count, 272);
    int64_t parameters = 0, of_type[SLAO_N_DTYPES] = {0};
    for (int64_t i = 0; i < list->count; i++) {
        parameters += slao_tensor_count(&list->tensors[i]);
        of_type[list->tensors[i].dtype]++;
    }
    assert_int_equal(parameters, 134515008);
    assert_int_equal(of_type[SLAO_Q4_1], 210);
    assert_int_equal(of_type[SLAO_Q8_0], 1);
    assert_int_equal(of_type[SLAO_F32], 61);
    slao_checkpoint_close(checkpoint);
}

/* Names there are "TENSOR:row:N" and "TENSOR:column:N". */
static void test_default_model_values(void **state) {
    (void)state;
    slao_checkpoint *checkpoint = open_default_model();
    slao_safetensors *expected;
    char *path = fixture("default_model.safetensors");
    assert_ok(slao_safetensors_open(&expected, path));
    const slao_tensor_list *list = slao_safetensors_tensors(expected);
    assert_int_equal(list->count, 19);
    for (int64_t i = 0; i < list->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s", list->tensors[i].name);
        char *colon = strchr(name, ':');
        assert_non_null(colon);
        *colon = '\0';
        bool row = strncmp(colon + 1, "row:", 4) == 0;
        int64_t index = atoll(strrchr(colon + 1, ':') + 1);
        const slao_tensor *tensor =
            slao_tensor_list_find(slao_checkpoint_tensors(checkpoint), name);
        assert_non_null(tensor);
        int64_t columns = tensor->shape[tensor->n_dims - 1];
        int64_t step = row ? 1 : columns, start = row ? index * columns : index;
        int64_t count = row ? columns : tensor->shape[0];
        assert_int_equal(slao_tensor_count(&list->tensors[i]), count);
        float *values = expand(checkpoint, name);
        for (int64_t j = 0; j < count; j++) {
            float wanted;
            memcpy(&wanted, list->tensors[i].data + j * 4, sizeof wanted);
            if (memcmp(&wanted, &values[start + j * step], sizeof wanted) != 0)
                fail_msg("%s: element %lld is %.9g, not %.9g", list->tensors[i].name, (long long)j,
                         (double)values[start + j * step], (double)wanted);
        }
        free(values);
    }
    free(path);
    slao_safetensors_close(expected);
    slao_checkpoint_close(checkpoint);
}

static void test_folder_and_gguf_agree(void **state) {
    (void)state;
    slao_checkpoint *folder = open_fixture("tiny"), *gguf = open_fixture("tiny.gguf");
    const slao_model_config *a = slao_checkpoint_config(folder), *b = slao_checkpoint_config(gguf);
    assert_int_equal(a->hidden, 32);
    assert_int_equal(a->vocabulary, 24);
    assert_int_equal(a->kv_heads, 2);
    assert_near(a->rope_theta, 5000, 0);
    assert_int_equal(a->eos, 3); /* generation_config.json wins */
    assert_int_equal(a->n_end_tokens, 2);
    assert_true(slao_model_ends_at(a, 2));
    assert_false(slao_model_ends_at(a, 1));
    assert_true(a->tied_head && b->tied_head);
    assert_true(a->family == b->family);
    assert_int_equal(b->eos, 3);
    assert_int_equal(b->n_end_tokens, 2);
    const slao_tensor_list *list = slao_checkpoint_tensors(folder);
    assert_int_equal(list->count, 2 * 9 + 2);
    assert_int_equal(slao_checkpoint_tensors(gguf)->count, list->count);
    for (int64_t i = 0; i < list->count; i++) {
        float *values = expand(folder, list->tensors[i].name);
        float *others = expand(gguf, list->tensors[i].name);
        assert_memory_equal(values, others,
                            sizeof *values * (size_t)slao_tensor_count(&list->tensors[i]));
        free(values);
        free(others);
    }
    float value;
    assert_fails(slao_checkpoint_expand(folder, "lm_head.weight", &value), SLAO_BAD_INPUT,
                 "no tensor lm_head.weight");
    slao_checkpoint_close(folder);
    slao_checkpoint_close(gguf);
}

/* ---- files that do not fit ---- */

/* Sets `key` of the JSON object to `value` (JSON text; NULL removes the key). */
static void set_key(cJSON *object, const char *key, const char *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value)
        assert_ok(slao_json_add(object, key, cJSON_Parse(value)));
}

static void write_json(const cJSON *object, const char *folder, const char *name) {
    char *text, *path;
    assert_ok(slao_json_print(&text, object));
    assert_ok(slao_join_path(&path, folder, name));
    assert_ok(slao_write_file(path, text, strlen(text)));
    free(path);
    free(text);
}

/* Sets all keys of a JSON object given as text. */
static void add_keys(cJSON *object, const char *text) {
    cJSON *given = cJSON_Parse(text), *item;
    assert_non_null(given);
    cJSON_ArrayForEach (item, given) {
        char *value;
        assert_ok(slao_json_print(&value, item));
        set_key(object, item->string, value);
        free(value);
    }
    cJSON_Delete(given);
}

/* The config of a folder whose config.json is that of the tiny model with one key set, or those of
 * an object given as `key`. */
static slao_status try_config(slao_model_config *config, const char *key, const char *value) {
    char *folder = scratch_folder(), *path = fixture("tiny/config.json");
    cJSON *root;
    bool tied_said;
    assert_ok(slao_json_load(&root, path));
    if (key && strcmp(key, "rope_scaling") == 0) /* the old spelling instead of the new one */
        set_key(root, "rope_parameters", NULL);
    if (key && *key == '{')
        add_keys(root, key);
    else if (key)
        set_key(root, key, value);
    write_json(root, folder, "config.json");
    slao_status status = slao_config_from_folder(config, &tied_said, folder);
    if (status == SLAO_OK)
        assert_int_equal(tied_said, !key || strcmp(key, "tie_word_embeddings") != 0);
    cJSON_Delete(root);
    free(path);
    remove_scratch_folder(folder);
    return status;
}

static void test_config_defaults(void **state) {
    (void)state;
    slao_model_config config;
    assert_ok(try_config(&config, NULL, NULL));
    assert_int_equal(config.eos, 2); /* without generation_config.json */
    assert_ok(try_config(&config, "num_key_value_heads", NULL));
    assert_int_equal(config.kv_heads, 4);
    assert_ok(try_config(&config, "head_dim", "null"));
    assert_int_equal(config.head_dim, 8);
    assert_ok(try_config(&config, "head_dim", "10"));
    assert_int_equal(config.head_dim, 10);
    assert_ok(try_config(&config, "rope_parameters", NULL));
    assert_near(config.rope_theta, 10000, 0);
    assert_ok(try_config(&config, "rope_theta", "7")); /* rope_parameters wins */
    assert_near(config.rope_theta, 5000, 0);
    assert_ok(try_config(&config, "rms_norm_eps", NULL));
    assert_near(config.rms_epsilon, 1e-6, 0);
    assert_ok(try_config(&config, "max_position_embeddings", NULL));
    assert_int_equal(config.max_positions, 2048);
    assert_ok(try_config(&config, "tie_word_embeddings", NULL));
    assert_false(config.tied_head);
    assert_ok(try_config(&config, "eos_token_id", "7"));
    assert_int_equal(config.eos, 7);
    assert_int_equal(config.n_end_tokens, 1);
    assert_ok(try_config(&config, "eos_token_id", "null"));
    assert_int_equal(config.eos, -1);
    assert_int_equal(config.n_end_tokens, 0);
    assert_ok(try_config(&config, "rope_scaling", "{\"type\":\"default\"}"));
    assert_near(config.rope_theta, 10000, 0);
    assert_ok(try_config(&config, "a_new_key", "[1]"));
}

#define LLAMA3                                                                                     \
    "\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_"           \
    "embeddings\":32"

static void test_rope_scalings(void **state) {
    (void)state;
    static const char *const spellings[] = {
        "{\"rope_parameters\":null,\"rope_theta\":9,\"rope_scaling\":{\"type\":\"llama3\"," LLAMA3
        "}}",
        "{\"rope_parameters\":null,\"rope_theta\":9,\"rope_scaling\":{\"rope_type\":"
        "\"llama3\"," LLAMA3 "}}",
        "{\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":9," LLAMA3 "}}",
        "{\"rope_theta\":9,\"rope_parameters\":{\"rope_type\":\"llama3\"," LLAMA3
        "},\"rope_scaling\":{\"type\":\"llama3\"," LLAMA3 "}}",
    };
    slao_model_config config;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        assert_ok(try_config(&config, spellings[i], NULL));
        assert_int_equal(config.rope.type, SLAO_ROPE_LLAMA3);
        assert_near(config.rope.factor, 8, 0);
        assert_near(config.rope.low_frequency, 1, 0);
        assert_near(config.rope.high_frequency, 4, 0);
        assert_int_equal(config.rope.original_positions, 32);
        assert_near(config.rope_theta, 9, 0);
    }
    assert_ok(try_config(&config, "rope_parameters",
                         "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
                         "\"high_freq_factor\":4}"));
    assert_int_equal(config.rope.original_positions, 64); /* max_position_embeddings */
    assert_ok(try_config(&config, "rope_scaling", "{\"type\":\"linear\",\"factor\":2}"));
    assert_int_equal(config.rope.type, SLAO_ROPE_LINEAR);
    assert_ok(try_config(&config, "rope_scaling", "null"));
    assert_int_equal(config.rope.type, SLAO_ROPE_DEFAULT);
}

static void test_families(void **state) {
    (void)state;
    const struct {
        const char *keys;
        int64_t window, window_layer, kv_heads;
    } cases[] = {
        {"{\"model_type\":\"mistral\"}", 4096, 0, 2},
        {"{\"model_type\":\"mistral\",\"sliding_window\":null}", 0, 0, 2},
        {"{\"model_type\":\"mistral\",\"sliding_window\":7}", 7, 0, 2},
        {"{\"model_type\":\"mistral\",\"num_key_value_heads\":null}", 4096, 0, 4},
        {"{\"model_type\":\"qwen2\"}", 0, 0, 2},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7}", 0, 0, 2},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7,\"use_sliding_window\":true}", 0, 0, 2},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7,\"use_sliding_window\":true,"
         "\"max_window_layers\":1}",
         7, 1, 2},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7,\"use_sliding_window\":true,\"layer_"
         "types\":"
         "[\"sliding_attention\",\"sliding_attention\"]}",
         7, 0, 2},
        {"{\"layer_types\":[\"full_attention\",\"full_attention\"]}", 0, 0, 2},
        {"{\"sliding_window\":7,\"use_sliding_window\":false}", 0, 0, 2},
    };
    slao_model_config config;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(try_config(&config, cases[i].keys, NULL));
        assert_int_equal(config.window, cases[i].window);
        assert_int_equal(config.window_layer, cases[i].window_layer);
        assert_int_equal(config.kv_heads, cases[i].kv_heads);
        assert_int_equal(slao_model_window(&config, 1), cases[i].window);
        assert_int_equal(slao_model_window(&config, 0), cases[i].window_layer ? 0 : config.window);
    }
    assert_ok(
        try_config(&config, "{\"model_type\":\"mistral\",\"max_position_embeddings\":null}", NULL));
    assert_int_equal(config.max_positions, 131072);
}

static void test_refused_configs(void **state) {
    (void)state;
    const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"model_type", "\"gpt2\"",
         "model_type is \"gpt2\": slao supports the architectures: llama, mistral, qwen2"},
        {"model_type", NULL, "model_type is missing"},
        {"hidden_size", NULL, "hidden_size is missing"},
        {"hidden_size", "0", "hidden_size is 0"},
        {"hidden_size", "1e9", "hidden size is 1000000000"},
        {"num_hidden_layers", "2.5", "num_hidden_layers must be a whole number"},
        {"num_key_value_heads", "3", "4 attention heads cannot share 3"},
        {"head_dim", "7", "heads of size 7 are odd"},
        {"rms_norm_eps", "-1", "epsilon is -1"},
        {"rope_parameters", "{\"rope_theta\":0}", "base is 0"},
        {"rope_parameters", "{\"rope_theta\":\"x\"}",
         "rope_parameters.rope_theta must be a number"},
        {"rope_parameters", "{\"rope_type\":\"yarn\"}", "rope_parameters.rope_type is \"yarn\""},
        {"rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}", "rope_scaling.type is \"dynamic\""},
        {"rope_scaling", "{\"rope_type\":\"longrope\",\"short_factor\":[1]}",
         "rope_scaling.rope_type is \"longrope\""},
        {"rope_scaling", "{\"type\":\"linear\"}", "factor is 0"},
        {"rope_scaling", "{\"type\":\"linear\",\"factor\":-2}", "factor is -2"},
        {"rope_scaling", "{\"rope_type\":\"llama3\",\"factor\":8}", "low_freq_factor 0 must be"},
        {"rope_scaling",
         "{\"rope_type\":\"llama3\",\"original_max_position_embeddings\":-1," LLAMA3 "}",
         "rope_scaling.original_max_position_embeddings is given twice"},
        {"rope_scaling", "{\"rope_type\":\"linear\",\"factor\":2,\"attention_factor\":2}",
         "rope_scaling.attention_factor is not a key"},
        {"rope_scaling", "{\"factor\":2}", "rope_scaling.factor is 2, but its type is \"default\""},
        {"rope_scaling", "{\"rope_type\":3}", "rope_scaling.rope_type must be a string"},
        {"rope_scaling", "\"yarn\"", "config.json: rope_scaling must be an object"},
        {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", NULL, "rope_parameters differ"},
        {"partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5"},
        {"rope_parameters", "{\"partial_rotary_factor\":0.5}", "partial_rotary_factor"},
        {"attention_bias", "true", "attention_bias"},
        {"mlp_bias", "true", "mlp_bias"},
        {"sliding_window", "4096", "sliding_window is 4096, but a llama model has none"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":0}", NULL, "sliding_window is 0"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":-5}", NULL, "sliding_window is -5"},
        {"{\"model_type\":\"qwen2\",\"num_key_value_heads\":3}", NULL, "cannot share 3"},
        {"layer_types", "[\"full_attention\"]", "layer_types names 1 layers, but there are 2"},
        {"layer_types", "[\"full_attention\",\"chunked_attention\"]", "layer_types[1] must be"},
        {"layer_types", "[\"sliding_attention\",\"full_attention\"]",
         "layer_types[1] is \"full_att"},
        {"layer_types", "[\"full_attention\",\"sliding_attention\"]", "do not say the same"},
        {"quantization_config", "{}", "quantization_config"},
        {"hidden_act", "\"gelu\"", "hidden_act is \"gelu\""},
        {"eos_token_id", "[1,2,3,4,5,6,7,8,9]", "more than 8 end tokens"},
        {"eos_token_id", "-2", "eos_token_id is -2"},
        {"eos_token_id", "\"x\"", "eos_token_id must be a whole number"},
        {"bos_token_id", "1e10", "bos_token_id is 10000000000"},
    };
    slao_model_config config;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(try_config(&config, cases[i].key, cases[i].value), SLAO_BAD_INPUT,
                     cases[i].message);
        assert_non_null(strstr(slao_message(), "config.json"));
    }
}

/* ---- GGUF metadata ---- */

static void put_integer(image *file, const char *key, uint32_t value) {
    put_text(file, key);
    put_u32(file, 4);
    put_u32(file, value);
}

static void put_real(image *file, const char *key, float value) {
    put_text(file, key);
    put_u32(file, 6);
    put(file, &value, sizeof value);
}

static void put_word(image *file, const char *key, const char *value) {
    put_text(file, key);
    put_u32(file, 8);
    put_text(file, value);
}

/* The config of a GGUF file with a key more (an integer, unless `word` is given, or a real). */
static slao_status try_gguf_config(slao_model_config *config, const char *key, uint32_t number,
                                   float real, const char *word) {
    image file = {.size = 0};
    put(&file, "GGUF\3\0\0", 8);
    put_u64(&file, 0);
    put_u64(&file, 9);
    bool other = strcmp(key, "general.architecture") == 0;
    put_word(&file, "general.architecture", other ? word : "llama");
    const struct {
        const char *key;
        uint32_t value;
    } integers[] = {{"llama.block_count", 2},          {"llama.context_length", 64},
                    {"llama.embedding_length", 32},    {"llama.feed_forward_length", 64},
                    {"llama.attention.head_count", 4}, {"tokenizer.ggml.eos_token_id", 5}};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        put_integer(&file, strcmp(key, integers[i].key) == 0 ? "other" : integers[i].key,
                    integers[i].value);
    put_real(&file, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    if (word)
        put_word(&file, other ? "other" : key, word);
    else if (real != 0)
        put_real(&file, key, real);
    else
        put_integer(&file, key, number);
    const char *path = scratch_file(file.bytes, file.size);
    slao_gguf *gguf;
    assert_ok(slao_gguf_open(&gguf, path));
    slao_status status = slao_config_from_gguf(config, gguf, path);
    slao_gguf_close(gguf);
    return status;
}

static void test_gguf_configs(void **state) {
    (void)state;
    slao_model_config config;
    assert_ok(try_gguf_config(&config, "tokenizer.ggml.eot_token_id", 9, 0, NULL));
    assert_int_equal(config.kv_heads, 4);
    assert_int_equal(config.head_dim, 8);
    assert_near(config.rope_theta, 10000, 0);
    assert_int_equal(config.bos, -1);
    assert_int_equal(config.eos, 5);
    assert_int_equal(config.n_end_tokens, 2);
    assert_ok(try_gguf_config(&config, "llama.attention.key_length", 16, 0, NULL));
    assert_int_equal(config.head_dim, 16);
    assert_ok(try_gguf_config(&config, "llama.rope.scaling.type", 0, 0, "none"));
    assert_int_equal(config.rope.type, SLAO_ROPE_DEFAULT);
    assert_ok(try_gguf_config(&config, "llama.rope.scaling.type", 0, 0, "linear"));
    assert_int_equal(config.rope.type, SLAO_ROPE_DEFAULT); /* by 1 */
    assert_ok(try_gguf_config(&config, "llama.rope.scale_linear", 0, 4, NULL));
    assert_int_equal(config.rope.type, SLAO_ROPE_LINEAR);
    assert_near(config.rope.factor, 4, 0);
    assert_ok(try_gguf_config(&config, "llama.attention.sliding_window", 64, 0, NULL));
    assert_int_equal(config.window, 64);
    assert_ok(try_gguf_config(&config, "llama.rope.dimension_count", 8, 0, NULL));
    const struct {
        const char *key;
        uint32_t number;
        float real;
        const char *word, *message;
    } cases[] = {
        {"general.architecture", 0, 0, "gptneox", "general.architecture is \"gptneox\""},
        {"llama.block_count", 0, 2.5F, NULL, "llama.block_count must be a value of kind integer"},
        {"llama.block_count", 0, 0, NULL, "number of layers is 0"},
        {"llama.attention.head_count", 0, 0, NULL, "number of attention heads is 0"},
        {"llama.attention.head_count_kv", 0, 0, NULL, "key and value heads is 0"},
        {"llama.attention.head_count_kv", 3, 0, NULL, "cannot share 3"},
        {"llama.rope.dimension_count", 4, 0, NULL, "llama.rope.dimension_count is 4"},
        {"llama.attention.value_length", 4, 0, NULL, "llama.attention.value_length is 4"},
        {"llama.attention.sliding_window", UINT32_MAX, 0, NULL, "sliding window is 4294967295"},
        {"llama.expert_count", 8, 0, NULL, "llama.expert_count is 8"},
        {"llama.rope.scaling.factor", 0, 2, NULL, "llama.rope.scaling.factor is 2"},
        {"llama.rope.scaling.attn_factor", 0, 2, NULL, "llama.rope.scaling.attn_factor is 2"},
        {"llama.rope.scale_linear", 0, -4, NULL, "factor is -4"},
        {"llama.rope.scaling.type", 0, 0, "yarn", "llama.rope.scaling.type is \"yarn\""},
        {"llama.rope.freq_base", 0, -1, NULL, "base is -1"},
        {"tokenizer.ggml.eos_token_id", UINT32_MAX, 0, NULL, "eos_token_id is 4294967295"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(
            try_gguf_config(&config, cases[i].key, cases[i].number, cases[i].real, cases[i].word),
            SLAO_BAD_INPUT, cases[i].message);
        assert_non_null(strstr(slao_message(), "/tmp/slao-test-"));
    }
    slao_gguf *gguf;
    char *path = fixture("expansion.gguf"); /* has an architecture, but nothing of it */
    assert_ok(slao_gguf_open(&gguf, path));
    assert_fails(slao_config_from_gguf(&config, gguf, path), SLAO_BAD_INPUT,
                 "llama.block_count is missing");
    slao_gguf_close(gguf);
    free(path);
}

/* ---- tensors too few, too many, of the wrong shape ---- */

/* What is changed of the tiny model as fp32. */
typedef struct {
    const char *without, *extra, *transposed;
    const char *tied; /* tie_word_embeddings, JSON; NULL: absent */
    bool own_head, head_differs;
} variant;

static slao_status try_variant(slao_checkpoint **checkpoint, const variant *v) {
    slao_checkpoint *tiny = open_fixture("tiny");
    const slao_tensor_list *list = slao_checkpoint_tensors(tiny);
    enum { MOST = 32 };
    slao_safetensors_item items[MOST];
    float *values[MOST];
    int64_t n = 0, n_values = list->count;
    for (int64_t i = 0; i < n_values; i++) {
        const slao_tensor *tensor = &list->tensors[i];
        values[i] = expand(tiny, tensor->name);
        if (v->without && strcmp(v->without, tensor->name) == 0)
            continue;
        bool turn = v->transposed && strcmp(v->transposed, tensor->name) == 0;
        items[n++] =
            (slao_safetensors_item){tensor->name,
                                    tensor->n_dims,
                                    {tensor->shape[turn ? 1 : 0], tensor->shape[turn ? 0 : 1]},
                                    values[i]};
    }
    if (v->extra)
        items[n++] = (slao_safetensors_item){v->extra, 1, {4}, values[0]};
    float *head = expand(tiny, "model.embed_tokens.weight");
    if (v->head_differs)
        head[5] += 1;
    if (v->own_head)
        items[n++] = (slao_safetensors_item){"lm_head.weight", 2, {24, 32}, head};
    char *folder = scratch_folder(), *weights, *path = fixture("tiny/config.json");
    cJSON *root;
    assert_ok(slao_json_load(&root, path));
    set_key(root, "tie_word_embeddings", v->tied);
    set_key(root, "vocab_size", "20"); /* the embedding has more rows, and wins */
    write_json(root, folder, "config.json");
    assert_ok(slao_join_path(&weights, folder, "model.safetensors"));
    assert_ok(slao_safetensors_write(weights, items, n, NULL, 0));
    slao_status status = slao_checkpoint_open(checkpoint, folder);
    cJSON_Delete(root);
    for (int64_t i = 0; i < n_values; i++)
        free(values[i]);
    free(head);
    free(path);
    free(weights);
    remove_scratch_folder(folder); /* what is mapped stays readable */
    slao_checkpoint_close(tiny);
    return status;
}

static void test_heads(void **state) {
    (void)state;
    const struct {
        variant v;
        bool tied;
    } good[] = {
        {{.tied = "true"}, true},
        {{.tied = NULL}, true},
        {{.tied = "true", .own_head = true}, true},
        {{.tied = "false", .own_head = true}, false},
        {{.tied = "false", .own_head = true, .head_differs = true}, false},
        {{.tied = NULL, .own_head = true, .head_differs = true}, false},
    };
    slao_checkpoint *checkpoint;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(try_variant(&checkpoint, &good[i].v));
        assert_int_equal(slao_checkpoint_config(checkpoint)->tied_head, good[i].tied);
        assert_int_equal(slao_checkpoint_config(checkpoint)->vocabulary, 24);
        if (!good[i].tied) {
            float *head = expand(checkpoint, "lm_head.weight");
            float *embedding = expand(checkpoint, "model.embed_tokens.weight");
            assert_int_equal(head[5] != embedding[5], good[i].v.head_differs);
            free(head);
            free(embedding);
        }
        slao_checkpoint_close(checkpoint);
    }
    assert_fails(try_variant(&checkpoint, &(variant){.tied = "false"}), SLAO_BAD_INPUT,
                 "lm_head.weight is missing");
    assert_fails(try_variant(&checkpoint,
                             &(variant){.tied = "true", .own_head = true, .head_differs = true}),
                 SLAO_BAD_INPUT, "lm_head.weight differs");
}

static void test_wrong_tensors(void **state) {
    (void)state;
    slao_checkpoint *checkpoint;
    assert_ok(try_variant(&checkpoint,
                          &(variant){.extra = "model.layers.0.self_attn.rotary_emb.inv_freq"}));
    slao_checkpoint_close(checkpoint);
    assert_fails(
        try_variant(&checkpoint, &(variant){.without = "model.layers.1.mlp.up_proj.weight"}),
        SLAO_BAD_INPUT, "model.safetensors: tensor model.layers.1.mlp.up_proj.weight is missing");
    assert_null(checkpoint);
    assert_fails(
        try_variant(&checkpoint, &(variant){.extra = "model.layers.2.input_layernorm.weight"}),
        SLAO_BAD_INPUT, "tensor model.layers.2.input_layernorm.weight is not part of a llama");
    assert_fails(
        try_variant(&checkpoint, &(variant){.extra = "model.layers.0.self_attn.q_proj.bias"}),
        SLAO_BAD_INPUT, "self_attn.q_proj.bias is not part of");
    assert_fails(
        try_variant(&checkpoint, &(variant){.transposed = "model.layers.0.mlp.down_proj.weight"}),
        SLAO_BAD_INPUT,
        "tensor model.layers.0.mlp.down_proj.weight is of shape [64, 32], but must be [32, 64]");
    assert_fails(try_variant(&checkpoint, &(variant){.transposed = "model.embed_tokens.weight"}),
                 SLAO_BAD_INPUT, "model.embed_tokens.weight is of shape [32, 24]");
}

/* The tiny GGUF file with one tensor's name changed. */
static void test_wrong_gguf_tensors(void **state) {
    (void)state;
    static const char name[] = "blk.1.attn_q.weight";
    char *path = fixture("tiny.gguf"), *bytes;
    size_t size;
    assert_ok(slao_read_text(&bytes, &size, path));
    char *place = memmem(bytes, size, name, sizeof name - 1);
    assert_non_null(place);
    slao_checkpoint *checkpoint;
    memcpy(place, "blk.1.attn_q.wEight", sizeof name - 1);
    assert_fails(slao_checkpoint_open(&checkpoint, scratch_file(bytes, size)), SLAO_BAD_INPUT,
                 "tensor blk.1.attn_q.weight is missing");
    memcpy(place, name, sizeof name - 1);
    assert_fails(slao_checkpoint_open(&checkpoint, scratch_file(bytes, size - 1)), SLAO_BAD_INPUT,
                 "truncated");
    place[3] = '\0';
    assert_fails(slao_checkpoint_open(&checkpoint, scratch_file(bytes, size)), SLAO_BAD_INPUT,
                 "zero byte");
    free(bytes);
    free(path);
}

static void test_missing_files(void **state) {
    (void)state;
    slao_checkpoint *checkpoint;
    assert_fails(slao_checkpoint_open(&checkpoint, "/nonexistent/model"), SLAO_BAD_INPUT,
                 "/nonexistent/model");
    char *folder = scratch_folder(), *path = fixture("tiny/config.json");
    assert_fails(slao_checkpoint_open(&checkpoint, folder), SLAO_BAD_INPUT, "config.json");
    cJSON *root;
    assert_ok(slao_json_load(&root, path));
    write_json(root, folder, "config.json");
    assert_fails(slao_checkpoint_open(&checkpoint, folder), SLAO_BAD_INPUT,
                 "model.safetensors is missing");
    cJSON_Delete(root);
    free(path);
    remove_scratch_folder(folder);
}

static void test_hashes(void **state) {
    (void)state;
    slao_checkpoint *open[3];
    slao_hash hashes[3], again;
    open[0] = open_fixture("tiny");
    open[1] = open_fixture("tiny.gguf");
    assert_ok(try_variant(&open[2], &(variant){.tied = "true"}));
    for (int i = 0; i < 3; i++)
        assert_ok(slao_checkpoint_hash(open[i], &hashes[i]));
    assert_ok(slao_checkpoint_hash(open[0], &again));
    assert_true(slao_hash_equal(hashes[0], again));
    assert_false(slao_hash_equal(hashes[0], hashes[1])); /* other bytes */
    assert_false(slao_hash_equal(hashes[0], hashes[2]));
    for (int i = 0; i < 3; i++)
        slao_checkpoint_close(open[i]);
    /* one bit of one weight */
    char *path = fixture("tiny.gguf"), *bytes;
    size_t size;
    assert_ok(slao_read_text(&bytes, &size, path));
    bytes[size - 1] ^= 1;
    assert_ok(slao_checkpoint_open(&open[0], scratch_file(bytes, size)));
    assert_ok(slao_checkpoint_hash(open[0], &again));
    assert_false(slao_hash_equal(hashes[1], again));
    slao_checkpoint_close(open[0]);
    free(bytes);
    free(path);
}

static void test_modules(void **state) {
    (void)state;
    const slao_model_config config = {
        .hidden = 10, .heads = 4, .kv_heads = 2, .head_dim = 6, .intermediate = 30};
    const struct {
        const char *name, *path;
        int64_t d_out, d_in;
    } expected[SLAO_N_MODULES] = {
        {"q_proj", "self_attn.q_proj", 24, 10}, {"k_proj", "self_attn.k_proj", 12, 10},
        {"v_proj", "self_attn.v_proj", 12, 10}, {"o_proj", "self_attn.o_proj", 10, 24},
        {"gate_proj", "mlp.gate_proj", 30, 10}, {"up_proj", "mlp.up_proj", 30, 10},
        {"down_proj", "mlp.down_proj", 10, 30},
    };
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        int64_t d_out, d_in;
        slao_module_shape(&config, module, &d_out, &d_in);
        assert_int_equal(d_out, expected[module].d_out);
        assert_int_equal(d_in, expected[module].d_in);
        assert_string_equal(slao_module_name(module), expected[module].name);
        assert_string_equal(slao_module_path(module), expected[module].path);
        assert_int_equal(slao_module_by_name(expected[module].name), module);
    }
    assert_int_equal(slao_module_by_name("qkv_proj"), SLAO_N_MODULES);
}

/* Rows of a matrix as it lies in a file, and where its heads are interleaved. */
static void read_stored(const void *context, float *to, int64_t stride, int64_t row, int64_t rows,
                        int64_t from, int64_t columns) {
    slao_stored_expand(context, to, stride, row, rows, from, columns);
}

/* Products out of quantised matrices, whose blocks are cut by the strips that are read, have the
 * bits of products out of the expanded ones. */
static void test_products_of_stored_matrices(void **state) {
    (void)state;
    enum { ROWS = 264, COLUMNS = 1536, HEADS = 4, HEAD = ROWS / HEADS, M = 30 };
    static unsigned char data[ROWS * COLUMNS * 4];
    static float whole[ROWS * COLUMNS], ordered[ROWS * COLUMNS], x[M * COLUMNS],
        wanted[M * COLUMNS], y[M * COLUMNS];
    slao_random random = slao_random_stream(1, "test", "stored", 0);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] =
            (unsigned char)(slao_random_bits(&random) >> 24 & 0x3F); /* fp16 numbers of up to 2 */
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)slao_random_bits(&random) * 0x1p-31F - 1.0F;
    for (slao_dtype dtype = 0; dtype < SLAO_N_DTYPES; dtype++) {
        slao_tensor tensor = {.dtype = dtype, .n_dims = 2, .shape = {ROWS, COLUMNS}, .data = data};
        assert_ok(slao_dtype_bytes(&tensor.bytes, dtype, ROWS * COLUMNS));
        slao_expand(whole, dtype, data, ROWS * COLUMNS);
        for (int row = 0; row < ROWS; row++) { /* 0, h/2, 1, h/2 + 1, ... of each head */
            int within = row % HEAD, to = row - within + within % 2 * (HEAD / 2) + within / 2;
            memcpy(ordered + to * COLUMNS, whole + row * COLUMNS, COLUMNS * sizeof *whole);
        }
        for (int64_t heads = 0; heads <= HEADS; heads += HEADS) {
            const slao_stored stored = {&tensor, heads};
            const slao_frozen read = {.read = read_stored, .context = &stored},
                              in_memory = {.values = {heads ? ordered : whole, COLUMNS}};
            for (int64_t m = 5; m <= M; m += M - 5) {
                slao_frozen_forward((slao_matrix_out){wanted, ROWS}, (slao_matrix){x, COLUMNS},
                                    &in_memory, m, ROWS, COLUMNS, 0, SLAO_PRECISION_FP32);
                slao_frozen_forward((slao_matrix_out){y, ROWS}, (slao_matrix){x, COLUMNS}, &read, m,
                                    ROWS, COLUMNS, 0, SLAO_PRECISION_FP32);
                assert_memory_equal(y, wanted, (size_t)m * ROWS * sizeof *y);
                slao_frozen_backward((slao_matrix_out){wanted, COLUMNS}, (slao_matrix){x, ROWS},
                                     &in_memory, m, ROWS, COLUMNS, 0, SLAO_PRECISION_FP32);
                slao_frozen_backward((slao_matrix_out){y, COLUMNS}, (slao_matrix){x, ROWS}, &read,
                                     m, ROWS, COLUMNS, 0, SLAO_PRECISION_FP32);
                assert_memory_equal(y, wanted, (size_t)m * COLUMNS * sizeof *y);
            }
        }
    }
}

static int remove_scratch_file(void **state) {
    (void)state;
    return unlink(scratch_file("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_default_model),
        cmocka_unit_test(test_default_model_values),
        cmocka_unit_test(test_folder_and_gguf_agree),
        cmocka_unit_test(test_config_defaults),
        cmocka_unit_test(test_rope_scalings),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_refused_configs),
        cmocka_unit_test(test_gguf_configs),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_wrong_gguf_tensors),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_products_of_stored_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, remove_scratch_file);
}
