/* Tasks of Super-NaturalInstructions (Wang et al., 2022) in the layout of SAPT (Zhao et al., 2024):
 *
 *   TASK/train.json, test.json   {"Definition": ["..."], "Categories": ["..."],
 *                                 "Instances": [{"id", "input": "...", "output": ["...", ...]}],
 * ...}
 *
 * and SAPT's prompt:
 *
 *   Definition: {definition}\n\nNow complete the following example -\nInput: {input}\nOutput:
 *
 * A definition, a category or an output may be a string in place of a list of one. The first output
 * is trained on; all are references. An output may be empty, as some of the published ones are:
 * then the end token alone is trained on, and as a reference nothing scores above 0. TASK/dev.json
 * is not read: validation samples come from train.
 */
#include "base/file.h"
#include "base/json.h"
#include "data/format.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const cJSON *definition, *categories, *instances;
} superni_file;

static const slao_json_field file_fields[] = {
    {"Definition", SLAO_JSON_ANY, offsetof(superni_file, definition), true, 0, 0},
    {"Categories", SLAO_JSON_ANY, offsetof(superni_file, categories), true, 0, 0},
    {"Instances", SLAO_JSON_ARRAY, offsetof(superni_file, instances), true, 0, 0},
    {0},
};

typedef struct {
    const char *input;
    const cJSON *output;
} superni_instance;

static const slao_json_field instance_fields[] = {
    {"input", SLAO_JSON_TEXT, offsetof(superni_instance, input), true, 0, 0},
    {"output", SLAO_JSON_ANY, offsetof(superni_instance, output), true, 0, 0},
    {0},
};

static slao_status find_tasks(slao_task_places *places, const char *path) {
    return slao_format_list_folders(places, path);
}

/* A string, or a list of strings, of which none is empty unless `may_be_empty`: the texts in
 * `arena`. */
static slao_status read_texts(const cJSON *item, const char *where, bool may_be_empty,
                              slao_arena *arena, const char *const **texts, int64_t *count) {
    const cJSON *first = cJSON_IsArray(item) ? item->child : item;
    int64_t n = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 1;
    const char **list;
    SLAO_TRY(slao_arena_take(arena, &list, (size_t)n, sizeof *list));
    *texts = list;
    *count = 0;
    for (const cJSON *text = first; text && *count < n; text = text->next) {
        if (!cJSON_IsString(text) || (!*text->valuestring && !may_be_empty))
            break;
        SLAO_TRY(slao_arena_copy_text(arena, &list[(*count)++], text->valuestring));
    }
    if (n == 0 || *count < n)
        return slao_fail(SLAO_BAD_INPUT, "%s must be a string or a list of strings%s", where,
                         may_be_empty ? "" : ", none empty");
    return SLAO_OK;
}

static slao_status read_first_text(const cJSON *item, const char *file, const char *key,
                                   slao_arena *arena, const char **text) {
    char *where;
    const char *const *texts;
    int64_t count;
    SLAO_TRY(slao_format(&where, "%s: %s", file, key));
    slao_status status = read_texts(item, where, false, arena, &texts, &count);
    free(where);
    if (status == SLAO_OK)
        *text = texts[0];
    return status;
}

static slao_status make_head(const char **head, const char *definition, slao_arena *arena) {
    static const char before[] = "Definition: ",
                      after[] = "\n\nNow complete the following example -\nInput: ";
    char *text;
    SLAO_TRY(slao_arena_take(arena, &text, sizeof before + strlen(definition) + sizeof after, 1));
    *head = text;
    stpcpy(stpcpy(stpcpy(text, before), definition), after);
    return SLAO_OK;
}

static slao_status read_instance(slao_example *example, const cJSON *item, const char *where,
                                 slao_arena *arena) {
    superni_instance instance = {0};
    SLAO_TRY(slao_json_read(item, where, instance_fields, true, &instance));
    char *output;
    SLAO_TRY(slao_format(&output, "%s.output", where));
    slao_status status = read_texts(instance.output, output, true, arena, &example->references,
                                    &example->n_references);
    free(output);
    SLAO_TRY(status);
    example->answer = example->references[0];
    return slao_arena_copy_text(arena, &example->sentence, instance.input);
}

static slao_status read_instances(slao_examples *examples, const superni_file *contents,
                                  const char *file, slao_arena *arena) {
    int count = cJSON_GetArraySize(contents->instances);
    if (count == 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: Instances must not be empty", file);
    const char *definition, *head;
    SLAO_TRY(read_first_text(contents->definition, file, "Definition", arena, &definition));
    SLAO_TRY(make_head(&head, definition, arena));
    SLAO_TRY(slao_arena_take(arena, &examples->examples, (size_t)count, sizeof(slao_example)));
    const cJSON *item;
    cJSON_ArrayForEach (item, contents->instances) {
        slao_example *example = &examples->examples[examples->count];
        *example = (slao_example){.head = head, .tail = "\nOutput: "};
        char *where;
        SLAO_TRY(slao_format(&where, "%s: Instances[%lld]", file, (long long)examples->count));
        slao_status status = read_instance(example, item, where, arena);
        free(where);
        SLAO_TRY(status);
        examples->count++;
    }
    return SLAO_OK;
}

static slao_status read_split(slao_task *whole, slao_examples *examples, const char *folder,
                              const char *name, slao_arena *arena) {
    cJSON *root = NULL;
    char *file = NULL;
    superni_file contents = {0};
    slao_status status = slao_format_load_file(&slao_format_superni, folder, name, &root, &file);
    if (status == SLAO_OK) {
        char *where;
        status = slao_format(&where, "%s: ", file);
        if (status == SLAO_OK)
            status = slao_json_read(root, where, file_fields, true, &contents);
        free(where);
    }
    if (status == SLAO_OK)
        status = read_first_text(contents.categories, file, "Categories", arena, &whole->group);
    if (status == SLAO_OK)
        status = read_instances(examples, &contents, file, arena);
    cJSON_Delete(root);
    free(file);
    return status;
}

static slao_status read_task(slao_task *whole, const char *path, const slao_task_place *place,
                             slao_arena *arena) {
    whole->name = place->name;
    whole->score = "rouge_l";
    char *folder;
    SLAO_TRY(slao_join_path(&folder, path, place->name));
    slao_status status = read_split(whole, &whole->train, folder, "train.json", arena);
    if (status == SLAO_OK)
        status = read_split(whole, &whole->test, folder, "test.json", arena);
    free(folder);
    return status;
}

const slao_benchmark_format slao_format_superni = {
    .layout = "TASK/{train,test}.json",
    .find = find_tasks,
    .read = read_task,
};
