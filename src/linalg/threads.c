#include "linalg/threads.h"

#include "base/profile.h"

#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>

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
    return operations < WORTH_WAKING || omp_in_parallel() ? 1 : threads;
}

int slao_thread(void) {
    return omp_get_thread_num();
}

/* ---- Strands ---- */

/* What the threads have in common while pieces are computed. */
typedef struct {
    const slao_pieces *pieces;
    pthread_mutex_t lock;
    pthread_cond_t gathered;
    int64_t next; /* to be gathered */
    slao_status status;
    char message[1024];
} shared;

int slao_strands(int64_t count) {
    return count >= threads && !omp_in_parallel() ? threads : 1;
}

static bool failed(shared *s) {
    pthread_mutex_lock(&s->lock);
    bool yes = s->status != SLAO_OK;
    pthread_mutex_unlock(&s->lock);
    return yes;
}

/* A piece's end, when its turn has come. */
static void end_piece(shared *s, int strand, int64_t i, slao_status status) {
    pthread_mutex_lock(&s->lock);
    while (s->pieces->gather && s->next != i)
        pthread_cond_wait(&s->gathered, &s->lock);
    if (s->status == SLAO_OK && status != SLAO_OK) {
        s->status = status;
        snprintf(s->message, sizeof s->message, "%s", slao_message());
    }
    if (s->pieces->gather && s->status == SLAO_OK)
        s->pieces->gather(s->pieces->context, strand, i);
    s->next++;
    pthread_cond_broadcast(&s->gathered);
    pthread_mutex_unlock(&s->lock);
}

/* A thread each. */
static slao_status run_beside(const slao_pieces *pieces, int64_t count) {
    shared s = {
        .pieces = pieces, .lock = PTHREAD_MUTEX_INITIALIZER, .gathered = PTHREAD_COND_INITIALIZER};
#pragma omp parallel num_threads(threads)
    {
        int strand = slao_thread();
        slao_profile_share(threads);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count; i++) {
            slao_status status = failed(&s) ? SLAO_OK : pieces->compute(pieces->context, strand, i);
            end_piece(&s, strand, i, status);
        }
        slao_profile_unshare();
    }
    return s.status == SLAO_OK ? SLAO_OK : slao_fail(s.status, "%s", s.message);
}

slao_status slao_strands_run(const slao_pieces *pieces, int64_t count) {
    int strands = slao_strands(count);
    int64_t beside = strands > 1 ? count / strands * strands : 0;
    if (beside)
        SLAO_TRY(run_beside(pieces, beside));
    for (int64_t i = beside; i < count; i++) {
        SLAO_TRY(pieces->compute(pieces->context, 0, i));
        if (pieces->gather)
            pieces->gather(pieces->context, 0, i);
    }
    return SLAO_OK;
}
