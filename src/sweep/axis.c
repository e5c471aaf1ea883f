#include "sweep/axis.h"

#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 512 };

static const struct {
    const char *key;
    slao_axis_kind kind;
} special_axes[] = {
    {"method", SLAO_AXIS_METHOD}, {"order", SLAO_AXIS_ORDER}, {"lambda", SLAO_AXIS_LAMBDA}};
enum { N_SPECIAL = sizeof special_axes / sizeof *special_axes };
static const char missing_key[] = "missing_tasks";

/* What every key that `sweep` may have is called; `visit` is told each with its meaning and returns
 * true to stop. */
typedef bool visitor(void *context, const char *key, const slao_axis *axis);

static bool visit_keys(const slao_method *methods, visitor *visit, void *context) {
    for (int i = 0; i < N_SPECIAL; i++) {
        slao_axis axis = {.kind = special_axes[i].kind};
        if (visit(context, special_axes[i].key, &axis))
            return true;
    }
    for (const slao_json_field *field = slao_sweep_table; field->key; field++) {
        slao_axis axis = {.kind = SLAO_AXIS_FIELD, .field = field, .section = ""};
        if (visit(context, field->key, &axis))
            return true;
    }
    char key[PATH];
    for (int i = 0; i < SLAO_N_SECTIONS; i++) {
        const slao_section *section = &slao_sections[i];
        for (const slao_json_field *field = section->table; section->swept && field->key; field++) {
            snprintf(key, sizeof key, "%s.%s", section->name, field->key);
            slao_axis axis = {.kind = SLAO_AXIS_FIELD, .field = field, .section = section->name};
            if (visit(context, key, &axis))
                return true;
        }
    }
    for (const slao_method *method = methods; method->name; method++) {
        slao_method_option option;
        for (int k = 0; slao_method_option_at(method, k, &option); k++) {
            snprintf(key, sizeof key, "%s.%s", method->name, option.key);
            slao_axis axis = {.kind = SLAO_AXIS_OPTION, .method = method, .option = k};
            if (visit(context, key, &axis))
                return true;
        }
    }
    return false;
}

typedef struct {
    const char *key;
    slao_axis *found;
} key_search;

static bool is_wanted(void *context, const char *key, const slao_axis *axis) {
    key_search *search = context;
    if (strcmp(search->key, key) != 0)
        return false;
    *search->found = *axis;
    return true;
}

typedef struct {
    slao_arena *arena;
    const char **names;
    size_t count, capacity;
    slao_status status;
} name_list;

static bool add_name(void *context, const char *key, const slao_axis *axis) {
    (void)axis;
    name_list *list = context;
    list->status = slao_grow(&list->names, &list->capacity, list->count + 2, sizeof *list->names);
    if (list->status == SLAO_OK)
        list->status = slao_arena_copy_text(list->arena, &list->names[list->count], key);
    if (list->status != SLAO_OK)
        return true;
    list->names[++list->count] = NULL;
    return false;
}

static slao_status unknown_axis(const char *key, const slao_method *methods, slao_arena *arena,
                                const char *where) {
    name_list list = {.arena = arena};
    bool stopped = visit_keys(methods, add_name, &list);
    if (stopped || add_name(&list, missing_key, NULL)) {
        free(list.names);
        return list.status;
    }
    const char *nearest = slao_nearest(key, list.names);
    slao_status status = slao_fail(
        SLAO_BAD_INPUT,
        "%ssweep.%s is not a key that slao knows%s%s%s (axes are method, order, lambda, "
        "learning_rate, seed, and dotted paths such as lora.rank, train.epochs or METHOD.OPTION)",
        where, key, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
        nearest ? "\"?" : "");
    free(list.names);
    return status;
}

static slao_status read_values(slao_axis *axis, const cJSON *item, slao_arena *arena,
                               const char *where) {
    bool is_list = cJSON_IsArray(item);
    axis->n_values = is_list ? cJSON_GetArraySize(item) : 1;
    if (axis->n_values == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%ssweep.%s is empty: give it a value, or leave the axis out", where,
                         axis->key);
    SLAO_TRY(slao_arena_take(arena, &axis->values, (size_t)axis->n_values, sizeof *axis->values));
    int64_t v = 0;
    const cJSON *value;
    if (!is_list)
        axis->values[0] = item;
    else
        cJSON_ArrayForEach (value, item)
            axis->values[v++] = value;
    return SLAO_OK;
}

slao_status slao_axes_read(slao_axis **axes, int64_t *n_axes, const char **missing_tasks,
                           const cJSON *sweep, const slao_method *methods, slao_arena *arena,
                           const char *where) {
    *n_axes = 0;
    SLAO_TRY(slao_arena_take(arena, axes, (size_t)cJSON_GetArraySize(sweep), sizeof **axes));
    const cJSON *item;
    cJSON_ArrayForEach (item, sweep) {
        if (strcmp(item->string, missing_key) == 0) {
            char path[PATH];
            snprintf(path, sizeof path, "%ssweep.%s", where, missing_key);
            SLAO_TRY(slao_json_text(missing_tasks, item, path));
            continue;
        }
        slao_axis *axis = &(*axes)[*n_axes];
        *axis = (slao_axis){0};
        key_search search = {.key = item->string, .found = axis};
        if (!visit_keys(methods, is_wanted, &search))
            return unknown_axis(item->string, methods, arena, where);
        axis->key = item->string;
        for (int64_t i = 0; i < *n_axes; i++) {
            const slao_axis *other = &(*axes)[i];
            if (axis->field && other->field && axis->field->offset == other->field->offset)
                return slao_fail(SLAO_BAD_INPUT, "%ssweep.%s and sweep.%s are the same axis", where,
                                 other->key, axis->key);
        }
        SLAO_TRY(read_values(axis, item, arena, where));
        ++*n_axes;
    }
    return SLAO_OK;
}

slao_status slao_axis_apply(const slao_axis *axis, int64_t v, slao_fields *fields,
                            const char *where) {
    SLAO_INVARIANT(axis->kind == SLAO_AXIS_FIELD && v < axis->n_values);
    char path[PATH];
    snprintf(path, sizeof path, "%ssweep%s%s", where, *axis->section ? "." : "", axis->section);
    SLAO_TRY_IN(slao_json_store(axis->values[v], path, axis->field, fields), "value %d of the axis",
                (int)v + 1);
    snprintf(path, sizeof path, "%ssweep.", where);
    return slao_fields_check(fields, path);
}

slao_status slao_axis_value_text(const char **text, const cJSON *value, slao_arena *arena) {
    char number[SLAO_NUMBER_TEXT];
    const char *single = value->valuestring;
    if (cJSON_IsNumber(value)) {
        slao_number_text(number, value->valuedouble);
        single = number;
    } else if (cJSON_IsBool(value)) {
        single = cJSON_IsTrue(value) ? "true" : "false";
    }
    if (!cJSON_IsArray(value))
        return slao_arena_copy_text(arena, text, single);
    size_t length = 1;
    const cJSON *item;
    cJSON_ArrayForEach (item, value)
        length += strlen(item->valuestring) + 1;
    char *joined;
    SLAO_TRY(slao_arena_take(arena, &joined, length, 1));
    *text = joined;
    *joined = '\0';
    cJSON_ArrayForEach (item, value)
        joined += sprintf(joined, "%s%s", item == value->child ? "" : ",", item->valuestring);
    return SLAO_OK;
}
