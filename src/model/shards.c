#include "model/shards.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/config_parts.h"
#include "model/safetensors.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A line of the map. Texts belong to the index's document. */
typedef struct {
    const char *shard, *tensor;
} assignment;

struct slao_shards {
    char *path;
    cJSON *index; /* NULL: a single file */
    assignment *map;
    size_t n_map;
    slao_safetensors **files;
    size_t n_files;
    slao_tensor_list tensors; /* of all files */
};

static slao_status open_shard(slao_shards *shards, const char *path) {
    SLAO_TRY(slao_safetensors_open(&shards->files[shards->n_files], path));
    shards->n_files++;
    return SLAO_OK;
}

/* One list of what the files hold. */
static slao_status gather(slao_shards *shards) {
    int64_t count = 0;
    for (size_t i = 0; i < shards->n_files; i++)
        count += slao_safetensors_tensors(shards->files[i])->count;
    SLAO_TRY(
        slao_allocate(&shards->tensors.tensors, (size_t)count, sizeof *shards->tensors.tensors));
    for (size_t i = 0; i < shards->n_files; i++) {
        const slao_tensor_list *list = slao_safetensors_tensors(shards->files[i]);
        if (list->count)
            memcpy(shards->tensors.tensors + shards->tensors.count, list->tensors,
                   (size_t)list->count * sizeof *list->tensors);
        shards->tensors.count += list->count;
    }
    return slao_tensor_list_index(&shards->tensors);
}

static int compare_assignments(const void *a, const void *b) {
    const assignment *x = a, *y = b;
    int order = strcmp(x->shard, y->shard);
    return order ? order : strcmp(x->tensor, y->tensor);
}

static slao_status check_name(const char *name, const char *path) {
    if (*name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX)
        return SLAO_OK;
    return slao_fail(SLAO_BAD_INPUT,
                     "%s: weight_map: \"%.80s\" is no name of a file in the same folder", path,
                     name);
}

static slao_status read_map(slao_shards *shards, const char *path) {
    const cJSON *map = slao_json_find(shards->index, "weight_map"), *item;
    if (!cJSON_IsObject(map))
        return slao_fail(SLAO_BAD_INPUT, "%s: weight_map must be an object", path);
    SLAO_TRY(slao_allocate(&shards->map, (size_t)cJSON_GetArraySize(map), sizeof *shards->map));
    cJSON_ArrayForEach (item, map) {
        if (!cJSON_IsString(item))
            return slao_fail(SLAO_BAD_INPUT, "%s: weight_map.%.80s must be a string", path,
                             item->string);
        SLAO_TRY(check_name(item->valuestring, path));
        shards->map[shards->n_map++] = (assignment){item->valuestring, item->string};
    }
    if (!shards->n_map)
        return slao_fail(SLAO_BAD_INPUT, "%s: weight_map is empty", path);
    qsort(shards->map, shards->n_map, sizeof *shards->map, compare_assignments);
    return SLAO_OK;
}

/* Opens the shard of the assignments `first` .. `end` - 1, which must be all that it holds. */
static slao_status open_assigned(slao_shards *shards, const char *folder, size_t first,
                                 size_t end) {
    char *path;
    SLAO_TRY(slao_join_path(&path, folder, shards->map[first].shard));
    slao_status status = open_shard(shards, path);
    if (status != SLAO_OK)
        goto done;
    const slao_tensor_list *held = slao_safetensors_tensors(shards->files[shards->n_files - 1]);
    for (size_t i = first; i < end && status == SLAO_OK; i++) {
        const char *tensor = shards->map[i].tensor;
        if (i > first && strcmp(tensor, shards->map[i - 1].tensor) == 0)
            status = slao_fail(SLAO_BAD_INPUT, "%s: weight_map names tensor %.80s twice",
                               shards->path, tensor);
        else if (!slao_tensor_list_find(held, tensor))
            status = slao_fail(SLAO_BAD_INPUT,
                               "%s: tensor %.80s is missing, which model.safetensors.index.json "
                               "says is here",
                               path, tensor);
    }
    for (int64_t i = 0; i < held->count && status == SLAO_OK; i++) {
        assignment wanted = {shards->map[first].shard, held->tensors[i].name};
        if (!bsearch(&wanted, shards->map + first, end - first, sizeof wanted, compare_assignments))
            status = slao_fail(SLAO_BAD_INPUT,
                               "%s: tensor %.80s is not among those that "
                               "model.safetensors.index.json says are here",
                               path, wanted.tensor);
    }
done:
    free(path);
    return status;
}

static slao_status open_index(slao_shards *shards, const char *folder) {
    SLAO_TRY(slao_json_load_object(&shards->index, shards->path, SLAO_CONFIG_MOST));
    SLAO_TRY(read_map(shards, shards->path));
    size_t n_shards = 1;
    for (size_t i = 1; i < shards->n_map; i++)
        n_shards += strcmp(shards->map[i].shard, shards->map[i - 1].shard) != 0;
    SLAO_TRY(slao_allocate(&shards->files, n_shards, sizeof(slao_safetensors *)));
    for (size_t first = 0, end; first < shards->n_map; first = end) {
        end = first + 1;
        while (end < shards->n_map && strcmp(shards->map[end].shard, shards->map[first].shard) == 0)
            end++;
        SLAO_TRY(open_assigned(shards, folder, first, end));
    }
    SLAO_TRY_IN(gather(shards), "%s", shards->path); /* a tensor in two shards */
    return SLAO_OK;
}

static slao_status open_single(slao_shards *shards) {
    SLAO_TRY(slao_allocate(&shards->files, 1, sizeof(slao_safetensors *)));
    SLAO_TRY(open_shard(shards, shards->path));
    return gather(shards);
}

static slao_status open_folder(slao_shards *shards, const char *folder) {
    SLAO_TRY(slao_join_path(&shards->path, folder, "model.safetensors"));
    if (slao_is_file(shards->path))
        return open_single(shards);
    char *index;
    SLAO_TRY(slao_join_path(&index, folder, "model.safetensors.index.json"));
    if (!slao_is_file(index)) {
        free(index);
        return slao_fail(SLAO_BAD_INPUT,
                         "%s is missing, and so is model.safetensors.index.json: slao reads a "
                         "model's weights from these, which transformers' save_pretrained writes "
                         "(or a GGUF file in place of the folder %s)",
                         shards->path, folder);
    }
    free(shards->path);
    shards->path = index;
    return open_index(shards, folder);
}

slao_status slao_shards_open(slao_shards **shards, const char *folder) {
    SLAO_TRY(slao_allocate(shards, 1, sizeof **shards));
    slao_status status = open_folder(*shards, folder);
    if (status != SLAO_OK) {
        slao_shards_close(*shards);
        *shards = NULL;
    }
    return status;
}

void slao_shards_close(slao_shards *shards) {
    if (!shards)
        return;
    slao_tensor_list_free(&shards->tensors);
    for (size_t i = 0; i < shards->n_files; i++)
        slao_safetensors_close(shards->files[i]);
    free(shards->files);
    free(shards->map);
    cJSON_Delete(shards->index);
    free(shards->path);
    free(shards);
}

const slao_mapping *slao_shards_file(const slao_shards *shards, size_t index) {
    return index < shards->n_files ? slao_safetensors_file(shards->files[index]) : NULL;
}

const slao_tensor_list *slao_shards_tensors(const slao_shards *shards) {
    return &shards->tensors;
}

const char *slao_shards_path(const slao_shards *shards) {
    return shards->path;
}
