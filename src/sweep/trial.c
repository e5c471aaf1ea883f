#include "sweep/trial.h"

#include "base/index.h"
#include "base/number.h"
#include "continual/layers.h"
#include "sweep/key.h"
#include "sweep/order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 512, MOST_TRIALS = 10000000 };

/* An extra column: a swept field, or an option that the spec names. */
typedef struct {
    const char *name;
    int64_t axis;              /* of the field; -1 for an option */
    const slao_method *method; /* of the option */
    int option;
} extra_column;

typedef struct {
    slao_spec *spec;
    const slao_fields *fields;
    const slao_method *methods;
    const char *where;
    int64_t n_axes;
    slao_axis *axes;
    slao_method_choice *choices; /* per value of the axis `method` */
    slao_schedule *schedules;    /* per value of the axis `lambda` */
    const char ***texts; /* per axis of a field or an option: canonical text of each value */
    extra_column *columns;
    int64_t n_columns;
    slao_trial *trials;
    size_t n_trials, trial_capacity;
    slao_index index; /* of trials */
    slao_hasher *hasher;
} trial_builder;

static slao_axis *axis_of(const trial_builder *builder, slao_axis_kind kind) {
    for (int64_t i = 0; i < builder->n_axes; i++) {
        if (builder->axes[i].kind == kind)
            return &builder->axes[i];
    }
    return NULL;
}

/* The name of option number k. */
static const char *option_key(const slao_method *method, int k) {
    slao_method_option option;
    SLAO_INVARIANT(slao_method_option_at(method, k, &option));
    return option.key;
}

/* The text of a value that is a string or a number. */
static slao_status plain_text(const char **text, const cJSON *value, slao_arena *arena,
                              const char *path) {
    if (!cJSON_IsString(value) && !cJSON_IsNumber(value))
        return slao_fail(SLAO_BAD_INPUT, "%s must be a number or a string", path);
    return slao_axis_value_text(text, value, arena);
}

/* The same of an option's value, which may also be a list of factors by layers. */
static slao_status option_text(const char **text, const slao_method *method, int k,
                               const cJSON *value, slao_arena *arena, const char *path) {
    slao_method_option option;
    SLAO_INVARIANT(slao_method_option_at(method, k, &option));
    if (option.by_layers && (cJSON_IsArray(value) || cJSON_IsObject(value)))
        return slao_layers_text(text, value, arena, path);
    SLAO_TRY_IN(plain_text(text, value, arena, option.key), "%s", path);
    return SLAO_OK;
}

static void add_column(trial_builder *builder, extra_column column) {
    for (int64_t i = 0; i < builder->n_columns; i++) {
        if (strcmp(builder->columns[i].name, column.name) == 0)
            return;
    }
    builder->columns[builder->n_columns++] = column;
}

static slao_status add_option_column(trial_builder *builder, const slao_method *method,
                                     int option) {
    const char *key = option_key(method, option);
    size_t size = strlen(method->name) + strlen(key) + 2;
    char *name;
    SLAO_TRY(slao_arena_take(builder->spec->arena, &name, size, 1));
    snprintf(name, size, "%s.%s", method->name, key);
    add_column(builder,
               (extra_column){.name = name, .axis = -1, .method = method, .option = option});
    return SLAO_OK;
}

static slao_status read_method(trial_builder *builder, const cJSON *value,
                               slao_method_choice *choice, const char *path) {
    if (cJSON_IsString(value))
        return slao_method_choose(choice, builder->methods, value->valuestring, path);
    const cJSON *name = cJSON_IsObject(value) ? slao_json_find(value, "name") : NULL;
    if (!name || !cJSON_IsString(name))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s must be a method's name or an object with a \"name\" and options",
                         path);
    SLAO_TRY(slao_method_choose(choice, builder->methods, name->valuestring, path));
    const cJSON *item;
    cJSON_ArrayForEach (item, value) {
        if (item == name)
            continue;
        const char *text = "";
        int option = slao_method_option_find(choice->method, item->string);
        if (option >= 0) /* an unknown one is refused below, whatever its value */
            SLAO_TRY(option_text(&text, choice->method, option, item, builder->spec->arena, path));
        SLAO_TRY(slao_method_set(choice, item->string, text, builder->spec->arena, path));
        SLAO_TRY(add_option_column(builder, choice->method, option));
    }
    return SLAO_OK;
}

