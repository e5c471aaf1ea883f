/* model/: expansion of tensors, GGUF and safetensors files, against the Python packages gguf and
 * safetensors (tests/reference/make_gguf_fixtures.py), and files that lie. */
#include "test.h"

#include "base/random.h"
#include "fixture.h"
#include "image.h"
#include "model/gguf.h"
#include "model/safetensors.h"

static slao_gguf *open_gguf(const char *name) {
    slao_gguf *gguf;
    char *path = fixture(name);
    assert_ok(slao_gguf_open(&gguf, path));
    free(path);
    return gguf;
}

static slao_safetensors *open_safetensors(const char *name) {
    slao_safetensors *file;
    char *path = fixture(name);
    assert_ok(slao_safetensors_open(&file, path));
    free(path);
    return file;
}

static void test_expansion(void **state) {
    (void)state;
    slao_gguf *gguf = open_gguf("expansion.gguf");
    slao_safetensors *expected = open_safetensors("expansion.safetensors");
    assert_string_equal(slao_safetensors_metadata(expected, "made_by"), "gguf");
    assert_null(slao_safetensors_metadata(expected, "format"));
    assert_int_equal(slao_gguf_tensors(gguf)->count, SLAO_N_DTYPES);
    for (slao_dtype dtype = 0; dtype < SLAO_N_DTYPES; dtype++) {
        const char *name = slao_dtype_name(dtype);
        const slao_tensor *tensor = slao_tensor_list_find(slao_gguf_tensors(gguf), name);
        const slao_tensor *wanted = slao_tensor_list_find(slao_safetensors_tensors(expected), name);
        assert_non_null(tensor);
        assert_non_null(wanted);
        assert_int_equal(tensor->dtype, dtype);
        assert_int_equal(slao_dtype_by_name(name), dtype);
        assert_int_equal(tensor->n_dims, 2);
        assert_int_equal(tensor->shape[0], 3);
        assert_int_equal(tensor->shape[1], 256);
        float values[3 * 256];
        slao_expand(values, dtype, tensor->data, 3 * 256);
        for (int i = 0; i < 3 * 256; i++) {
            float value;
            memcpy(&value, wanted->data + 4 * i, sizeof value);
            if (memcmp(&value, &values[i], sizeof value) != 0)
                fail_msg("%s: element %d is %.9g, not %.9g", name, i, (double)values[i],
                         (double)value);
        }
    }
    slao_safetensors_close(expected);
    slao_gguf_close(gguf);
}

/* A part of a row, beginning and ending anywhere in its blocks, is that part of the whole. */
static void test_expansion_of_parts(void **state) {
    (void)state;
    enum { COUNT = 3 * 256 };
    slao_gguf *gguf = open_gguf("expansion.gguf");
    static const int64_t bounds[] = {0, 1, 31, 32, 48, 100, 255, 256, 300, 512, 700, COUNT};
    enum { N = sizeof bounds / sizeof *bounds };
    for (slao_dtype dtype = 0; dtype < SLAO_N_DTYPES; dtype++) {
        const slao_tensor *tensor =
            slao_tensor_list_find(slao_gguf_tensors(gguf), slao_dtype_name(dtype));
        float all[COUNT], part[COUNT + 1];
        slao_expand(all, dtype, tensor->data, COUNT);
        for (int i = 0; i < N; i++) {
            for (int j = i; j < N; j++) {
                int64_t from = bounds[i], count = bounds[j] - from;
                part[count] = 42;
                slao_expand_part(part, dtype, tensor->data, from, count);
                assert_memory_equal(part, all + from, (size_t)count * sizeof *part);
                assert_true(part[count] == 42);
            }
        }
    }
    slao_gguf_close(gguf);
}

static void test_sizes_of_types(void **state) {
    (void)state;
    size_t bytes;
    assert_ok(slao_dtype_bytes(&bytes, SLAO_Q4_1, 64));
    assert_int_equal(bytes, 40);
    assert_fails(slao_dtype_bytes(&bytes, SLAO_Q4_1, 33), SLAO_BAD_INPUT, "no whole number");
    assert_fails(slao_dtype_bytes(&bytes, SLAO_F32, INT64_MAX), SLAO_BAD_INPUT, "any file");
    assert_int_equal(slao_dtype_by_name("I8"), SLAO_N_DTYPES);
    assert_int_equal(slao_dtype_by_ggml_number(10), SLAO_N_DTYPES);
}

