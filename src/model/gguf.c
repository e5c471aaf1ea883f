#include "model/gguf.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef enum {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    BOOL,
    TEXT,
    ARRAY,
    U64,
    I64,
    F64,
    N_TYPES
} value_type;

typedef enum { INTEGER, REAL, WORDS, LIST } value_kind;

static const struct {
    const char *name;
    value_kind kind;
    size_t size; /* bytes of a value; of texts and arrays, the least there can be */
} types[N_TYPES] = {
    [U8] = {"u8", INTEGER, 1},     [I8] = {"i8", INTEGER, 1},     [U16] = {"u16", INTEGER, 2},
    [I16] = {"i16", INTEGER, 2},   [U32] = {"u32", INTEGER, 4},   [I32] = {"i32", INTEGER, 4},
    [F32] = {"f32", REAL, 4},      [BOOL] = {"bool", INTEGER, 1}, [TEXT] = {"text", WORDS, 8},
    [ARRAY] = {"array", LIST, 12}, [U64] = {"u64", INTEGER, 8},   [I64] = {"i64", INTEGER, 8},
    [F64] = {"f64", REAL, 8},
};

/* A key and its value. Texts are copied so that they end in a NUL; numbers stay in the file but for
 * arrays of integers, which are widened. */
typedef struct {
    const char *key;
    value_type type, element; /* element: of an array */
    int64_t count;            /* of an array */
    const unsigned char *bytes;
    const char *text;
    const char **texts;
    int64_t *integers;
    bool zero_byte; /* a text holds one: it cannot be given out NUL-terminated */
} entry;

struct slao_gguf {
    char *path;
    slao_mapping file;
    slao_arena *arena; /* names, texts and arrays */
    entry *entries;    /* sorted by key */
    int64_t n_entries;
    slao_tensor_list tensors;
};

/* Where reading stands. */
typedef struct {
    const unsigned char *bytes;
    size_t size, at;          /* size: what may be read, no more than HEAD_MOST bytes of the file */
    const char *path, *owner; /* owner: what is being read, for messages */
} cursor;

/* What comes before the data: a vocabulary of 2^18 tokens and its merges take 20 MB. The limit
 * keeps small what a file that claims much can make us allocate. */
enum { HEAD_MOST = 1 << 26 };

static slao_status take(cursor *c, const unsigned char **bytes, uint64_t count, const char *what) {
    *bytes = c->bytes + c->at;
    if (count > c->size - c->at)
        return slao_fail(
            SLAO_BAD_INPUT,
            c->size < HEAD_MOST
                ? "%s: byte %zu: %s: the file ends within %s: it is truncated or damaged"
                : "%s: byte %zu: %s: %s goes beyond the 64 MB that there may be before "
                  "the data: it is damaged",
            c->path, c->at, c->owner, what);
    c->at += (size_t)count;
    return SLAO_OK;
}

static slao_status take_u32(cursor *c, uint32_t *value, const char *what) {
    const unsigned char *bytes;
    SLAO_TRY(take(c, &bytes, sizeof *value, what));
    memcpy(value, bytes, sizeof *value);
    return SLAO_OK;
}

static slao_status take_u64(cursor *c, uint64_t *value, const char *what) {
    const unsigned char *bytes;
    SLAO_TRY(take(c, &bytes, sizeof *value, what));
    memcpy(value, bytes, sizeof *value);
    return SLAO_OK;
}

/* A count of things that take at least `least` bytes each: more than the rest of the file can hold
 * is refused before anything is allocated for them. */
static slao_status take_count(cursor *c, int64_t *count, size_t least, const char *what) {
    size_t at = c->at;
    uint64_t value = 0;
    SLAO_TRY(take_u64(c, &value, what));
    if (value > (c->size - c->at) / least)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte %zu: %s: %s is %llu, more than the rest of the file%s can "
                         "hold: it is truncated or damaged",
                         c->path, at, c->owner, what, (unsigned long long)value,
                         c->size < HEAD_MOST ? "" : "'s first 64 MB");
    *count = (int64_t)value;
    return SLAO_OK;
}

static slao_status take_text(cursor *c, slao_arena *arena, const char **text, bool *zero_byte,
                             const char *what) {
    uint64_t length = 0;
    const unsigned char *bytes;
    SLAO_TRY(take_u64(c, &length, what));
    SLAO_TRY(take(c, &bytes, length, what));
    char *copy;
    SLAO_TRY(slao_arena_take(arena, &copy, (size_t)length + 1, 1));
    memcpy(copy, bytes, (size_t)length);
    copy[length] = '\0';
    *zero_byte |= strlen(copy) != length;
    *text = copy;
    return SLAO_OK;
}

