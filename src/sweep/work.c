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
    const slao_task *task = slao_plan_task(plan, step->task);
    switch (step->kind) {
    case SLAO_STEP_FINETUNE:
        return characters(&task->train) *
               (double)(step->trial->train.epochs * SLAO_PASSES_OF_TRAINING);
    case SLAO_STEP_EVALUATE:
        return characters(&task->test);
    default:
        return 0;
    }
}
