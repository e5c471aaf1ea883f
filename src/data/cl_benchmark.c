/* The layout of O-LoRA's benchmark (Wang et al., 2023):
 *
 *   instruction_config.json          {"GROUP": [{"instruction_type": "zero-shot",
 *                                                "instruction": "...\n"}], ...}
 *   GROUP/TASK/train.json, test.json [{"sentence": "...", "label": "..."}, ...]
 *   GROUP/TASK/labels.json           ["...", ...]
 *
 * and its prompt:
 *
 *   Task:GROUP\nDataset:TASK\n{instruction}Option: {labels joined by ", "} \n{sentence}\nAnswer:
 *
 * A group with an empty instruction has no options either; so has COPA, whose group the published
 * instruction_config.json leaves out.
 */
#include "base/file.h"
#include "base/json.h"
#include "data/format.h"

#include <stdlib.h>
#include <string.h>

static const char *const groups_without_instruction[] = {"COPA", NULL};

/* --- which tasks there are --- */

static slao_status find_in_group(slao_task_places *places, const char *path, const char *group) {
    char *folder;
    SLAO_TRY(slao_join_path(&folder, path, group));
    slao_task_places tasks = {0};
    slao_status status = slao_format_list_folders(&tasks, folder);
    for (size_t i = 0; i < tasks.count && status == SLAO_OK; i++)
        status = slao_task_places_add(places, tasks.places[i].name, group);
    slao_task_places_free(&tasks);
    free(folder);
    return status;
}

static slao_status find_tasks(slao_task_places *places, const char *path) {
    slao_task_places groups = {0};
    slao_status status = slao_format_list_folders(&groups, path);
    for (size_t i = 0; i < groups.count && status == SLAO_OK; i++)
        status = find_in_group(places, path, groups.places[i].name);
    slao_task_places_free(&groups);
    return status;
}

/* --- the instruction of a group --- */

typedef struct {
    const char *type, *instruction;
} instruction_entry;

static const slao_json_field instruction_fields[] = {
    {"instruction_type", SLAO_JSON_TEXT, offsetof(instruction_entry, type), true, 0, 0},
    {"instruction", SLAO_JSON_TEXT, offsetof(instruction_entry, instruction), true, 0, 0},
    {0},
};

static bool needs_no_instruction(const char *group) {
    for (const char *const *known = groups_without_instruction; *known; known++) {
        if (strcmp(*known, group) == 0)
            return true;
    }
    return false;
}

/* *instruction belongs to `config`. */
static slao_status find_instruction(const char **instruction, const cJSON *config, const char *file,
                                    const char *group) {
    *instruction = "";
    if (!cJSON_IsObject(config))
        return slao_fail(SLAO_BAD_INPUT, "%s must be an object of groups", file);
    const cJSON *entries = slao_json_find(config, group);
    if (!entries && needs_no_instruction(group))
        return SLAO_OK;
    if (!entries)
        return slao_fail(
            SLAO_BAD_INPUT,
            "%s has no entry for the group \"%s\"; add \"%s\": [{\"instruction_type\": "
            "\"zero-shot\", \"instruction\": \"...\\n\"}], with an empty instruction "
            "if it has none",
            file, group, group);
    if (!cJSON_IsArray(entries))
        return slao_fail(SLAO_BAD_INPUT, "%s.%s must be a list", file, group);
    const cJSON *item;
    int64_t index = 0;
    cJSON_ArrayForEach (item, entries) {
        char *where;
        SLAO_TRY(slao_format(&where, "%s: %s[%lld]", file, group, (long long)index++));
        instruction_entry entry = {0};
        slao_status status = slao_json_read(item, where, instruction_fields, true, &entry);
        free(where);
        SLAO_TRY(status);
        if (strcmp(entry.type, "zero-shot") == 0) {
            *instruction = entry.instruction;
            return SLAO_OK;
        }
    }
    return slao_fail(SLAO_BAD_INPUT,
                     "%s: the group \"%s\" has no entry with \"instruction_type\": \"zero-shot\"",
                     file, group);
}

/* --- texts --- */

static slao_status read_labels(slao_task *whole, const cJSON *list, const char *file,
                               slao_arena *arena) {
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return slao_fail(SLAO_BAD_INPUT, "%s must be a list of label strings, not empty", file);
    const char **labels;
    SLAO_TRY(slao_arena_take(arena, &labels, (size_t)cJSON_GetArraySize(list), sizeof *labels));
    whole->labels = labels;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return slao_fail(SLAO_BAD_INPUT, "%s[%lld] must be a string, not empty", file,
                             (long long)whole->n_labels);
        for (int64_t i = 0; i < whole->n_labels; i++) {
            if (strcmp(labels[i], item->valuestring) == 0)
                return slao_fail(SLAO_BAD_INPUT, "%s: the label \"%s\" is given twice", file,
                                 labels[i]);
        }
        SLAO_TRY(slao_arena_copy_text(arena, &labels[whole->n_labels], item->valuestring));
        whole->n_labels++;
    }
    return SLAO_OK;
}

