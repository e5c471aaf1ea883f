/* slao bench train and slao bench eval: learning and scoring on tasks of a benchmark, with the time
 * of each part. */
#include "adapter/start.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/profile.h"
#include "cli/bench.h"
#include "cli/document.h"
#include "cli/loaded.h"
#include "cli/options.h"
#include "learn/evaluator.h"
#include "learn/trainer.h"
#include "sweep/provenance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *model, *adapter, *tasks;
    slao_load_options load;
    slao_benchmark_settings benchmark;
    slao_train_settings train;
    slao_score_settings score;
    int64_t examples;
    bool json;
} choices;

typedef struct {
    int64_t examples, tokens;
    double seconds;
    double loss_first, loss_last, exact_match; /* NaN where it means nothing */
    double alone;                              /* GFLOP/s of the same products by themselves */
    int64_t n_parts;
    const slao_profile_part *parts; /* until the next task is measured */
} measurement;

typedef slao_status measure(const choices *chosen, const slao_loaded *loaded, const slao_task *task,
                            measurement *m);

/* ---- Measuring ---- */

static slao_status new_adapter(slao_lora **lora, const slao_model_config *config) {
    slao_lora_settings settings = {.rank = 8, .alpha = 16};
    settings.targets[SLAO_Q_PROJ] = settings.targets[SLAO_V_PROJ] = true;
    SLAO_TRY(slao_lora_check(&settings, config));
    SLAO_TRY(slao_lora_new(lora, &settings, config));
    slao_status status = slao_start_rule_find("random")->set(*lora, &(slao_start){.task = "bench"});
    if (status != SLAO_OK)
        slao_lora_free(*lora);
    return status;
}

static slao_status train_on(const choices *chosen, const slao_loaded *loaded, slao_lora *lora,
                            const slao_task *task, const slao_encoded *encoded, measurement *m) {
    slao_training training;
    slao_lesson lesson = {
        .task = task->name, .examples = encoded->sequences, .n_examples = encoded->count};
    slao_profile_start();
    double begin = slao_seconds();
    slao_status status = slao_train(loaded->pass, &loaded->model->config, lora, &lesson,
                                    &chosen->train, NULL, &training);
    *m = (measurement){.seconds = slao_seconds() - begin, .exact_match = NAN};
    m->parts = slao_profile_stop(&m->n_parts);
    if (status == SLAO_OK) {
        m->examples = encoded->count;
        m->tokens = training.tokens;
        m->loss_first = training.losses[0];
        m->loss_last = training.losses[training.steps - 1];
    }
    slao_training_free(&training);
    return status;
}

static slao_status measure_training(const choices *chosen, const slao_loaded *loaded,
                                    const slao_task *task, measurement *m) {
    slao_encoded *encoded;
    slao_lora *lora = NULL;
    SLAO_TRY(slao_encode(&encoded, loaded->tokenizer, &task->train, chosen->train.max_length,
                         task->name));
    slao_status status = loaded->lora ? slao_lora_copy(&lora, loaded->lora)
                                      : new_adapter(&lora, &loaded->model->config);
    if (status == SLAO_OK)
        status = train_on(chosen, loaded, lora, task, encoded, m);
    slao_lora_free(lora);
    slao_encoded_free(encoded);
    return status;
}

static slao_status measure_scoring(const choices *chosen, const slao_loaded *loaded,
                                   const slao_task *task, measurement *m) {
    slao_test_set *set;
    slao_low_ranks pairs = {0};
    slao_score_settings score = chosen->score;
    if (!score.score)
        score.score = task->score;
    SLAO_TRY(slao_test_set_new(&set, loaded->tokenizer, task, chosen->train.max_length));
    slao_judge judge = {
        .pass = loaded->pass, .config = &loaded->model->config, .tokenizer = loaded->tokenizer};
    slao_evaluation evaluation = {0};
    slao_status status = SLAO_OK;
    if (loaded->lora)
        status = slao_lora_view(&pairs, loaded->lora, NULL, &loaded->model->config);
    slao_profile_start();
    double begin = slao_seconds();
    if (status == SLAO_OK)
        status = slao_evaluate(&judge, &pairs, set, &score, &evaluation);
    *m = (measurement){.examples = evaluation.n_examples,
                       .tokens = evaluation.tokens,
                       .seconds = slao_seconds() - begin,
                       .loss_first = NAN,
                       .loss_last = NAN,
                       .exact_match = evaluation.score};
    m->parts = slao_profile_stop(&m->n_parts);
    slao_evaluation_free(&evaluation);
    slao_lora_view_free(&pairs);
    slao_test_set_free(set);
    return status;
}

