/* A team: members that compute one thing together, in lock-step.
 *
 * Every member runs the same code on the same inputs. Where work can be divided each takes a fixed
 * part of it (slao_team_part), and the calls below give it what the others made of theirs, so that
 * all go on with the same bits. Those depend on the size of the team alone. How members reach each
 * other is not the business of who uses a team: calls is a table (sweep/group.c has the one of
 * MPI). A NULL team is a single member, for whom all calls return their status and do nothing.
 *
 * Failures. Each call takes the status of what the member did since the one before, and begins with
 * an agreement: unless it is SLAO_OK on all members, all of them get that of the first that failed,
 * and the call does nothing more. So a member that fails alone just returns, up to where the team's
 * work ends in slao_team_end: that is the agreement which the others are waiting for in their next
 * call.
 */
#ifndef SLAO_LINALG_TEAM_H
#define SLAO_LINALG_TEAM_H

#include "linalg/matrix.h"

typedef struct slao_team slao_team;

/* What the functions of the same names below do for a team of several, or for `orthonormal_rows` of
 * any size. */
typedef struct {
    slao_status (*agree)(slao_team *team, slao_status status);
    slao_status (*sum)(slao_team *team, slao_status status, float *values, size_t count,
                       double *number);
    slao_status (*gather)(slao_team *team, slao_status status, void *bytes, const size_t *starts);
    slao_status (*share)(slao_team *team, slao_status status, void *bytes, size_t count);
    slao_status (*orthonormal_rows)(slao_team *team, slao_status status, float *a, int64_t r,
                                    int64_t n, slao_qr_sign sign, float *r_factor);
} slao_team_calls;

struct slao_team {
    int size, member; /* member: 0 .. size-1 */
    bool failed;      /* an agreement was on a failure: nothing more is to be agreed on */
    const slao_team_calls *calls;
    void *context;
};

int slao_team_size(const slao_team *team);
bool slao_team_leads(const slao_team *team); /* member 0, or alone */

/* This member's part of `count` things that are laid out in a row: from .. to-1. */
void slao_team_part(const slao_team *team, int64_t count, int64_t *from, int64_t *to);
/* Where member m's part begins, m in 0 .. size; `count` for m = size. */
int64_t slao_team_begin(const slao_team *team, int64_t count, int member);

/* The status of the first member that failed, if any, with its message. */
slao_status slao_team_agree(slao_team *team, slao_status status);

/* `values` and *number become their sums over the members, each added up in the order of members.
 */
slao_status slao_team_sum(slao_team *team, slao_status status, float *values, size_t count,
                          double *number);

/* Member m has bytes starts[m] .. starts[m+1]-1 of `bytes`; all get all of them. `starts` has
 * size + 1 entries. */
slao_status slao_team_gather(slao_team *team, slao_status status, void *bytes,
                             const size_t *starts);

/* Member 0's `bytes` to all. */
slao_status slao_team_share(slao_team *team, slao_status status, void *bytes, size_t count);

/* As slao_orthonormal_rows, by all members together (linalg/distributed_qr.h); a lone member too
 * goes through ScaLAPACK if it has a team. */
slao_status slao_team_orthonormal_rows(slao_team *team, slao_status status, float *a, int64_t r,
                                       int64_t n, slao_qr_sign sign, float *r_factor);

/* Does the team decompose many matrices of n x r sooner one after the other, each by all members,
 * than each by LAPACK on one member? As measured by `slao bench qr`; false without a team of
 * several. */
bool slao_team_decomposes(const slao_team *team, int64_t r, int64_t n);

/* The end of the team's work: brings together what only some members know of, unless a failure was
 * agreed on already, and makes the team ready for other work. */
slao_status slao_team_end(slao_team *team, slao_status status);

#endif
