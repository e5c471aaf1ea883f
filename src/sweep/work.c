#include "sweep/work.h"

#include <string.h>

static double characters(const slao_examples *examples) {
    double sum = 0;
    for (int64_t i = 0; i < examples->count; i++)
        sum +=
            (double)(strlen(examples->examples[i].sentence) + strlen(examples->examples[i].answer));
    return sum;
}

double slao_work_of(const slao_plan *plan, const slao_step *step) {
    double sum = 0;
    for (int64_t i = 0; i < step->n_tasks && step->kind != SLAO_STEP_MERGE; i++) {
        const slao_task *task = slao_plan_task(plan, step->tasks[i]);
        sum += step->kind == SLAO_STEP_EVALUATE
                   ? characters(&task->test)
                   : characters(&task->train) *
                         (double)(step->trial->train.epochs * SLAO_PASSES_OF_TRAINING);
    }
    return sum;
}
