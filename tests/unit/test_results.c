/* sweep/results: a file written from a plan built by hand and records of known numbers. What is in
 * it is checked from outside, by h5py and pandas (tests/cli/results_file.sh, which calls this
 * program with a path to write the file to); here are the fingerprint and what goes wrong. */
#include "test.h"

#include "adapter/peft.h"
#include "base/file.h"
#include "sweep/results.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a plan built by hand --- */

enum { N_TASKS = 3, LAYERS = 2, MODULES = 2, MOST_STEPS = 200, N_TRIALS = 7 };

static const slao_method_option slao_options[] = {
    {.key = "init", .help = "", .default_value = "last-ft"}, {0}};
static const slao_method_option no_options[] = {{0}};
static const slao_method slao = {.name = "slao",
                                 .lineage = SLAO_LINEAGE_SEQUENCE,
                                 .merge = "asymmetric",
                                 .merges = "B",
                                 .uses_lambda = true,
                                 .options = slao_options};
static const slao_method seqlora = {
    .name = "seqlora", .lineage = SLAO_LINEAGE_SEQUENCE, .options = no_options};
static const slao_method individual = {
    .name = "individual", .lineage = SLAO_LINEAGE_ALONE, .options = no_options};

static const char *const abc[] = {"agnews", "amazon", "dbpedia"};
static const char *const cba[] = {"dbpedia", "amazon", "agnews"};
/* Of the 4 test examples of amazon one has no answer. */
static slao_task task_abc[] = {{.name = "agnews", .group = "TC"},
                               {.name = "amazon", .group = "SC", .unanswerable = 1},
                               {.name = "dbpedia", .group = "TC"}};
static slao_task *tasks[] = {&task_abc[0], &task_abc[1], &task_abc[2]};
static slao_order orders[] = {{N_TASKS, abc, "O1"}, {N_TASKS, cba, ""}};

#define U NAN
/* Rows: after each task; columns: tasks of the order. Trials whose first steps are shared have the
 * same first row. */
static const double slao_abc[] = {0.50, 0.20, 0.10, 0.75, 0.60, 0.30, 0.25, 0.70, 0.90};
static const double half_abc[] = {0.50, 0.20, 0.10, 0.65, 0.55, 0.25, U, U, U};
static const double slao_cba[] = {0.80, 0.10, 0.20, 0.80, 0.50, 0.30, 0.70, 0.65, 0.35};
static const double seqlora_abc[] = {0.50, 0.20, 0.10, U, U, U, U, U, U};
static const double nothing[] = {U, U, U, U, U, U, U, U, U};
static const double alone_abc[] = {0.50, U, U, U, 0.70, U, U, U, 0.80};
static const double alone_cba[] = {0.80, U, U, U, 0.70, U, U, U, 0.50};

typedef struct {
    const char *id;
    const slao_method *method;
    slao_order *order;
    const char *lambda;
    const double *scores;
    const char *extra[2]; /* lora.alpha, slao.init */
    int64_t seed;
} cell;

static const cell cells[N_TRIALS] = {
    {"0a0000000000", &slao, &orders[0], "1/sqrt(i)", slao_abc, {"16", "last-ft"}, 3},
    {"1b0000000000", &slao, &orders[1], "1/sqrt(i)", slao_cba, {"16", "last-ft"}, 3},
    {"2c0000000000", &slao, &orders[0], "0.5", half_abc, {"16", "last-ft"}, 3},
    {"3d0000000000", &seqlora, &orders[0], "", seqlora_abc, {"16", ""}, 3},
    {"4e0000000000", &individual, &orders[0], "", alone_abc, {"", ""}, 3},
    {"5f0000000000", &individual, &orders[1], "", alone_cba, {"", ""}, 3},
    {"6a0000000000", &seqlora, &orders[1], "", nothing, {"16", ""}, 4},
};

typedef struct {
    slao_spec spec;
    slao_plan plan;
    slao_trial trials[N_TRIALS];
    slao_trial_steps steps_of[N_TRIALS];
    slao_step steps[MOST_STEPS];
    int64_t parents[MOST_STEPS][2];
    double scores[MOST_STEPS]; /* of evaluations */
    bool without_record[MOST_STEPS];
    int64_t indices[N_TRIALS][N_TASKS * (N_TASKS + 4)];
    slao_hasher *hasher;
    char folder[64];
    slao_store *store;
} sweep;

