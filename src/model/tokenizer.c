#include "model/tokenizer.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/tokenizer_parts.h"
#include "model/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static slao_status new_parts(slao_tokenizer *t) {
    SLAO_TRY(slao_vocabulary_new(&t->vocabulary));
    SLAO_TRY(slao_added_tokens_new(&t->added));
    SLAO_TRY(slao_normalizer_new(&t->normalizer));
    SLAO_TRY(slao_pretokenizer_new(&t->pretokenizer));
    SLAO_TRY(slao_detokenizer_new(&t->detokenizer));
    t->bos = t->eos = -1;
    return SLAO_OK;
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), count = strlen(end);
    return size >= count && strcmp(text + size - count, end) == 0;
}

/* The file that holds the tokenizer under `path`; the caller frees *file. */
static slao_status find_file(char **file, const char *path) {
    if (!slao_is_folder(path))
        return slao_copy_text(file, path);
    SLAO_TRY(slao_join_path(file, path, "tokenizer.json"));
    if (slao_is_file(*file))
        return SLAO_OK;
    slao_status status =
        slao_fail(SLAO_BAD_INPUT,
                  "%s is missing: in Python, transformers.AutoTokenizer.from_pretrained(folder)"
                  ".save_pretrained(folder) writes it",
                  *file);
    free(*file);
    *file = NULL;
    return status;
}

static slao_status read_from(slao_tokenizer *t, const char *path) {
    char *file;
    SLAO_TRY(find_file(&file, path));
    slao_status status = ends_with(file, ".json") ? slao_tokenizer_read_json(t, file)
                                                  : slao_tokenizer_read_gguf(t, file);
    free(file);
    return status;
}

slao_status slao_tokenizer_config_path(char **config, const char *path) {
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    return slao_format(config, "%.*s%s", folder, path, "tokenizer_config.json");
}

/* Adds the hash of the file that says which tokens begin and end a text, where there is one. */
static slao_status add_config_hash(slao_hash *hash, const char *config) {
    slao_hash more;
    slao_hasher *hasher;
    if (!slao_is_file(config))
        return SLAO_OK;
    SLAO_TRY(slao_hash_file(&more, config));
    SLAO_TRY(slao_hasher_new(&hasher));
    slao_hash_hash(hasher, *hash);
    slao_hash_hash(hasher, more);
    *hash = slao_hash_value(hasher);
    slao_hasher_free(hasher);
    return SLAO_OK;
}

slao_status slao_tokenizer_hash(slao_hash *hash, const char *path) {
    char *file, *config = NULL;
    SLAO_TRY(find_file(&file, path));
    slao_status status;
    SLAO_TRY_GOTO(status, slao_hash_file(hash, file), done);
    if (ends_with(file, ".json")) {
        SLAO_TRY_GOTO(status, slao_tokenizer_config_path(&config, file), done);
        SLAO_TRY_GOTO(status, add_config_hash(hash, config), done);
    }
done:
    free(config);
    free(file);
    return status;
}

slao_status slao_tokenizer_load(slao_tokenizer **tokenizer, const char *path) {
    SLAO_TRY(slao_allocate(tokenizer, 1, sizeof **tokenizer));
    slao_status status = new_parts(*tokenizer);
    if (status == SLAO_OK)
        status = read_from(*tokenizer, path);
    if (status != SLAO_OK) {
        slao_tokenizer_free(*tokenizer);
        *tokenizer = NULL;
    }
    return status;
}

void slao_tokenizer_free(slao_tokenizer *t) {
    if (!t)
        return;
    slao_bpe_free(t->bpe);
    slao_detokenizer_free(t->detokenizer);
    slao_pretokenizer_free(t->pretokenizer);
    slao_normalizer_free(t->normalizer);
    slao_added_tokens_free(t->added);
    slao_vocabulary_free(t->vocabulary);
    free(t);
}

int64_t slao_tokenizer_find(const slao_tokenizer *t, const char *content, size_t size) {
    int32_t id = slao_added_tokens_find(t->added, content, size);
    return id >= 0 ? id : slao_vocabulary_find(t->vocabulary, content, size);
}

slao_status slao_tokenizer_add_token(slao_tokenizer *t, const char *content, size_t size,
                                     slao_added_token token) {
    int32_t known = slao_vocabulary_find(t->vocabulary, content, size);
    size_t other;
    int shown = size > 60 ? 60 : (int)size;
    if (known >= 0 ? known != token.id
                   : slao_vocabulary_text(t->vocabulary, token.id, &other) != NULL)
        return slao_fail(SLAO_BAD_INPUT,
                         "the added token \"%.*s\" has id %" PRId64
                         ", but the vocabulary says otherwise",
                         shown, content, token.id);
    const char *normal = content;
    size_t normal_size = size;
    slao_normalizer_workspace w = {0};
    slao_status status = SLAO_OK;
    if (token.normalized)
        status = slao_normalizer_run(t->normalizer, &w, content, size, &normal, &normal_size);
    if (status == SLAO_OK)
        status = slao_added_tokens_add(t->added, content, size, normal, normal_size, token);
    slao_normalizer_workspace_free(&w);
    return status;
}

/* Memory of one call of slao_tokenizer_encode. */
typedef struct {
    slao_pieces raw, normal;
    slao_normalizer_workspace change;
    slao_pretokenizer_workspace cut;
    slao_bpe_workspace merge;
} workspace;

