/* Content hashes: 128-bit XXH3 of a stream of typed fields.
 *
 * Each field is fed with its length or width, so that two different lists of fields never give the
 * same stream. Keys of steps, trial ids, fingerprints and the keys of random streams are all made
 * here.
 */
#ifndef SLAO_BASE_HASH_H
#define SLAO_BASE_HASH_H

#include "base/status.h"

#include <stdint.h>

typedef struct {
    uint64_t high, low;
} slao_hash;

typedef struct slao_hasher slao_hasher;

slao_status slao_hasher_new(slao_hasher **hasher);
void slao_hasher_free(slao_hasher *hasher); /* NULL is allowed */
void slao_hasher_reset(slao_hasher *hasher);
void slao_hash_bytes(slao_hasher *hasher, const void *bytes, size_t count);
void slao_hash_text(slao_hasher *hasher, const char *text);
void slao_hash_integer(slao_hasher *hasher, int64_t value);
void slao_hash_real(slao_hasher *hasher, double value); /* its bits; every NaN counts as the same */
void slao_hash_hash(slao_hasher *hasher, slao_hash hash);
slao_hash slao_hash_value(const slao_hasher *hasher);

bool slao_hash_equal(slao_hash a, slao_hash b);

/* 32 lower-case hex digits and a NUL. */
enum { SLAO_HASH_TEXT = 33 };
void slao_hash_to_text(slao_hash hash, char text[SLAO_HASH_TEXT]);
slao_status slao_hash_from_text(slao_hash *hash, const char *text);

/* Hash of a file's bytes. */
slao_status slao_hash_file(slao_hash *hash, const char *path);

/* Hashes that take long to compute, kept in the user's cache folder ($XDG_CACHE_HOME/slao, or
 * ~/.cache/slao) under another hash, of what tells that nothing has changed. Where there is no such
 * folder, or it cannot be read or written, nothing is kept: that costs time and nothing else. */
bool slao_hash_recall(slao_hash *hash, slao_hash key);
void slao_hash_remember(slao_hash key, slao_hash hash);

#endif