/* The step of that name, made if it is new; its score must be the same each time. */
static int64_t step(sweep *s, const char *name, slao_step_kind kind, const slao_trial *trial,
                    int64_t position, const char *task, int64_t first, int64_t second,
                    double score) {
    slao_hasher_reset(s->hasher);
    slao_hash_text(s->hasher, name);
    slao_hash_integer(s->hasher, trial->seed);
    slao_hash key = slao_hash_value(s->hasher);
    for (int64_t i = 0; i < s->plan.n_steps; i++) {
        if (!slao_hash_equal(s->steps[i].key, key))
            continue;
        s->steps[i].shared_by++;
        assert_true(s->scores[i] == score || (isnan(s->scores[i]) && isnan(score)));
        return i;
    }
    int64_t index = s->plan.n_steps++;
    assert_true(index < MOST_STEPS);
    s->steps[index] = (slao_step){.key = key,
                                  .kind = kind,
                                  .trial = trial,
                                  .position = position,
                                  .task = task,
                                  .parents = s->parents[index],
                                  .shared_by = 1};
    if (first >= 0)
        s->parents[index][s->steps[index].n_parents++] = first;
    if (second >= 0)
        s->parents[index][s->steps[index].n_parents++] = second;
    s->scores[index] = score;
    s->without_record[index] = trial->seed == 4 || (kind == SLAO_STEP_EVALUATE && isnan(score));
    return index;
}

static void add_trial(sweep *s, int k) {
    const cell *c = &cells[k];
    bool alone = c->method->lineage == SLAO_LINEAGE_ALONE, merges = c->method->merge != NULL;
    slao_trial *trial = &s->trials[k];
    *trial = (slao_trial){
        .method = {.method = c->method, .values = {c->method == &slao ? "last-ft" : NULL}},
        .order = c->order,
        .seed = c->seed,
        .lora = {.rank = 8, .alpha = 16, .targets = {[SLAO_Q_PROJ] = true, [SLAO_V_PROJ] = true}},
        .train = {.epochs = 1,
                  .batch_size = 8,
                  .accumulation = 1,
                  .max_length = 512,
                  .optimizer = "adamw",
                  .learning_rate = 1e-4,
                  .schedule = "constant"},
        .extra = c->extra,
    };
    snprintf(trial->id, sizeof trial->id, "%s", c->id);
    snprintf(trial->lambda.text, sizeof trial->lambda.text, "%s", c->lambda);
    int64_t *at = s->indices[k];
    slao_trial_steps *to = &s->steps_of[k];
    *to = (slao_trial_steps){at, at + 3, at + 6, at + 15, at + 18};
    char name[256], prefix[128] = "";
    for (int j = 0; j < N_TASKS; j++) {
        const char *task = c->order->tasks[j];
        snprintf(prefix + strlen(prefix), sizeof prefix - strlen(prefix), "/%s", task);
        snprintf(name, sizeof name, "finetune %s", alone || j == 0 ? strrchr(prefix, '/') : prefix);
        int64_t previous = j > 0 && !alone ? to->finetunes[j - 1] : -1;
        to->finetunes[j] = to->adapters[j] =
            step(s, name, SLAO_STEP_FINETUNE, trial, j + 1, task, previous, -1, NAN);
        if (merges && j > 0) {
            snprintf(name, sizeof name, "merge %s %s", c->lambda, prefix);
            to->adapters[j] = step(s, name, SLAO_STEP_MERGE, trial, j + 1, task,
                                   to->adapters[j - 1], to->finetunes[j], NAN);
        }
        for (int i = 0; i < N_TASKS; i++) {
            double score = c->scores[j * N_TASKS + i];
            to->accuracy[j * N_TASKS + i] = -1;
            if (alone && i != j)
                continue;
            snprintf(name, sizeof name, "evaluate %lld on %s", (long long)to->adapters[j],
                     c->order->tasks[i]);
            to->accuracy[j * N_TASKS + i] = step(s, name, SLAO_STEP_EVALUATE, trial, j + 1,
                                                 c->order->tasks[i], to->adapters[j], -1, score);
        }
        /* References, for slao alone: on agnews, amazon, dbpedia the untrained model gets 0.1, 0.05
         * and 0.02, training alone 0.5, 0.7 and 0.8. */
        int t = task[0] == 'd' ? 2 : task[1] == 'g' ? 0 : 1;
        to->base[j] = to->individual[j] = -1;
        if (!merges)
            continue;
        snprintf(name, sizeof name, "base on %s", task);
        to->base[j] = step(s, name, SLAO_STEP_EVALUATE, trial, 0, task, -1, -1,
                           (double[]){0.1, 0.05, 0.02}[t]);
        snprintf(name, sizeof name, "finetune /%s", task);
        int64_t only = step(s, name, SLAO_STEP_FINETUNE, trial, 1, task, -1, -1, NAN);
        snprintf(name, sizeof name, "evaluate %lld on %s", (long long)only, task);
        to->individual[j] = step(s, name, SLAO_STEP_EVALUATE, trial, 1, task, only, -1,
                                 (double[]){0.5, 0.7, 0.8}[t]);
    }
}

