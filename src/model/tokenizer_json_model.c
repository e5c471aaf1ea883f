/* Of a tokenizer.json: the model and the added tokens. */
#include "model/tokenizer_json.h"

#include <string.h>

typedef struct {
    const char *type;
    const cJSON *vocab, *merges, *dropout, *unk, *prefix, *suffix, *fuse, *fallback, *ignore_merges;
} model;

static const slao_json_field model_fields[] = {
    {"type", SLAO_JSON_TEXT, offsetof(model, type), false, 0, 0},
    {"vocab", SLAO_JSON_ANY, offsetof(model, vocab), true, 0, 0},
    {"merges", SLAO_JSON_ANY, offsetof(model, merges), false, 0, 0},
    {"dropout", SLAO_JSON_ANY, offsetof(model, dropout), false, 0, 0},
    {"unk_token", SLAO_JSON_ANY, offsetof(model, unk), false, 0, 0},
    {"continuing_subword_prefix", SLAO_JSON_ANY, offsetof(model, prefix), false, 0, 0},
    {"end_of_word_suffix", SLAO_JSON_ANY, offsetof(model, suffix), false, 0, 0},
    {"fuse_unk", SLAO_JSON_ANY, offsetof(model, fuse), false, 0, 0},
    {"byte_fallback", SLAO_JSON_ANY, offsetof(model, fallback), false, 0, 0},
    {"ignore_merges", SLAO_JSON_ANY, offsetof(model, ignore_merges), false, 0, 0},
    {0},
};

/* Absent, null, false, 0 and "" all leave an option off. */
static bool is_off(const cJSON *option) {
    return !option || cJSON_IsNull(option) || cJSON_IsFalse(option) ||
           (cJSON_IsNumber(option) && option->valuedouble == 0) ||
           (cJSON_IsString(option) && !option->valuestring[0]);
}

static slao_status check_model(const model *m) {
    if (strcmp(m->type, "BPE") != 0)
        return slao_fail(SLAO_BAD_INPUT, "model of type \"%.60s\" is not supported (but BPE)",
                         m->type);
    if (!cJSON_IsObject(m->vocab) || !cJSON_IsArray(m->merges))
        return slao_fail(SLAO_BAD_INPUT, "model.vocab must be an object and model.merges a list");
    const struct {
        const char *name;
        const cJSON *option;
    } unsupported[] =
        {
            {"dropout", m->dropout},
            {"continuing_subword_prefix", m->prefix},
            {"end_of_word_suffix", m->suffix},
        },
      switches[] = {
          {"fuse_unk", m->fuse},
          {"byte_fallback", m->fallback},
          {"ignore_merges", m->ignore_merges},
      };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (!is_off(unsupported[i].option))
            return slao_fail(SLAO_BAD_INPUT, "model.%s is not supported", unsupported[i].name);
    }
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        const cJSON *option = switches[i].option;
        if (option && !cJSON_IsNull(option) && !cJSON_IsBool(option))
            return slao_fail(SLAO_BAD_INPUT, "model.%s must be true or false", switches[i].name);
    }
    if (!is_off(m->unk) && !cJSON_IsString(m->unk))
        return slao_fail(SLAO_BAD_INPUT, "model.unk_token must be a string");
    return SLAO_OK;
}

static slao_status read_vocabulary(slao_tokenizer *t, const cJSON *vocab) {
    const cJSON *token;
    cJSON_ArrayForEach (token, vocab) {
        int64_t id;
        SLAO_TRY(slao_json_integer(&id, token, token->string));
        SLAO_TRY(slao_vocabulary_add(t->vocabulary, token->string, strlen(token->string), id));
    }
    return SLAO_OK;
}

/* "left right", or ["left", "right"]. */
static slao_status read_merge(slao_bpe *bpe, const cJSON *merge) {
    if (cJSON_IsString(merge) && strncmp(merge->valuestring, "#version", 8) == 0)
        return SLAO_OK; /* the first line of a merges.txt, which tokenizers skips too */
    if (cJSON_IsString(merge))
        return slao_bpe_add_merge_line(bpe, merge->valuestring);
    const cJSON *left = cJSON_IsArray(merge) ? merge->child : NULL;
    const cJSON *right = left ? left->next : NULL;
    if (!right || right->next || !cJSON_IsString(left) || !cJSON_IsString(right))
        return slao_fail(SLAO_BAD_INPUT, "a merge is neither a string nor a pair of strings");
    return slao_bpe_add_merge(bpe, left->valuestring, strlen(left->valuestring), right->valuestring,
                              strlen(right->valuestring));
}

