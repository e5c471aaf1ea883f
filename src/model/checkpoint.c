#include "model/checkpoint.h"

#include "base/file.h"
#include "base/memory.h"
#include "linalg/threads.h"
#include "model/rope.h"
#include "model/shards.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slao_checkpoint {
    slao_model_config config;
    slao_gguf *gguf; /* one of the two is open */
    slao_shards *shards;
    slao_arena *arena;        /* names */
    slao_tensor_list tensors; /* by canonical name */
    int64_t *interleaved;     /* per tensor: heads whose rows are interleaved, 0 for none */
};

typedef enum { EMBEDDING, NORM, MATRIX, BIAS, HEAD } tensor_kind;

/* What a model consists of; names within a layer lack "model.layers.N." and "blk.N.". */
static const struct {
    const char *name, *gguf_name;
    bool in_layer;
    tensor_kind kind;
    slao_module module; /* of MATRIX and BIAS */
} rows[] = {
    {"model.embed_tokens.weight", "token_embd.weight", false, EMBEDDING, 0},
    {"input_layernorm.weight", "attn_norm.weight", true, NORM, 0},
    {"self_attn.q_proj.weight", "attn_q.weight", true, MATRIX, SLAO_Q_PROJ},
    {"self_attn.q_proj.bias", "attn_q.bias", true, BIAS, SLAO_Q_PROJ},
    {"self_attn.k_proj.weight", "attn_k.weight", true, MATRIX, SLAO_K_PROJ},
    {"self_attn.k_proj.bias", "attn_k.bias", true, BIAS, SLAO_K_PROJ},
    {"self_attn.v_proj.weight", "attn_v.weight", true, MATRIX, SLAO_V_PROJ},
    {"self_attn.v_proj.bias", "attn_v.bias", true, BIAS, SLAO_V_PROJ},
    {"self_attn.o_proj.weight", "attn_output.weight", true, MATRIX, SLAO_O_PROJ},
    {"post_attention_layernorm.weight", "ffn_norm.weight", true, NORM, 0},
    {"mlp.gate_proj.weight", "ffn_gate.weight", true, MATRIX, SLAO_GATE_PROJ},
    {"mlp.up_proj.weight", "ffn_up.weight", true, MATRIX, SLAO_UP_PROJ},
    {"mlp.down_proj.weight", "ffn_down.weight", true, MATRIX, SLAO_DOWN_PROJ},
    {"model.norm.weight", "output_norm.weight", false, NORM, 0},
    {"lm_head.weight", "output.weight", false, HEAD, 0},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* A model being opened. */
typedef struct {
    slao_checkpoint *checkpoint;
    const char *path;             /* of the weights' file */
    const slao_tensor_list *file; /* its tensors, and which of them have been used */
    bool *used;
    bool tied_said; /* config.json says whether the head is tied */
} opening;

static slao_status make_name(char **name, const opening *o, bool gguf, int row, int64_t layer) {
    const char *rest = gguf ? rows[row].gguf_name : rows[row].name;
    char text[128];
    int length = rows[row].in_layer
                     ? snprintf(text, sizeof text, "%s.%lld.%s", gguf ? "blk" : "model.layers",
                                (long long)layer, rest)
                     : snprintf(text, sizeof text, "%s", rest);
    SLAO_TRY(slao_arena_take(o->checkpoint->arena, name, (size_t)length + 1, 1));
    memcpy(*name, text, (size_t)length + 1);
    return SLAO_OK;
}

static void expected_shape(const slao_model_config *config, int row, int *n_dims,
                           int64_t shape[2]) {
    *n_dims = rows[row].kind == NORM || rows[row].kind == BIAS ? 1 : 2;
    switch (rows[row].kind) {
    case EMBEDDING:
    case HEAD:
        shape[0] = config->vocabulary;
        shape[1] = config->hidden;
        break;
    case NORM:
        shape[0] = config->hidden;
        break;
    case MATRIX:
    case BIAS:
        slao_module_shape(config, rows[row].module, &shape[0], &shape[1]);
        break;
    }
}

static void print_shape(char *text, size_t size, int n_dims, const int64_t *shape) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < n_dims; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)shape[i]);
    snprintf(text + used, size - used, "]");
}