/* --- records of known numbers --- */

static cJSON *list(int64_t count, double (*value)(int64_t step, int64_t i), int64_t index) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; i < count; i++) {
        double number = value(index, i);
        cJSON_AddItemToArray(array,
                             isnan(number) ? cJSON_CreateNull() : cJSON_CreateNumber(number));
    }
    return array;
}

static double loss(int64_t index, int64_t i) {
    return 3.0 / (double)(i + 1) + 0.001 * (double)index;
}

static double half_right(int64_t index, int64_t i) {
    (void)index;
    return i % 2 == 0;
}

static cJSON *by_layer(double value) {
    cJSON *layers = cJSON_CreateArray();
    for (int layer = 0; layer < LAYERS; layer++) {
        cJSON *row = cJSON_CreateArray();
        for (int module = 0; module < MODULES; module++)
            cJSON_AddItemToArray(row, isnan(value)
                                          ? cJSON_CreateNull()
                                          : cJSON_CreateNumber(value + layer + 10 * module));
        cJSON_AddItemToArray(layers, row);
    }
    return layers;
}

/* Fine-tuning takes 10 s, 1000 tokens and position + 3 optimiser steps; a merge 1 s; an evaluation
 * 2 s, 500 tokens, 4 examples (6 of dbpedia). Every second step ran on rank 1, host-b. */
