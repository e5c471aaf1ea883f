#include "linalg/threads.h"

#include <limits.h>
#include <omp.h>

static int threads = 1;

slao_status slao_threads_set(int64_t count) {
    if (count < 1 || count > INT_MAX)
        return slao_fail(SLAO_BAD_INPUT, "the number of threads must be at least 1, not %lld",
                         (long long)count);
    threads = (int)count;
    return SLAO_OK;
}

int slao_threads(void) {
    return threads;
}

int slao_threads_for(int64_t operations) {
    enum { WORTH_WAKING = 200000 }; /* some 10 us of one core */
    return operations < WORTH_WAKING ? 1 : threads;
}

int slao_thread(void) {
    return omp_get_thread_num();
}