static slao_status read_methods(trial_builder *builder) {
    const slao_axis *axis = axis_of(builder, SLAO_AXIS_METHOD);
    SLAO_TRY(slao_arena_take(builder->spec->arena, &builder->choices, (size_t)axis->n_values,
                             sizeof *builder->choices));
    for (int64_t v = 0; v < axis->n_values; v++) {
        char path[PATH];
        snprintf(path, sizeof path, "%ssweep.method[%" PRId64 "]", builder->where, v);
        SLAO_TRY(read_method(builder, axis->values[v], &builder->choices[v], path));
    }
    return SLAO_OK;
}

static slao_status read_schedules(trial_builder *builder) {
    const slao_axis *axis = axis_of(builder, SLAO_AXIS_LAMBDA);
    SLAO_TRY(slao_arena_take(builder->spec->arena, &builder->schedules, (size_t)axis->n_values,
                             sizeof *builder->schedules));
    for (int64_t v = 0; v < axis->n_values; v++) {
        char path[PATH];
        const char *text = "";
        snprintf(path, sizeof path, "%ssweep.lambda[%" PRId64 "]", builder->where, v);
        SLAO_TRY(plain_text(&text, axis->values[v], builder->spec->arena, path));
        SLAO_TRY_IN(slao_schedule_parse(&builder->schedules[v], text), "%s", path);
        if (builder->schedules[v].kind == SLAO_SCHEDULE_VALIDATED &&
            builder->spec->benchmark.validation_samples == 0)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: a lambda chosen by validation needs examples that are not "
                             "trained on: set benchmark.validation_samples",
                             path);
    }
    return SLAO_OK;
}

/* Fields with columns of their own in /trials. */
static bool has_standard_column(const slao_json_field *field) {
    return field->offset == offsetof(slao_fields, lora.rank) ||
           field->offset == offsetof(slao_fields, train.learning_rate) ||
           field->offset == offsetof(slao_fields, seed);
}

/* Checks each value of a field's or an option's axis by itself, and keeps its text. */
static slao_status read_values(trial_builder *builder, int64_t a) {
    const slao_axis *axis = &builder->axes[a];
    slao_arena *arena = builder->spec->arena;
    SLAO_TRY(slao_arena_take(arena, &builder->texts[a], (size_t)axis->n_values,
                             sizeof *builder->texts[a]));
    for (int64_t v = 0; v < axis->n_values; v++) {
        const char **text = &builder->texts[a][v];
        if (axis->kind == SLAO_AXIS_FIELD) {
            slao_fields fields = *builder->fields;
            SLAO_TRY(slao_axis_apply(axis, v, &fields, builder->where));
            SLAO_TRY(slao_axis_value_text(text, axis->values[v], arena));
            continue;
        }
        char path[PATH];
        snprintf(path, sizeof path, "%ssweep.%s[%" PRId64 "]", builder->where, axis->key, v);
        slao_method_choice choice = {.method = axis->method};
        SLAO_TRY(option_text(text, axis->method, axis->option, axis->values[v], arena, path));
        SLAO_TRY(
            slao_method_set(&choice, option_key(axis->method, axis->option), *text, arena, path));
        *text = choice.values[axis->option];
    }
    if (axis->kind == SLAO_AXIS_OPTION)
        return add_option_column(builder, axis->method, axis->option);
    if (!has_standard_column(axis->field))
        add_column(builder, (extra_column){.name = axis->key, .axis = a, .option = -1});
    return SLAO_OK;
}