static void test_gguf_metadata(void **state) {
    (void)state;
    slao_gguf *gguf = open_gguf("expansion.gguf");
    bool found;
    int64_t integer = 7, count;
    double real;
    const char *text;
    const char *const *texts;
    const int64_t *integers;
    assert_ok(slao_gguf_text(gguf, "test.text", &text, NULL));
    assert_string_equal(text, "gr\xc3\xbc\xc3\x9f");
    assert_ok(slao_gguf_texts(gguf, "test.texts", &texts, &count, &found));
    assert_true(found);
    assert_int_equal(count, 3);
    assert_string_equal(texts[0], "a");
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "bc");
    assert_ok(slao_gguf_integers(gguf, "test.integers", &integers, &count, NULL));
    assert_int_equal(count, 3);
    assert_int_equal(integers[1], -1);
    assert_int_equal(integers[2], 1 << 20);
    assert_ok(slao_gguf_real(gguf, "test.real", &real, NULL));
    assert_near(real, 0.1, 0);
    assert_ok(slao_gguf_integer(gguf, "absent", &integer, &found));
    assert_false(found);
    assert_int_equal(integer, 7);
    assert_ok(slao_gguf_integer(gguf, "test.truth", &integer, NULL));
    assert_int_equal(integer, 1);
    assert_ok(slao_gguf_integer(gguf, "test.negative", &integer, NULL));
    assert_int_equal(integer, -5);
    assert_fails(slao_gguf_integer(gguf, "absent", &integer, NULL), SLAO_BAD_INPUT,
                 "key absent is missing");
    assert_fails(slao_gguf_integer(gguf, "test.large", &integer, NULL), SLAO_BAD_INPUT, "2^63");
    assert_fails(slao_gguf_integer(gguf, "test.text", &integer, &found), SLAO_BAD_INPUT,
                 "test.text must be");
    assert_fails(slao_gguf_text(gguf, "test.texts", &text, NULL), SLAO_BAD_INPUT,
                 "but is an array of type text");
    assert_fails(slao_gguf_integers(gguf, "test.texts", &integers, &count, NULL), SLAO_BAD_INPUT,
                 "test.texts must be");
    slao_gguf_close(gguf);
}

/* ---- a GGUF file made by hand ---- */

/* What the tests below change; the zero value of each is the good file. */
typedef struct {
    const char *magic, *second_name, *second_key;
    uint32_t version, n_dims, type, alignment, value_type;
    uint64_t n_tensors, n_metadata, dimension, offset, text_length, array_length;
    size_t cut; /* bytes missing at the end */
} lies;

/* Two keys (an alignment, an array of bytes), two tensors "a" and "b" of 8 floats each. */
static image make_gguf(const lies *lie) {
    image file = {.size = 0};
    put(&file, lie->magic ? lie->magic : "GGUF", 4);
    put_u32(&file, lie->version ? lie->version : 3);
    put_u64(&file, lie->n_tensors ? lie->n_tensors : 2);
    put_u64(&file, lie->n_metadata ? lie->n_metadata : 2);
    put_text(&file, "general.alignment");
    put_u32(&file, 4);
    put_u32(&file, lie->alignment ? lie->alignment : 32);
    put_text(&file, lie->second_key ? lie->second_key : "k");
    put_u32(&file, lie->value_type ? lie->value_type : 9);
    put_u32(&file, 0);
    put_u64(&file, lie->array_length ? lie->array_length : 3);
    put(&file, "xyz", 3);
    put_text(&file, "a");
    put_u32(&file, 1);
    put_u64(&file, 8);
    put_u32(&file, 0);
    put_u64(&file, 0);
    const char *name = lie->second_name ? lie->second_name : "b";
    put_u64(&file, lie->text_length ? lie->text_length : strlen(name));
    put(&file, name, strlen(name));
    put_u32(&file, lie->n_dims ? lie->n_dims : 2);
    put_u64(&file, lie->dimension ? lie->dimension : 4);
    put_u64(&file, 2);
    put_u32(&file, lie->type);
    put_u64(&file, lie->offset ? lie->offset : 32);
    while (file.size % 32)
        put(&file, "", 1);
    for (int i = 0; i < 16; i++)
        put(&file, &(float){(float)i}, sizeof(float));
    file.size -= lie->cut;
    return file;
}