static slao_status check_shape(const opening *o, const slao_tensor *tensor, int row) {
    int n_dims;
    int64_t shape[2];
    expected_shape(&o->checkpoint->config, row, &n_dims, shape);
    bool same = tensor->n_dims == n_dims;
    for (int i = 0; same && i < n_dims; i++)
        same = tensor->shape[i] == shape[i];
    if (same)
        return SLAO_OK;
    char has[128], wanted[128];
    print_shape(has, sizeof has, tensor->n_dims, tensor->shape);
    print_shape(wanted, sizeof wanted, n_dims, shape);
    return slao_fail(SLAO_BAD_INPUT, "%s: tensor %s is of shape %s, but must be %s", o->path,
                     tensor->name, has, wanted);
}

/* The embedding has the last word on the size of the vocabulary. */
static slao_status set_vocabulary(const opening *o, const slao_tensor *embedding) {
    enum { MOST = 1 << 24 };
    if (embedding->n_dims == 2) /* otherwise its shape is refused later */
        o->checkpoint->config.vocabulary = embedding->shape[0];
    int64_t rows_there = o->checkpoint->config.vocabulary;
    if (rows_there < 1 || rows_there > MOST)
        return slao_fail(SLAO_BAD_INPUT, "%s: tensor %s has %lld rows, but must have 1 to %d",
                         o->path, embedding->name, (long long)rows_there, MOST);
    return SLAO_OK;
}

static bool same_values(const slao_tensor *a, const slao_tensor *b) {
    return a->dtype == b->dtype && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* Decides whether the head is tied, given the head that the file holds or NULL. */
static slao_status set_head(const opening *o, const slao_tensor *head) {
    slao_model_config *config = &o->checkpoint->config;
    if (!head) {
        if (o->tied_said && !config->tied_head)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: tensor lm_head.weight is missing, and config.json denies that it "
                             "is tied to the embedding",
                             o->path);
        config->tied_head = true;
        return SLAO_OK;
    }
    if (config->tied_head && !same_values(head, &o->checkpoint->tensors.tensors[0]))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: config.json ties the head to the embedding, but %s differs from it; "
                         "set tie_word_embeddings to what is meant",
                         o->path, head->name);
    return SLAO_OK;
}

/* Whether a model of this kind has the tensor. */
static bool is_expected(const slao_model_config *config, int row) {
    return rows[row].kind != BIAS || config->family->qkv_bias;
}

static slao_status add_tensor(opening *o, int row, int64_t layer) {
    slao_checkpoint *checkpoint = o->checkpoint;
    const slao_model_config *config = &checkpoint->config;
    char *name = NULL, *file_name = NULL;
    SLAO_TRY(make_name(&name, o, false, row, layer));
    SLAO_TRY(make_name(&file_name, o, checkpoint->gguf != NULL, row, layer));
    const slao_tensor *found = slao_tensor_list_find(o->file, file_name);
    if (found)
        o->used[found - o->file->tensors] = true;
    if (rows[row].kind == HEAD) {
        SLAO_TRY(set_head(o, found));
        if (config->tied_head)
            return SLAO_OK;
    }
    if (!found)
        return slao_fail(SLAO_BAD_INPUT, "%s: tensor %s is missing", o->path, file_name);
    if (rows[row].kind == EMBEDDING)
        SLAO_TRY(set_vocabulary(o, found));
    SLAO_TRY(check_shape(o, found, row));
    int64_t index = checkpoint->tensors.count++;
    checkpoint->tensors.tensors[index] = *found;
    checkpoint->tensors.tensors[index].name = name;
    bool permuted =
        checkpoint->gguf && config->family->gguf_permutes_qk && (rows[row].kind == MATRIX);
    if (permuted && rows[row].module == SLAO_Q_PROJ)
        checkpoint->interleaved[index] = config->heads;
    if (permuted && rows[row].module == SLAO_K_PROJ)
        checkpoint->interleaved[index] = config->kv_heads;
    return SLAO_OK;
}

