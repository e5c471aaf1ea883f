/* Of a tokenizer.json: what is done to texts before the model (normalizer, pre_tokenizer) and after
 * it (decoder). */
#include "model/tokenizer_json.h"

#include "model/utf8.h"

#include <string.h>

static slao_status check_not_empty(const char *text, const char *where, const char *key) {
    return *text ? SLAO_OK : slao_fail(SLAO_BAD_INPUT, "%s.%s is empty", where, key);
}

/* The text is one character. */
static slao_status check_character(const char *text, const char *where, const char *key) {
    int32_t point;
    size_t size = strlen(text);
    if (size && slao_utf8_read(text, size, &point) == size)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT, "%s.%s must be one character, but is \"%.60s\"", where, key,
                     text);
}

typedef struct {
    const cJSON *pattern;
    const char *content;
} replace_options;

static const slao_json_field replace_fields[] = {
    {"pattern", SLAO_JSON_OBJECT, offsetof(replace_options, pattern), true, 0, 0},
    {"content", SLAO_JSON_TEXT, offsetof(replace_options, content), true, 0, 0},
    {0},
};

/* A Replace, of the normalizer or of the decoder, whose pattern is a text. */
static slao_status read_replace(const cJSON *part, const char *where, const char **pattern,
                                const char **content) {
    replace_options options = {0};
    SLAO_TRY(slao_json_read(part, where, replace_fields, true, &options));
    const cJSON *regex = slao_json_find(options.pattern, "Regex");
    if (cJSON_IsString(regex))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s Replace of the regular expression \"%.60s\" is not supported (but of "
                         "a text: \"String\")",
                         where, regex->valuestring);
    static const slao_json_field fields[] = {{"String", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    SLAO_TRY_IN(slao_json_read(options.pattern, "pattern", fields, false, pattern), "%s Replace",
                where);
    SLAO_TRY_IN(check_not_empty(*pattern, "pattern", "String"), "%s Replace", where);
    *content = options.content;
    return SLAO_OK;
}

static slao_status read_nfc(slao_tokenizer *t, const cJSON *part, const char *where) {
    (void)part, (void)where;
    return slao_normalizer_add_nfc(t->normalizer);
}

static slao_status read_prepend(slao_tokenizer *t, const cJSON *part, const char *where) {
    const char *text = NULL;
    static const slao_json_field fields[] = {{"prepend", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    SLAO_TRY(slao_json_read(part, where, fields, true, &text));
    return slao_normalizer_add_prepend(t->normalizer, text);
}

static slao_status read_normalizer_replace(slao_tokenizer *t, const cJSON *part,
                                           const char *where) {
    const char *pattern = NULL, *content = NULL;
    SLAO_TRY(read_replace(part, where, &pattern, &content));
    return slao_normalizer_add_replace(t->normalizer, pattern, content);
}

static slao_status read_normalizers(slao_tokenizer *t, const cJSON *part, const char *where) {
    return slao_read_parts(slao_read_normalizer, t, part, where, "normalizers");
}

slao_status slao_read_normalizer(slao_tokenizer *t, const cJSON *part, const char *where) {
    static const slao_part_row rows[] = {
        {"null", slao_read_no_part},    {"NFC", read_nfc},
        {"Prepend", read_prepend},      {"Replace", read_normalizer_replace},
        {"Sequence", read_normalizers}, {0},
    };
    return slao_read_part_by(rows, t, part, where);
}

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

static slao_status read_split(slao_tokenizer *t, const cJSON *part, const char *where) {
    split_options split = {0};
    SLAO_TRY_IN(slao_json_read(part, "Split", split_fields, true, &split), "%s", where);
    if (split.invert)
        return slao_fail(SLAO_BAD_INPUT, "%s Split with invert is not supported", where);
    if (strcmp(split.behavior, "Isolated") != 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s Split with behavior \"%s\" is not supported (but Isolated)", where,
                         split.behavior);
    const char *regex;
    static const slao_json_field pattern_fields[] = {{"Regex", SLAO_JSON_TEXT, 0, true, 0, 0}, {0}};
    SLAO_TRY_IN(slao_json_read(split.pattern, "Split.pattern", pattern_fields, false, &regex), "%s",
                where);
    return slao_pretokenizer_add_regex(t->pretokenizer, regex);
}

static slao_status read_digits(slao_tokenizer *t, const cJSON *part, const char *where) {
    bool individual;
    static const slao_json_field fields[] = {{"individual_digits", SLAO_JSON_BOOL, 0, true, 0, 0},
                                             {0}};
    SLAO_TRY_IN(slao_json_read(part, "Digits", fields, true, &individual), "%s", where);
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

static slao_status read_byte_level(slao_tokenizer *t, const cJSON *part, const char *where) {
    byte_level_options options = {.use_regex = true};
    SLAO_TRY_IN(slao_json_read(part, "ByteLevel", byte_level_fields, true, &options), "%s", where);
    if (options.add_prefix_space) /* the same as a Metaspace that leaves spaces as they are */
        SLAO_TRY_IN(slao_pretokenizer_add_spaces(t->pretokenizer, " ", SLAO_SPACE_ALWAYS, false),
                    "%s", where);
    return options.use_regex ? slao_pretokenizer_add(t->pretokenizer, "gpt2") : SLAO_OK;
}

typedef struct {
    const char *replacement, *scheme;
    const cJSON *prefix, *split; /* may be null */
} metaspace_options;

static const slao_json_field metaspace_fields[] = {
    {"replacement", SLAO_JSON_TEXT, offsetof(metaspace_options, replacement), true, 0, 0},
    {"prepend_scheme", SLAO_JSON_TEXT, offsetof(metaspace_options, scheme), false, 0, 0},
    {"add_prefix_space", SLAO_JSON_ANY, offsetof(metaspace_options, prefix), false, 0, 0},
    {"split", SLAO_JSON_ANY, offsetof(metaspace_options, split), false, 0, 0},
    {0},
};

/* A Metaspace, of the pre-tokenizer or of the decoder. Files from before prepend_scheme say
 * add_prefix_space instead: true, or absent, means "always". */
static slao_status read_metaspace(const cJSON *part, const char *where, const char **replacement,
                                  slao_leading_space *leading, bool *split) {
    static const char *const schemes[] = {
        [SLAO_SPACE_NEVER] = "never", [SLAO_SPACE_FIRST] = "first", [SLAO_SPACE_ALWAYS] = "always"};
    metaspace_options options = {.scheme = NULL};
    SLAO_TRY_IN(slao_json_read(part, "Metaspace", metaspace_fields, true, &options), "%s", where);
    SLAO_TRY_IN(check_character(options.replacement, "Metaspace", "replacement"), "%s", where);
    bool no_prefix = cJSON_IsFalse(options.prefix);
    const char *scheme = options.scheme ? options.scheme : no_prefix ? "never" : "always";
    int i = SLAO_SPACE_NEVER;
    while (i <= SLAO_SPACE_ALWAYS && strcmp(schemes[i], scheme) != 0)
        i++;
    if (i > SLAO_SPACE_ALWAYS)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s Metaspace.prepend_scheme is \"%.60s\", but must be never, first or "
                         "always",
                         where, scheme);
    if (no_prefix && i != SLAO_SPACE_NEVER)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s Metaspace.add_prefix_space is false, but prepend_scheme is \"%s\"",
                         where, scheme);
    *replacement = options.replacement;
    *leading = (slao_leading_space)i;
    *split = !cJSON_IsFalse(options.split);
    return SLAO_OK;
}

static slao_status read_pretokenizer_metaspace(slao_tokenizer *t, const cJSON *part,
                                               const char *where) {
    const char *replacement;
    slao_leading_space leading;
    bool split;
    SLAO_TRY(read_metaspace(part, where, &replacement, &leading, &split));
    SLAO_TRY_IN(slao_pretokenizer_add_spaces(t->pretokenizer, replacement, leading, split), "%s",
                where);
    return SLAO_OK;
}

static slao_read_part read_pretokenizer;

static slao_status read_pretokenizers(slao_tokenizer *t, const cJSON *part, const char *where) {
    return slao_read_parts(read_pretokenizer, t, part, where, "pretokenizers");
}

static slao_status read_pretokenizer(slao_tokenizer *t, const cJSON *part, const char *where) {
    static const slao_part_row rows[] = {
        {"null", slao_read_no_part},
        {"Sequence", read_pretokenizers},
        {"Split", read_split},
        {"Digits", read_digits},
        {"ByteLevel", read_byte_level},
        {"Metaspace", read_pretokenizer_metaspace},
        {0},
    };
    return slao_read_part_by(rows, t, part, where);
}

/* Nothing may follow ByteLevel: a rule would see the letters of bytes. */
static slao_status find_byte_level(const cJSON *part, bool *byte_level) {
    const cJSON *type = slao_json_find(part, "type"), *member;
    if (!cJSON_IsString(type))
        return SLAO_OK; /* null: what else is wrong has been said before */
    if (*byte_level)
        return slao_fail(SLAO_BAD_INPUT, "pre_tokenizer %s after ByteLevel is not supported",
                         type->valuestring);
    *byte_level = strcmp(type->valuestring, "ByteLevel") == 0;
    cJSON_ArrayForEach (member, slao_json_find(part, "pretokenizers"))
        SLAO_TRY(find_byte_level(member, byte_level));
    return SLAO_OK;
}

slao_status slao_read_pretokenizer(slao_tokenizer *t, const cJSON *part, bool *byte_level) {
    *byte_level = false;
    SLAO_TRY(read_pretokenizer(t, part, "pre_tokenizer"));
    return find_byte_level(part, byte_level);
}

static slao_status read_decoder_bytes(slao_tokenizer *t, const cJSON *part, const char *where) {
    (void)part, (void)where;
    return slao_detokenizer_add_bytes(t->detokenizer);
}

static slao_status read_decoder_replace(slao_tokenizer *t, const cJSON *part, const char *where) {
    const char *pattern = NULL, *content = NULL;
    SLAO_TRY(read_replace(part, where, &pattern, &content));
    return slao_detokenizer_add_replace(t->detokenizer, pattern, content);
}

static slao_status read_fallback(slao_tokenizer *t, const cJSON *part, const char *where) {
    (void)part, (void)where;
    return slao_detokenizer_add_fallback(t->detokenizer);
}

static slao_status read_fuse(slao_tokenizer *t, const cJSON *part, const char *where) {
    (void)part, (void)where;
    return slao_detokenizer_add_fuse(t->detokenizer);
}

typedef struct {
    const char *content;
    int64_t start, stop;
} strip_options;

static slao_status read_strip(slao_tokenizer *t, const cJSON *part, const char *where) {
    static const slao_json_field fields[] = {
        {"content", SLAO_JSON_TEXT, offsetof(strip_options, content), true, 0, 0},
        {"start", SLAO_JSON_INTEGER, offsetof(strip_options, start), true, 0, INT32_MAX},
        {"stop", SLAO_JSON_INTEGER, offsetof(strip_options, stop), true, 0, INT32_MAX},
        {0},
    };
    strip_options options = {0};
    SLAO_TRY_IN(slao_json_read(part, "Strip", fields, true, &options), "%s", where);
    SLAO_TRY_IN(check_character(options.content, "Strip", "content"), "%s", where);
    if (options.stop)
        return slao_fail(SLAO_BAD_INPUT, "%s Strip with stop is not supported", where);
    return slao_detokenizer_add_strip(t->detokenizer, options.content, options.start);
}

static slao_status read_decoder_metaspace(slao_tokenizer *t, const cJSON *part, const char *where) {
    const char *replacement;
    slao_leading_space leading;
    bool split;
    SLAO_TRY(read_metaspace(part, where, &replacement, &leading, &split));
    return slao_detokenizer_add_spaces(t->detokenizer, replacement, leading != SLAO_SPACE_NEVER);
}

static slao_status read_decoders(slao_tokenizer *t, const cJSON *part, const char *where) {
    return slao_read_parts(slao_read_decoder, t, part, where, "decoders");
}

slao_status slao_read_decoder(slao_tokenizer *t, const cJSON *part, const char *where) {
    static const slao_part_row rows[] = {
        {"ByteLevel", read_decoder_bytes},
        {"Sequence", read_decoders},
        {"Replace", read_decoder_replace},
        {"ByteFallback", read_fallback},
        {"Fuse", read_fuse},
        {"Strip", read_strip},
        {"Metaspace", read_decoder_metaspace},
        {0},
    };
    return slao_read_part_by(rows, t, part, where);
}
