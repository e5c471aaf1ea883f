#include "model/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const char metadata_key[] = "__metadata__";

enum { LENGTH_SIZE = 8, HEADER_MOST = 100000000, HEADER_UNIT = 8 };

struct slao_safetensors {
    slao_mapping file;
    cJSON *header; /* owns the names */
    const cJSON *metadata;
    slao_tensor_list tensors;
};

static slao_status read_header(slao_safetensors *file, size_t *data_start, const char *path) {
    uint64_t length;
    if (file->file.size < LENGTH_SIZE)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: %zu bytes are too few for a safetensors file: it is truncated", path,
                         file->file.size);
    memcpy(&length, file->file.bytes, sizeof length);
    if (length > HEADER_MOST)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte 0: a header of %llu bytes: this is no safetensors file", path,
                         (unsigned long long)length);
    if (length > file->file.size - LENGTH_SIZE)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte 0: a header of %llu bytes, but the file has only %zu: it is "
                         "truncated or no safetensors file",
                         path, (unsigned long long)length, file->file.size);
    *data_start = LENGTH_SIZE + (size_t)length;
    SLAO_TRY(slao_json_parse_foreign(&file->header, (const char *)file->file.bytes + LENGTH_SIZE,
                                     (size_t)length, path));
    if (!cJSON_IsObject(file->header))
        return slao_fail(SLAO_BAD_INPUT, "%s: byte 8: the header must be a JSON object", path);
    return SLAO_OK;
}

static slao_status read_metadata(slao_safetensors *file, const cJSON *metadata, const char *path) {
    if (file->metadata)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is there twice", path, metadata_key);
    bool good = cJSON_IsObject(metadata);
    for (const cJSON *item = metadata->child; good && item; item = item->next)
        good = cJSON_IsString(item);
    if (!good)
        return slao_fail(SLAO_BAD_INPUT, "%s: %s must be an object of texts", path, metadata_key);
    file->metadata = metadata;
    return SLAO_OK;
}

typedef struct {
    const char *dtype;
    const cJSON *shape, *offsets;
} header_entry;

static const slao_json_field entry_fields[] = {
    {"dtype", SLAO_JSON_TEXT, offsetof(header_entry, dtype), true, 0, 0},
    {"shape", SLAO_JSON_ARRAY, offsetof(header_entry, shape), true, 0, 0},
    {"data_offsets", SLAO_JSON_ARRAY, offsetof(header_entry, offsets), true, 0, 0},
    {NULL, SLAO_JSON_ANY, 0, false, 0, 0},
};

/* A list of at most `most` whole numbers. */
static slao_status read_numbers(int64_t *numbers, int *count, int most, const cJSON *list,
                                const char *what) {
    *count = 0;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        if (*count == most)
            return slao_fail(SLAO_BAD_INPUT, "%s has more than %d numbers", what, most);
        SLAO_TRY(slao_json_integer(&numbers[(*count)++], item, what));
    }
    return SLAO_OK;
}

/* `data` is where the data starts, of `size` bytes. Messages are completed by the caller. */
static slao_status read_tensor(slao_tensor *tensor, const cJSON *item, const unsigned char *data,
                               size_t size) {
    header_entry entry = {0};
    int64_t shape[SLAO_MAX_DIMS], offsets[2] = {0, 0};
    int n_dims, n_offsets;
    SLAO_TRY(slao_json_read(item, item->string, entry_fields, false, &entry));
    slao_dtype dtype = slao_dtype_by_name(entry.dtype);
    if (dtype == SLAO_N_DTYPES || slao_dtype_block(dtype) != 1)
        return slao_fail(SLAO_BAD_INPUT, "tensor %s is of type %.40s: slao reads F32, F16 and BF16",
                         item->string, entry.dtype);
    SLAO_TRY_IN(read_numbers(shape, &n_dims, SLAO_MAX_DIMS, entry.shape, "shape"), "tensor %s",
                item->string);
    SLAO_TRY_IN(read_numbers(offsets, &n_offsets, 2, entry.offsets, "data_offsets"), "tensor %s",
                item->string);
    *tensor = (slao_tensor){.name = item->string};
    SLAO_TRY(slao_tensor_describe(tensor, dtype, n_dims, shape));
    if (n_offsets != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || (uint64_t)offsets[1] > size)
        return slao_fail(SLAO_BAD_INPUT,
                         "tensor %s: data_offsets [%lld, %lld] do not lie within the %zu bytes of "
                         "data: the file is truncated or damaged",
                         tensor->name, (long long)offsets[0], (long long)offsets[1], size);
    if ((size_t)(offsets[1] - offsets[0]) != tensor->bytes)
        return slao_fail(SLAO_BAD_INPUT,
                         "tensor %s: data_offsets give it %lld bytes, its type and shape %zu",
                         tensor->name, (long long)(offsets[1] - offsets[0]), tensor->bytes);
    tensor->data = data + offsets[0];
    return SLAO_OK;
}