/* Old files carry RoPE's frequencies, which follow from the config. */
static bool is_harmless(const slao_checkpoint *checkpoint, const char *name) {
    static const char ending[] = ".rotary_emb.inv_freq";
    size_t length = strlen(name), ending_length = sizeof ending - 1;
    return checkpoint->shards && length > ending_length &&
           strcmp(name + length - ending_length, ending) == 0;
}

/* Llama 3's scaling of RoPE is a tensor of divisors in a GGUF file. */
static slao_status read_rope_factors(opening *o) {
    slao_model_config *config = &o->checkpoint->config;
    const slao_tensor *found = slao_tensor_list_find(o->file, "rope_freqs.weight");
    if (!o->checkpoint->gguf || !found)
        return SLAO_OK;
    int64_t count = config->head_dim / 2;
    if (found->n_dims != 1 || found->shape[0] != count || count > SLAO_MAX_ROPE_FACTORS)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: tensor %s must be of %lld values, and slao reads up to %d", o->path,
                         found->name, (long long)count, SLAO_MAX_ROPE_FACTORS);
    o->used[found - o->file->tensors] = true;
    slao_expand(config->rope.factors, found->dtype, found->data, count);
    for (int64_t i = 0; i < count; i++) {
        if (!(config->rope.factors[i] > 0) || !isfinite(config->rope.factors[i]))
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: tensor %s: value %lld is %g, but must be positive", o->path,
                             found->name, (long long)i, (double)config->rope.factors[i]);
    }
    config->rope.n_factors = count;
    return SLAO_OK;
}

static slao_status gather_tensors(opening *o) {
    slao_checkpoint *checkpoint = o->checkpoint;
    size_t most = (size_t)checkpoint->config.layers * N_ROWS + N_ROWS;
    SLAO_TRY(slao_allocate(&checkpoint->tensors.tensors, most, sizeof(slao_tensor)));
    SLAO_TRY(slao_allocate(&checkpoint->interleaved, most, sizeof *checkpoint->interleaved));
    for (int row = 0; row < N_ROWS; row++) {
        int64_t times = rows[row].in_layer ? checkpoint->config.layers : 1;
        for (int64_t layer = 0; is_expected(&checkpoint->config, row) && layer < times; layer++)
            SLAO_TRY(add_tensor(o, row, layer));
    }
    SLAO_TRY(read_rope_factors(o));
    for (int64_t i = 0; i < o->file->count; i++) {
        const char *name = o->file->tensors[i].name;
        if (!o->used[i] && !is_harmless(checkpoint, name))
            return slao_fail(
                SLAO_BAD_INPUT,
                "%s: tensor %.120s is not part of a %s model of %lld layers: slao does not "
                "know what it is for",
                o->path, name, checkpoint->config.family->name,
                (long long)checkpoint->config.layers);
    }
    return slao_tensor_list_index(&checkpoint->tensors);
}

static slao_status use_tensors(opening *o) {
    SLAO_TRY(slao_allocate(&o->used, (size_t)o->file->count, sizeof *o->used));
    slao_status status = gather_tensors(o);
    free(o->used);
    return status;
}

static slao_status open_gguf(slao_checkpoint *checkpoint, const char *path) {
    SLAO_TRY(slao_gguf_open(&checkpoint->gguf, path));
    SLAO_TRY(slao_config_from_gguf(&checkpoint->config, checkpoint->gguf, path));
    opening o = {
        .checkpoint = checkpoint, .path = path, .file = slao_gguf_tensors(checkpoint->gguf)};
    return use_tensors(&o);
}

static slao_status open_folder(slao_checkpoint *checkpoint, const char *folder) {
    bool tied_said = false;
    SLAO_TRY(slao_config_from_folder(&checkpoint->config, &tied_said, folder));
    SLAO_TRY(slao_shards_open(&checkpoint->shards, folder));
    opening o = {.checkpoint = checkpoint,
                 .path = slao_shards_path(checkpoint->shards),
                 .file = slao_shards_tensors(checkpoint->shards),
                 .tied_said = tied_said};
    return use_tensors(&o);
}