/* A key or the name of a tensor: the owner of what follows. */
static slao_status take_name(cursor *c, slao_arena *arena, const char **name, const char *what) {
    size_t at = c->at;
    bool zero_byte = false;
    SLAO_TRY(take_text(c, arena, name, &zero_byte, what));
    if (zero_byte || !**name)
        return slao_fail(SLAO_BAD_INPUT, "%s: byte %zu: %s: %s is empty or holds a zero byte",
                         c->path, at, c->owner, what);
    c->owner = *name;
    return SLAO_OK;
}

static slao_status take_type(cursor *c, value_type *type, const char *key) {
    size_t at = c->at;
    uint32_t number = 0;
    SLAO_TRY(take_u32(c, &number, "its type"));
    if (number >= N_TYPES)
        return slao_fail(SLAO_BAD_INPUT, "%s: byte %zu: key %s has a value of the unknown type %u",
                         c->path, at, key, number);
    *type = (value_type)number;
    return SLAO_OK;
}

/* False for a number that an int64_t does not hold. */
static bool widen(int64_t *value, value_type type, const unsigned char *bytes) {
    uint64_t bits = 0, sign = 0;
    memcpy(&bits, bytes, types[type].size);
    if (type == I8 || type == I16 || type == I32)
        sign = UINT64_C(1) << (8 * types[type].size - 1);
    *value = (int64_t)((bits ^ sign) - sign);
    return type != U64 || bits <= INT64_MAX;
}

static slao_status read_array(cursor *c, slao_arena *arena, entry *e) {
    SLAO_TRY(take_type(c, &e->element, e->key));
    if (e->element == ARRAY)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte %zu: key %s is an array of arrays, which slao does not read",
                         c->path, c->at, e->key);
    SLAO_TRY(take_count(c, &e->count, types[e->element].size, "the length of an array"));
    size_t count = (size_t)e->count;
    if (types[e->element].kind == WORDS) {
        SLAO_TRY(slao_arena_take(arena, &e->texts, count, sizeof *e->texts));
        for (size_t i = 0; i < count; i++)
            SLAO_TRY(take_text(c, arena, &e->texts[i], &e->zero_byte, "a text of the array"));
        return SLAO_OK;
    }
    size_t size = types[e->element].size;
    SLAO_TRY(take(c, &e->bytes, count * size, "an array"));
    if (types[e->element].kind == REAL)
        return SLAO_OK;
    SLAO_TRY(slao_arena_take(arena, &e->integers, count, sizeof *e->integers));
    for (size_t i = 0; i < count; i++) {
        if (!widen(&e->integers[i], e->element, e->bytes + i * size))
            return slao_fail(SLAO_BAD_INPUT, "%s: key %s: element %zu is beyond 2^63", c->path,
                             e->key, i);
    }
    return SLAO_OK;
}

static slao_status read_entry(cursor *c, slao_arena *arena, entry *e) {
    c->owner = "metadata";
    SLAO_TRY(take_name(c, arena, &e->key, "a key"));
    SLAO_TRY(take_type(c, &e->type, e->key));
    switch (types[e->type].kind) {
    case INTEGER:
    case REAL:
        return take(c, &e->bytes, types[e->type].size, "its value");
    case WORDS:
        return take_text(c, arena, &e->text, &e->zero_byte, "its value");
    case LIST:
        return read_array(c, arena, e);
    }
    return SLAO_OK;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static slao_status read_metadata(slao_gguf *gguf, cursor *c, int64_t count) {
    SLAO_TRY(slao_allocate(&gguf->entries, (size_t)count, sizeof *gguf->entries));
    for (int64_t i = 0; i < count; i++)
        SLAO_TRY(read_entry(c, gguf->arena, &gguf->entries[i]));
    gguf->n_entries = count;
    qsort(gguf->entries, (size_t)count, sizeof *gguf->entries, compare_keys);
    for (int64_t i = 1; i < count; i++) {
        if (strcmp(gguf->entries[i - 1].key, gguf->entries[i].key) == 0)
            return slao_fail(SLAO_BAD_INPUT, "%s: key %s is there twice", gguf->path,
                             gguf->entries[i].key);
    }
    return SLAO_OK;
}

/* Reads one tensor's description; its offset from the start of the data is left in *offset. */
static slao_status read_tensor(cursor *c, slao_arena *arena, slao_tensor *tensor,
                               uint64_t *offset) {
    size_t at = c->at;
    uint32_t n_dims = 0, number = 0;
    c->owner = "tensors";
    SLAO_TRY(take_name(c, arena, &tensor->name, "a name"));
    SLAO_TRY(take_u32(c, &n_dims, "its number of dimensions"));
    if (n_dims > SLAO_MAX_DIMS)
        return slao_fail(SLAO_BAD_INPUT, "%s: byte %zu: tensor %s has %u dimensions, more than %d",
                         c->path, at, tensor->name, n_dims, SLAO_MAX_DIMS);
    int64_t shape[SLAO_MAX_DIMS];
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t size = 0;
        SLAO_TRY(take_u64(c, &size, "its dimensions"));
        /* what does not fit becomes -1 and is refused with the negative ones */
        shape[n_dims - 1 - i] = size <= INT64_MAX ? (int64_t)size : -1;
    }
    SLAO_TRY(take_u32(c, &number, "its type"));
    SLAO_TRY(take_u64(c, offset, "its offset"));
    slao_dtype dtype = slao_dtype_by_ggml_number(number);
    if (dtype == SLAO_N_DTYPES)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte %zu: tensor %s is of ggml type %u, which slao does not read",
                         c->path, at, tensor->name, number);
    SLAO_TRY_IN(slao_tensor_describe(tensor, dtype, (int)n_dims, shape), "%s: byte %zu", c->path,
                at);
    return SLAO_OK;
}

