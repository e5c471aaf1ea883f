#include "base/hash.h"

#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct slao_hasher {
    XXH3_state_t *state;
};

slao_status slao_hasher_new(slao_hasher **hasher) {
    SLAO_TRY(slao_allocate(hasher, 1, sizeof **hasher));
    (*hasher)->state = XXH3_createState();
    if (!(*hasher)->state) {
        slao_hasher_free(*hasher);
        *hasher = NULL;
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a hash state");
    }
    slao_hasher_reset(*hasher);
    return SLAO_OK;
}

void slao_hasher_free(slao_hasher *hasher) {
    if (!hasher)
        return;
    XXH3_freeState(hasher->state);
    free(hasher);
}

void slao_hasher_reset(slao_hasher *hasher) {
    SLAO_INVARIANT(XXH3_128bits_reset(hasher->state) == XXH_OK);
}

static void feed(slao_hasher *hasher, const void *bytes, size_t count) {
    SLAO_INVARIANT(XXH3_128bits_update(hasher->state, bytes, count) == XXH_OK);
}

void slao_hash_bytes(slao_hasher *hasher, const void *bytes, size_t count) {
    slao_hash_integer(hasher, (int64_t)count);
    feed(hasher, bytes, count);
}

void slao_hash_text(slao_hasher *hasher, const char *text) {
    slao_hash_bytes(hasher, text, strlen(text));
}

void slao_hash_integer(slao_hasher *hasher, int64_t value) {
    unsigned char bytes[8]; /* little-endian whatever the machine: keys travel between machines */
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)value >> (8 * i));
    feed(hasher, bytes, sizeof bytes);
}

void slao_hash_real(slao_hasher *hasher, double value) {
    if (isnan(value))
        value = NAN;
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    slao_hash_integer(hasher, isnan(value) ? INT64_C(0x7ff8000000000000) : bits);
}

void slao_hash_hash(slao_hasher *hasher, slao_hash hash) {
    slao_hash_integer(hasher, (int64_t)hash.high);
    slao_hash_integer(hasher, (int64_t)hash.low);
}

slao_hash slao_hash_value(const slao_hasher *hasher) {
    XXH128_hash_t digest = XXH3_128bits_digest(hasher->state);
    return (slao_hash){.high = digest.high64, .low = digest.low64};
}

bool slao_hash_equal(slao_hash a, slao_hash b) {
    return a.high == b.high && a.low == b.low;
}

void slao_hash_to_text(slao_hash hash, char text[SLAO_HASH_TEXT]) {
    snprintf(text, SLAO_HASH_TEXT, "%016" PRIx64 "%016" PRIx64, hash.high, hash.low);
}

slao_status slao_hash_from_text(slao_hash *hash, const char *text) {
    uint64_t halves[2] = {0, 0};
    for (int i = 0; i < SLAO_HASH_TEXT - 1; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return slao_fail(SLAO_BAD_INPUT, "\"%.40s\" is not a key of 32 hex digits", text);
        halves[i / 16] = halves[i / 16] << 4 | (uint64_t)(digit - digits);
    }
    if (text[SLAO_HASH_TEXT - 1])
        return slao_fail(SLAO_BAD_INPUT, "\"%.40s\" is longer than a key of 32 hex digits", text);
    *hash = (slao_hash){.high = halves[0], .low = halves[1]};
    return SLAO_OK;
}

slao_status slao_hash_file(slao_hash *hash, const char *path) {
    slao_mapping mapping;
    SLAO_TRY(slao_map_file(&mapping, path));
    XXH128_hash_t digest = XXH3_128bits(mapping.bytes, mapping.size);
    slao_unmap_file(&mapping);
    *hash = (slao_hash){.high = digest.high64, .low = digest.low64};
    return SLAO_OK;
}

/* Where the hash of `key` is kept, in a folder that is made; NULL if it cannot be. */
static char *place_in_cache(slao_hash key) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *folder = NULL, *path = NULL, text[SLAO_HASH_TEXT];
    slao_hash_to_text(key, text);
    slao_status status = SLAO_BAD_INPUT;
    if (cache && *cache == '/')
        status = slao_join_path(&folder, cache, "slao");
    else if (home && *home == '/')
        status = slao_join_path(&folder, home, ".cache/slao");
    if (status == SLAO_OK)
        status = slao_make_folders(folder);
    if (status == SLAO_OK && slao_join_path(&path, folder, text) != SLAO_OK)
        path = NULL;
    free(folder);
    return path;
}

bool slao_hash_recall(slao_hash *hash, slao_hash key) {
    char *path = place_in_cache(key), *text = NULL;
    bool found = path && slao_is_file(path) && slao_read_text(&text, NULL, path) == SLAO_OK &&
                 slao_hash_from_text(hash, text) == SLAO_OK;
    free(text);
    free(path);
    return found;
}

void slao_hash_remember(slao_hash key, slao_hash hash) {
    char *path = place_in_cache(key), text[SLAO_HASH_TEXT];
    slao_hash_to_text(hash, text);
    if (path)
        (void)slao_write_file(path, text, strlen(text)); /* see above */
    free(path);
}
