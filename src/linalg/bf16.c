#include "linalg/bf16.h"

#include <pthread.h>
#include <stdbool.h>

#if defined(SLAO_AMX)
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const slao_bf16_unit slao_bf16_amx;

static const slao_bf16_unit *find(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    const char *asked = getenv("SLAO_BF16");
    if (asked && strcmp(asked, "none") == 0)
        return NULL;
    __builtin_cpu_init();
    bool there = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-tile") &&
                 __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
    /* Linux gives the registers of the tiles to who asks for them. */
    there = there && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
    return there ? &slao_bf16_amx : NULL;
}
#else
static const slao_bf16_unit *find(void) {
    return NULL;
}
#endif

static const slao_bf16_unit *found;

static void choose(void) {
    found = find();
}

const slao_bf16_unit *slao_bf16(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return found;
}

slao_status slao_precision_need(slao_precision precision) {
    if (precision != SLAO_PRECISION_BF16 || slao_bf16())
        return SLAO_OK;
    return slao_fail(SLAO_NO_RESOURCE,
                     "this CPU has no unit for products in bf16 (AMX_BF16): use a machine "
                     "that has one, or \"matmul_precision\": \"fp32\"");
}
