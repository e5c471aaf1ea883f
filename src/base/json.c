#include "base/json.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a text before it is parsed. */
typedef struct {
    const char *too_deep; /* the bracket that opens more than SLAO_JSON_DEPTH levels, or NULL */
    size_t values;        /* how many there are, at the most */
} survey;

/* Overwrites `//` comments with spaces, so that positions in error messages stay true. */
static survey blank_comments(char *text) {
    survey found = {NULL, 1};
    bool in_string = false;
    int depth = 0;
    for (char *c = text; *c; c++) {
        if (in_string) {
            if (*c == '\\' && c[1])
                c++;
            else if (*c == '"')
                in_string = false;
        } else if (*c == '"') {
            in_string = true;
        } else if (c[0] == '/' && c[1] == '/') {
            for (; *c && *c != '\n'; c++)
                *c = ' ';
            if (!*c)
                break;
        } else if (*c == '[' || *c == '{') {
            found.values++;
            if (++depth > SLAO_JSON_DEPTH && !found.too_deep)
                found.too_deep = c;
        } else if (*c == ']' || *c == '}') {
            depth--;
        } else if (*c == ',') {
            found.values++;
        }
    }
    return found;
}

static slao_status syntax_error(const char *text, const char *at, const char *name, bool too_deep) {
    int line = 1;
    const char *start = text;
    for (const char *c = text; c < at; c++) {
        if (*c == '\n') {
            line++;
            start = c + 1;
        }
    }
    if (too_deep)
        return slao_fail(SLAO_BAD_INPUT, "%s:%d:%d: JSON nested more than %d deep", name, line,
                         (int)(at - start) + 1, SLAO_JSON_DEPTH);
    if (*at == '\0')
        return slao_fail(SLAO_BAD_INPUT, "%s:%d:%d: JSON ends too early", name, line,
                         (int)(at - start) + 1);
    return slao_fail(SLAO_BAD_INPUT, "%s:%d:%d: not valid JSON at \"%.20s\"", name, line,
                     (int)(at - start) + 1, at);
}

static slao_status parse(cJSON **root, const char *text, size_t size, const char *name,
                         size_t most_values) {
    *root = NULL;
    const char *nul = size ? memchr(text, '\0', size) : NULL;
    if (nul)
        return slao_fail(SLAO_BAD_INPUT, "%s: not JSON: a zero byte at %zu", name,
                         (size_t)(nul - text));
    char *copy;
    SLAO_TRY(slao_allocate(&copy, size + 1, 1));
    if (size)
        memcpy(copy, text, size);
    survey found = blank_comments(copy);
    const char *end = NULL;
    slao_status status = SLAO_OK;
    if (found.too_deep)
        status = syntax_error(copy, found.too_deep, name, true);
    else if (found.values > most_values)
        status = slao_fail(SLAO_BAD_INPUT, "%s: JSON of more than %zu values", name, most_values);
    else if (!(*root = cJSON_ParseWithLengthOpts(copy, size + 1, &end, true)))
        status = syntax_error(copy, end && end < copy + size ? end : copy + size, name, false);
    free(copy);
    return status;
}

slao_status slao_json_parse(cJSON **root, const char *text, size_t size, const char *name) {
    return parse(root, text, size, name, SIZE_MAX);
}

slao_status slao_json_parse_foreign(cJSON **root, const char *text, size_t size, const char *name) {
    return parse(root, text, size, name, SLAO_JSON_VALUES);
}

slao_status slao_json_load(cJSON **root, const char *path) {
    *root = NULL;
    char *text;
    size_t size;
    SLAO_TRY(slao_read_text(&text, &size, path));
    slao_status status = slao_json_parse(root, text, size, path);
    free(text);
    return status;
}

slao_status slao_json_load_object(cJSON **root, const char *path, size_t most) {
    *root = NULL;
    slao_mapping file;
    SLAO_TRY(slao_map_file(&file, path));
    slao_status status;
    if (file.size > most)
        status = slao_fail(SLAO_BAD_INPUT, "%s: %zu bytes are too many for such a file (%zu)", path,
                           file.size, most);
    else
        status = slao_json_parse_foreign(root, (const char *)file.bytes, file.size, path);
    slao_unmap_file(&file);
    if (status == SLAO_OK && !cJSON_IsObject(*root)) {
        cJSON_Delete(*root);
        *root = NULL;
        status = slao_fail(SLAO_BAD_INPUT, "%s: must be a JSON object", path);
    }
    return status;
}

/* cJSON prints 15 digits where it takes them for near enough: other numbers get their exact text,
 * so that what is read back has the same bits. */
static bool make_numbers_exact(cJSON *item) {
    if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
        char text[SLAO_NUMBER_TEXT];
        snprintf(text, sizeof text, "%1.15g", item->valuedouble);
        if (strtod(text, NULL) != item->valuedouble) {
            slao_number_text(text, item->valuedouble);
            item->valuestring = cJSON_malloc(sizeof text);
            if (!item->valuestring)
                return false;
            memcpy(item->valuestring, text, sizeof text);
            item->type = cJSON_Raw;
        }
    }
    cJSON *child;
    cJSON_ArrayForEach (child, item) {
        if (!make_numbers_exact(child))
            return false;
    }
    return true;
}

slao_status slao_json_print(char **text, const cJSON *root) {
    cJSON *exact = cJSON_Duplicate(root, true);
    *text = exact && make_numbers_exact(exact) ? cJSON_PrintUnformatted(exact) : NULL;
    cJSON_Delete(exact);
    return *text ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON text");
}

