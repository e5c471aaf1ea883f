#include "sweep/archive.h"

#include <stdlib.h>
#include <string.h>

/* ---- The parts that are numbers: written and read by the same rows ---- */

static const slao_json_field config_fields[] = {
    {"hidden", SLAO_JSON_INTEGER, offsetof(slao_model_config, hidden), true, 0, 0},
    {"layers", SLAO_JSON_INTEGER, offsetof(slao_model_config, layers), true, 0, 0},
    {"heads", SLAO_JSON_INTEGER, offsetof(slao_model_config, heads), true, 0, 0},
    {"kv_heads", SLAO_JSON_INTEGER, offsetof(slao_model_config, kv_heads), true, 0, 0},
    {"head_dim", SLAO_JSON_INTEGER, offsetof(slao_model_config, head_dim), true, 0, 0},
    {"intermediate", SLAO_JSON_INTEGER, offsetof(slao_model_config, intermediate), true, 0, 0},
    {"vocabulary", SLAO_JSON_INTEGER, offsetof(slao_model_config, vocabulary), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static const slao_json_field task_fields[] = {
    {"train", SLAO_JSON_INTEGER, offsetof(slao_task, train.count), true, 0, 0},
    {"validation", SLAO_JSON_INTEGER, offsetof(slao_task, validation.count), true, 0, 0},
    {"test", SLAO_JSON_INTEGER, offsetof(slao_task, test.count), true, 0, 0},
    {"unanswerable", SLAO_JSON_INTEGER, offsetof(slao_task, unanswerable), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static const struct {
    const char *key;
    size_t offset; /* of a slao_hash in slao_task */
} task_hashes[] = {{"train_hash", offsetof(slao_task, train_hash)},
                   {"validation_hash", offsetof(slao_task, validation_hash)},
                   {"test_hash", offsetof(slao_task, test_hash)}};
enum { N_TASK_HASHES = sizeof task_hashes / sizeof *task_hashes };

static const struct {
    const char *key;
    size_t offset; /* of a const char * in slao_task */
} task_texts[] = {{"name", offsetof(slao_task, name)},
                  {"group", offsetof(slao_task, group)},
                  {"score", offsetof(slao_task, score)}};
enum { N_TASK_TEXTS = sizeof task_texts / sizeof *task_texts };

/* ---- Writing ---- */

static slao_status add_integers(cJSON *object, const slao_json_field *fields, const void *from) {
    for (; fields->key; fields++) {
        int64_t value;
        memcpy(&value, (const char *)from + fields->offset, sizeof value);
        SLAO_TRY(slao_json_add_real(object, fields->key, (double)value));
    }
    return SLAO_OK;
}

static slao_status add_hash(cJSON *object, const char *key, const void *hash) {
    char text[SLAO_HASH_TEXT];
    slao_hash value;
    memcpy(&value, hash, sizeof value);
    slao_hash_to_text(value, text);
    return slao_json_add_text(object, key, text);
}

static slao_status add_task(cJSON *list, const slao_task *task) {
    cJSON *object = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(list, "", object));
    for (int i = 0; i < N_TASK_TEXTS; i++) {
        const char *text;
        memcpy(&text, (const char *)task + task_texts[i].offset, sizeof text);
        SLAO_TRY(slao_json_add_text(object, task_texts[i].key, text));
    }
    SLAO_TRY(add_integers(object, task_fields, task));
    for (int i = 0; i < N_TASK_HASHES; i++)
        SLAO_TRY(add_hash(object, task_hashes[i].key, (const char *)task + task_hashes[i].offset));
    return SLAO_OK;
}

static slao_status add_names(cJSON *root, const slao_spec *spec) {
    slao_task_names names;
    SLAO_TRY(slao_task_names_load(&names, &spec->benchmark));
    slao_status status = slao_json_add(
        root, "names", cJSON_CreateStringArray((const char *const *)names.names, (int)names.count));
    slao_task_names_free(&names);
    return status;
}

static slao_status fill(cJSON *root, const slao_plan *plan, const slao_inputs *inputs,
                        const slao_model_config *config, const char *folder) {
    SLAO_TRY(slao_json_add_text(root, "spec", plan->spec->expanded));
    SLAO_TRY(slao_json_add_text(root, "written", plan->spec->text));
    SLAO_TRY(slao_json_add_text(root, "folder", folder));
    SLAO_TRY(slao_json_add(root, "model", cJSON_CreateObject()));
    cJSON *model = slao_json_find(root, "model");
    SLAO_TRY(add_hash(model, "hash", &plan->model_hash));
    SLAO_TRY(add_hash(model, "weights", &inputs->model));
    SLAO_TRY(add_hash(model, "tokenizer", &inputs->tokenizer));
    SLAO_TRY(add_integers(model, config_fields, config));
    SLAO_TRY(add_names(root, plan->spec));
    SLAO_TRY(slao_json_add(root, "tasks", cJSON_CreateArray()));
    for (int64_t i = 0; i < plan->n_tasks; i++)
        SLAO_TRY(add_task(slao_json_find(root, "tasks"), plan->tasks[i]));
    return SLAO_OK;
}

slao_status slao_archive_write(slao_store *store, const char *name, const slao_plan *plan,
                               const slao_inputs *inputs, const slao_model_config *config,
                               const char *folder) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a spec");
    slao_status status = fill(root, plan, inputs, config, folder);
    if (status == SLAO_OK)
        status = slao_store_put_spec(store, name, root);
    cJSON_Delete(root);
    return status;
}

/* ---- Reading ---- */

static slao_status read_hash(void *hash, const cJSON *object, const char *key, const char *path) {
    const char *text;
    slao_hash value;
    SLAO_TRY(slao_json_text(&text, slao_json_find(object, key), path));
    SLAO_TRY_IN(slao_hash_from_text(&value, text), "%s: %s", path, key);
    memcpy(hash, &value, sizeof value);
    return SLAO_OK;
}

static slao_status read_task(slao_task **task, const cJSON *object, const char *path) {
    SLAO_TRY(slao_allocate(task, 1, sizeof **task));
    SLAO_TRY(slao_arena_new(&(*task)->arena));
    for (int i = 0; i < N_TASK_TEXTS; i++) {
        const char *text, *copy;
        SLAO_TRY(slao_json_text(&text, slao_json_find(object, task_texts[i].key), path));
        SLAO_TRY(slao_arena_copy_text((*task)->arena, &copy, text));
        memcpy((char *)*task + task_texts[i].offset, &copy, sizeof copy);
    }
    SLAO_TRY(slao_json_read(object, path, task_fields, true, *task));
    for (int i = 0; i < N_TASK_HASHES; i++)
        SLAO_TRY(
            read_hash((char *)*task + task_hashes[i].offset, object, task_hashes[i].key, path));
    return SLAO_OK;
}

static slao_status read_names(slao_task_names *names, const cJSON *list, const char *path) {
    const cJSON *item;
    SLAO_TRY(slao_allocate(&names->names, (size_t)cJSON_GetArraySize(list), sizeof *names->names));
    cJSON_ArrayForEach (item, list) {
        const char *text;
        SLAO_TRY(slao_json_text(&text, item, path));
        SLAO_TRY(slao_copy_text(&names->names[names->count], text));
        names->count++;
    }
    return SLAO_OK;
}

typedef struct {
    const char *expanded, *written, *folder;
    const cJSON *model, *names, *tasks;
} archive_parts;

static const slao_json_field archive_fields[] = {
    {"spec", SLAO_JSON_TEXT, offsetof(archive_parts, expanded), true, 0, 0},
    {"written", SLAO_JSON_TEXT, offsetof(archive_parts, written), true, 0, 0},
    {"folder", SLAO_JSON_TEXT, offsetof(archive_parts, folder), true, 0, 0},
    {"model", SLAO_JSON_OBJECT, offsetof(archive_parts, model), true, 0, 0},
    {"names", SLAO_JSON_ARRAY, offsetof(archive_parts, names), true, 0, 0},
    {"tasks", SLAO_JSON_ARRAY, offsetof(archive_parts, tasks), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

static slao_status read_document(slao_archive *archive, const char *path) {
    archive_parts parts;
    const cJSON *item;
    SLAO_TRY(slao_json_read(archive->document, path, archive_fields, true, &parts));
    archive->expanded = parts.expanded;
    archive->written = parts.written;
    archive->folder = parts.folder;
    SLAO_TRY(read_hash(&archive->model_hash, parts.model, "hash", path));
    SLAO_TRY(read_hash(&archive->inputs.model, parts.model, "weights", path));
    SLAO_TRY(read_hash(&archive->inputs.tokenizer, parts.model, "tokenizer", path));
    SLAO_TRY(slao_json_read(parts.model, path, config_fields, true, &archive->config));
    SLAO_TRY(read_names(&archive->names, parts.names, path));
    SLAO_TRY(slao_allocate(&archive->tasks, (size_t)cJSON_GetArraySize(parts.tasks),
                           sizeof(slao_task *)));
    cJSON_ArrayForEach (item, parts.tasks) {
        archive->n_tasks++;
        SLAO_TRY(read_task(&archive->tasks[archive->n_tasks - 1], item, path));
    }
    return SLAO_OK;
}

slao_status slao_archive_read(slao_archive **archive, const slao_store *store, const char *name) {
    char *path = NULL;
    SLAO_TRY(slao_allocate(archive, 1, sizeof **archive));
    slao_status status = slao_store_get_spec(store, name, &(*archive)->document, &path);
    if (status == SLAO_OK)
        status = read_document(*archive, path);
    free(path);
    if (status != SLAO_OK) {
        slao_archive_free(*archive);
        *archive = NULL;
    }
    return status;
}

void slao_archive_free(slao_archive *archive) {
    if (!archive)
        return;
    for (int64_t i = 0; archive->tasks && i < archive->n_tasks; i++)
        slao_task_free(archive->tasks[i]);
    free(archive->tasks);
    slao_task_names_free(&archive->names);
    cJSON_Delete(archive->document);
    free(archive);
}

slao_status slao_archive_plan(slao_archive *archive, const slao_spec *spec, slao_plan **plan) {
    slao_task **tasks = archive->tasks;
    archive->tasks = NULL;
    slao_status status = slao_plan_new_of(plan, spec, archive->model_hash, tasks, archive->n_tasks);
    free(tasks);
    return status;
}
