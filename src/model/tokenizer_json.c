#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/* The kind of a part: its "type", or "null" where there is no such part. */
static slao_status type_of(const cJSON *part, const char *where, const char **type) {
    *type = "null";
    if (!part || cJSON_IsNull(part))
        return SLAO_OK;
    static const slao_json_field fields[] = {{"type", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    return slao_json_read(part, where, fields, true, type);
}

/* The members of a part of type Sequence. */
static slao_status members_of(const cJSON *sequence, const char *where, const char *key,
                              const cJSON **members) {
    slao_json_field fields[] = {{key, SLAO_JSON_ARRAY, 0, true, 0, 0}, {0}};
    return slao_json_read(sequence, where, fields, true, members);
}

static slao_status refused(const char *where, const char *type, const char *known) {
    return slao_fail(SLAO_BAD_INPUT, "%s of type \"%s\" is not supported (but %s)", where, type,
                     known);
}

static slao_status read_normalizer(slao_tokenizer *t, const cJSON *part) {
    const char *where = "normalizer", *type;
    SLAO_TRY(type_of(part, where, &type));
    if (strcmp(type, "null") == 0)
        return SLAO_OK;
    if (strcmp(type, "NFC") == 0) {
        t->nfc = true;
        return SLAO_OK;
    }
    if (strcmp(type, "Sequence") != 0)
        return refused(where, type, "none, NFC and Sequence");
    const cJSON *members, *member;
    SLAO_TRY(members_of(part, where, "normalizers", &members));
    cJSON_ArrayForEach (member, members)
        SLAO_TRY(read_normalizer(t, member));
    return SLAO_OK;
}

typedef slao_status read_pretokenizer(slao_tokenizer *t, const cJSON *part, bool *byte_level);

typedef struct {
    const cJSON *pattern;
    const char *behavior;
    bool invert;
} split_options;

static const slao_json_field split_fields[] = {
    {"pattern", SLAO_JSON_OBJECT, offsetof(split_options, pattern), true, 0, 0},
    {"behavior", SLAO_JSON_TEXT, offsetof(split_options, behavior), true, 0, 0},
    {"invert", SLAO_JSON_BOOL, offsetof(split_options, invert), true, 0, 0},
    {0},
};

static slao_status read_split(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    (void)byte_level;
    split_options split = {0};
    SLAO_TRY(slao_json_read(part, "pre_tokenizer Split", split_fields, true, &split));
    if (split.invert)
        return slao_fail(SLAO_BAD_INPUT, "pre_tokenizer Split with invert is not supported");
    if (strcmp(split.behavior, "Isolated") != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "pre_tokenizer Split with behavior \"%s\" is not supported (but Isolated)",
                         split.behavior);
    const char *regex;
    static const slao_json_field pattern_fields[] = {{"Regex", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    SLAO_TRY(slao_json_read(split.pattern, "pre_tokenizer Split.pattern", pattern_fields, false,
                            &regex));
    return slao_pretokenizer_add_regex(t->pretokenizer, regex);
}

static slao_status read_digits(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    (void)byte_level;
    bool individual;
    static const slao_json_field fields[] = {{"individual_digits", SLAO_JSON_BOOL, 0, true, 0, 0},
                                             {0}};
    SLAO_TRY(slao_json_read(part, "pre_tokenizer Digits", fields, true, &individual));
    return slao_pretokenizer_add(t->pretokenizer, individual ? "digits" : "digit runs");
}

typedef struct {
    bool add_prefix_space, use_regex;
} byte_level_options;

static const slao_json_field byte_level_fields[] = {
    {"add_prefix_space", SLAO_JSON_BOOL, offsetof(byte_level_options, add_prefix_space), true, 0,
     0},
    {"use_regex", SLAO_JSON_BOOL, offsetof(byte_level_options, use_regex), false, 0, 0},
    {0},
};

static slao_status read_byte_level(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    byte_level_options options = {.use_regex = true};
    SLAO_TRY(slao_json_read(part, "pre_tokenizer ByteLevel", byte_level_fields, true, &options));
    if (options.add_prefix_space)
        return slao_fail(SLAO_BAD_INPUT,
                         "pre_tokenizer ByteLevel with add_prefix_space is not supported");
    *byte_level = true;
    return options.use_regex ? slao_pretokenizer_add(t->pretokenizer, "gpt2") : SLAO_OK;
}

static read_pretokenizer read_pretokenizers;

static const struct {
    const char *type;
    read_pretokenizer *read;
} pretokenizers[] = {
    {"Sequence", read_pretokenizers},
    {"Split", read_split},
    {"Digits", read_digits},
    {"ByteLevel", read_byte_level},
};
enum { N_PRETOKENIZERS = sizeof pretokenizers / sizeof *pretokenizers };

static slao_status read_any_pretokenizer(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    const char *where = "pre_tokenizer", *type;
    SLAO_TRY(type_of(part, where, &type));
    if (*byte_level)
        return slao_fail(SLAO_BAD_INPUT, "pre_tokenizer %s after ByteLevel is not supported", type);
    for (int i = 0; i < N_PRETOKENIZERS; i++) {
        if (strcmp(pretokenizers[i].type, type) == 0)
            return pretokenizers[i].read(t, part, byte_level);
    }
    return refused(where, type, "Sequence, Split, Digits and ByteLevel");
}

static slao_status read_pretokenizers(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    const cJSON *members, *member;
    SLAO_TRY(members_of(part, "pre_tokenizer", "pretokenizers", &members));
    cJSON_ArrayForEach (member, members)
        SLAO_TRY(read_any_pretokenizer(t, member, byte_level));
    return SLAO_OK;
}

static slao_status check_decoder(const cJSON *part) {
    const char *where = "decoder", *type;
    SLAO_TRY(type_of(part, where, &type));
    return strcmp(type, "ByteLevel") == 0 ? SLAO_OK : refused(where, type, "ByteLevel");
}

typedef struct {
    const char *type;
    const cJSON *vocab, *merges, *dropout, *unk, *prefix, *suffix, *fallback, *ignore_merges;
} model;

static const slao_json_field model_fields[] = {
    {"type", SLAO_JSON_TEXT, offsetof(model, type), true, 0, 0},
    {"vocab", SLAO_JSON_ANY, offsetof(model, vocab), true, 0, 0},
    {"merges", SLAO_JSON_ANY, offsetof(model, merges), false, 0, 0},
    {"dropout", SLAO_JSON_ANY, offsetof(model, dropout), false, 0, 0},
    {"unk_token", SLAO_JSON_ANY, offsetof(model, unk), false, 0, 0},
    {"continuing_subword_prefix", SLAO_JSON_ANY, offsetof(model, prefix), false, 0, 0},
    {"end_of_word_suffix", SLAO_JSON_ANY, offsetof(model, suffix), false, 0, 0},
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
        return refused("model", m->type, "BPE, byte-level");
    if (!cJSON_IsObject(m->vocab) || !cJSON_IsArray(m->merges))
        return slao_fail(SLAO_BAD_INPUT, "model.vocab must be an object and model.merges a list");
    const struct {
        const char *name;
        const cJSON *option;
    } unsupported[] = {
        {"dropout", m->dropout},
        {"continuing_subword_prefix", m->prefix},
        {"end_of_word_suffix", m->suffix},
        {"byte_fallback", m->fallback},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (!is_off(unsupported[i].option))
            return slao_fail(SLAO_BAD_INPUT, "model.%s is not supported", unsupported[i].name);
    }
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

static slao_status read_model(slao_tokenizer *t, const cJSON *part) {
    model m = {0};
    SLAO_TRY(slao_json_read(part, "model", model_fields, true, &m));
    SLAO_TRY(check_model(&m));
    SLAO_TRY_IN(read_vocabulary(t, m.vocab), "model.vocab");
    SLAO_TRY(slao_bpe_new(&t->bpe, t->vocabulary, cJSON_IsTrue(m.ignore_merges)));
    if (m.unk && !cJSON_IsNull(m.unk) && !slao_bpe_knows_all_bytes(t->bpe))
        return slao_fail(SLAO_BAD_INPUT, "model.unk_token is not supported where the vocabulary "
                                         "lacks bytes: this is no byte-level vocabulary");
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

static slao_status read_added_tokens(slao_tokenizer *t, const cJSON *list) {
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
                             "added_tokens: \"%s\" has id %lld, where the next free id is %lld",
                             a.content, (long long)a.id, (long long)next);
        next += is_new;
        slao_added_token token = {a.id, a.single_word, a.lstrip, a.rstrip, a.normalized, a.special};
        SLAO_TRY_IN(slao_tokenizer_add_token(t, a.content, size, token), "added_tokens");
    }
    return SLAO_OK;
}

static slao_status find_text(const slao_tokenizer *t, const char *content, const char *where,
                             int64_t *id) {
    *id = slao_tokenizer_find(t, content, strlen(content));
    return *id >= 0 ? SLAO_OK
                    : slao_fail(SLAO_BAD_INPUT, "%s is \"%s\", which is no token", where, content);
}

/* A template that begins with a special token puts it before every text. */
static slao_status read_template(slao_tokenizer *t, const cJSON *part) {
    const cJSON *single, *special;
    SLAO_TRY(members_of(part, "post_processor", "single", &single));
    if (!single->child || !(special = slao_json_find(single->child, "SpecialToken")))
        return SLAO_OK;
    const char *content;
    static const slao_json_field fields[] = {{"id", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    SLAO_TRY(slao_json_read(special, "post_processor.single", fields, true, &content));
    SLAO_TRY(find_text(t, content, "post_processor.single", &t->bos));
    t->adds_bos = true;
    return SLAO_OK;
}

static slao_status read_post_processor(slao_tokenizer *t, const cJSON *part) {
    const char *where = "post_processor", *type;
    SLAO_TRY(type_of(part, where, &type));
    if (strcmp(type, "null") == 0 || strcmp(type, "ByteLevel") == 0)
        return SLAO_OK;
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(t, part);
    if (strcmp(type, "Sequence") != 0)
        return refused(where, type, "none, ByteLevel, TemplateProcessing and Sequence");
    const cJSON *members, *member;
    SLAO_TRY(members_of(part, where, "processors", &members));
    cJSON_ArrayForEach (member, members)
        SLAO_TRY(read_post_processor(t, member));
    return SLAO_OK;
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
    SLAO_TRY(slao_json_read(root, "tokenizer", document_fields, true, &d));
    SLAO_TRY(read_normalizer(t, d.normalizer));
    SLAO_TRY(read_model(t, d.model));
    bool byte_level = false;
    SLAO_TRY(read_any_pretokenizer(t, d.pretokenizer, &byte_level));
    if (!byte_level)
        return slao_fail(SLAO_BAD_INPUT,
                         "pre_tokenizer without ByteLevel is not supported: slao reads byte-level "
                         "BPE only");
    SLAO_TRY(check_decoder(d.decoder));
    SLAO_TRY(read_added_tokens(t, d.added));
    return read_post_processor(t, d.post_processor);
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

static slao_status read_config(slao_tokenizer *t, const char *path) {
    if (!slao_is_file(path))
        return SLAO_OK;
    cJSON *root;
    SLAO_TRY(slao_json_load(&root, path));
    slao_status status = SLAO_OK;
    if (t->bos < 0)
        status = read_config_token(t, root, "bos_token", &t->bos);
    if (status == SLAO_OK)
        status = read_config_token(t, root, "eos_token", &t->eos);
    cJSON_Delete(root);
    return status == SLAO_OK ? status : slao_fail_context(status, "%s", path);
}

slao_status slao_tokenizer_read_json(slao_tokenizer *t, const char *path) {
    cJSON *root;
    SLAO_TRY(slao_json_load(&root, path));
    slao_status status = read_document(t, root);
    cJSON_Delete(root);
    if (status != SLAO_OK)
        return slao_fail_context(status, "%s", path);
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    char *config;
    SLAO_TRY(slao_format(&config, "%.*s%s", folder, path, "tokenizer_config.json"));
    status = read_config(t, config);
    free(config);
    return status;
}