static cJSON *record_of(const sweep *s, int64_t index) {
    const slao_step *what = &s->steps[index];
    char text[64];
    cJSON *record = cJSON_CreateObject();
    slao_hash_to_text(what->key, text);
    cJSON_AddStringToObject(record, "key", text);
    cJSON_AddStringToObject(record, "kind", slao_step_kind_name(what->kind));
    cJSON_AddStringToObject(record, "task", what->task);
    cJSON_AddNumberToObject(record, "position", (double)what->position);
    snprintf(text, sizeof text, "2026-01-31T12:%02d:00Z", (int)index % 60);
    cJSON_AddStringToObject(record, "started", text);
    cJSON_AddNumberToObject(record, "mpi_rank", (double)(index % 2));
    cJSON_AddStringToObject(record, "host", index % 2 ? "host-b" : "host-a");
    if (index != 0) { /* as an old record */
        cJSON_AddStringToObject(record, "commit", "0123456789ab+dirty");
        cJSON_AddStringToObject(record, "machine", index % 2 ? "kernel Zen" : "kernel Haswell");
        cJSON_AddNumberToObject(record, "numeric_version", 3);
        cJSON_AddNumberToObject(record, "threads", 2);
    }
    if (what->kind != SLAO_STEP_EVALUATE)
        cJSON_AddNumberToObject(record, "seed", (double)what->trial->seed);
    double seconds = 10, tokens = 1000;
    snprintf(text, sizeof text, "%032llx", (unsigned long long)index);
    if (what->kind == SLAO_STEP_EVALUATE) {
        int64_t examples = what->task[0] == 'd' ? 6 : 4;
        seconds = 2;
        tokens = 500;
        cJSON_AddNumberToObject(record, "score", s->scores[index]);
        cJSON_AddNumberToObject(record, "token_exact", s->scores[index] / 2);
        cJSON_AddNumberToObject(record, "examples", (double)examples);
        cJSON_AddItemToObject(record, "example_scores", list(examples, half_right, index));
        cJSON_AddNullToObject(record, "state_bytes");
    } else if (what->kind == SLAO_STEP_MERGE) {
        seconds = 1;
        tokens = 0;
        cJSON_AddNumberToObject(
            record, "lambda",
            what->trial->lambda.text[0] == '0' ? 0.5 : 1 / sqrt((double)what->position));
        cJSON_AddNumberToObject(record, "distance", 1.5 * (double)what->position);
        cJSON_AddStringToObject(record, "adapter_hash", text);
        cJSON_AddNumberToObject(record, "state_bytes", 4096);
    } else {
        double first = what->position == 1 ? NAN : 0.25 * (double)what->position;
        cJSON_AddItemToObject(record, "loss", list(what->position + 3, loss, index));
        cJSON_AddItemToObject(record, "orthogonality", by_layer(first));
        cJSON_AddItemToObject(record, "interference_a", by_layer(2 * first));
        cJSON_AddItemToObject(record, "interference_b", by_layer(4 * first));
        if (what->position > 1) { /* as a record of before these were kept has it */
            double moved = 0.5 * (double)what->position, error = 0.1 * (double)what->position;
            cJSON_AddItemToObject(record, "distance_from_start",
                                  cJSON_CreateDoubleArray(&moved, 1));
            cJSON_AddItemToObject(record, "linearisation_error",
                                  cJSON_CreateDoubleArray(&error, 1));
        }
        cJSON_AddStringToObject(record, "adapter_hash", text);
        cJSON_AddNumberToObject(record, "state_bytes", 2048);
        cJSON_AddNumberToObject(record, "peak_memory_bytes", 1e9 + (double)index);
    }
    cJSON_AddNumberToObject(record, "seconds", seconds);
    cJSON_AddNumberToObject(record, "tokens", tokens);
    return record;
}

static void put(sweep *s, int64_t index, cJSON *record) {
    assert_ok(slao_store_put(s->store, s->steps[index].key, record));
    cJSON_Delete(record);
}

static char *log_path(const sweep *s, int64_t index) {
    char *path;
    assert_ok(slao_store_log_path(s->store, s->steps[index].key, &path));
    return path;
}

/* --- adapters of known angles --- */

static const slao_model_config config = {.hidden = 16,
                                         .layers = LAYERS,
                                         .heads = 2,
                                         .kv_heads = 2,
                                         .head_dim = 8,
                                         .intermediate = 20,
                                         .vocabulary = 32,
                                         .max_positions = 64,
                                         .rope_theta = 1e4,
                                         .rms_epsilon = 1e-5};

static void put_adapter(const sweep *s, int64_t step, const slao_lora_settings *settings, float a0,
                        float a1, float b0) {
    slao_lora *lora;
    char *folder;
    assert_ok(slao_lora_new(&lora, settings, &config));
    for (int64_t i = 0; i < lora->n_sites; i++) {
        lora->sites[i].a[0] = a0;
        lora->sites[i].a[1] = a1 * (float)(i + 1); /* another angle at each site */
        lora->sites[i].b[0] = b0;
    }
    assert_ok(slao_store_adapter_path(s->store, s->steps[step].key, &folder));
    assert_ok(slao_peft_save(lora, folder, "base"));
    free(folder);
    slao_lora_free(lora);
}

/* Of the first order's fine-tuned adapters the third is gone. At site i, counted from 1, the angle
 * between the first A, (1, 0), and the second, (1, i), has cosine 1/sqrt(1 + i^2); B is 0, then
 * not. */
static void put_adapters(const sweep *s) {
    put_adapter(s, s->steps_of[0].finetunes[0], &s->trials[0].lora, 1, 0, 0);
    put_adapter(s, s->steps_of[0].finetunes[1], &s->trials[0].lora, 1, 1, 2);
}