/* Everything of the prompt before the sentence. */
static slao_status make_head(const char **head, const slao_task *whole, const char *instruction,
                             slao_arena *arena) {
    static const char frame[] = "Task:\nDataset:\nOption:  \n";
    bool has_options = *instruction != '\0';
    size_t size = sizeof frame + strlen(whole->group) + strlen(whole->name) + strlen(instruction);
    for (int64_t i = 0; i < whole->n_labels; i++)
        size += strlen(whole->labels[i]) + strlen(", ");
    char *text, *end;
    SLAO_TRY(slao_arena_take(arena, &text, size, 1));
    *head = text;
    end = stpcpy(stpcpy(text, "Task:"), whole->group);
    end = stpcpy(stpcpy(end, "\nDataset:"), whole->name);
    end = stpcpy(stpcpy(end, "\n"), instruction);
    if (!has_options)
        return SLAO_OK;
    end = stpcpy(end, "Option: ");
    for (int64_t i = 0; i < whole->n_labels; i++)
        end = stpcpy(stpcpy(end, i ? ", " : ""), whole->labels[i]);
    stpcpy(end, " \n");
    return SLAO_OK;
}

typedef struct {
    const char *sentence, *label;
} labelled_row;

static const slao_json_field row_fields[] = {
    {"sentence", SLAO_JSON_TEXT, offsetof(labelled_row, sentence), true, 0, 0},
    {"label", SLAO_JSON_TEXT, offsetof(labelled_row, label), true, 0, 0},
    {0},
};

/* The task's own copy of a label, or NULL. */
static const char *find_label(const slao_task *whole, const char *label) {
    for (int64_t i = 0; i < whole->n_labels; i++) {
        if (strcmp(whole->labels[i], label) == 0)
            return whole->labels[i];
    }
    return NULL;
}

typedef struct {
    const slao_task *whole;
    const char *head;
    bool labels_only; /* a label that is not in labels.json is an error */
    slao_arena *arena;
} row_reader;

static slao_status read_row(const row_reader *reader, slao_example *example, const cJSON *item,
                            const char *where) {
    labelled_row row = {0};
    SLAO_TRY(slao_json_read(item, where, row_fields, true, &row));
    const char *label = find_label(reader->whole, row.label);
    if (!label && reader->labels_only)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: its label \"%s\" is not in labels.json beside it; add it there, or "
                         "correct the example",
                         where, row.label);
    if (!label)
        SLAO_TRY(slao_arena_copy_text(reader->arena, &label, row.label));
    const char **references;
    SLAO_TRY(slao_arena_take(reader->arena, &references, 1, sizeof *references));
    references[0] = label;
    *example = (slao_example){.head = reader->head,
                              .tail = "\nAnswer:",
                              .answer = label,
                              .n_references = 1,
                              .references = references};
    return slao_arena_copy_text(reader->arena, &example->sentence, row.sentence);
}

static slao_status read_rows(const row_reader *reader, slao_examples *examples, const cJSON *list,
                             const char *file) {
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s must be a list of {\"sentence\", \"label\"}, not empty", file);
    SLAO_TRY(slao_arena_take(reader->arena, &examples->examples, (size_t)cJSON_GetArraySize(list),
                             sizeof *examples->examples));
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char *where;
        SLAO_TRY(slao_format(&where, "%s[%lld]", file, (long long)examples->count));
        slao_status status = read_row(reader, &examples->examples[examples->count], item, where);
        free(where);
        SLAO_TRY(status);
        examples->count++;
    }
    return SLAO_OK;
}

/* --- files --- */

static slao_status load_head(const char **head, const slao_task *whole, const char *path,
                             slao_arena *arena) {
    cJSON *root = NULL;
    char *file = NULL;
    const char *instruction = "";
    slao_status status = slao_format_load_file(&slao_format_cl_benchmark, path,
                                               "instruction_config.json", &root, &file);
    if (status == SLAO_OK)
        status = find_instruction(&instruction, root, file, whole->group);
    if (status == SLAO_OK)
        status = make_head(head, whole, instruction, arena);
    cJSON_Delete(root);
    free(file);
    return status;
}

static slao_status load_labels(slao_task *whole, const char *folder, slao_arena *arena) {
    cJSON *root = NULL;
    char *file = NULL;
    slao_status status =
        slao_format_load_file(&slao_format_cl_benchmark, folder, "labels.json", &root, &file);
    if (status == SLAO_OK)
        status = read_labels(whole, root, file, arena);
    cJSON_Delete(root);
    free(file);
    return status;
}

static slao_status load_rows(const row_reader *reader, slao_examples *examples, const char *folder,
                             const char *name) {
    cJSON *root = NULL;
    char *file = NULL;
    slao_status status =
        slao_format_load_file(&slao_format_cl_benchmark, folder, name, &root, &file);
    if (status == SLAO_OK)
        status = read_rows(reader, examples, root, file);
    cJSON_Delete(root);
    free(file);
    return status;
}

static slao_status read_folder(slao_task *whole, const char *path, const char *folder,
                               slao_arena *arena) {
    row_reader reader = {.whole = whole, .arena = arena};
    SLAO_TRY(load_labels(whole, folder, arena));
    SLAO_TRY(load_head(&reader.head, whole, path, arena));
    reader.labels_only = true;
    SLAO_TRY(load_rows(&reader, &whole->train, folder, "train.json"));
    reader.labels_only = false;
    return load_rows(&reader, &whole->test, folder, "test.json");
}

static slao_status read_task(slao_task *whole, const char *path, const slao_task_place *place,
                             slao_arena *arena) {
    whole->name = place->name;
    whole->group = place->group;
    whole->score = "exact";
    char *folder;
    SLAO_TRY(slao_format(&folder, "%s/%s/%s", path, place->group, place->name));
    slao_status status = read_folder(whole, path, folder, arena);
    free(folder);
    return status;
}

const slao_benchmark_format slao_format_cl_benchmark = {
    .layout = "instruction_config.json and GROUP/TASK/{train,test,labels}.json",
    .find = find_tasks,
    .read = read_task,
};