/* ---- Reporting ---- */

static double operations_of(const measurement *m) {
    double sum = 0;
    for (int64_t i = 0; i < m->n_parts; i++)
        sum += m->parts[i].operations;
    return sum;
}

static void part_name(char *text, size_t size, const slao_profile_part *part) {
    if (part->n)
        snprintf(text, size, "%s %lld x %lld", part->name, (long long)part->n, (long long)part->k);
    else
        snprintf(text, size, "%s", part->name);
}

/* Products by their shapes, largest first; those under a thousandth of the whole are left out. */
static void print_text(const slao_task *task, const measurement *m) {
    double rate = operations_of(m) / m->seconds / 1e9;
    printf("%s: %lld examples, %lld tokens in %.2f s: %.1f tokens/s, %.2f examples/s\n", task->name,
           (long long)m->examples, (long long)m->tokens, m->seconds, (double)m->tokens / m->seconds,
           (double)m->examples / m->seconds);
    if (isfinite(m->loss_first))
        printf("  loss %.4f at the first step, %.4f at the last\n", m->loss_first, m->loss_last);
    if (isfinite(m->exact_match))
        printf("  score %.1f %%\n", 100 * m->exact_match);
    printf("  products done at %.1f GFLOP/s, %.0f %% of what BLAS does alone (%.1f)\n", rate,
           100 * rate / m->alone, m->alone);
    double rest = m->seconds;
    for (int64_t i = 0; i < m->n_parts; i++) {
        const slao_profile_part *part = &m->parts[i];
        char name[80];
        rest -= part->seconds;
        if (part->seconds < m->seconds / 1000)
            continue;
        part_name(name, sizeof name, part);
        printf("  %5.1f %%  %-58s", 100 * part->seconds / m->seconds, name);
        if (part->operations > 0)
            printf(" %6.1f GFLOP/s", part->operations / part->seconds / 1e9);
        printf("\n");
    }
    printf("  %5.1f %%  the rest\n", 100 * rest / m->seconds);
}

static slao_status add_parts(cJSON *row, const measurement *m) {
    cJSON *parts = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(row, "parts", parts));
    for (int64_t i = 0; i < m->n_parts; i++) {
        const slao_profile_part *part = &m->parts[i];
        char name[80];
        part_name(name, sizeof name, part);
        cJSON *fields = cJSON_CreateObject();
        SLAO_TRY(slao_json_add(parts, name, fields));
        SLAO_TRY(slao_json_add_real(fields, "seconds", part->seconds));
        SLAO_TRY(slao_json_add_real(fields, "calls", (double)part->calls));
        SLAO_TRY(slao_json_add_real(fields, "operations", part->operations));
    }
    return SLAO_OK;
}

static slao_status add_task(cJSON *list, const slao_task *task, const measurement *m) {
    cJSON *row = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(list, "tasks", row));
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"examples", (double)m->examples},
        {"tokens", (double)m->tokens},
        {"seconds", m->seconds},
        {"tokens_per_second", (double)m->tokens / m->seconds},
        {"examples_per_second", (double)m->examples / m->seconds},
        {"loss_first", m->loss_first},
        {"loss_last", m->loss_last},
        {"exact_match", m->exact_match},
        {"gflops", operations_of(m) / m->seconds / 1e9},
        {"gemm_gflops", m->alone},
    };
    SLAO_TRY(slao_json_add_text(row, "task", task->name));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        SLAO_TRY(slao_json_add_real(row, numbers[i].key, numbers[i].value));
    return add_parts(row, m);
}

/* ---- The run ---- */

typedef struct {
    const choices *chosen;
    const slao_loaded *loaded;
    measure *measure;
    double ready;                     /* seconds that loading the model took */
    double gflops[SLAO_PRODUCT_WAYS]; /* of the products by themselves, as measured last */
    cJSON *root;                      /* NULL without --json */
} bench;

static slao_status measure_rate(bench *b) {
    enum { ROWS = 570 };
    slao_product_rate rates[SLAO_LAYER_PRODUCTS];
    return slao_measure_products(&b->loaded->model->config, ROWS, rates, b->gflops);
}

/* A machine's speed changes with what its neighbours do: what a task is compared with is the mean
 * of the rates right before and right after it. */