static slao_status read_alignment(const slao_gguf *gguf, size_t *alignment) {
    enum { DEFAULT = 32, MOST = 1 << 20 };
    int64_t value = DEFAULT;
    bool found;
    SLAO_TRY(slao_gguf_integer(gguf, "general.alignment", &value, &found));
    if (value < 1 || value > MOST || (value & (value - 1)) != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: general.alignment is %lld, not a power of two",
                         gguf->path, (long long)value);
    *alignment = (size_t)value;
    return SLAO_OK;
}

static slao_status place_tensors(slao_gguf *gguf, cursor *c, const uint64_t *offsets) {
    size_t alignment = 1, end;
    SLAO_TRY(read_alignment(gguf, &alignment));
    size_t start = (c->at + alignment - 1) / alignment * alignment, size = gguf->file.size;
    if (start > size)
        start = size; /* allowed where there is no data at all */
    for (int64_t i = 0; i < gguf->tensors.count; i++) {
        slao_tensor *tensor = &gguf->tensors.tensors[i];
        size_t room = size - start;
        if (offsets[i] > room || tensor->bytes > room - offsets[i])
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: tensor %s: %zu bytes from byte %zu + %llu on reach beyond the "
                             "file's end at %zu: it is truncated or damaged",
                             c->path, tensor->name, tensor->bytes, start,
                             (unsigned long long)offsets[i], size);
        tensor->data = c->bytes + start + offsets[i];
    }
    SLAO_TRY_IN(slao_tensor_list_index(&gguf->tensors), "%s", gguf->path);
    SLAO_TRY_IN(slao_tensor_list_check_layout(&gguf->tensors, c->bytes + start, alignment, &end),
                "%s", gguf->path);
    return SLAO_OK;
}

static slao_status read_tensors(slao_gguf *gguf, cursor *c, int64_t count) {
    uint64_t *offsets;
    SLAO_TRY(slao_allocate(&gguf->tensors.tensors, (size_t)count, sizeof *gguf->tensors.tensors));
    SLAO_TRY(slao_allocate(&offsets, (size_t)count, sizeof *offsets));
    gguf->tensors.count = count;
    slao_status status = SLAO_OK;
    for (int64_t i = 0; i < count && status == SLAO_OK; i++)
        status = read_tensor(c, gguf->arena, &gguf->tensors.tensors[i], &offsets[i]);
    if (status == SLAO_OK)
        status = place_tensors(gguf, c, offsets);
    free(offsets);
    return status;
}

static slao_status read_file(slao_gguf *gguf) {
    enum {
        LEAST_ENTRY = 8 + 1 + 4 + 1,     /* a key of one letter and a value of one byte */
        LEAST_TENSOR = 8 + 1 + 4 + 4 + 8 /* a name of one letter and no dimension */
    };
    cursor c = {.bytes = gguf->file.bytes,
                .size = gguf->file.size < HEAD_MOST ? gguf->file.size : HEAD_MOST,
                .path = gguf->path,
                .owner = "header"};
    const unsigned char *magic;
    uint32_t version = 0;
    if (c.size < 4 || memcmp(c.bytes, "GGUF", 4) != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: byte 0: not a GGUF file: it does not begin with GGUF",
                         c.path);
    SLAO_TRY(take(&c, &magic, 4, "the magic"));
    SLAO_TRY(take_u32(&c, &version, "the version"));
    if (version != 2 && version != 3)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: byte 4: GGUF version %u, but slao reads versions 2 and 3%s", c.path,
                         version, version & 0xffff ? "" : " (this is a big-endian file)");
    int64_t n_tensors = 0, n_metadata = 0;
    SLAO_TRY(take_count(&c, &n_tensors, LEAST_TENSOR, "the number of tensors"));
    SLAO_TRY(take_count(&c, &n_metadata, LEAST_ENTRY, "the number of metadata keys"));
    SLAO_TRY(read_metadata(gguf, &c, n_metadata));
    return read_tensors(gguf, &c, n_tensors);
}

