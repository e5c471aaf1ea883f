#include "base/profile.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARTS = 128 };

static struct {
    bool running;
    int64_t count;
    slao_profile_part parts[MOST_PARTS];
} profile;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* A thread's place in the profile. */
static _Thread_local struct {
    bool starter;
    double weight;  /* of its time; 0: it is not seen */
    double charged; /* to all parts so far, its own time */
} here;

void slao_profile_start(void) {
    profile.running = true;
    profile.count = 0;
    here.starter = true;
    here.weight = 1;
    here.charged = 0;
}

void slao_profile_share(int threads) {
    here.weight = profile.running ? 1.0 / threads : 0;
}

void slao_profile_unshare(void) {
    here.weight = profile.running && here.starter ? 1 : 0;
}

static int most_time_first(const void *a, const void *b) {
    double x = ((const slao_profile_part *)a)->seconds, y = ((const slao_profile_part *)b)->seconds;
    return (x < y) - (x > y);
}

const slao_profile_part *slao_profile_stop(int64_t *count) {
    profile.running = here.starter = false;
    here.weight = 0;
    qsort(profile.parts, (size_t)profile.count, sizeof *profile.parts, most_time_first);
    *count = profile.count;
    return profile.parts;
}

slao_profile_mark slao_profile_begin(void) {
    if (here.weight == 0)
        return (slao_profile_mark){0, 0};
    return (slao_profile_mark){slao_seconds(), here.charged};
}

/* Parts beyond the most there can be share the last row, under its name. */
static slao_profile_part *find(const char *name, int64_t n, int64_t k) {
    for (int64_t i = 0; i < profile.count; i++) {
        slao_profile_part *part = &profile.parts[i];
        if (part->n == n && part->k == k && strcmp(part->name, name) == 0)
            return part;
    }
    if (profile.count == MOST_PARTS)
        return &profile.parts[MOST_PARTS - 1];
    profile.parts[profile.count] = profile.count == MOST_PARTS - 1
                                       ? (slao_profile_part){.name = "other parts"}
                                       : (slao_profile_part){.name = name, .n = n, .k = k};
    return &profile.parts[profile.count++];
}

void slao_profile_end(slao_profile_mark mark, const char *name, int64_t n, int64_t k,
                      double operations) {
    if (here.weight == 0 || mark.began == 0)
        return;
    double whole = slao_seconds() - mark.began;
    pthread_mutex_lock(&adding);
    slao_profile_part *part = find(name, n, k);
    part->calls++;
    part->seconds += here.weight * (whole - (here.charged - mark.charged));
    part->operations += operations;
    pthread_mutex_unlock(&adding);
    here.charged = mark.charged + whole;
}