/* A column per axis, and per option that a method's object names, at most. */
static slao_status make_room_for_columns(trial_builder *builder) {
    size_t most = (size_t)builder->n_axes;
    const slao_axis *axis = axis_of(builder, SLAO_AXIS_METHOD);
    for (int64_t v = 0; v < axis->n_values; v++)
        most += (size_t)cJSON_GetArraySize(axis->values[v]);
    return slao_arena_take(builder->spec->arena, &builder->columns, most, sizeof *builder->columns);
}

static slao_status read_axes(trial_builder *builder) {
    const char *missing_tasks = builder->fields->missing_tasks;
    slao_spec *spec = builder->spec;
    SLAO_TRY(slao_axes_read(&builder->axes, &builder->n_axes, &missing_tasks,
                            builder->fields->sweep, builder->methods, spec->arena, builder->where));
    slao_fields checked = *builder->fields;
    checked.missing_tasks = missing_tasks;
    char path[PATH];
    snprintf(path, sizeof path, "%ssweep.", builder->where);
    SLAO_TRY(slao_fields_check(&checked, path));
    if (!axis_of(builder, SLAO_AXIS_ORDER))
        return slao_fail(SLAO_BAD_INPUT,
                         "%ssweep.order is missing: give at least one order, as in \"order\": "
                         "[[\"dbpedia\", \"amazon\"]]",
                         builder->where);
    SLAO_TRY(make_room_for_columns(builder));
    SLAO_TRY(slao_arena_take(spec->arena, &builder->texts, (size_t)builder->n_axes,
                             sizeof *builder->texts));
    SLAO_TRY(read_methods(builder));
    SLAO_TRY(read_schedules(builder));
    for (int64_t a = 0; a < builder->n_axes; a++) {
        if (builder->axes[a].kind >= SLAO_AXIS_FIELD)
            SLAO_TRY(read_values(builder, a));
    }
    return slao_orders_read(spec, axis_of(builder, SLAO_AXIS_ORDER),
                            missing_tasks && strcmp(missing_tasks, "skip") == 0, builder->where);
}

/* The combination in which axis a takes its value number at[a]. */
static slao_status make_trial(const trial_builder *builder, const int64_t *at, slao_trial *trial) {
    slao_fields fields = *builder->fields;
    *trial = (slao_trial){0};
    for (int64_t a = 0; a < builder->n_axes; a++) {
        const slao_axis *axis = &builder->axes[a];
        if (axis->kind == SLAO_AXIS_METHOD)
            trial->method = builder->choices[at[a]];
        else if (axis->kind == SLAO_AXIS_ORDER)
            trial->order = &builder->spec->orders[at[a]];
        else if (axis->kind == SLAO_AXIS_LAMBDA)
            trial->lambda = builder->schedules[at[a]];
        else if (axis->kind == SLAO_AXIS_FIELD)
            SLAO_TRY(slao_axis_apply(axis, at[a], &fields, builder->where));
    }
    const slao_method *method = trial->method.method;
    for (int64_t a = 0; a < builder->n_axes; a++) {
        if (builder->axes[a].kind == SLAO_AXIS_OPTION && builder->axes[a].method == method)
            trial->method.values[builder->axes[a].option] = builder->texts[a][at[a]];
    }
    slao_method_settle(&trial->method);
    if (!method->uses_lambda)
        trial->lambda = (slao_schedule){0};
    trial->seed = fields.seed;
    trial->lora = fields.lora;
    trial->train = fields.train;
    const char **extra;
    SLAO_TRY(
        slao_arena_take(builder->spec->arena, &extra, (size_t)builder->n_columns, sizeof *extra));
    for (int64_t c = 0; c < builder->n_columns; c++) {
        const extra_column *column = &builder->columns[c];
        extra[c] = column->axis >= 0          ? builder->texts[column->axis][at[column->axis]]
                   : column->method == method ? trial->method.values[column->option]
                                              : "";
    }
    trial->extra = extra;
    return SLAO_OK;
}

