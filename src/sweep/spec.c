#include "sweep/spec.h"

#include "base/file.h"
#include "sweep/fields.h"
#include "sweep/resolve.h"
#include "sweep/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A path as the spec has it, counted from `folder` unless it is absolute. */
static slao_status keep_path(slao_spec *spec, const char **kept, const char *path,
                             const char *folder) {
    if (path[0] == '/' || strcmp(folder, ".") == 0)
        return slao_arena_copy_text(spec->arena, kept, path);
    char *joined;
    SLAO_TRY(slao_join_path(&joined, folder, path));
    slao_status status = slao_arena_copy_text(spec->arena, kept, joined);
    free(joined);
    return status;
}

static slao_status check_required(const slao_fields *fields, const char *where) {
    const struct {
        const char *key, *value;
    } required[] = {{"name", fields->name},
                    {"model", fields->model},
                    {"benchmark.format", fields->benchmark.format},
                    {"benchmark.path", fields->benchmark.path}};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (!required[i].value)
            return slao_fail(SLAO_BAD_INPUT, "%s%s is missing", where, required[i].key);
        if (!*required[i].value)
            return slao_fail(SLAO_BAD_INPUT, "%s%s is empty", where, required[i].key);
    }
    if (strchr(fields->name, '/'))
        return slao_fail(SLAO_BAD_INPUT,
                         "%sname is \"%s\", but it names a file and cannot hold a \"/\"", where,
                         fields->name);
    return SLAO_OK;
}

static slao_status keep_settings(slao_spec *spec, const slao_fields *fields, const char *folder,
                                 const char *where) {
    spec->name = fields->name;
    spec->benchmark = fields->benchmark;
    spec->score = fields->score;
    spec->evaluate_every_task = strcmp(fields->when, "every_task") == 0;
    spec->evaluate_all_tasks = strcmp(fields->tasks, "all") == 0;
    spec->reference_base = fields->reference_base;
    spec->reference_individual = fields->reference_individual;
    spec->weights = (slao_weights)slao_name_index(fields->weights, slao_weights_names);
    spec->precision = (slao_precision)slao_name_index(fields->precision, slao_precision_names);
    spec->ranks_per_trial = fields->ranks_per_trial;
    SLAO_TRY(keep_path(spec, &spec->model, fields->model, folder));
    SLAO_TRY(keep_path(spec, &spec->benchmark.path, fields->benchmark.path, folder));
    if (fields->store)
        SLAO_TRY(keep_path(spec, &spec->store, fields->store, folder));
    if (spec->names)
        return SLAO_OK;
    if (!slao_is_file(spec->model) && !slao_is_folder(spec->model))
        return slao_fail(SLAO_BAD_INPUT, "%smodel: %s is neither a file nor a folder", where,
                         spec->model);
    if (!slao_is_folder(spec->benchmark.path))
        return slao_fail(SLAO_BAD_INPUT, "%sbenchmark.path: %s is not a folder", where,
                         spec->benchmark.path);
    return SLAO_OK;
}

static slao_status build(slao_spec *spec, const char *folder, const slao_method *methods,
                         const char *where) {
    slao_fields fields = {0};
    SLAO_TRY(slao_fields_read(&fields, spec->tree, where));
    SLAO_TRY(check_required(&fields, where));
    SLAO_TRY(slao_fields_check(&fields, where));
    SLAO_TRY(keep_settings(spec, &fields, folder, where));
    SLAO_TRY(slao_trials_build(spec, &fields, methods, where));
    char *expanded;
    SLAO_TRY(slao_json_print(&expanded, spec->tree));
    slao_status status = slao_arena_copy_text(spec->arena, &spec->expanded, expanded);
    free(expanded);
    return status;
}

/* What a spec is read from. */
typedef struct {
    const char *text, *name, *folder;
    const char *const *settings;
    int64_t n_settings;
    const slao_method *methods;
    const char *written;          /* NULL: as it is in the text */
    const slao_task_names *names; /* NULL: the benchmark's folder tells */
} spec_source;

static slao_status parse(slao_spec *spec, const spec_source *source) {
    char *where = NULL, *written = NULL;
    spec->names = source->names;
    slao_status status = slao_arena_new(&spec->arena);
    if (status == SLAO_OK)
        status = slao_format(&where, "%s: ", source->name);
    if (status == SLAO_OK)
        status = slao_resolve(&spec->tree, &written, source->text, source->name, source->settings,
                              source->n_settings, source->methods);
    if (status == SLAO_OK)
        status = slao_arena_copy_text(spec->arena, &spec->text,
                                      source->written ? source->written : written);
    if (status == SLAO_OK)
        status = build(spec, source->folder, source->methods, where);
    free(written);
    free(where);
    return status;
}

static slao_status parse_source(slao_spec **spec, const spec_source *source) {
    SLAO_TRY(slao_allocate(spec, 1, sizeof **spec));
    slao_status status = parse(*spec, source);
    if (status != SLAO_OK) {
        slao_spec_free(*spec);
        *spec = NULL;
    }
    return status;
}

slao_status slao_spec_parse_with(slao_spec **spec, const char *text, const char *name,
                                 const char *folder, const char *const *settings,
                                 int64_t n_settings, const slao_method *methods) {
    return parse_source(spec, &(spec_source){.text = text,
                                             .name = name,
                                             .folder = folder,
                                             .settings = settings,
                                             .n_settings = n_settings,
                                             .methods = methods});
}

slao_status slao_spec_parse_again(slao_spec **spec, const char *expanded, const char *written,
                                  const char *name, const char *folder,
                                  const slao_task_names *names) {
    return parse_source(spec, &(spec_source){.text = expanded,
                                             .name = name,
                                             .folder = folder,
                                             .methods = slao_methods,
                                             .written = written,
                                             .names = names});
}

slao_status slao_spec_parse(slao_spec **spec, const char *text, const char *name,
                            const char *folder, const char *const *settings, int64_t n_settings) {
    return slao_spec_parse_with(spec, text, name, folder, settings, n_settings, slao_methods);
}

slao_status slao_spec_load(slao_spec **spec, const char *path, const char *const *settings,
                           int64_t n_settings) {
    *spec = NULL;
    char *text = NULL, *folder = NULL;
    size_t size;
    SLAO_TRY(slao_read_text(&text, &size, path));
    slao_status status = SLAO_OK;
    if (strlen(text) != size)
        status = slao_fail(SLAO_BAD_INPUT, "%s: not JSON: a zero byte at %zu", path, strlen(text));
    const char *slash = strrchr(path, '/');
    if (status == SLAO_OK)
        status = slash ? slao_format(&folder, "%.*s", slash == path ? 1 : (int)(slash - path), path)
                       : slao_copy_text(&folder, ".");
    if (status == SLAO_OK)
        status = slao_spec_parse(spec, text, path, folder, settings, n_settings);
    free(folder);
    free(text);
    return status;
}

void slao_spec_free(slao_spec *spec) {
    if (!spec)
        return;
    cJSON_Delete(spec->tree);
    slao_arena_free(spec->arena);
    free(spec);
}