static void free_workspace(workspace *w) {
    slao_pieces_free(&w->raw);
    slao_pieces_free(&w->normal);
    slao_normalizer_workspace_free(&w->change);
    slao_pretokenizer_workspace_free(&w->cut);
    slao_bpe_workspace_free(&w->merge);
}

/* Text between added tokens. `is_start`: the whole text begins with it. */
static slao_status encode_text(const slao_tokenizer *t, workspace *w, const char *text, size_t size,
                               bool is_start, slao_ids *ids) {
    SLAO_TRY(slao_pretokenizer_cut(t->pretokenizer, &w->cut, text, size, is_start));
    for (size_t i = 0; i < w->cut.pieces.count; i++) {
        const slao_piece *piece = &w->cut.pieces.items[i];
        SLAO_TRY(slao_bpe_encode(t->bpe, &w->merge, piece->text, piece->size, ids));
    }
    return SLAO_OK;
}

/* Text between the added tokens of the raw text. */
static slao_status encode_raw(const slao_tokenizer *t, workspace *w, const char *text, size_t size,
                              bool is_start, slao_ids *ids) {
    SLAO_TRY(slao_normalizer_run(t->normalizer, &w->change, text, size, &text, &size));
    w->normal.count = 0;
    SLAO_TRY(slao_added_tokens_cut(t->added, true, text, size, &w->normal));
    for (size_t i = 0; i < w->normal.count; i++) {
        const slao_piece *piece = &w->normal.items[i];
        if (piece->id == SLAO_PIECE_IS_TEXT)
            SLAO_TRY(
                encode_text(t, w, piece->text, piece->size, is_start && piece->text == text, ids));
        else
            SLAO_TRY(slao_ids_add(ids, piece->id));
    }
    return SLAO_OK;
}

static slao_status encode_valid(const slao_tokenizer *t, workspace *w, const char *text,
                                size_t size, slao_ids *ids) {
    SLAO_TRY(slao_added_tokens_cut(t->added, false, text, size, &w->raw));
    for (size_t i = 0; i < w->raw.count; i++) {
        const slao_piece *piece = &w->raw.items[i];
        if (piece->id == SLAO_PIECE_IS_TEXT)
            SLAO_TRY(encode_raw(t, w, piece->text, piece->size, piece->text == text, ids));
        else
            SLAO_TRY(slao_ids_add(ids, piece->id));
    }
    return SLAO_OK;
}

slao_status slao_tokenizer_encode(const slao_tokenizer *t, const char *text, size_t size,
                                  slao_ids *ids) {
    enum { LONGEST = INT32_MAX / 8 }; /* normal forms and repairs of it still fit 31 bits */
    if (size > LONGEST)
        return slao_fail(SLAO_BAD_INPUT,
                         "a text of %zu bytes is longer than the %d that can be "
                         "tokenised at once: split it into lines",
                         size, LONGEST);
    char *repaired;
    size_t repaired_size;
    SLAO_TRY(slao_utf8_repair(text, size, &repaired, &repaired_size));
    workspace w = {0};
    slao_status status =
        encode_valid(t, &w, repaired ? repaired : text, repaired ? repaired_size : size, ids);
    free_workspace(&w);
    free(repaired);
    return status;
}

/* The text of a token, or NULL where the id stands for none or is left out. */
static const char *token_text(const slao_tokenizer *t, int64_t id, bool skip_special,
                              size_t *size) {
    bool special = false;
    const char *text = slao_added_tokens_text(t->added, id, size, &special);
    if (!text)
        text = slao_vocabulary_text(t->vocabulary, id, size);
    return special && skip_special ? NULL : text;
}

slao_status slao_tokenizer_decode(const slao_tokenizer *t, const int32_t *ids, size_t count,
                                  bool skip_special, char **text, size_t *size) {
    slao_texts texts = {0};
    slao_status status = SLAO_OK;
    for (size_t i = 0; i < count && status == SLAO_OK; i++) {
        size_t length;
        const char *token = token_text(t, ids[i], skip_special, &length);
        if (token)
            status = slao_texts_add(&texts, token, length);
    }
    if (status == SLAO_OK)
        status = slao_detokenizer_run(t->detokenizer, &texts);
    if (status == SLAO_OK)
        status = slao_bytes_add(&texts.bytes, "", 1);
    *text = NULL;
    *size = 0;
    if (status == SLAO_OK) {
        *text = texts.bytes.items;
        *size = texts.bytes.count - 1;
        texts.bytes = (slao_bytes){0};
    }
    slao_texts_free(&texts);
    return status;
}

slao_status slao_tokenizer_decode_start(const slao_tokenizer *t, const int32_t *ids, size_t count,
                                        bool skip_special, char **text, size_t *size) {
    bool open = slao_detokenizer_falls_back(t->detokenizer);
    while (open && count) {
        size_t length;
        unsigned char byte;
        const char *token = token_text(t, ids[count - 1], skip_special, &length);
        open = !token || slao_is_fallback_token(token, length, &byte);
        count -= open;
    }
    return slao_tokenizer_decode(t, ids, count, skip_special, text, size);
}

int64_t slao_tokenizer_vocabulary(const slao_tokenizer *t) {
    int64_t model = slao_vocabulary_end(t->vocabulary), added = slao_added_tokens_end(t->added);
    return model > added ? model : added;
}

int64_t slao_tokenizer_bos(const slao_tokenizer *t) {
    return t->bos;
}

int64_t slao_tokenizer_eos(const slao_tokenizer *t) {
    return t->eos;
}

bool slao_tokenizer_adds_bos(const slao_tokenizer *t) {
    return t->adds_bos;
}
