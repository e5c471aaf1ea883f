#include "model/tokenizer_json.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/config_parts.h"
#include "model/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The types of the rows, for a message. */
static slao_status refused(const slao_part_row *rows, const char *where, const char *type) {
    enum { MOST = 256 };
    char known[MOST];
    size_t used = 0;
    for (const slao_part_row *row = rows; row->type && used < MOST; row++)
        used +=
            (size_t)snprintf(known + used, MOST - used, "%s%s", row == rows ? "" : ", ", row->type);
    return slao_fail(SLAO_BAD_INPUT, "%s of type \"%.60s\" is not supported (but %s)", where, type,
                     known);
}

slao_status slao_read_part_by(const slao_part_row *rows, slao_tokenizer *t, const cJSON *part,
                              const char *where) {
    const char *type = "null";
    static const slao_json_field fields[] = {{"type", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    if (part && !cJSON_IsNull(part))
        SLAO_TRY(slao_json_read(part, where, fields, true, &type));
    for (const slao_part_row *row = rows; row->type; row++) {
        if (strcmp(row->type, type) == 0)
            return row->read(t, part, where);
    }
    return refused(rows, where, type);
}

slao_status slao_read_parts(slao_read_part *read, slao_tokenizer *t, const cJSON *sequence,
                            const char *where, const char *key) {
    const cJSON *members, *member;
    slao_json_field fields[] = {{key, SLAO_JSON_ARRAY, 0, true, 0, 0}, {0}};
    SLAO_TRY(slao_json_read(sequence, where, fields, true, &members));
    cJSON_ArrayForEach (member, members)
        SLAO_TRY(read(t, member, where));
    return SLAO_OK;
}

slao_status slao_read_no_part(slao_tokenizer *t, const cJSON *part, const char *where) {
    (void)t, (void)part, (void)where;
    return SLAO_OK;
}

static slao_status find_text(const slao_tokenizer *t, const char *content, const char *where,
                             int64_t *id) {
    *id = slao_tokenizer_find(t, content, strlen(content));
    return *id >= 0
               ? SLAO_OK
               : slao_fail(SLAO_BAD_INPUT, "%s is \"%.60s\", which is no token", where, content);
}

/* The ids that a template puts for its special token `name`: one, the token's own. */
static slao_status check_special(const cJSON *template, const char *where, const char *name,
                                 int64_t id) {
    const cJSON *map = slao_json_find(template, "special_tokens");
    const cJSON *ids = slao_json_find(slao_json_find(map, name), "ids");
    const cJSON *first = cJSON_IsArray(ids) ? ids->child : NULL;
    if (!first || first->next || !cJSON_IsNumber(first) || first->valuedouble != (double)id)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s.special_tokens must give \"%.60s\" the id %lld, and no other", where,
                         name, (long long)id);
    return SLAO_OK;
}

/* A template for one text: a special token in front of it is put before every text. What stands
 * behind it is not put anywhere: who trains or scores ends texts as the task wants it. */
static slao_status read_template(slao_tokenizer *t, const cJSON *part, const char *where) {
    const cJSON *single = NULL, *item;
    static const slao_json_field fields[] = {{"single", SLAO_JSON_ARRAY, 0, true, 0, 0}, {0}};
    SLAO_TRY(slao_json_read(part, where, fields, true, &single));
    int n_texts = 0;
    cJSON_ArrayForEach (item, single) {
        const cJSON *special = slao_json_find(item, "SpecialToken");
        if (!special && !slao_json_find(item, "Sequence"))
            return slao_fail(SLAO_BAD_INPUT,
                             "%s.single: each item must be a SpecialToken or a "
                             "Sequence",
                             where);
        n_texts += !special;
        if (!special || n_texts)
            continue;
        const char *content;
        static const slao_json_field id[] = {{"id", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
        SLAO_TRY_IN(slao_json_read(special, "single", id, true, &content), "%s", where);
        if (t->adds_bos)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s puts more than one token before a text, which is "
                             "not supported",
                             where);
        SLAO_TRY(find_text(t, content, "post_processor.single", &t->bos));
        SLAO_TRY(check_special(part, where, content, t->bos));
        t->adds_bos = true;
    }
    return n_texts == 1 ? SLAO_OK
                        : slao_fail(SLAO_BAD_INPUT, "%s.single must hold one Sequence", where);
}

static slao_status read_post_processors(slao_tokenizer *t, const cJSON *part, const char *where) {
    return slao_read_parts(slao_read_post_processor, t, part, where, "processors");
}

slao_status slao_read_post_processor(slao_tokenizer *t, const cJSON *part, const char *where) {
    static const slao_part_row rows[] = {
        {"null", slao_read_no_part},
        {"ByteLevel", slao_read_no_part},
        {"TemplateProcessing", read_template},
        {"Sequence", read_post_processors},
        {0},
    };
    return slao_read_part_by(rows, t, part, where);
}

typedef struct {
    const cJSON *model, *added, *normalizer, *pretokenizer, *post_processor, *decoder;
} document;

static const slao_json_field document_fields[] = {
    {"model", SLAO_JSON_OBJECT, offsetof(document, model), true, 0, 0},
    {"added_tokens", SLAO_JSON_ARRAY, offsetof(document, added), false, 0, 0},
    {"normalizer", SLAO_JSON_ANY, offsetof(document, normalizer), false, 0, 0},
    {"pre_tokenizer", SLAO_JSON_ANY, offsetof(document, pretokenizer), false, 0, 0},
    {"post_processor", SLAO_JSON_ANY, offsetof(document, post_processor), false, 0, 0},
    {"decoder", SLAO_JSON_ANY, offsetof(document, decoder), false, 0, 0},
    {0},
};

static slao_status read_document(slao_tokenizer *t, const cJSON *root) {
    document d = {0};
    bool byte_level;
    SLAO_TRY(slao_json_read(root, "tokenizer", document_fields, true, &d));
    SLAO_TRY(slao_read_normalizer(t, d.normalizer, "normalizer"));
    SLAO_TRY(slao_read_pretokenizer(t, d.pretokenizer, &byte_level));
    SLAO_TRY(slao_read_decoder(t, d.decoder, "decoder"));
    SLAO_TRY(slao_read_model(t, d.model, byte_level));
    SLAO_TRY(slao_read_added_tokens(t, d.added));
    /* tokenizers asks of each piece where it began before it was normalised; here that is known for
     * the first one of each text between added tokens. */
    if (slao_pretokenizer_asks_for_start(t->pretokenizer) &&
        !slao_normalizer_is_empty(t->normalizer) && slao_added_tokens_has_normalized(t->added))
        return slao_fail(SLAO_BAD_INPUT, "pre_tokenizer Metaspace with prepend_scheme first is not "
                                         "supported together with a normalizer and added_tokens "
                                         "that are normalized");
    return slao_read_post_processor(t, d.post_processor, "post_processor");
}

/* "bos_token" and "eos_token" of tokenizer_config.json: a text, an object that has it as "content",
 * or null. */
static slao_status read_config_token(const slao_tokenizer *t, const cJSON *root, const char *key,
                                     int64_t *id) {
    const cJSON *token = slao_json_find(root, key);
    if (cJSON_IsObject(token))
        token = slao_json_find(token, "content");
    return cJSON_IsString(token) ? find_text(t, token->valuestring, key, id) : SLAO_OK;
}

/* add_bos_token, where it says something, goes before the template: then it is bos_token that is
 * put before a text. */
static slao_status read_config_root(slao_tokenizer *t, const cJSON *root) {
    const cJSON *add = slao_json_find(root, "add_bos_token");
    int64_t bos = -1;
    SLAO_TRY(read_config_token(t, root, "bos_token", &bos));
    SLAO_TRY(read_config_token(t, root, "eos_token", &t->eos));
    if (cJSON_IsBool(add)) {
        t->adds_bos = cJSON_IsTrue(add) && bos >= 0;
        t->bos = bos;
    } else if (t->bos < 0) {
        t->bos = bos;
    }
    return SLAO_OK;
}

static slao_status read_config(slao_tokenizer *t, const char *path) {
    if (!slao_is_file(path))
        return SLAO_OK;
    cJSON *root;
    SLAO_TRY(slao_json_load_object(&root, path, SLAO_CONFIG_MOST));
    slao_status status = read_config_root(t, root);
    cJSON_Delete(root);
    return status == SLAO_OK ? status : slao_fail_context(status, "%s", path);
}

/* Texts here may be anything, but they must be UTF-8, and cJSON ends a text at a zero character. */
static slao_status check_texts(const char *text, size_t size, const char *path) {
    for (size_t at = 0; at < size;) {
        int32_t point;
        size_t start = at;
        at += slao_utf8_read(text + at, size - at, &point);
        if (point < 0)
            return slao_fail(SLAO_BAD_INPUT, "%s: byte %zu is not UTF-8", path, start);
        if (point == '\\' && size - at >= 5 && memcmp(text + at, "u0000", 5) == 0)
            return slao_fail(SLAO_BAD_INPUT, "%s: a text holds a zero character, at byte %zu", path,
                             start);
        at += point == '\\' && at < size && text[at] == '\\'; /* the second escapes nothing */
    }
    return SLAO_OK;
}

static slao_status load(cJSON **root, const char *path) {
    slao_mapping file;
    SLAO_TRY(slao_map_file(&file, path));
    const char *text = (const char *)file.bytes;
    slao_status status = SLAO_OK;
    if (file.size > SLAO_CONFIG_MOST)
        status = slao_fail(SLAO_BAD_INPUT, "%s: %zu bytes are too many for a tokenizer (%d)", path,
                           file.size, SLAO_CONFIG_MOST);
    if (status == SLAO_OK)
        status = check_texts(text, file.size, path);
    if (status == SLAO_OK)
        status = slao_json_parse_foreign(root, text, file.size, path);
    slao_unmap_file(&file);
    return status;
}

slao_status slao_tokenizer_read_json(slao_tokenizer *t, const char *path) {
    cJSON *root;
    char *config;
    SLAO_TRY(load(&root, path));
    slao_status status = read_document(t, root);
    cJSON_Delete(root);
    if (status != SLAO_OK)
        return slao_fail_context(status, "%s", path);
    SLAO_TRY(slao_tokenizer_config_path(&config, path));
    status = read_config(t, config);
    free(config);
    return status;
}
