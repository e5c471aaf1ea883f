#include "sweep/workbench_parts.h"

#include "learn/evaluator.h"
#include "sweep/drain.h"

#include <stdlib.h>

static bool go_on_evaluating(void *context, int64_t at, int64_t of) {
    slao_workbench *bench = context;
    slao_life_tell(bench->parts.life, bench->running, at, of);
    return !slao_drain_requested();
}

static slao_status add_evaluation(cJSON *record, const slao_evaluation *evaluation) {
    double n = (double)evaluation->n_examples;
    SLAO_TRY(slao_json_add_real(record, "score", evaluation->score));
    SLAO_TRY(slao_json_add_real(record, "examples", n));
    SLAO_TRY(slao_json_add_real(record, "token_exact", evaluation->token_exact_share));
    SLAO_TRY(slao_json_add_real(record, "decoded", (double)evaluation->n_decoded));
    return slao_json_add(record, "example_scores",
                         cJSON_CreateFloatArray(evaluation->scores, (int)evaluation->n_examples));
}

/* The adapters that are evaluated, one on top of another. */
static slao_status view_parents(slao_workbench *bench, const slao_step *step,
                                slao_low_ranks *pairs) {
    slao_workbench_adapters list;
    slao_status status = slao_workbench_parents_of(bench, step, &list);
    if (status == SLAO_OK && list.count) {
        slao_lora_stack stack = {.count = list.count, .loras = list.loras};
        status = slao_lora_view_stack(pairs, &stack, NULL, SLAO_FACTOR_NONE,
                                      &bench->parts.model->config);
    }
    free(list.loras);
    return status;
}

slao_status slao_workbench_evaluate(slao_workbench *bench, const slao_step *step, cJSON *record,
                                    int64_t *tokens) {
    const slao_model_config *config = &bench->parts.model->config;
    slao_encoding *task;
    SLAO_TRY(
        slao_encodings_test(bench->parts.encodings, step->task, step->trial->train.max_length, &task));
    slao_low_ranks pairs = {0};
    SLAO_TRY(view_parents(bench, step, &pairs));
    slao_score_settings score = bench->parts.plan->spec->score;
    if (!score.score)
        score.score = task->task->score;
    slao_judge judge = {.pass = bench->pass,
                        .config = config,
                        .tokenizer = bench->parts.tokenizer,
                        .team = bench->parts.team,
                        .go_on = go_on_evaluating,
                        .context = bench};
    slao_evaluation evaluation;
    slao_status status = slao_evaluate(&judge, &pairs, task->test, &score, &evaluation);
    if (status == SLAO_OK)
        status = add_evaluation(record, &evaluation);
    *tokens = evaluation.tokens;
    slao_evaluation_free(&evaluation);
    slao_lora_view_free(&pairs);
    return status;
}