cJSON *slao_json_find(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *const kind_names[] = {
    [SLAO_JSON_BOOL] = "true or false", [SLAO_JSON_INTEGER] = "a whole number",
    [SLAO_JSON_REAL] = "a number",      [SLAO_JSON_TEXT] = "a string",
    [SLAO_JSON_ARRAY] = "a list",       [SLAO_JSON_OBJECT] = "an object",
    [SLAO_JSON_ANY] = "a value",
};

static bool is_kind(const cJSON *item, slao_json_kind kind) {
    switch (kind) {
    case SLAO_JSON_BOOL:
        return cJSON_IsBool(item);
    case SLAO_JSON_INTEGER:
        return cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
               fabs(item->valuedouble) <= 0x1p53;
    case SLAO_JSON_REAL:
        return cJSON_IsNumber(item);
    case SLAO_JSON_TEXT:
        return cJSON_IsString(item);
    case SLAO_JSON_ARRAY:
        return cJSON_IsArray(item);
    case SLAO_JSON_OBJECT:
        return cJSON_IsObject(item);
    case SLAO_JSON_ANY:
        return true;
    }
    return false;
}

/* What goes between a path and a key: nothing after "spec.json: " or "spec.json: presets.small.".
 */
static const char *dot(const char *path) {
    size_t length = strlen(path);
    return length && !strchr(" .", path[length - 1]) ? "." : "";
}

static slao_status wrong_kind(const char *path, const char *key, slao_json_kind kind) {
    return slao_fail(SLAO_BAD_INPUT, "%s%s%s must be %s", path, *key ? dot(path) : "", key,
                     kind_names[kind]);
}

slao_status slao_json_integer(int64_t *value, const cJSON *item, const char *path) {
    if (!is_kind(item, SLAO_JSON_INTEGER))
        return wrong_kind(path, "", SLAO_JSON_INTEGER);
    *value = (int64_t)item->valuedouble;
    return SLAO_OK;
}

slao_status slao_json_text(const char **value, const cJSON *item, const char *path) {
    if (!is_kind(item, SLAO_JSON_TEXT))
        return wrong_kind(path, "", SLAO_JSON_TEXT);
    *value = item->valuestring;
    return SLAO_OK;
}

slao_status slao_json_store(const cJSON *item, const char *path, const slao_json_field *field,
                            void *into) {
    if (!is_kind(item, field->kind))
        return wrong_kind(path, field->key, field->kind);
    double number = item->valuedouble;
    bool bounded = field->kind == SLAO_JSON_INTEGER || field->kind == SLAO_JSON_REAL;
    bounded = bounded && (field->least != 0 || field->most != 0);
    if (bounded && !(number >= field->least && number <= field->most))
        return slao_fail(SLAO_BAD_INPUT, "%s%s%s is %g, but must lie between %g and %g", path,
                         dot(path), field->key, number, field->least, field->most);
    void *target = (unsigned char *)into + field->offset;
    switch (field->kind) {
    case SLAO_JSON_BOOL:
        *(bool *)target = cJSON_IsTrue(item);
        break;
    case SLAO_JSON_INTEGER:
        *(int64_t *)target = (int64_t)number;
        break;
    case SLAO_JSON_REAL:
        *(double *)target = number;
        break;
    case SLAO_JSON_TEXT:
        *(const char **)target = item->valuestring;
        break;
    case SLAO_JSON_ARRAY:
    case SLAO_JSON_OBJECT:
    case SLAO_JSON_ANY:
        *(const cJSON **)target = item;
        break;
    }
    return SLAO_OK;
}

static slao_status unknown_key(const char *key, const char *path, const slao_json_field *fields) {
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    for (int i = 0; i < MOST && fields[i].key; i++)
        names[i] = fields[i].key;
    const char *nearest = slao_nearest(key, names);
    return slao_fail(SLAO_BAD_INPUT, "%s%s%s is not a key that slao knows%s%s%s", path, dot(path),
                     key, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

slao_status slao_json_read(const cJSON *object, const char *path, const slao_json_field *fields,
                           bool extra_keys, void *into) {
    if (!cJSON_IsObject(object))
        return wrong_kind(path, "", SLAO_JSON_OBJECT);
    uint64_t seen = 0;
    const cJSON *item;
    cJSON_ArrayForEach (item, object) {
        int i = 0;
        while (fields[i].key && strcmp(fields[i].key, item->string) != 0)
            i++;
        SLAO_INVARIANT(i < 64);
        if (!fields[i].key) {
            if (extra_keys)
                continue;
            return unknown_key(item->string, path, fields);
        }
        if (seen >> i & 1)
            return slao_fail(SLAO_BAD_INPUT, "%s%s%s is given twice", path, dot(path),
                             item->string);
        seen |= UINT64_C(1) << i;
        SLAO_TRY(slao_json_store(item, path, &fields[i], into));
    }
    for (int i = 0; fields[i].key; i++) {
        if (fields[i].required && !(seen >> i & 1))
            return slao_fail(SLAO_BAD_INPUT, "%s%s%s is missing", path, dot(path), fields[i].key);
    }
    return SLAO_OK;
}

slao_status slao_json_add(cJSON *object, const char *key, cJSON *item) {
    if (!item)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for the JSON value of %s", key);
    if (cJSON_IsArray(object) ? cJSON_AddItemToArray(object, item)
                              : cJSON_AddItemToObject(object, key, item))
        return SLAO_OK;
    cJSON_Delete(item);
    return slao_fail(SLAO_NO_RESOURCE, "out of memory for the JSON value of %s", key);
}

slao_status slao_json_add_real(cJSON *object, const char *key, double value) {
    return slao_json_add(object, key,
                         isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

slao_status slao_json_add_text(cJSON *object, const char *key, const char *value) {
    return slao_json_add(object, key, cJSON_CreateString(value));
}
