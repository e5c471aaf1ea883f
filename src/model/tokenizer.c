#include "model/tokenizer.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/byte_level.h"
#include "model/normalizer.h"
#include "model/tokenizer_parts.h"
#include "model/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static slao_status new_parts(slao_tokenizer *t) {
    SLAO_TRY(slao_vocabulary_new(&t->vocabulary));
    SLAO_TRY(slao_vocabulary_new(&t->added_texts));
    SLAO_TRY(slao_added_tokens_new(&t->added));
    SLAO_TRY(slao_pretokenizer_new(&t->pretokenizer));
    t->bos = t->eos = -1;
    return SLAO_OK;
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), count = strlen(end);
    return size >= count && strcmp(text + size - count, end) == 0;
}

/* The file that holds the tokenizer under `path`; the caller frees *file. */
static slao_status find_file(char **file, const char *path) {
    return slao_is_folder(path) ? slao_join_path(file, path, "tokenizer.json")
                                : slao_copy_text(file, path);
}

static slao_status read_from(slao_tokenizer *t, const char *path) {
    char *file;
    SLAO_TRY(find_file(&file, path));
    slao_status status = ends_with(file, ".json") ? slao_tokenizer_read_json(t, file)
                                                  : slao_tokenizer_read_gguf(t, file);
    free(file);
    return status;
}

slao_status slao_tokenizer_hash(slao_hash *hash, const char *path) {
    char *file;
    SLAO_TRY(find_file(&file, path));
    slao_status status = slao_hash_file(hash, file);
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
    slao_pretokenizer_free(t->pretokenizer);
    slao_added_tokens_free(t->added);
    slao_vocabulary_free(t->added_texts);
    slao_vocabulary_free(t->vocabulary);
    free(t);
}

int64_t slao_tokenizer_find(const slao_tokenizer *t, const char *content, size_t size) {
    int32_t id = slao_vocabulary_find(t->added_texts, content, size);
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
    char *normal = NULL;
    size_t normal_size;
    if (t->nfc && token.normalized)
        SLAO_TRY(slao_normalize_nfc(content, size, &normal, &normal_size));
    const char *text = normal ? normal : content;
    size_t text_size = normal ? normal_size : size;
    slao_status status = slao_added_tokens_add(t->added, text, text_size, token);
    if (status == SLAO_OK)
        status = slao_vocabulary_add(t->added_texts, text, text_size, token.id);
    free(normal);
    return status;
}

/* Memory of one call of slao_tokenizer_encode. */
typedef struct {
    slao_pieces raw, normal;
    slao_pretokenizer_workspace cut;
    slao_bpe_workspace merge;
} workspace;

static void free_workspace(workspace *w) {
    slao_pieces_free(&w->raw);
    slao_pieces_free(&w->normal);
    slao_pretokenizer_workspace_free(&w->cut);
    slao_bpe_workspace_free(&w->merge);
}

/* Text between added tokens. */
static slao_status encode_text(const slao_tokenizer *t, workspace *w, const char *text, size_t size,
                               slao_ids *ids) {
    SLAO_TRY(slao_pretokenizer_cut(t->pretokenizer, &w->cut, text, size));
    for (size_t i = 0; i < w->cut.pieces.count; i++) {
        const slao_piece *piece = &w->cut.pieces.items[i];
        SLAO_TRY(slao_bpe_encode(t->bpe, &w->merge, piece->text, piece->size, ids));
    }
    return SLAO_OK;
}

/* Text between the added tokens of the raw text. */
static slao_status encode_raw(const slao_tokenizer *t, workspace *w, const char *text, size_t size,
                              slao_ids *ids) {
    char *normal = NULL;
    size_t normal_size;
    if (t->nfc)
        SLAO_TRY(slao_normalize_nfc(text, size, &normal, &normal_size));
    w->normal.count = 0;
    slao_status status = slao_added_tokens_cut(t->added, true, normal ? normal : text,
                                               normal ? normal_size : size, &w->normal);
    for (size_t i = 0; i < w->normal.count && status == SLAO_OK; i++) {
        const slao_piece *piece = &w->normal.items[i];
        status = piece->id == SLAO_PIECE_IS_TEXT ? encode_text(t, w, piece->text, piece->size, ids)
                                                 : slao_ids_add(ids, piece->id);
    }
    free(normal);
    return status;
}

static slao_status encode_valid(const slao_tokenizer *t, workspace *w, const char *text,
                                size_t size, slao_ids *ids) {
    SLAO_TRY(slao_added_tokens_cut(t->added, false, text, size, &w->raw));
    for (size_t i = 0; i < w->raw.count; i++) {
        const slao_piece *piece = &w->raw.items[i];
        if (piece->id == SLAO_PIECE_IS_TEXT)
            SLAO_TRY(encode_raw(t, w, piece->text, piece->size, ids));
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

slao_status slao_tokenizer_decode(const slao_tokenizer *t, const int32_t *ids, size_t count,
                                  bool skip_special, char **text, size_t *size) {
    char *bytes = NULL;
    size_t used = 0, capacity = 0;
    slao_status status = slao_grow(&bytes, &capacity, 1, 1);
    for (size_t i = 0; i < count && status == SLAO_OK; i++) {
        size_t length;
        const char *token = slao_vocabulary_text(t->added_texts, ids[i], &length);
        bool left_out = token && skip_special && slao_added_tokens_is_special(t->added, ids[i]);
        if (!token)
            token = slao_vocabulary_text(t->vocabulary, ids[i], &length);
        if (token && !left_out) {
            status = slao_grow(&bytes, &capacity, used + length + 1, 1);
            if (status == SLAO_OK) {
                slao_byte_level_decode(token, length, bytes + used, &length);
                used += length;
            }
        }
    }
    if (status != SLAO_OK) {
        free(bytes);
        bytes = NULL;
        used = 0;
    } else {
        bytes[used] = '\0';
    }
    *text = bytes;
    *size = used;
    return status;
}

int64_t slao_tokenizer_vocabulary(const slao_tokenizer *t) {
    int64_t model = slao_vocabulary_end(t->vocabulary), added = slao_vocabulary_end(t->added_texts);
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