static slao_status try_gguf(slao_gguf **gguf, const lies *lie) {
    image file = make_gguf(lie);
    return slao_gguf_open(gguf, scratch_file(file.bytes, file.size));
}

static void test_gguf_by_hand(void **state) {
    (void)state;
    slao_gguf *gguf;
    assert_ok(try_gguf(&gguf, &(lies){0}));
    const slao_tensor *b = slao_tensor_list_find(slao_gguf_tensors(gguf), "b");
    assert_non_null(b);
    assert_int_equal(b->shape[0], 2); /* dimensions are reversed */
    assert_int_equal(b->shape[1], 4);
    float first;
    memcpy(&first, b->data, sizeof first);
    assert_near((double)first, 8, 0);
    assert_null(slao_tensor_list_find(slao_gguf_tensors(gguf), "c"));
    slao_gguf_close(gguf);
    assert_ok(try_gguf(&gguf, &(lies){.version = 2}));
    slao_gguf_close(gguf);
}

static void test_hostile_gguf(void **state) {
    (void)state;
    const struct {
        lies lie;
        const char *message;
    } cases[] = {
        {{.magic = "GGML"}, "byte 0: not a GGUF file"},
        {{.version = 1}, "version 1"},
        {{.version = 3u << 24}, "big-endian"},
        {{.n_tensors = UINT64_C(1) << 60},
         "byte 8: header: the number of tensors is 1152921504606846976"},
        {{.n_metadata = UINT64_MAX}, "the number of metadata keys is 18446744073709551615"},
        {{.n_tensors = 3}, "tensors: the file ends within a name"},
        {{.second_key = "general.alignment"}, "key general.alignment is there twice"},
        {{.value_type = 13}, "key k has a value of the unknown type 13"},
        {{.value_type = 8},
         "k: the file ends within its value"}, /* a text whose length is the array's fields */
        {{.array_length = UINT64_MAX / 2}, "k: the length of an array is"},
        {{.array_length = 1 << 20}, "more than the rest of the file can hold"},
        {{.second_name = "a"}, "tensor a is there twice"},
        {{.second_name = ""}, "is empty or holds a zero byte"},
        {{.text_length = UINT64_MAX}, "tensors: the file ends within a name"},
        {{.n_dims = 5}, "tensor b has 5 dimensions"},
        {{.n_dims = UINT32_MAX}, "tensor b has 4294967295 dimensions"},
        {{.type = 10}, "tensor b is of ggml type 10"},
        {{.type = 3}, "tensor b: rows of 4 are no whole number of Q4_1 blocks"},
        {{.dimension = UINT64_MAX}, "tensor b: dimension 1 is negative"},
        {{.dimension = UINT64_C(1) << 62}, "more elements than can be counted"},
        {{.dimension = UINT64_C(1) << 61}, "tensor b"},
        {{.dimension = 400}, "beyond the file's end"},
        {{.offset = UINT64_MAX - 31}, "beyond the file's end"},
        {{.offset = 16}, "within what another tensor holds"},
        {{.dimension = 2, .offset = 48}, "leaves a hole"},
        {{.alignment = 24}, "not a power of two"},
        {{.alignment = 1u << 31}, "not a power of two"},
        {{.cut = 1}, "beyond the file's end"},
        {{.cut = 64 + 60}, "ends within"},
    };
    slao_gguf *gguf;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(try_gguf(&gguf, &cases[i].lie), SLAO_BAD_INPUT, cases[i].message);
        assert_non_null(strstr(slao_message(), "/tmp/slao-test-")); /* names the file */
        assert_null(gguf);
    }
    assert_fails(slao_gguf_open(&gguf, "/nonexistent.gguf"), SLAO_BAD_INPUT, "/nonexistent.gguf");
    assert_fails(slao_gguf_open(&gguf, scratch_file("", 0)), SLAO_BAD_INPUT, "not a GGUF file");
}

/* A file of one key "k" without tensors; `value` follows the type. */
static slao_status try_value(slao_gguf **gguf, uint32_t type, const void *value, size_t size) {
    image file = {.size = 0};
    put(&file, "GGUF\3\0\0", 8);
    put_u64(&file, 0);
    put_u64(&file, 1);
    put_text(&file, "k");
    put_u32(&file, type);
    put(&file, value, size);
    return slao_gguf_open(gguf, scratch_file(file.bytes, file.size));
}

