#include "linalg/vec.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern const slao_vec_table slao_vec_baseline;
#if defined(__x86_64__)
extern const slao_vec_table slao_vec_avx2, slao_vec_avx512;
#endif

static const slao_vec_table *chosen;

static void choose(void) {
    const slao_vec_table *levels[3] = {&slao_vec_baseline};
    int n_levels = 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[n_levels++] = &slao_vec_avx2;
    if (n_levels == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        levels[n_levels++] = &slao_vec_avx512;
#endif
    chosen = levels[n_levels - 1];
    const char *asked = getenv("SLAO_VEC");
    for (int i = 0; asked && i < n_levels; i++) {
        if (strcmp(asked, levels[i]->name) == 0)
            chosen = levels[i];
    }
}

const slao_vec_table *slao_vec(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return chosen;
}