static slao_status add_trial(trial_builder *builder, const int64_t *at) {
    slao_spec *spec = builder->spec;
    slao_arena_mark mark = slao_arena_here(spec->arena);
    slao_trial trial;
    SLAO_TRY(make_trial(builder, at, &trial));
    slao_hash hash =
        slao_trial_hash(builder->hasher, &trial, &spec->score, &spec->benchmark, spec->precision);
    if (slao_index_find(&builder->index, hash) >= 0) {
        slao_arena_return(spec->arena, mark);
        return SLAO_OK;
    }
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(hash, text);
    memcpy(trial.id, text, SLAO_TRIAL_ID - 1);
    SLAO_TRY(slao_grow(&builder->trials, &builder->trial_capacity, builder->n_trials + 1,
                       sizeof *builder->trials));
    SLAO_TRY(slao_index_add(&builder->index, hash, (int64_t)builder->n_trials));
    builder->trials[builder->n_trials++] = trial;
    return SLAO_OK;
}

/* Counts through all combinations, the last axis fastest. */
static slao_status cross_axes(trial_builder *builder) {
    int64_t *at, *sizes, product = 1;
    SLAO_TRY(slao_arena_take(builder->spec->arena, &at, (size_t)builder->n_axes, sizeof *at));
    SLAO_TRY(slao_arena_take(builder->spec->arena, &sizes, (size_t)builder->n_axes, sizeof *sizes));
    for (int64_t a = 0; a < builder->n_axes; a++) {
        bool is_order = builder->axes[a].kind == SLAO_AXIS_ORDER;
        sizes[a] = is_order ? builder->spec->n_orders : builder->axes[a].n_values;
        at[a] = 0;
        if (__builtin_mul_overflow(product, sizes[a], &product) || product > MOST_TRIALS)
            return slao_fail(
                SLAO_BAD_INPUT,
                "%ssweep: its axes cross to more than %d combinations; split the sweep",
                builder->where, MOST_TRIALS);
    }
    for (int64_t n = 0; n < product; n++) {
        SLAO_TRY(add_trial(builder, at));
        for (int64_t a = builder->n_axes - 1; a >= 0 && ++at[a] == sizes[a]; a--)
            at[a] = 0;
    }
    return SLAO_OK;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const slao_trial *)a)->id, ((const slao_trial *)b)->id);
}

static slao_status keep_trials(trial_builder *builder) {
    slao_spec *spec = builder->spec;
    qsort(builder->trials, builder->n_trials, sizeof *builder->trials, by_id);
    for (size_t i = 1; i < builder->n_trials; i++) {
        if (strcmp(builder->trials[i - 1].id, builder->trials[i].id) == 0)
            return slao_fail(SLAO_BAD_INPUT,
                             "%stwo different trials have the id %s by an unlikely accident; "
                             "change a seed of the sweep",
                             builder->where, builder->trials[i].id);
    }
    spec->n_trials = (int64_t)builder->n_trials;
    SLAO_TRY(slao_arena_take(spec->arena, &spec->trials, builder->n_trials, sizeof *spec->trials));
    memcpy(spec->trials, builder->trials, builder->n_trials * sizeof *spec->trials);
    const char **names;
    SLAO_TRY(slao_arena_take(spec->arena, &names, (size_t)builder->n_columns, sizeof *names));
    for (int64_t c = 0; c < builder->n_columns; c++)
        names[c] = builder->columns[c].name;
    spec->extra_columns = names;
    spec->n_extra = builder->n_columns;
    return SLAO_OK;
}

slao_status slao_trials_build(slao_spec *spec, const slao_fields *fields,
                              const slao_method *methods, const char *where) {
    trial_builder builder = {.spec = spec, .fields = fields, .methods = methods, .where = where};
    slao_status status = slao_hasher_new(&builder.hasher);
    SLAO_TRY_GOTO(status, status, done);
    SLAO_TRY_GOTO(status, read_axes(&builder), done);
    SLAO_TRY_GOTO(status, cross_axes(&builder), done);
    status = keep_trials(&builder);
done:
    free(builder.trials);
    slao_index_free(&builder.index);
    slao_hasher_free(builder.hasher);
    return status;
}
