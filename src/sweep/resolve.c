#include "sweep/resolve.h"

#include "sweep/axis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 512 };

/* "where" + "key" + "[3]" or ".key": the path of a child in messages. */
static void child_path(char path[PATH], const char *parent, const cJSON *child, int place) {
    size_t length = strlen(parent);
    bool first = length == 0 || parent[length - 1] == ' ';
    if (child->string)
        snprintf(path, PATH, "%s%s%s", parent, first ? "" : ".", child->string);
    else
        snprintf(path, PATH, "%s[%d]", parent, place);
}

static slao_status refuse_duplicates(const cJSON *item, const char *path) {
    int place = 0;
    const cJSON *child;
    cJSON_ArrayForEach (child, item) {
        char deeper[PATH];
        child_path(deeper, path, child, place++);
        if (child->string && slao_json_find(item, child->string) != child)
            return slao_fail(SLAO_BAD_INPUT, "%s is given twice", deeper);
        SLAO_TRY(refuse_duplicates(child, deeper));
    }
    return SLAO_OK;
}

static slao_status duplicate(cJSON **copy, const cJSON *item) {
    *copy = cJSON_Duplicate(item, true);
    return *copy ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for a copy of the spec");
}

static slao_status put(cJSON *object, const char *key, const cJSON *value) {
    cJSON *copy;
    SLAO_TRY(duplicate(&copy, value));
    if (!slao_json_find(object, key))
        return slao_json_add(object, key, copy);
    if (cJSON_ReplaceItemInObjectCaseSensitive(object, key, copy))
        return SLAO_OK;
    cJSON_Delete(copy);
    return slao_fail(SLAO_NO_RESOURCE, "out of memory for the JSON value of %s", key);
}

/* Lays `upper` over `lower`, key by key; where both have a value, `upper_wins` says which stays. */
static slao_status merge(cJSON *lower, const cJSON *upper, bool upper_wins) {
    const cJSON *item;
    cJSON_ArrayForEach (item, upper) {
        cJSON *old = slao_json_find(lower, item->string);
        if (cJSON_IsObject(old) && cJSON_IsObject(item))
            SLAO_TRY(merge(old, item, upper_wins));
        else if (!old || upper_wins)
            SLAO_TRY(put(lower, item->string, item));
    }
    return SLAO_OK;
}

static slao_status check_keys(const cJSON *object, const char *where, const slao_method *methods) {
    slao_fields fields = {0};
    SLAO_TRY(slao_fields_read(&fields, object, where));
    if (fields.sweep) {
        slao_arena *arena;
        slao_axis *axes;
        int64_t n_axes;
        const char *missing_tasks;
        SLAO_TRY(slao_arena_new(&arena));
        slao_status status =
            slao_axes_read(&axes, &n_axes, &missing_tasks, fields.sweep, methods, arena, where);
        slao_arena_free(arena);
        SLAO_TRY(status);
    }
    const cJSON *preset;
    cJSON_ArrayForEach (preset, fields.presets) {
        char path[PATH];
        snprintf(path, sizeof path, "%spresets.%s", where, preset->string);
        if (!cJSON_IsObject(preset))
            return slao_fail(SLAO_BAD_INPUT, "%s must be an object", path);
        if (slao_json_find(preset, "presets"))
            return slao_fail(SLAO_BAD_INPUT, "%s holds presets: they cannot be nested", path);
        snprintf(path, sizeof path, "%spresets.%s.", where, preset->string);
        SLAO_TRY(check_keys(preset, path, methods));
    }
    return SLAO_OK;
}