static slao_status measure_task(bench *b, const slao_task *task, measurement *m) {
    double before = b->gflops[SLAO_BY_BLAS];
    SLAO_TRY(b->measure(b->chosen, b->loaded, task, m));
    SLAO_TRY(measure_rate(b));
    m->alone = (before + b->gflops[SLAO_BY_BLAS]) / 2;
    return SLAO_OK;
}

static slao_status run_task(bench *b, const char *name) {
    slao_task *task;
    measurement m;
    SLAO_TRY(slao_task_load(&task, &b->chosen->benchmark, name));
    slao_status status = measure_task(b, task, &m);
    if (status == SLAO_OK && b->root)
        status = add_task(slao_json_find(b->root, "tasks"), task, &m);
    else if (status == SLAO_OK)
        print_text(task, &m);
    slao_task_free(task);
    return status;
}

static slao_status run_tasks(bench *b) {
    char *names, *rest;
    SLAO_TRY(slao_copy_text(&names, b->chosen->tasks));
    rest = names;
    slao_status status = SLAO_OK;
    for (char *name; status == SLAO_OK && (name = strsep(&rest, ",")) != NULL;)
        status = run_task(b, name);
    free(names);
    return status;
}

static slao_status describe(const bench *b) {
    slao_machine machine;
    const char *given = b->chosen->load.precision,
               *precision = given ? given : slao_precision_names[SLAO_PRECISION_FP32];
    SLAO_TRY(slao_machine_describe(&machine));
    if (!b->root) {
        printf("%s; %s; products in %s\nmodel ready after %.2f s\n", machine.cpu, machine.blas,
               precision, b->ready);
        return SLAO_OK;
    }
    SLAO_TRY(slao_json_add_text(b->root, "matmul_precision", precision));
    SLAO_TRY(slao_json_add_real(b->root, "ready_seconds", b->ready));
    cJSON *about = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(b->root, "machine", about));
    SLAO_TRY(slao_json_add_text(about, "cpu", machine.cpu));
    SLAO_TRY(slao_json_add_text(about, "blas", machine.blas));
    SLAO_TRY(slao_json_add_real(about, "gemm_gflops_per_core",
                                b->gflops[SLAO_BY_BLAS] / machine.threads));
    SLAO_TRY(slao_json_add_real(about, "threads", machine.threads));
    return slao_json_add(b->root, "tasks", cJSON_CreateArray());
}

/* The peak of this process, and what it is made of. */
static slao_status report_memory(const bench *b) {
    size_t weights;
    SLAO_TRY(slao_model_bytes(b->loaded->model, &weights));
    double peak = slao_memory_peak(), activations = (double)slao_pass_bytes(b->loaded->pass);
    const char *where =
        slao_weights_names[b->loaded->model->file ? SLAO_WEIGHTS_FILE : SLAO_WEIGHTS_FP32];
    double rest = peak - (double)weights - activations;
    if (!b->root) {
        const double mib = 1 << 20;
        printf("peak memory %.0f MiB: weights (%s) %.0f, activations and scratch %.0f, the rest "
               "%.0f\n",
               peak / mib, where, (double)weights / mib, activations / mib, rest / mib);
        return SLAO_OK;
    }
    SLAO_TRY(slao_json_add_real(b->root, "peak_memory_bytes", peak));
    cJSON *memory = cJSON_CreateObject();
    SLAO_TRY(slao_json_add(b->root, "memory", memory));
    SLAO_TRY(slao_json_add_text(memory, "weights", where));
    SLAO_TRY(slao_json_add_real(memory, "weights_bytes", (double)weights));
    SLAO_TRY(slao_json_add_real(memory, "activations_bytes", activations));
    return slao_json_add_real(memory, "rest_bytes", rest);
}

static slao_status run_all(bench *b) {
    SLAO_TRY(measure_rate(b));
    SLAO_TRY(describe(b));
    SLAO_TRY(run_tasks(b));
    return report_memory(b);
}

static slao_status run(const choices *chosen, measure *how) {
    slao_loaded loaded;
    bench b = {.chosen = chosen, .loaded = &loaded, .measure = how};
    double begin = slao_seconds();
    slao_status status = slao_load(&loaded, chosen->model, chosen->adapter, &chosen->load, true);
    b.ready = slao_seconds() - begin;
    if (status == SLAO_OK && chosen->json)
        status = slao_document_new(&b.root);
    if (status == SLAO_OK)
        status = run_all(&b);
    if (b.root)
        status = slao_document_print(b.root, status);
    slao_loaded_free(&loaded);
    return status;
}