static sweep *sweep_new(void) {
    static const char *const extra[] = {"lora.alpha", "slao.init"};
    sweep *s;
    assert_ok(slao_allocate(&s, 1, sizeof *s));
    assert_ok(slao_hasher_new(&s->hasher));
    snprintf(s->folder, sizeof s->folder, "/tmp/slao-test-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    assert_ok(slao_store_open(&s->store, s->folder));
    s->spec = (slao_spec){.name = "by-hand",
                          .text = "{\"name\": \"by-hand\"}",
                          .n_orders = 2,
                          .orders = orders,
                          .n_extra = 2,
                          .extra_columns = extra,
                          .n_trials = N_TRIALS,
                          .trials = s->trials};
    s->plan = (slao_plan){.spec = &s->spec,
                          .n_tasks = N_TASKS,
                          .tasks = tasks,
                          .steps = s->steps,
                          .trials = s->steps_of};
    for (int k = 0; k < N_TRIALS; k++)
        add_trial(s, k);
    for (int64_t i = 0; i < s->plan.n_steps; i++) {
        if (!s->without_record[i])
            put(s, i, record_of(s, i));
    }
    put_adapters(s);
    /* Why the seqlora trial of the first order is not done. */
    char *path = log_path(s, s->steps_of[3].accuracy[4]);
    assert_ok(slao_write_file(path, "no such luck", 12));
    free(path);
    return s;
}

static void sweep_free(sweep *s) {
    slao_store_close(s->store);
    slao_hasher_free(s->hasher);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", s->folder);
    assert_int_equal(system(command), 0);
    free(s);
}

static const slao_machine machine = {.mpi = "Open MPI 4.1.4",
                                     .blas = "OpenBLAS Haswell",
                                     .hdf5 = "HDF5 1.10.8",
                                     .cpu = "avx2",
                                     .threads = 1};
static const slao_inputs inputs = {.model = {1, 2}, .tokenizer = {3, 4}};
static const slao_results_context context = {
    .machine = &machine, .inputs = &inputs, .config = &config};

static slao_status write_results(const sweep *s, const char *path,
                                 char fingerprint[SLAO_HASH_TEXT]) {
    const slao_store *stores[] = {s->store};
    return slao_results_write(path, &s->plan, stores, 1, &context, fingerprint);
}

static char *results_path(const sweep *s) {
    char *path;
    assert_ok(slao_join_path(&path, s->folder, "out.h5"));
    return path;
}

/* --- tests --- */

/* The fingerprint does not see names, times and hosts; it sees every score, loss and adapter. */
static void test_fingerprint(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char first[SLAO_HASH_TEXT], again[SLAO_HASH_TEXT];
    char *path = results_path(s);
    assert_ok(write_results(s, path, first));
    assert_ok(write_results(s, path, again));
    assert_string_equal(first, again);

    int64_t merge = s->steps_of[0].adapters[2], eval = s->steps_of[0].accuracy[8];
    int64_t train = s->steps_of[0].finetunes[1];
    cJSON *record = record_of(s, eval);
    cJSON_SetValuestring(slao_json_find(record, "host"), "host-z");
    cJSON_SetValuestring(slao_json_find(record, "started"), "2026-03-01T00:00:00Z");
    cJSON_SetNumberValue(slao_json_find(record, "seconds"), 77);
    put(s, eval, record);
    s->spec.name = "renamed";
    orders[0].name = "";
    assert_ok(write_results(s, path, again));
    assert_string_equal(first, again);
    orders[0].name = "O1";

    record = record_of(s, eval);
    cJSON_SetNumberValue(slao_json_find(record, "score"), s->scores[eval] + 1e-9);
    put(s, eval, record);
    assert_ok(write_results(s, path, again));
    assert_string_not_equal(first, again);
    put(s, eval, record_of(s, eval));

    record = record_of(s, train);
    cJSON_SetNumberValue(slao_json_find(record, "loss")->child, 9);
    put(s, train, record);
    assert_ok(write_results(s, path, again));
    assert_string_not_equal(first, again);
    put(s, train, record_of(s, train));

    record = record_of(s, merge);
    cJSON_SetValuestring(slao_json_find(record, "adapter_hash"),
                         "0123456789abcdef0123456789abcdef");
    put(s, merge, record);
    assert_ok(write_results(s, path, again));
    assert_string_not_equal(first, again);
    put(s, merge, record_of(s, merge));

    s->trials[0].train.clip_norm = 1;
    assert_ok(write_results(s, path, again));
    assert_string_not_equal(first, again);
    s->trials[0].train.clip_norm = 0;
    assert_ok(write_results(s, path, again));
    assert_string_equal(first, again);
    free(path);
    sweep_free(s);
}

/* Two shards of one sweep give the file that one store gives. */
static void test_several_stores(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char whole[SLAO_HASH_TEXT], sharded[SLAO_HASH_TEXT];
    char *path = results_path(s), *folder;
    assert_ok(write_results(s, path, whole));
    assert_ok(slao_join_path(&folder, s->folder, "shard"));
    slao_store *shard;
    assert_ok(slao_store_open(&shard, folder));
    for (int64_t i = 0; i < s->plan.n_steps; i += 2) {
        if (s->without_record[i])
            continue;
        cJSON *record = record_of(s, i);
        assert_ok(slao_store_put(shard, s->steps[i].key, record));
        cJSON_Delete(record);
        char key[SLAO_HASH_TEXT], gone[256];
        slao_hash_to_text(s->steps[i].key, key);
        snprintf(gone, sizeof gone, "%s/steps/%s.json", s->folder, key);
        assert_int_equal(unlink(gone), 0);
    }
    const slao_store *stores[] = {shard, s->store};
    assert_ok(slao_results_write(path, &s->plan, stores, 2, &context, sharded));
    assert_string_equal(whole, sharded);
    slao_store_close(shard);
    free(folder);
    free(path);
    sweep_free(s);
}

static void fails_with(sweep *s, int64_t index, cJSON *record, const char *part) {
    char fingerprint[SLAO_HASH_TEXT], *path = results_path(s);
    put(s, index, record);
    assert_fails(write_results(s, path, fingerprint), SLAO_BAD_INPUT, part);
    assert_false(slao_is_file(path));
    put(s, index, record_of(s, index));
    free(path);
}

static void test_damaged_records(void **state) {
    (void)state;
    sweep *s = sweep_new();
    int64_t eval = s->steps_of[0].accuracy[8], train = s->steps_of[0].finetunes[1];
    cJSON *record = record_of(s, eval);
    cJSON_DeleteItemFromObjectCaseSensitive(record, "score");
    fails_with(s, eval, record, "(evaluate dbpedia): an evaluation without a score");
    record = record_of(s, eval);
    cJSON_ReplaceItemInObjectCaseSensitive(record, "score", cJSON_CreateString("good"));
    fails_with(s, eval, record, "score must be a number or null");
    record = record_of(s, train);
    cJSON_DeleteItemFromObjectCaseSensitive(record, "host");
    fails_with(s, train, record, "record.host is missing");
    record = record_of(s, train);
    cJSON_DeleteItemFromObjectCaseSensitive(record, "adapter_hash");
    fails_with(s, train, record, "without an adapter_hash");
    record = record_of(s, train);
    cJSON_SetValuestring(slao_json_find(record, "started"), "yesterday");
    fails_with(s, train, record, "\"yesterday\", not a time");
    record = record_of(s, train);
    cJSON_ReplaceItemInObjectCaseSensitive(record, "loss", cJSON_CreateString("low"));
    fails_with(s, train, record, "record.loss must be a list");
    record = record_of(s, train);
    cJSON_AddItemToArray(slao_json_find(record, "loss"), cJSON_CreateTrue());
    fails_with(s, train, record, "record.loss must hold numbers");
    record = record_of(s, train);
    cJSON_AddItemToArray(slao_json_find(record, "orthogonality")->child, cJSON_CreateNull());
    fails_with(s, train, record, "orthogonality must hold lists of one length");
    record = record_of(s, train);
    cJSON_AddItemToArray(slao_json_find(record, "orthogonality"),
                         cJSON_Duplicate(slao_json_find(record, "orthogonality")->child, true));
    fails_with(s, train, record, "trial 0a0000000000: orthogonality");
    sweep_free(s);
}

static void test_adapters_that_do_not_fit(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char fingerprint[SLAO_HASH_TEXT], *path = results_path(s);
    slao_lora_settings other = s->trials[0].lora;
    other.rank = 4;
    put_adapter(s, s->steps_of[0].finetunes[1], &other, 1, 1, 2);
    assert_fails(write_results(s, path, fingerprint), SLAO_BAD_INPUT,
                 "trial 0a0000000000: the adapter after amazon is not of the rank");
    char *folder, *tensors;
    assert_ok(
        slao_store_adapter_path(s->store, s->steps[s->steps_of[0].finetunes[1]].key, &folder));
    assert_ok(slao_join_path(&tensors, folder, "adapter_model.safetensors"));
    assert_ok(slao_write_file(tensors, "torn", 4));
    assert_fails(write_results(s, path, fingerprint), SLAO_BAD_INPUT, "adapter_model.safetensors");
    free(tensors);
    free(folder);
    free(path);
    sweep_free(s);
}

/* The temporary file is on a full device: what was at the path stays, nothing is left behind. */
static void test_full_disk(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char fingerprint[SLAO_HASH_TEXT], *path = results_path(s), *temporary, *text;
    assert_ok(slao_write_file(path, "old", 3));
    assert_ok(slao_temporary_name(&temporary, path));
    assert_int_equal(symlink("/dev/full", temporary), 0);
    assert_fails(write_results(s, path, fingerprint), SLAO_NO_RESOURCE, "No space left on device");
    assert_non_null(strstr(slao_message(), path));
    struct stat facts;
    assert_int_equal(lstat(temporary, &facts), -1);
    assert_ok(slao_read_text(&text, NULL, path));
    assert_string_equal(text, "old");
    free(text);
    assert_ok(write_results(s, path, fingerprint)); /* and the library is still of use */
    free(temporary);
    free(path);
    sweep_free(s);
}

/* Ends a process of its own as a program does, with what HDF5 leaves to be done at its exit. */
static int exit_code_of_writing(const sweep *s, const char *path, rlim_t most_bytes) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char fingerprint[SLAO_HASH_TEXT];
        const struct rlimit limit = {most_bytes, most_bytes};
        signal(SIGSEGV, SIG_DFL); /* which cmocka catches */
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(1);
        exit((int)write_results(s, path, fingerprint));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The file may not grow beyond a part of its size: HDF5 1.10 then cannot close what it has begun,
 * and would crash as the program ends. */
static void test_disk_that_fills_up(void **state) {
    (void)state;
    enum { PARTS = 16 };
    sweep *s = sweep_new();
    char fingerprint[SLAO_HASH_TEXT], *path = results_path(s);
    struct stat facts;
    assert_ok(write_results(s, path, fingerprint));
    assert_int_equal(stat(path, &facts), 0);
    for (off_t part = 1; part < PARTS; part++)
        assert_int_equal(exit_code_of_writing(s, path, (rlim_t)(part * facts.st_size / PARTS)),
                         SLAO_NO_RESOURCE);
    assert_int_equal(exit_code_of_writing(s, path, (rlim_t)(2 * facts.st_size)), SLAO_OK);
    free(path);
    sweep_free(s);
}

static void test_unwritable_folder(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char fingerprint[SLAO_HASH_TEXT];
    assert_fails(write_results(s, "/nowhere/out.h5", fingerprint), SLAO_BAD_INPUT,
                 "/nowhere/out.h5");
    sweep_free(s);
}

/* A spec far beyond HDF5's old limit of 64 KB for attributes. */
static void test_long_spec(void **state) {
    (void)state;
    sweep *s = sweep_new();
    char fingerprint[SLAO_HASH_TEXT], *path = results_path(s), *text;
    assert_ok(slao_allocate(&text, 300001, 1));
    memset(text, 'x', 300000);
    s->spec.text = text;
    assert_ok(write_results(s, path, fingerprint));
    free(text);
    free(path);
    sweep_free(s);
}

int main(int argc, char **argv) {
    if (argc == 2) {
        sweep *s = sweep_new();
        char fingerprint[SLAO_HASH_TEXT];
        if (write_results(s, argv[1], fingerprint) != SLAO_OK) {
            fprintf(stderr, "%s\n", slao_message());
            return 1;
        }
        puts(fingerprint);
        sweep_free(s);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprint),        cmocka_unit_test(test_several_stores),
        cmocka_unit_test(test_damaged_records),    cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_disk_that_fills_up), cmocka_unit_test(test_adapters_that_do_not_fit),
        cmocka_unit_test(test_unwritable_folder),  cmocka_unit_test(test_long_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