slao_status slao_checkpoint_open(slao_checkpoint **checkpoint, const char *path) {
    SLAO_TRY(slao_allocate(checkpoint, 1, sizeof **checkpoint));
    slao_status status = slao_arena_new(&(*checkpoint)->arena);
    if (status == SLAO_OK)
        status =
            slao_is_folder(path) ? open_folder(*checkpoint, path) : open_gguf(*checkpoint, path);
    if (status != SLAO_OK) {
        slao_checkpoint_close(*checkpoint);
        *checkpoint = NULL;
    }
    return status;
}

void slao_checkpoint_close(slao_checkpoint *checkpoint) {
    if (!checkpoint)
        return;
    slao_tensor_list_free(&checkpoint->tensors);
    free(checkpoint->interleaved);
    slao_arena_free(checkpoint->arena);
    slao_gguf_close(checkpoint->gguf);
    slao_shards_close(checkpoint->shards);
    free(checkpoint);
}

const slao_model_config *slao_checkpoint_config(const slao_checkpoint *checkpoint) {
    return &checkpoint->config;
}

const slao_tensor_list *slao_checkpoint_tensors(const slao_checkpoint *checkpoint) {
    return &checkpoint->tensors;
}

static slao_status find(const slao_checkpoint *checkpoint, const char *name,
                        const slao_tensor **tensor) {
    *tensor = slao_tensor_list_find(&checkpoint->tensors, name);
    return *tensor ? SLAO_OK : slao_fail(SLAO_BAD_INPUT, "the model has no tensor %s", name);
}

slao_status slao_checkpoint_find(slao_stored *stored, const slao_checkpoint *checkpoint,
                                 const char *name) {
    SLAO_TRY(find(checkpoint, name, &stored->tensor));
    stored->heads = checkpoint->interleaved[stored->tensor - checkpoint->tensors.tensors];
    return SLAO_OK;
}

/* Row half x h/2 + j of a head of h rows is row 2 j + half of it in the file, where the rows of
 * heads are interleaved. */
static int64_t row_in_file(const slao_stored *stored, int64_t row, int64_t n_rows) {
    if (!stored->heads)
        return row;
    int64_t head_dim = n_rows / stored->heads, within = row % head_dim, half = head_dim / 2;
    return row - within + within % half * 2 + within / half;
}

void slao_stored_expand(const slao_stored *stored, float *to, int64_t stride, int64_t row,
                        int64_t count, int64_t from, int64_t columns) {
    const slao_tensor *tensor = stored->tensor;
    int64_t width = tensor->shape[tensor->n_dims - 1];
    int64_t n_rows = slao_tensor_count(tensor) / width;
    size_t row_bytes = tensor->bytes / (size_t)n_rows;
    for (int64_t i = row; i < row + count; i++, to += stride)
        slao_expand_part(to, tensor->dtype,
                         tensor->data + (size_t)row_in_file(stored, i, n_rows) * row_bytes, from,
                         columns);
}

slao_status slao_checkpoint_expand(const slao_checkpoint *checkpoint, const char *name,
                                   float *values) {
    slao_stored stored;
    SLAO_TRY(slao_checkpoint_find(&stored, checkpoint, name));
    int64_t count = slao_tensor_count(stored.tensor);
    int64_t columns = stored.tensor->shape[stored.tensor->n_dims - 1];
#pragma omp parallel for num_threads(slao_threads_for(4 * count))
    for (int64_t row = 0; row < count / columns; row++)
        slao_stored_expand(&stored, values + row * columns, columns, row, 1, 0, columns);
    return SLAO_OK;
}

slao_status slao_checkpoint_let_go(const slao_checkpoint *checkpoint, const char *name) {
    const slao_tensor *tensor;
    SLAO_TRY(find(checkpoint, name, &tensor));
    slao_let_go(tensor->data, tensor->bytes);
    return SLAO_OK;
}

/* The files of weights, one after another; NULL after the last. */
static const slao_mapping *file_of(const slao_checkpoint *checkpoint, size_t index) {
    if (checkpoint->gguf)
        return index == 0 ? slao_gguf_file(checkpoint->gguf) : NULL;
    return slao_shards_file(checkpoint->shards, index);
}