static slao_status parse_and_run(int argc, char **argv, bool train) {
    choices c = {
        .benchmark = {.format = "cl_benchmark", .answer_space = true},
        .train = {.epochs = 1,
                  .batch_size = 8,
                  .accumulation = 1,
                  .max_length = 512,
                  .optimizer = "adamw",
                  .learning_rate = 1e-3,
                  .schedule = "constant",
                  .clip_norm = 1,
                  .micro_tokens = SLAO_MICRO_TOKENS},
        .score = {.max_new_tokens = 50},
        .examples = 80,
    };
    slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "model folder or GGUF file", &c.model, true},
        {"--benchmark", NULL, SLAO_OPTION_TEXT, "DIR", "folder of the benchmark", &c.benchmark.path,
         true},
        {"--format", NULL, SLAO_OPTION_TEXT, "NAME", "its layout: cl_benchmark (default), superni",
         &c.benchmark.format, false},
        {"--tasks", NULL, SLAO_OPTION_TEXT, "A,B", "tasks, one after another", &c.tasks, true},
        {"--adapter", NULL, SLAO_OPTION_TEXT, "DIR", "PEFT LoRA adapter", &c.adapter, false},
        SLAO_OPTIONS_OF_MODEL(c.load),
        {"--examples", NULL, SLAO_OPTION_INTEGER, "N", "examples of each task (80)", &c.examples,
         false},
        {"--max-length", NULL, SLAO_OPTION_INTEGER, "N", "longer examples are cut (512)",
         &c.train.max_length, false},
        SLAO_THREADS_ROW,
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "one JSON document", &c.json, false},
        train ? (slao_option){"--batch-size", NULL, SLAO_OPTION_INTEGER, "N",
                              "examples of a step (8)", &c.train.batch_size, false}
              : (slao_option){"--score", NULL, SLAO_OPTION_TEXT, "NAME",
                              "exact, generate, rank, rouge_l (what fits the task)", &c.score.score,
                              false},
        train ? (slao_option){"--micro-tokens", NULL, SLAO_OPTION_INTEGER, "N",
                              "rows of a micro-batch, as train.micro_tokens (352)",
                              &c.train.micro_tokens, false}
              : (slao_option){0},
        train ? (slao_option){"--checkpointing", NULL, SLAO_OPTION_TEXT, "WHEN",
                              "of activations, as train.checkpointing: auto (default), on, off",
                              &c.train.checkpointing, false}
              : (slao_option){0},
        {0},
    };
    const slao_usage usage = {
        .usage = train ? "slao bench train --model M --benchmark DIR --tasks A,B [--format NAME] "
                         "[--adapter DIR] [--examples N] [--batch-size N] [--max-length N] "
                         "[--micro-tokens N] [--checkpointing WHEN] [--weights WHERE] "
                         "[--matmul-precision P] [--threads T] [--json]"
                       : "slao bench eval --model M --benchmark DIR --tasks A,B [--format NAME] "
                         "[--adapter DIR] [--examples N] [--max-length N] [--score NAME] "
                         "[--weights WHERE] [--matmul-precision P] [--threads T] [--json]",
        .summary = train ? "Trains a LoRA of rank 8 on q_proj and v_proj for one epoch and tells "
                           "where the time goes. Tokens are real ones: no padding is counted, and "
                           "a shared prompt in every example that has it."
                         : "Scores test examples and tells where the time goes.",
        .example = train ? "slao bench train --model models/SmolLM2-135M --benchmark CL_Benchmark "
                           "--tasks agnews,yelp"
                         : "slao bench eval --model models/SmolLM2-135M --adapter my-adapter "
                           "--benchmark CL_Benchmark --tasks agnews",
        .options = options,
    };
    SLAO_TRY(slao_options_parse(argc, argv, &usage, NULL));
    SLAO_TRY(
        slao_check_name(c.train.checkpointing, slao_checkpointing_names, "", "--checkpointing"));
    if (c.examples == 0 || c.train.batch_size == 0 || c.train.max_length == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "--examples, --batch-size and --max-length must be at least 1");
    c.benchmark.train_samples = train ? c.examples : 1;
    c.benchmark.test_samples = train ? 1 : c.examples;
    return run(&c, train ? measure_training : measure_scoring);
}

slao_status slao_bench_train(int argc, char **argv) {
    return parse_and_run(argc, argv, true);
}

slao_status slao_bench_eval(int argc, char **argv) {
    return parse_and_run(argc, argv, false);
}
