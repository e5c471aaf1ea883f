/* Groups of ranks: `ranks_per_trial` consecutive ranks run each step together, as a team.
 *
 *     G = 2, 5 ranks      rank    0   1 | 2   3 | 4
 *                         group   0     | 1     | left over: idle
 *                         member  0   1 | 0   1 |
 *
 * The first rank of a group asks the coordinator for steps, and passes what it is told on to the
 * others (sweep/worker.h). All then run the step, and share what they computed through the
 * group's team (linalg/team.h). Results depend on G, and not on how many groups there are.
 *
 * Members wait for each other asleep, and once all are there exchange their data without sleeping.
 * Sums are added up in the order of members: each member adds up its part of the values, and gives
 * it to all.
 */
#ifndef SLAO_SWEEP_GROUP_H
#define SLAO_SWEEP_GROUP_H

#include "linalg/team.h"
#include "sweep/ranks.h"

typedef struct slao_group slao_group;

/* Collective over all ranks: forms groups of `size` and writes into `ranks` which place this one
 * has. Fewer ranks than `size` are SLAO_BAD_INPUT; of ranks that are left over rank 0 warns. */
slao_status slao_group_form(slao_group **group, slao_ranks *ranks, int64_t size);

/* Collective over the group, before slao_ranks_finish. NULL is allowed. */
void slao_group_free(slao_group *group);

/* NULL on a rank that is left over. */
slao_team *slao_group_team(slao_group *group);

#endif