static void test_odd_gguf_values(void **state) {
    (void)state;
    slao_gguf *gguf;
    const char *text;
    double real;
    const int64_t *integers;
    int64_t count;
    assert_ok(try_value(&gguf, 8, "\3\0\0\0\0\0\0\0a\0b", 11));
    assert_fails(slao_gguf_text(gguf, "k", &text, NULL), SLAO_BAD_INPUT, "k: a text holds a zero");
    slao_gguf_close(gguf);
    assert_ok(try_value(&gguf, 6, &(float){0.5F}, 4));
    assert_ok(slao_gguf_real(gguf, "k", &real, NULL));
    assert_near(real, 0.5, 0);
    slao_gguf_close(gguf);
    assert_ok(try_value(&gguf, 9, "\3\0\0\0\2\0\0\0\0\0\0\0\xfe\xff\1\0", 16));
    assert_ok(slao_gguf_integers(gguf, "k", &integers, &count, NULL));
    assert_int_equal(count, 2);
    assert_int_equal(integers[0], -2);
    assert_int_equal(integers[1], 1);
    slao_gguf_close(gguf);
    assert_fails(try_value(&gguf, 9, "\x9\0\0\0\1\0\0\0\0\0\0\0", 12), SLAO_BAD_INPUT,
                 "k is an array of arrays");
    assert_fails(
        try_value(&gguf, 9, "\xa\0\0\0\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 20),
        SLAO_BAD_INPUT, "element 0 is beyond 2^63");
}

/* Every prefix of a good file is refused. */
static void test_truncated_gguf(void **state) {
    (void)state;
    image file = make_gguf(&(lies){0});
    slao_gguf *gguf;
    for (size_t size = 0; size < file.size; size++)
        assert_fails(slao_gguf_open(&gguf, scratch_file(file.bytes, size)), SLAO_BAD_INPUT, "slao");
}

/* ---- safetensors ---- */

static slao_status try_safetensors(slao_safetensors **file, const char *header, size_t data) {
    image made = {.size = 0};
    put_text(&made, header);
    for (size_t i = 0; i < data; i++)
        put(&made, "x", 1);
    return slao_safetensors_open(file, scratch_file(made.bytes, made.size));
}

static void test_safetensors_by_hand(void **state) {
    (void)state;
    slao_safetensors *file;
    assert_ok(try_safetensors(&file,
                              "{\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[4,10]},"
                              "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                              "\"e\":{\"dtype\":\"BF16\",\"shape\":[0,5],\"data_offsets\":[4,4]}} ",
                              10));
    const slao_tensor_list *list = slao_safetensors_tensors(file);
    assert_int_equal(list->count, 3);
    assert_int_equal(slao_tensor_count(slao_tensor_list_find(list, "a")), 1);
    assert_int_equal(slao_tensor_count(slao_tensor_list_find(list, "e")), 0);
    assert_int_equal(slao_tensor_list_find(list, "b")->dtype, SLAO_F16);
    assert_null(slao_safetensors_metadata(file, "format"));
    slao_safetensors_close(file);
    assert_ok(try_safetensors(&file, "{}", 0));
    assert_int_equal(slao_safetensors_tensors(file)->count, 0);
    slao_safetensors_close(file);
}

#define ENTRY(name, dtype, shape, offsets)                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_hostile_safetensors(void **state) {
    (void)state;
    const struct {
        const char *header;
        size_t data;
        const char *message;
    } cases[] = {
        {"[]", 0, "the header must be a JSON object"},
        {"{\"a\":", 0, "JSON ends too early"},
        {"{\"a\":3}", 0, "a must be an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a.data_offsets is missing"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("a", "F32", "[1]", "[4,8]") "}", 8,
         "tensor a is there twice"},
        {"{" ENTRY("a", "F64", "[1]", "[0,8]") "}", 8, "tensor a is of type F64"},
        {"{" ENTRY("a", "Q8_0", "[32]", "[0,34]") "}", 34, "tensor a is of type Q8_0"},
        {"{" ENTRY("a", "F32", "[-1]", "[0,4]") "}", 4, "dimension 0 is negative"},
        {"{" ENTRY("a", "F32", "[1.5]", "[0,4]") "}", 4, "tensor a: shape must be a whole number"},
        {"{" ENTRY("a", "F32", "[1e300]", "[0,4]") "}", 4, "tensor a: shape must be"},
        {"{" ENTRY("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, "shape has more than 4"},
        {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "more elements than"},
        {"{" ENTRY("a", "F32", "[2147483648,2147483648]", "[0,0]") "}", 0, "any file can hold"},
        {"{" ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, "give it 4 bytes, its type and shape 8"},
        {"{" ENTRY("a", "F32", "[1]", "[4,0]") "}", 4, "do not lie within"},
        {"{" ENTRY("a", "F32", "[1]", "[-4,0]") "}", 4, "do not lie within"},
        {"{" ENTRY("a", "F32", "[1]", "[0]") "}", 4, "do not lie within"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4,8]") "}", 4, "data_offsets has more than 2"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 3, "truncated"},
        {"{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 5, "the tensors fill only 4"},
        {"{" ENTRY("a", "F32", "[1]", "[4,8]") "}", 8, "leaves a hole"},
        {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]", "[4,12]") "}", 12,
         "within what another tensor holds"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ must be an object of texts"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
    };
    slao_safetensors *file;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(try_safetensors(&file, cases[i].header, cases[i].data), SLAO_BAD_INPUT,
                     cases[i].message);
        assert_non_null(strstr(slao_message(), "/tmp/slao-test-"));
        assert_null(file);
    }
    const uint64_t lengths[] = {100000001, 99999999, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_fails(slao_safetensors_open(&file, scratch_file(&lengths[i], sizeof lengths[i])),
                     SLAO_BAD_INPUT, "byte 0: a header of");
    assert_fails(slao_safetensors_open(&file, scratch_file("abc", 3)), SLAO_BAD_INPUT, "truncated");
    assert_fails(slao_safetensors_open(&file, "/nonexistent"), SLAO_BAD_INPUT, "/nonexistent");
}

/* A header of brackets alone must not exhaust the stack. */
static void test_deep_header(void **state) {
    (void)state;
    enum { DEPTH = 1 << 20 };
    char *bytes;
    assert_ok(slao_allocate(&bytes, DEPTH + 8, 1));
    uint64_t length = DEPTH;
    memcpy(bytes, &length, sizeof length);
    memset(bytes + 8, '[', DEPTH);
    slao_safetensors *file;
    assert_fails(slao_safetensors_open(&file, scratch_file(bytes, DEPTH + 8)), SLAO_BAD_INPUT,
                 "JSON");
    free(bytes);
}

/* What we write, the Python package wrote: the expected values of expansion.gguf, byte by byte. */
static void test_written_as_python_writes(void **state) {
    (void)state;
    slao_safetensors *file = open_safetensors("expansion.safetensors");
    const slao_tensor_list *list = slao_safetensors_tensors(file);
    slao_safetensors_item items[SLAO_N_DTYPES];
    assert_int_equal(list->count, SLAO_N_DTYPES);
    for (int64_t i = 0; i < list->count; i++) {
        const slao_tensor *tensor = &list->tensors[list->count - 1 - i];
        items[i] = (slao_safetensors_item){tensor->name, 2, {3, 256}, NULL};
        float *values;
        assert_ok(slao_allocate(&values, 3 * 256, sizeof *values));
        memcpy(values, tensor->data, tensor->bytes);
        items[i].data = values;
    }
    const slao_safetensors_note note = {"made_by", "gguf"};
    const char *path = scratch_file("", 0);
    assert_ok(slao_safetensors_write(path, items, list->count, &note, 1));
    for (int64_t i = 0; i < list->count; i++)
        free((void *)(uintptr_t)items[i].data);
    slao_safetensors_close(file);
    char *original = fixture("expansion.safetensors"), *wanted, *written;
    size_t wanted_size, written_size;
    assert_ok(slao_read_text(&wanted, &wanted_size, original));
    assert_ok(slao_read_text(&written, &written_size, path));
    assert_int_equal(written_size, wanted_size);
    assert_memory_equal(written, wanted, wanted_size);
    free(original);
    free(wanted);
    free(written);
}

static void test_written_scalars_and_odd_names(void **state) {
    (void)state;
    const float values[] = {1.5F, -2, 3};
    const slao_safetensors_item items[] = {
        {"z \"quoted\"\n", 1, {3}, values}, {"loss", 0, {0}, values}, {"empty", 2, {0, 4}, NULL}};
    const char *path = scratch_file("", 0);
    assert_ok(slao_safetensors_write(path, items, 3, NULL, 0));
    slao_safetensors *file;
    assert_ok(slao_safetensors_open(&file, path));
    const slao_tensor *loss = slao_tensor_list_find(slao_safetensors_tensors(file), "loss");
    const slao_tensor *odd = slao_tensor_list_find(slao_safetensors_tensors(file), items[0].name);
    assert_non_null(loss);
    assert_non_null(odd);
    assert_int_equal(loss->n_dims, 0);
    assert_memory_equal(loss->data, values, 4);
    assert_memory_equal(odd->data, values, 12);
    slao_safetensors_close(file);
    assert_fails(slao_safetensors_write("/nonexistent/x", items, 3, NULL, 0), SLAO_BAD_INPUT,
                 "/nonexistent/x");
}

/* ---- random damage ---- */

/* Many files with a few damaged bytes are read or refused, never anything else: what can be
 * read is read to its last byte, so that the sanitizers see it. */
static void test_damaged_files(void **state) {
    (void)state;
    enum { TIMES = 2000 };
    char *good[2];
    size_t size[2], refused = 0;
    image by_hand = make_gguf(&(lies){0});
    assert_ok(slao_allocate(&good[0], by_hand.size, 1));
    memcpy(good[0], by_hand.bytes, size[0] = by_hand.size);
    char *path = fixture("tiny/model.safetensors");
    assert_ok(slao_read_text(&good[1], &size[1], path));
    free(path);
    slao_random random = slao_random_stream(1, "damage", "", 0);
    for (int i = 0; i < TIMES; i++) {
        int kind = i % 2;
        /* the headers are what is worth damaging */
        size_t length = size[kind] - (kind ? 38000 : 64);
        char *bytes;
        assert_ok(slao_allocate(&bytes, size[kind], 1));
        memcpy(bytes, good[kind], size[kind]);
        for (uint64_t n = slao_random_below(&random, 4) + 1; n > 0; n--) {
            size_t at = (size_t)slao_random_below(&random, length);
            static const char odd[] = {0, 1, 127, -128, -1, '[', '"', '9', '-', '}'};
            uint64_t choice = slao_random_below(&random, sizeof odd + 2);
            bytes[at] = choice < sizeof odd ? odd[choice] : (char)slao_random_bits(&random);
        }
        size_t kept = i % 8 < 6 ? size[kind] : (size_t)slao_random_below(&random, size[kind]);
        const char *file_path = scratch_file(bytes, kept);
        free(bytes);
        slao_gguf *gguf = NULL;
        slao_safetensors *file = NULL;
        slao_status status =
            kind ? slao_safetensors_open(&file, file_path) : slao_gguf_open(&gguf, file_path);
        if (status != SLAO_OK) {
            assert_int_equal(status, SLAO_BAD_INPUT);
            refused++;
            continue;
        }
        const slao_tensor_list *list =
            kind ? slao_safetensors_tensors(file) : slao_gguf_tensors(gguf);
        for (int64_t j = 0; j < list->count; j++) {
            float *values;
            int64_t count = slao_tensor_count(&list->tensors[j]);
            assert_ok(slao_allocate(&values, (size_t)count, sizeof *values));
            slao_expand(values, list->tensors[j].dtype, list->tensors[j].data, count);
            free(values);
        }
        slao_gguf_close(gguf);
        slao_safetensors_close(file);
    }
    assert_true(refused > TIMES / 4 && refused < TIMES);
    free(good[0]);
    free(good[1]);
}

static int remove_scratch_file(void **state) {
    (void)state;
    return unlink(scratch_file("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_expansion_of_parts),
        cmocka_unit_test(test_sizes_of_types),
        cmocka_unit_test(test_gguf_metadata),
        cmocka_unit_test(test_gguf_by_hand),
        cmocka_unit_test(test_hostile_gguf),
        cmocka_unit_test(test_odd_gguf_values),
        cmocka_unit_test(test_truncated_gguf),
        cmocka_unit_test(test_safetensors_by_hand),
        cmocka_unit_test(test_hostile_safetensors),
        cmocka_unit_test(test_deep_header),
        cmocka_unit_test(test_written_as_python_writes),
        cmocka_unit_test(test_written_scalars_and_odd_names),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, remove_scratch_file);
}