slao_status slao_gguf_open(slao_gguf **gguf, const char *path) {
    SLAO_TRY(slao_allocate(gguf, 1, sizeof **gguf));
    slao_status status = slao_copy_text(&(*gguf)->path, path);
    if (status == SLAO_OK)
        status = slao_arena_new(&(*gguf)->arena);
    if (status == SLAO_OK)
        status = slao_map_file(&(*gguf)->file, path);
    if (status == SLAO_OK)
        status = read_file(*gguf);
    if (status != SLAO_OK) {
        slao_gguf_close(*gguf);
        *gguf = NULL;
    }
    return status;
}

void slao_gguf_close(slao_gguf *gguf) {
    if (!gguf)
        return;
    slao_tensor_list_free(&gguf->tensors);
    free(gguf->entries);
    slao_arena_free(gguf->arena);
    slao_unmap_file(&gguf->file);
    free(gguf->path);
    free(gguf);
}

const slao_mapping *slao_gguf_file(const slao_gguf *gguf) {
    return &gguf->file;
}

const slao_tensor_list *slao_gguf_tensors(const slao_gguf *gguf) {
    return &gguf->tensors;
}

/* The entry of `key`, checked to be of `kind` (an array of it, if `array`); NULL in *e where the
 * key is absent and that is allowed. */
static slao_status find_entry(const slao_gguf *gguf, const char *key, value_kind kind, bool array,
                              const entry **e, bool *found) {
    static const char *const kinds[] = {
        [INTEGER] = "integer", [REAL] = "real number", [WORDS] = "text"};
    entry wanted = {.key = key};
    *e = bsearch(&wanted, gguf->entries, (size_t)gguf->n_entries, sizeof *gguf->entries,
                 compare_keys);
    if (found)
        *found = *e != NULL;
    if (!*e)
        return found ? SLAO_OK
                     : slao_fail(SLAO_BAD_INPUT, "%s: the key %s is missing", gguf->path, key);
    bool is_array = (*e)->type == ARRAY;
    value_type type = is_array ? (*e)->element : (*e)->type;
    if (is_array != array || types[type].kind != kind)
        return slao_fail(SLAO_BAD_INPUT, "%s: key %s must be %s of kind %s, but is %s of type %s",
                         gguf->path, key, array ? "an array" : "a value", kinds[kind],
                         is_array ? "an array" : "a value", types[type].name);
    if ((*e)->zero_byte)
        return slao_fail(SLAO_BAD_INPUT, "%s: key %s: a text holds a zero byte", gguf->path, key);
    return SLAO_OK;
}

slao_status slao_gguf_integer(const slao_gguf *gguf, const char *key, int64_t *value, bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, INTEGER, false, &e, found));
    if (e && !widen(value, e->type, e->bytes))
        return slao_fail(SLAO_BAD_INPUT, "%s: key %s is beyond 2^63", gguf->path, key);
    return SLAO_OK;
}

static double real_at(const unsigned char *bytes, value_type type) {
    double value;
    float narrow;
    if (type == F64) {
        memcpy(&value, bytes, sizeof value);
        return value;
    }
    memcpy(&narrow, bytes, sizeof narrow);
    return (double)narrow;
}

slao_status slao_gguf_real(const slao_gguf *gguf, const char *key, double *value, bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, REAL, false, &e, found));
    if (e)
        *value = real_at(e->bytes, e->type);
    return SLAO_OK;
}

slao_status slao_gguf_text(const slao_gguf *gguf, const char *key, const char **value,
                           bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, WORDS, false, &e, found));
    if (e)
        *value = e->text;
    return SLAO_OK;
}

slao_status slao_gguf_texts(const slao_gguf *gguf, const char *key, const char *const **values,
                            int64_t *count, bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, WORDS, true, &e, found));
    if (e) {
        *values = e->texts;
        *count = e->count;
    }
    return SLAO_OK;
}

slao_status slao_gguf_integers(const slao_gguf *gguf, const char *key, const int64_t **values,
                               int64_t *count, bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, INTEGER, true, &e, found));
    if (e) {
        *values = e->integers;
        *count = e->count;
    }
    return SLAO_OK;
}

slao_status slao_gguf_reals(const slao_gguf *gguf, const char *key, double **values, int64_t *count,
                            bool *found) {
    const entry *e;
    SLAO_TRY(find_entry(gguf, key, REAL, true, &e, found));
    if (!e)
        return SLAO_OK;
    SLAO_TRY(slao_allocate(values, (size_t)e->count, sizeof **values));
    for (int64_t i = 0; i < e->count; i++)
        (*values)[i] = real_at(e->bytes + (size_t)i * types[e->element].size, e->element);
    *count = e->count;
    return SLAO_OK;
}
