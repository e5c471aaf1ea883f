/* How much work a step is, before it is run: characters that passes of the model read. */
#ifndef SLAO_SWEEP_WORK_H
#define SLAO_SWEEP_WORK_H

#include "sweep/plan.h"

/* A forward and a backward pass cost about three forward passes, which is what scoring takes. */
enum { SLAO_PASSES_OF_TRAINING = 3 };

double slao_work_of(const slao_plan *plan, const slao_step *step);

#endif
