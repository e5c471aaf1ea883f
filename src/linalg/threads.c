#include "linalg/threads.h"

#include "base/memory.h"
#include "base/profile.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static int threads = 1;
static atomic_int idle; /* threads that wait for the last pieces of others */

slao_status slao_threads_set(int64_t count) {
    /* Each has buffers of products, whether there is a core for it or not. */
    enum { MOST = 1024 };
    if (count < 1 || count > MOST)
        return slao_fail(SLAO_BAD_INPUT,
                         "the number of threads must be at least 1 and at most %d, not %lld", MOST,
                         (long long)count);
    threads = (int)count;
    return SLAO_OK;
}

int slao_threads(void) {
    return threads;
}

enum { WORTH_WAKING = 200000 }; /* operations; some 10 us of one core */

int slao_threads_for(int64_t operations) {
    return operations < WORTH_WAKING || omp_in_parallel() ? 1 : threads;
}

int slao_helpers_for(int64_t operations) {
    bool alone = omp_get_level() > 1; /* in a loop within the piece */
    return operations < WORTH_WAKING || alone ? 0 : atomic_load(&idle);
}

int slao_thread(void) {
    return omp_get_thread_num();
}

/* ---- Pieces ---- */

enum { FREE = -1 };

typedef struct {
    int64_t piece; /* whose result it holds, or will hold; FREE */
    bool done;
} result;

/* What the threads have in common, under the lock. */
typedef struct {
    const slao_pieces *pieces;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t begun, gathered; /* the next piece to be begun, and to be gathered */
    result *outputs;
    slao_status status; /* of the first failure */
    char message[SLAO_MESSAGE_SIZE];
} workshop;

static result *find(const workshop *w, int64_t piece) {
    for (int i = 0; i < w->pieces->outputs; i++) {
        if (w->outputs[i].piece == piece)
            return &w->outputs[i];
    }
    return NULL;
}

/* The output that holds the next piece, with *piece, or NULL if there is no more to do. Pieces get
 * their outputs in order: the first that is not gathered always has one. */
static result *begin_piece(workshop *w, int64_t *piece) {
    result *found = NULL;
    pthread_mutex_lock(&w->lock);
    while (w->status == SLAO_OK && w->begun < w->pieces->to && !(found = find(w, FREE)))
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->status != SLAO_OK || w->begun == w->pieces->to)
        found = NULL;
    else
        *found = (result){.piece = *piece = w->begun++};
    pthread_mutex_unlock(&w->lock);
    return found;
}

static void end_piece(workshop *w, result *of, slao_status status) {
    pthread_mutex_lock(&w->lock);
    if (w->status == SLAO_OK && status != SLAO_OK) {
        w->status = status;
        snprintf(w->message, sizeof w->message, "%s", slao_message());
    }
    of->done = status == SLAO_OK;
    for (result *next = find(w, w->gathered); next && next->done; next = find(w, w->gathered)) {
        w->pieces->gather(w->pieces->context, (int)(next - w->outputs), w->gathered++);
        next->piece = FREE;
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

slao_status slao_pieces_run(const slao_pieces *pieces) {
    workshop w = {.pieces = pieces,
                  .lock = PTHREAD_MUTEX_INITIALIZER,
                  .changed = PTHREAD_COND_INITIALIZER,
                  .begun = pieces->from,
                  .gathered = pieces->from};
    if (pieces->from == pieces->to)
        return SLAO_OK;
    SLAO_INVARIANT(pieces->strands <= threads && pieces->outputs >= pieces->strands);
    SLAO_TRY(slao_allocate(&w.outputs, (size_t)pieces->outputs, sizeof *w.outputs));
    for (int i = 0; i < pieces->outputs; i++)
        w.outputs[i].piece = FREE;
#pragma omp parallel num_threads(threads)
    {
        result *of;
        int64_t i;
        int strand = slao_thread();
        slao_profile_share(pieces->strands);
        while (strand < pieces->strands && (of = begin_piece(&w, &i)) != NULL)
            end_piece(&w, of, pieces->compute(pieces->context, strand, (int)(of - w.outputs), i));
        slao_profile_unshare();
        atomic_fetch_add(&idle, 1);
#pragma omp barrier /* where those who are here help, by tasks */
    }
    atomic_store(&idle, 0);
    free(w.outputs);
    return w.status == SLAO_OK ? SLAO_OK : slao_fail(w.status, "%s", w.message);
}