/* The options of the model, and its unknown token where texts can need one. */
static slao_status make_bpe(slao_tokenizer *t, const model *m, bool byte_level) {
    slao_bpe_options options = {
        .byte_level = byte_level,
        .ignore_merges = cJSON_IsTrue(m->ignore_merges),
        .byte_fallback = cJSON_IsTrue(m->fallback),
        .fuse_unknown = cJSON_IsTrue(m->fuse),
        .unknown = -1,
    };
    const char *unk = is_off(m->unk) ? NULL : m->unk->valuestring;
    if (unk)
        options.unknown = slao_vocabulary_find(t->vocabulary, unk, strlen(unk));
    SLAO_TRY(slao_bpe_new(&t->bpe, t->vocabulary, options));
    if (slao_bpe_knows_all_bytes(t->bpe))
        return SLAO_OK;
    if (byte_level && (unk || options.byte_fallback))
        return slao_fail(SLAO_BAD_INPUT,
                         "model.unk_token and model.byte_fallback are not supported "
                         "where the pre_tokenizer is ByteLevel and the vocabulary "
                         "lacks bytes: this is no byte-level vocabulary");
    if (unk && options.unknown < 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "model.unk_token is \"%.60s\", which is not in "
                         "model.vocab",
                         unk);
    return SLAO_OK;
}

slao_status slao_read_model(slao_tokenizer *t, const cJSON *part, bool byte_level) {
    model m = {.type = "BPE"}; /* files of old versions do not say */
    SLAO_TRY(slao_json_read(part, "model", model_fields, true, &m));
    SLAO_TRY(check_model(&m));
    SLAO_TRY_IN(read_vocabulary(t, m.vocab), "model.vocab");
    SLAO_TRY(make_bpe(t, &m, byte_level));
    const cJSON *merge;
    cJSON_ArrayForEach (merge, m.merges)
        SLAO_TRY_IN(read_merge(t->bpe, merge), "model.merges");
    return SLAO_OK;
}

typedef struct {
    int64_t id;
    const char *content;
    bool single_word, lstrip, rstrip, normalized, special;
} added;

static const slao_json_field added_fields[] = {
    {"id", SLAO_JSON_INTEGER, offsetof(added, id), true, 0, 0},
    {"content", SLAO_JSON_TEXT, offsetof(added, content), true, 0, 0},
    {"single_word", SLAO_JSON_BOOL, offsetof(added, single_word), true, 0, 0},
    {"lstrip", SLAO_JSON_BOOL, offsetof(added, lstrip), true, 0, 0},
    {"rstrip", SLAO_JSON_BOOL, offsetof(added, rstrip), true, 0, 0},
    {"normalized", SLAO_JSON_BOOL, offsetof(added, normalized), true, 0, 0},
    {"special", SLAO_JSON_BOOL, offsetof(added, special), true, 0, 0},
    {0},
};

slao_status slao_read_added_tokens(slao_tokenizer *t, const cJSON *list) {
    int64_t next = slao_vocabulary_count(t->vocabulary);
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        added a = {0};
        SLAO_TRY(slao_json_read(item, "added_tokens", added_fields, true, &a));
        size_t size = strlen(a.content);
        if (!size)
            continue; /* as tokenizers does */
        /* tokenizers numbers the tokens that the vocabulary lacks itself, whatever the file says.
         */
        bool is_new = slao_vocabulary_find(t->vocabulary, a.content, size) < 0;
        if (is_new && a.id != next)
            return slao_fail(SLAO_BAD_INPUT,
                             "added_tokens: \"%.60s\" has id %lld, where the next free id is %lld",
                             a.content, (long long)a.id, (long long)next);
        next += is_new;
        slao_added_token token = {a.id, a.single_word, a.lstrip, a.rstrip, a.normalized, a.special};
        SLAO_TRY_IN(slao_tokenizer_add_token(t, a.content, size, token), "added_tokens");
    }
    return SLAO_OK;
}
