#include "base/random.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

static void philox_block(const slao_random *random, uint32_t values[4]) {
    uint32_t k0 = random->key[0], k1 = random->key[1];
    uint32_t c[4] = {(uint32_t)random->block, (uint32_t)(random->block >> 32),
                     (uint32_t)random->stream, (uint32_t)(random->stream >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c[0], p1 = UINT64_C(0xCD9E8D57) * c[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1,
                            (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
        memcpy(c, next, sizeof c);
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    memcpy(values, c, sizeof c);
}

slao_random slao_random_stream(uint64_t seed, const char *purpose, const char *name,
                               uint64_t index) {
    uint64_t key = XXH3_64bits_withSeed(purpose, strlen(purpose), seed);
    key = XXH3_64bits_withSeed(name, strlen(name), key);
    return (slao_random){.key = {(uint32_t)key, (uint32_t)(key >> 32)}, .stream = index};
}

uint32_t slao_random_bits(slao_random *random) {
    if (random->left == 0) {
        philox_block(random, random->values);
        random->block++;
        random->left = 4;
    }
    return random->values[4 - random->left--];
}

static uint64_t bits64(slao_random *random) {
    uint64_t low = slao_random_bits(random);
    return low | (uint64_t)slao_random_bits(random) << 32;
}

double slao_random_uniform(slao_random *random) {
    return (double)(bits64(random) >> 11) * 0x1p-53;
}

uint64_t slao_random_below(slao_random *random, uint64_t bound) {
    SLAO_INVARIANT(bound > 0);
    uint64_t limit =
        UINT64_MAX - UINT64_MAX % bound; /* values from here on would favour small results */
    uint64_t value = bits64(random);
    while (value >= limit)
        value = bits64(random);
    return value % bound;
}

double slao_random_normal(slao_random *random) {
    /* Box-Muller, one value of the pair: 1 - u lies in (0, 1], where the logarithm is finite. */
    double radius = sqrt(-2.0 * log(1.0 - slao_random_uniform(random)));
    return radius * cos(6.283185307179586476925 * slao_random_uniform(random));
}

void slao_random_permutation(slao_random *random, int64_t *order, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = (int64_t)slao_random_below(random, (uint64_t)i + 1);
        int64_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