static slao_status read_tensors(slao_safetensors *file, const unsigned char *data, size_t size,
                                const char *path) {
    slao_tensor_list *list = &file->tensors;
    SLAO_TRY(slao_allocate(&list->tensors, (size_t)cJSON_GetArraySize(file->header),
                           sizeof *list->tensors));
    const cJSON *item;
    cJSON_ArrayForEach (item, file->header) {
        if (strcmp(item->string, metadata_key) == 0)
            SLAO_TRY(read_metadata(file, item, path));
        else
            SLAO_TRY_IN(read_tensor(&list->tensors[list->count++], item, data, size), "%s", path);
    }
    size_t end = 0;
    SLAO_TRY_IN(slao_tensor_list_index(list), "%s", path);
    SLAO_TRY_IN(slao_tensor_list_check_layout(list, data, 1, &end), "%s", path);
    if (end != size)
        return slao_fail(SLAO_BAD_INPUT, "%s: %zu bytes of data, but the tensors fill only %zu",
                         path, size, end);
    return SLAO_OK;
}

static slao_status read_file(slao_safetensors *file, const char *path) {
    size_t start = 0;
    SLAO_TRY(slao_map_file(&file->file, path));
    SLAO_TRY(read_header(file, &start, path));
    return read_tensors(file, file->file.bytes + start, file->file.size - start, path);
}

slao_status slao_safetensors_open(slao_safetensors **file, const char *path) {
    SLAO_TRY(slao_allocate(file, 1, sizeof **file));
    slao_status status = read_file(*file, path);
    if (status != SLAO_OK) {
        slao_safetensors_close(*file);
        *file = NULL;
    }
    return status;
}

void slao_safetensors_close(slao_safetensors *file) {
    if (!file)
        return;
    slao_tensor_list_free(&file->tensors);
    cJSON_Delete(file->header);
    slao_unmap_file(&file->file);
    free(file);
}

const slao_mapping *slao_safetensors_file(const slao_safetensors *file) {
    return &file->file;
}

const slao_tensor_list *slao_safetensors_tensors(const slao_safetensors *file) {
    return &file->tensors;
}

const char *slao_safetensors_metadata(const slao_safetensors *file, const char *key) {
    const cJSON *item = file->metadata ? slao_json_find(file->metadata, key) : NULL;
    return item ? item->valuestring : NULL;
}

/* ---- writing ---- */

static int compare_items(const void *a, const void *b) {
    return strcmp((*(const slao_safetensors_item *const *)a)->name,
                  (*(const slao_safetensors_item *const *)b)->name);
}

static size_t bytes_of(const slao_safetensors_item *item) {
    size_t bytes = sizeof *item->data;
    for (int i = 0; i < item->n_dims; i++)
        bytes *= (size_t)item->shape[i];
    return bytes;
}

static slao_status add_numbers(cJSON *object, const char *key, const int64_t *numbers, int count) {
    cJSON *list = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(object, key, list));
    for (int i = 0; i < count; i++)
        SLAO_TRY(slao_json_add(list, key, cJSON_CreateNumber((double)numbers[i])));
    return SLAO_OK;
}