static slao_status overlay_preset(cJSON *tree, const char *preset, const char *name) {
    const cJSON *presets = slao_json_find(tree, "presets");
    const cJSON *chosen = presets ? slao_json_find(presets, preset) : NULL;
    if (chosen)
        return merge(tree, chosen, true);
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach (item, presets) {
        if (count < MOST)
            names[count++] = item->string;
    }
    const char *nearest = slao_nearest(preset, names);
    return slao_fail(SLAO_BAD_INPUT, "--set preset=%s: %s has no preset of that name%s%s%s", preset,
                     name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

/* What stands after "=": JSON, or a bare word. */
static slao_status parse_value(cJSON **value, const char *text, const char *where) {
    *value = cJSON_ParseWithOpts(text, NULL, true);
    if (*value)
        return SLAO_OK;
    if (text[0] && strchr("[{\"", text[0]))
        return slao_fail(SLAO_BAD_INPUT, "%s: \"%s\" is not valid JSON", where, text);
    *value = cJSON_CreateString(text);
    return *value ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON value");
}

/* {"train": {"epochs": value}} for the path "train.epochs", which is cut to pieces. Takes value. */
static slao_status wrap_value(cJSON **wrapped, char *path, cJSON *value) {
    static const char sweep[] = "sweep.";
    cJSON *inner = value;
    bool is_axis = strncmp(path, sweep, sizeof sweep - 1) == 0;
    for (;;) {
        char *dot = is_axis ? strchr(path, '.') : strrchr(path, '.');
        cJSON *outer = cJSON_CreateObject();
        slao_status status =
            outer ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON object");
        if (status == SLAO_OK)
            status = slao_json_add(outer, dot ? dot + 1 : path, inner);
        else
            cJSON_Delete(inner);
        if (status != SLAO_OK) {
            cJSON_Delete(outer);
            return status;
        }
        inner = outer;
        if (!dot)
            break;
        *dot = '\0';
    }
    *wrapped = inner;
    return SLAO_OK;
}

/* Puts the single value that `wrapped` holds `depth` objects down into `tree` at the same path. */
static slao_status replace_value(cJSON *tree, const cJSON *wrapped, int depth) {
    const cJSON *item = wrapped->child;
    cJSON *old = slao_json_find(tree, item->string);
    if (depth == 1 || !cJSON_IsObject(old))
        return put(tree, item->string, item);
    return replace_value(old, item, depth - 1);
}

static slao_status apply_setting(cJSON *tree, const char *setting, const char *name,
                                 const slao_method *methods) {
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting)
        return slao_fail(SLAO_BAD_INPUT,
                         "--set %s: write KEY=VALUE, as in train.epochs=2 or preset=small",
                         setting);
    char where[PATH];
    snprintf(where, sizeof where, "--set %s", setting);
    char *path = NULL;
    cJSON *value = NULL, *wrapped = NULL;
    slao_status status = slao_format(&path, "%.*s", (int)(equals - setting), setting);
    SLAO_TRY_GOTO(status, status, done);
    if (strcmp(path, "preset") == 0) {
        status = overlay_preset(tree, equals + 1, name);
        goto done;
    }
    SLAO_TRY_GOTO(status, parse_value(&value, equals + 1, where), done);
    SLAO_TRY_GOTO(status, refuse_duplicates(value, where), done);
    int depth = 1;
    for (const char *c = path; *c; c++)
        depth += *c == '.';
    if (strncmp(path, "sweep.", 6) == 0)
        depth = 2;
    status = wrap_value(&wrapped, path, value);
    value = NULL;
    SLAO_TRY_GOTO(status, status, done);
    snprintf(where, sizeof where, "--set %s: ", setting);
    SLAO_TRY_GOTO(status, check_keys(wrapped, where, methods), done);
    status = replace_value(tree, wrapped, depth);
done:
    cJSON_Delete(value);
    cJSON_Delete(wrapped);
    free(path);
    return status;
}

/* *expanded, which the caller frees, is `text` with ${NAME} replaced from the environment. */
static slao_status expand_text(char **expanded, const char *text, const char *path) {
    SLAO_TRY(slao_copy_text(expanded, ""));
    while (*text) {
        const char *start = strstr(text, "${");
        const char *end = start ? strchr(start, '}') : NULL;
        char *longer = NULL, *variable = NULL;
        const char *value = "";
        slao_status status = SLAO_OK;
        if (start && !end) {
            status = slao_fail(SLAO_BAD_INPUT, "%s: \"${\" has no \"}\" after it", path);
        } else if (start) {
            status = slao_format(&variable, "%.*s", (int)(end - start - 2), start + 2);
            value = status == SLAO_OK ? getenv(variable) : NULL;
            if (status == SLAO_OK && !value)
                status =
                    slao_fail(SLAO_BAD_INPUT, "%s uses ${%s}, which is not set in the environment",
                              path, variable);
        }
        if (status == SLAO_OK) {
            int plain = start ? (int)(start - text) : (int)strlen(text);
            status = slao_format(&longer, "%s%.*s%s", *expanded, plain, text, value);
        }
        free(variable);
        free(*expanded);
        *expanded = longer;
        SLAO_TRY(status);
        text = start ? end + 1 : "";
    }
    return SLAO_OK;
}

static slao_status expand_variables(cJSON *item, const char *path) {
    if (cJSON_IsString(item)) {
        if (!strstr(item->valuestring, "${"))
            return SLAO_OK;
        char *expanded;
        SLAO_TRY(expand_text(&expanded, item->valuestring, path));
        bool stored = cJSON_SetValuestring(item, expanded) != NULL;
        free(expanded);
        return stored ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for %s", path);
    }
    int place = 0;
    cJSON *child;
    cJSON_ArrayForEach (child, item) {
        char deeper[PATH];
        child_path(deeper, path, child, place++);
        SLAO_TRY(expand_variables(child, deeper));
    }
    return SLAO_OK;
}

/* A spec without a name is called as its file: "specs/lambda.json" is "lambda". */
static slao_status default_name(cJSON *tree, const char *name) {
    const char *slash = strrchr(name, '/');
    const char *stem = slash ? slash + 1 : name;
    const char *dot = strrchr(stem, '.');
    char *text;
    SLAO_TRY(slao_format(&text, "%.*s", dot ? (int)(dot - stem) : (int)strlen(stem), stem));
    slao_status status = slao_json_add_text(tree, "name", text);
    free(text);
    return status;
}

static slao_status resolve(cJSON *tree, char **written, const cJSON *defaults, const char *name,
                           const char *const *settings, int64_t n_settings,
                           const slao_method *methods) {
    char where[PATH];
    snprintf(where, sizeof where, "%s: ", name);
    if (!cJSON_IsObject(tree))
        return slao_fail(SLAO_BAD_INPUT, "%smust be an object", where);
    SLAO_TRY(refuse_duplicates(tree, where));
    SLAO_TRY(check_keys(tree, where, methods));
    if (!slao_json_find(tree, "name"))
        SLAO_TRY(default_name(tree, name));
    for (int64_t i = 0; i < n_settings; i++)
        SLAO_TRY(apply_setting(tree, settings[i], name, methods));
    SLAO_TRY(merge(tree, defaults, false)); /* last: a --set may have replaced a whole section */
    cJSON_DeleteItemFromObjectCaseSensitive(tree, "presets");
    SLAO_TRY(slao_json_print(written, tree));
    return expand_variables(tree, where);
}

slao_status slao_resolve(cJSON **tree, char **written, const char *text, const char *name,
                         const char *const *settings, int64_t n_settings,
                         const slao_method *methods) {
    cJSON *defaults;
    *written = NULL;
    SLAO_TRY(slao_json_parse(tree, text, strlen(text), name));
    slao_status status = slao_json_parse(&defaults, slao_fields_defaults,
                                         strlen(slao_fields_defaults), "the defaults");
    if (status == SLAO_OK)
        status = resolve(*tree, written, defaults, name, settings, n_settings, methods);
    cJSON_Delete(defaults);
    if (status != SLAO_OK) {
        cJSON_Delete(*tree);
        free(*written);
        *tree = NULL;
        *written = NULL;
    }
    return status;
}
