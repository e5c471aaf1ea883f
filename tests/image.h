/* Binary files put together by hand, little-endian. Included after test.h. */
#ifndef SLAO_TESTS_IMAGE_H
#define SLAO_TESTS_IMAGE_H

typedef struct {
    unsigned char bytes[2048];
    size_t size;
} image;

static inline void put(image *file, const void *bytes, size_t count) {
    assert_true(file->size + count <= sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, count);
    file->size += count;
}

static inline void put_u32(image *file, uint32_t value) {
    put(file, &value, sizeof value);
}

static inline void put_u64(image *file, uint64_t value) {
    put(file, &value, sizeof value);
}

static inline void put_text(image *file, const char *text) {
    put_u64(file, strlen(text));
    put(file, text, strlen(text));
}

#endif