static slao_status add_metadata(cJSON *header, const slao_safetensors_note *notes,
                                int64_t n_notes) {
    if (n_notes == 0)
        return SLAO_OK;
    cJSON *metadata = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(header, metadata_key, metadata));
    for (int64_t i = 0; i < n_notes; i++)
        SLAO_TRY(slao_json_add_text(metadata, notes[i].key, notes[i].value));
    return SLAO_OK;
}

/* The header's text, padded; *data_size is what the tensors take. */
static slao_status make_header(char **header, size_t *size, size_t *data_size,
                               const slao_safetensors_item *const *items, int64_t n_items,
                               const slao_safetensors_note *notes, int64_t n_notes) {
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a safetensors header");
    *data_size = 0;
    char *text = NULL;
    slao_status status = add_metadata(root, notes, n_notes);
    for (int64_t i = 0; i < n_items && status == SLAO_OK; i++) {
        int64_t offsets[2] = {(int64_t)*data_size, (int64_t)(*data_size + bytes_of(items[i]))};
        cJSON *entry = cJSON_CreateObject();
        SLAO_TRY_GOTO(status, slao_json_add(root, items[i]->name, entry), done);
        SLAO_TRY_GOTO(status, slao_json_add_text(entry, "dtype", slao_dtype_name(SLAO_F32)), done);
        SLAO_TRY_GOTO(status, add_numbers(entry, "shape", items[i]->shape, items[i]->n_dims), done);
        SLAO_TRY_GOTO(status, add_numbers(entry, "data_offsets", offsets, 2), done);
        *data_size = (size_t)offsets[1];
    }
    SLAO_TRY_GOTO(status, slao_json_print(&text, root), done);
    size_t length = strlen(text);
    *size = (length + HEADER_UNIT - 1) / HEADER_UNIT * HEADER_UNIT;
    SLAO_TRY_GOTO(status, slao_allocate(header, *size, 1), done);
    memset(*header, ' ', *size);
    memcpy(*header, text, length);
done:
    free(text);
    cJSON_Delete(root);
    return status;
}

static slao_status write_sorted(const char *path, const slao_safetensors_item *const *items,
                                int64_t n_items, const slao_safetensors_note *notes,
                                int64_t n_notes) {
    char *header = NULL;
    unsigned char *bytes = NULL;
    size_t header_size = 0, data_size = 0;
    SLAO_TRY(make_header(&header, &header_size, &data_size, items, n_items, notes, n_notes));
    size_t size = LENGTH_SIZE + header_size + data_size;
    slao_status status = slao_allocate(&bytes, size, 1);
    if (status == SLAO_OK) {
        uint64_t length = header_size;
        SLAO_INVARIANT(header && bytes);
        memcpy(bytes, &length, sizeof length);
        memcpy(bytes + LENGTH_SIZE, header, header_size);
        unsigned char *to = bytes + LENGTH_SIZE + header_size;
        for (int64_t i = 0; i < n_items; i++) {
            size_t part = bytes_of(items[i]);
            if (part)
                memcpy(to, items[i]->data, part);
            to += part;
        }
        status = slao_write_file(path, bytes, size);
    }
    free(bytes);
    free(header);
    return status;
}

slao_status slao_safetensors_write(const char *path, const slao_safetensors_item *items,
                                   int64_t n_items, const slao_safetensors_note *notes,
                                   int64_t n_notes) {
    const slao_safetensors_item **sorted;
    SLAO_TRY(slao_allocate(&sorted, (size_t)n_items, sizeof *sorted));
    for (int64_t i = 0; i < n_items; i++)
        sorted[i] = &items[i];
    qsort(sorted, (size_t)n_items, sizeof *sorted, compare_items);
    for (int64_t i = 1; i < n_items; i++)
        SLAO_INVARIANT(strcmp(sorted[i - 1]->name, sorted[i]->name) != 0);
    slao_status status = write_sorted(path, sorted, n_items, notes, n_notes);
    free(sorted);
    return status;
}
