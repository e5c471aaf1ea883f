/* Where the time goes, by part: for `slao bench`.
 *
 * While a profile runs, code between slao_profile_begin and slao_profile_end is charged to a part;
 * what parts within it were charged is taken off, so that the parts add up. Otherwise both cost a
 * comparison. There is one profile at a time, of the thread that starts it: what other threads do
 * is not seen in it but by the time that this one waits for them, unless they share it: then the
 * time that they wait for each other is in no part.
 */
#ifndef SLAO_BASE_PROFILE_H
#define SLAO_BASE_PROFILE_H

#include "base/status.h"

#include <stdint.h>

/* A part is told by its name, a constant text, and by two numbers that are 0 where it has none: a
 * product's inner and outer width. */
typedef struct {
    const char *name;
    int64_t n, k;
    int64_t calls;
    double seconds;
    double operations; /* floating-point ones, where they are counted */
} slao_profile_part;

typedef struct {
    double began, charged;
} slao_profile_mark;

void slao_profile_start(void); /* from nothing */

/* Called by each of so many threads, the profile's own among them, when they begin to work side by
 * side, and when they end: what each is charged in between counts as one of `threads` parts of the
 * time that passes. Without a profile that runs they do nothing. */
void slao_profile_share(int threads);
void slao_profile_unshare(void);

/* Ends the profile; the parts, most time first, belong to it until the next start. */
const slao_profile_part *slao_profile_stop(int64_t *count);

slao_profile_mark slao_profile_begin(void);
void slao_profile_end(slao_profile_mark mark, const char *name, int64_t n, int64_t k,
                      double operations);

#endif