static void hash_config(slao_hasher *hasher, const slao_model_config *config) {
    const int64_t numbers[] = {config->hidden,     config->layers,        config->heads,
                               config->kv_heads,   config->head_dim,      config->intermediate,
                               config->vocabulary, config->max_positions, config->tied_head,
                               config->bos,        config->n_end_tokens};
    slao_hash_text(hasher, config->family->name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        slao_hash_integer(hasher, numbers[i]);
    for (int64_t i = 0; i < config->n_end_tokens; i++)
        slao_hash_integer(hasher, config->end_tokens[i]);
    slao_hash_real(hasher, config->rope_theta);
    slao_hash_real(hasher, config->rms_epsilon);
    /* The rest only where there is something: the hashes of other models stay what they were. */
    if (config->window) {
        slao_hash_text(hasher, "window");
        slao_hash_integer(hasher, config->window);
        slao_hash_integer(hasher, config->window_layer);
    }
    const slao_rope_scaling *rope = &config->rope;
    if (rope->type != SLAO_ROPE_DEFAULT) {
        slao_hash_text(hasher, slao_rope_name(rope->type));
        slao_hash_real(hasher, rope->factor);
        slao_hash_real(hasher, rope->low_frequency);
        slao_hash_real(hasher, rope->high_frequency);
        slao_hash_integer(hasher, rope->original_positions);
    }
    if (rope->n_factors)
        slao_hash_bytes(hasher, rope->factors, (size_t)rope->n_factors * sizeof *rope->factors);
}

static void hash_description(slao_hasher *hasher, const slao_checkpoint *checkpoint, int64_t i) {
    const slao_tensor *tensor = &checkpoint->tensors.tensors[i];
    slao_hash_text(hasher, tensor->name);
    slao_hash_text(hasher, slao_dtype_name(tensor->dtype));
    slao_hash_integer(hasher, checkpoint->interleaved[i]);
    for (int j = 0; j < tensor->n_dims; j++)
        slao_hash_integer(hasher, tensor->shape[j]);
}

/* All that the hash below is made of, the files' identities in place of their contents. */
static slao_hash identity(slao_hasher *hasher, const slao_checkpoint *checkpoint) {
    slao_hash_text(hasher, "weights");
    hash_config(hasher, &checkpoint->config);
    for (int64_t i = 0; i < checkpoint->tensors.count; i++)
        hash_description(hasher, checkpoint, i);
    const slao_mapping *file;
    for (size_t i = 0; (file = file_of(checkpoint, i)); i++) {
        slao_hash_integer(hasher, file->device);
        slao_hash_integer(hasher, file->inode);
        slao_hash_integer(hasher, (int64_t)file->size);
        slao_hash_integer(hasher, file->seconds);
        slao_hash_integer(hasher, file->nanoseconds);
    }
    return slao_hash_value(hasher);
}

slao_status slao_checkpoint_hash(const slao_checkpoint *checkpoint, slao_hash *hash) {
    const size_t cached_from = (size_t)1 << 30; /* less is read in no time */
    size_t bytes = 0;
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_hash key = identity(hasher, checkpoint);
    for (int64_t i = 0; i < checkpoint->tensors.count; i++)
        bytes += checkpoint->tensors.tensors[i].bytes;
    if (bytes < cached_from || !slao_hash_recall(hash, key)) {
        slao_hasher_reset(hasher);
        hash_config(hasher, &checkpoint->config);
        for (int64_t i = 0; i < checkpoint->tensors.count; i++) {
            const slao_tensor *tensor = &checkpoint->tensors.tensors[i];
            hash_description(hasher, checkpoint, i);
            slao_hash_bytes(hasher, tensor->data, tensor->bytes);
            slao_let_go(tensor->data, tensor->bytes);
        }
        *hash = slao_hash_value(hasher);
        if (bytes >= cached_from)
            slao_hash_remember(key, *hash);
    }
    slao_hasher_free(hasher);
    return SLAO_OK;
}
