/* How fast steps run on this machine: from the records of a store, or by a short measurement. */
#ifndef SLAO_SWEEP_SPEED_H
#define SLAO_SWEEP_SPEED_H

#include "sweep/encodings.h"
#include "sweep/graph.h"
#include "sweep/study.h"

typedef struct {
    const char *source;   /* "store", "measurement", or "none": nothing below is known */
    double trained;       /* tokens per second that a rank, or a group of ranks, trains on */
    double scored;        /* likewise, that it evaluates; both 0 where nothing of the kind is left
                           and none is known */
    double merge_seconds; /* of a merge; 0 where none is known */
} slao_speed;

/* `left`, by step: which are to run.
 *
 * From the records of the plan's steps that are done by `graph`, if such were run on this kind of
 * machine and so many threads for each kind of step that is left; "none" otherwise. */
slao_status slao_speed_of_store(slao_speed *speed, const slao_study *study, const slao_store *store,
                                const slao_graph_step *graph, const bool *left);

/* Loads the model, trains one batch of a step that is left and scores some questions; "none" where
 * this CPU cannot compute in the spec's precision. */
slao_status slao_speed_measure(slao_speed *speed, const slao_study *study,
                               const slao_tokenizer *tokenizer, slao_encodings *encodings,
                               const bool *left);

#endif
