/* slao eval: scores a model, with any PEFT LoRA adapter, on one task of a benchmark. */
#include "base/log.h"
#include "cli/command.h"
#include "cli/document.h"
#include "cli/loaded.h"
#include "cli/options.h"
#include "learn/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    const char *model, *adapter, *task;
    slao_load_options load;
    slao_benchmark_settings benchmark;
    slao_score_settings score;
    int64_t max_length;
    bool json;
} eval_choices;

static slao_status fill_json(cJSON *root, const slao_task *task, const slao_evaluation *evaluation,
                             double seconds) {
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"score", evaluation->score},
        {"examples", (double)evaluation->n_examples},
        {"token_exact", evaluation->token_exact_share},
        {"decoded", (double)evaluation->n_decoded},
        {"unanswerable", (double)task->unanswerable},
        {"tokens", (double)evaluation->tokens},
        {"seconds", seconds},
    };
    SLAO_TRY(slao_json_add_text(root, "task", task->name));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        SLAO_TRY(slao_json_add_real(root, numbers[i].key, numbers[i].value));
    return slao_json_add(root, "example_scores",
                         cJSON_CreateFloatArray(evaluation->scores, (int)evaluation->n_examples));
}

static slao_status print_json(const slao_task *task, const slao_evaluation *evaluation,
                              double seconds) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, task, evaluation, seconds));
}

static slao_status report(const eval_choices *choices, const slao_task *task,
                          const slao_evaluation *evaluation, double seconds) {
    if (choices->json)
        return print_json(task, evaluation, seconds);
    double n = (double)evaluation->n_examples;
    printf("%s: %.1f %% of %lld examples (%s; ", task->name, 100 * evaluation->score,
           (long long)evaluation->n_examples, choices->score.score);
    if (isfinite(evaluation->token_exact_share))
        printf("%.1f %% token by token; %lld decoded; ", 100 * evaluation->token_exact_share,
               (long long)evaluation->n_decoded);
    printf("%.1f examples/s)\n", n / seconds);
    if (task->unanswerable)
        printf("%lld examples of its test set carry no label of the task and count as wrong\n",
               (long long)task->unanswerable);
    return SLAO_OK;
}

static slao_status score_task(const eval_choices *choices, const slao_loaded *loaded,
                              const slao_task *task, const slao_test_set *set) {
    slao_low_ranks pairs = {0};
    if (loaded->lora)
        SLAO_TRY(slao_lora_view(&pairs, loaded->lora, NULL, &loaded->model->config));
    slao_judge judge = {
        .pass = loaded->pass, .config = &loaded->model->config, .tokenizer = loaded->tokenizer};
    slao_evaluation evaluation;
    double start = slao_seconds();
    slao_status status = slao_evaluate(&judge, &pairs, set, &choices->score, &evaluation);
    if (status == SLAO_OK)
        status = report(choices, task, &evaluation, slao_seconds() - start);
    slao_evaluation_free(&evaluation);
    slao_lora_view_free(&pairs);
    return status;
}

static slao_status evaluate(eval_choices *choices) {
    slao_loaded loaded = {0};
    slao_task *task = NULL;
    slao_test_set *set = NULL;
    slao_status status = slao_task_load(&task, &choices->benchmark, choices->task);
    if (status == SLAO_OK)
        status = slao_load(&loaded, choices->model, choices->adapter, &choices->load, true);
    if (status == SLAO_OK) {
        if (!choices->score.score)
            choices->score.score = task->score;
        status = slao_test_set_new(&set, loaded.tokenizer, task, choices->max_length);
    }
    if (status == SLAO_OK)
        status = score_task(choices, &loaded, task, set);
    slao_test_set_free(set);
    slao_loaded_free(&loaded);
    slao_task_free(task);
    return status;
}

slao_status slao_command_eval(int argc, char **argv) {
    eval_choices c = {.benchmark = {.format = "cl_benchmark", .answer_space = true},
                      .score = {.max_new_tokens = 50},
                      .max_length = 512};
    const slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "model folder or GGUF file", &c.model, true},
        {"--adapter", NULL, SLAO_OPTION_TEXT, "DIR", "PEFT LoRA adapter", &c.adapter, false},
        SLAO_OPTIONS_OF_MODEL(c.load),
        {"--benchmark", NULL, SLAO_OPTION_TEXT, "DIR", "folder of the benchmark", &c.benchmark.path,
         true},
        {"--format", NULL, SLAO_OPTION_TEXT, "NAME", "its layout: cl_benchmark (default), superni",
         &c.benchmark.format, false},
        {"--task", NULL, SLAO_OPTION_TEXT, "NAME", "task to score on", &c.task, true},
        {"--limit", NULL, SLAO_OPTION_INTEGER, "N",
         "N test examples only (those of test_samples: N in a spec)", &c.benchmark.test_samples,
         false},
        {"--score", NULL, SLAO_OPTION_TEXT, "NAME",
         "exact, generate, rank, rouge_l (what fits the task)", &c.score.score, false},
        {"--max-new-tokens", NULL, SLAO_OPTION_INTEGER, "N", "tokens to write at the most (50)",
         &c.score.max_new_tokens, false},
        {"--max-length", NULL, SLAO_OPTION_INTEGER, "N", "longer examples are cut (512)",
         &c.max_length, false},
        SLAO_THREADS_ROW,
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document, with each example's score",
         &c.json, false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao eval --model M [--adapter DIR] --benchmark DIR --task NAME [--format NAME] "
                 "[--limit N] [--score NAME] [--max-new-tokens N] [--max-length N] "
                 "[--weights WHERE] [--matmul-precision P] [--threads T] [--json]",
        .summary = "Scores a model, with any PEFT LoRA adapter, on the test set of one task.",
        .example =
            "slao eval --model models/SmolLM2-135M --adapter my-adapter --benchmark CL_Benchmark "
            "--task agnews --limit 100",
        .options = options,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    return evaluate(&c);
}
