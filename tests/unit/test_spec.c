/* sweep/spec: keys, axes, presets, --set, variables, trials; and everything that is refused. */
#include "test.h"

#include "small_benchmark.h"
#include "sweep/spec.h"

static char folder[] = "/tmp/slao-test-XXXXXX";

/* Methods with options, which the real table has not yet. */
static const char *const starts[] = {"random", "last-ft", "previous", NULL};
static const slao_method_option olora_options[] = {
    {"init", "where a task starts", "last-ft", SLAO_OPTION_OF_TRAINING, starts, 0, 0, false},
    {"l1", "weight of the penalty", "0.5", SLAO_OPTION_OF_TRAINING, NULL, 0, 10, false},
    {0},
};
static const slao_method methods[] = {
    {.name = "slao", .start = "last-ft", .merge = "asymmetric", .uses_lambda = true},
    {.name = "seqlora", .start = "previous"},
    {.name = "olora", .start = "=init", .options = olora_options},
    {0},
};

#define HEAD                                                                                       \
    "\"model\": \"model.gguf\", \"benchmark\": {\"format\": \"cl_benchmark\", \"path\": \"data\"}"
#define ONE_ORDER "\"order\": [[\"agnews\", \"amazon\"]]"

static slao_status parse(slao_spec **spec, const char *text, const char *const *settings, int n) {
    return slao_spec_parse_with(spec, text, "spec.json", folder, settings, n, methods);
}

static slao_spec *good(const char *text, const char *const *settings, int n) {
    slao_spec *spec;
    assert_ok(parse(&spec, text, settings, n));
    return spec;
}

static slao_spec *good_sweep(const char *sweep) {
    char text[2048];
    snprintf(text, sizeof text, "{" HEAD ", \"sweep\": {%s}}", sweep);
    return good(text, NULL, 0);
}

static int setup(void **state) {
    (void)state;
    small_benchmark(folder);
    return setenv("SLAO_TEST_DATA", "data", 1) + unsetenv("SLAO_TEST_UNSET");
}

static int teardown(void **state) {
    (void)state;
    small_remove(folder);
    return 0;
}

static void test_defaults(void **state) {
    (void)state;
    slao_spec *spec = good_sweep(ONE_ORDER);
    assert_string_equal(spec->name, "spec");
    assert_int_equal(spec->n_trials, 1);
    const slao_trial *trial = spec->trials;
    assert_string_equal(trial->method.method->name, "slao");
    assert_string_equal(trial->lambda.text, "1/sqrt(i)");
    assert_int_equal(trial->seed, 0);
    assert_int_equal(trial->lora.rank, 8);
    assert_near(trial->lora.alpha, 16, 0);
    assert_near(trial->lora.dropout, 0, 0);
    assert_false(trial->lora.rslora);
    for (int m = 0; m < SLAO_N_MODULES; m++)
        assert_int_equal(trial->lora.targets[m], m == SLAO_Q_PROJ || m == SLAO_V_PROJ);
    assert_int_equal(trial->train.epochs, 1);
    assert_int_equal(trial->train.batch_size, 8);
    assert_int_equal(trial->train.accumulation, 1);
    assert_int_equal(trial->train.max_length, 512);
    assert_string_equal(trial->train.optimizer, "adamw");
    assert_string_equal(trial->train.schedule, "constant");
    assert_near(trial->train.learning_rate, 1e-4, 0);
    assert_near(trial->train.weight_decay, 0, 0);
    assert_int_equal(trial->train.warmup_steps, 0);
    assert_near(trial->train.clip_norm, 1, 0);
    assert_null(spec->score.score);
    assert_int_equal(spec->score.max_new_tokens, 50);
    assert_true(spec->evaluate_every_task && spec->evaluate_all_tasks);
    assert_false(spec->reference_base || spec->reference_individual);
    assert_int_equal(spec->ranks_per_trial, 1);
    assert_int_equal(spec->weights, SLAO_WEIGHTS_AUTO);
    assert_int_equal(spec->benchmark.train_samples, 0);
    assert_true(spec->benchmark.answer_space);
    assert_null(spec->store);
    assert_int_equal(spec->n_extra, 0);
    assert_string_equal(trial->order->name, "");
    char path[256];
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    assert_string_equal(spec->model, path);
    snprintf(path, sizeof path, "%s/data", folder);
    assert_string_equal(spec->benchmark.path, path);
    slao_spec_free(spec);
}

/* The example of the contract, with what is built so far. */
static void test_everything_said(void **state) {
    (void)state;
    slao_spec *spec = good(
        "{ \"name\": \"lambda-ablation\", // a comment\n"
        "  \"model\": \"model.gguf\",\n"
        "  \"benchmark\": { \"format\": \"cl_benchmark\", \"path\": \"${SLAO_TEST_DATA}\","
        " \"train_samples\": 200, \"test_samples\": 100, \"validation_samples\": 7,"
        " \"sample_seed\": 3, \"answer_space\": false },\n"
        "  \"lora\": { \"rank\": 4, \"alpha\": 32.5, \"dropout\": 0.1, \"targets\": [\"o_proj\"],"
        " \"rslora\": true },\n"
        "  \"train\": { \"epochs\": 2, \"batch_size\": 1, \"accumulation\": 8, \"max_length\": 256,"
        " \"optimizer\": \"adamw\", \"weight_decay\": 0.01, \"schedule\": \"cosine\","
        " \"warmup_steps\": 10, \"clip_norm\": 0 },\n"
        "  \"evaluate\": { \"score\": \"generate\", \"when\": \"end\", \"tasks\": \"seen\","
        " \"max_new_tokens\": 9, \"references\": [\"base\", \"individual\"] },\n"
        "  \"weights\": \"file\", \"ranks_per_trial\": 2, \"store\": \"stores/shared\",\n"
        "  \"sweep\": { \"method\": [\"slao\", \"seqlora\", {\"name\": \"olora\", \"l1\": 0.25}],"
        " \"order\": [[\"dbpedia\", \"amazon\"], [\"AMAZON\", \"dbpedia\", \"sst2\"]],"
        " \"lambda\": [\"1/sqrt(i)\", 0.1, \"0.50\", 0.9], \"learning_rate\": [1e-4, 5e-5],"
        " \"seed\": [0, 1, 2] },\n"
        "  \"presets\": { \"small\": { \"benchmark\": { \"train_samples\": 50 } } } }",
        NULL, 0);
    assert_string_equal(spec->name, "lambda-ablation");
    assert_int_equal(spec->benchmark.train_samples, 200);
    assert_int_equal(spec->benchmark.test_samples, 100);
    assert_int_equal(spec->benchmark.validation_samples, 7);
    assert_int_equal(spec->benchmark.sample_seed, 3);
    assert_false(spec->benchmark.answer_space);
    assert_string_equal(spec->score.score, "generate");
    assert_int_equal(spec->score.max_new_tokens, 9);
    assert_false(spec->evaluate_every_task || spec->evaluate_all_tasks);
    assert_true(spec->reference_base && spec->reference_individual);
    assert_int_equal(spec->ranks_per_trial, 2);
    assert_int_equal(spec->weights, SLAO_WEIGHTS_FILE);
    char path[256];
    snprintf(path, sizeof path, "%s/stores/shared", folder);
    assert_string_equal(spec->store, path);
    assert_int_equal(spec->n_orders, 2);
    assert_string_equal(spec->orders[1].tasks[0], "amazon"); /* as the folder spells it */
    assert_string_equal(spec->orders[1].tasks[2], "SST-2");
    /* lambda means something to one of the three methods: (4 + 1 + 1) x orders x rates x seeds */
    assert_int_equal(spec->n_trials, 6 * 2 * 2 * 3);
    assert_int_equal(spec->n_extra, 1);
    assert_string_equal(spec->extra_columns[0], "olora.l1");
    int with_lambda = 0, half = 0;
    for (int64_t t = 0; t < spec->n_trials; t++) {
        const slao_trial *trial = &spec->trials[t];
        bool is_olora = strcmp(trial->method.method->name, "olora") == 0;
        bool is_slao = strcmp(trial->method.method->name, "slao") == 0;
        assert_string_equal(trial->extra[0], is_olora ? "0.25" : "");
        assert_int_equal(is_slao, *trial->lambda.text != '\0');
        with_lambda += is_slao;
        half += strcmp(trial->lambda.text, "0.5") == 0;
        assert_int_equal(strspn(trial->id, "0123456789abcdef"), 12);
        assert_int_equal(strlen(trial->id), 12);
        assert_true(t == 0 || strcmp(spec->trials[t - 1].id, trial->id) < 0);
        assert_int_equal(trial->lora.rank, 4);
        assert_true(trial->lora.targets[SLAO_O_PROJ] && !trial->lora.targets[SLAO_Q_PROJ]);
        assert_int_equal(trial->train.warmup_steps, 10);
        assert_string_equal(trial->train.schedule, "cosine");
    }
    assert_int_equal(with_lambda, 4 * 2 * 2 * 3);
    assert_int_equal(half, 2 * 2 * 3);
    slao_spec_free(spec);
}

static void test_dotted_axes(void **state) {
    (void)state;
    slao_spec *spec = good_sweep(
        ONE_ORDER ", \"method\": [\"slao\", \"olora\"], \"lora.rank\": [4, 8],"
                  "\"lora.targets\": [[\"q_proj\"], [\"q_proj\", \"k_proj\"]],"
                  "\"train.weight_decay\": [0, 0.010], \"lora.rslora\": [false, true],"
                  "\"olora.l1\": [0.5, \"1.0\", 2], \"olora.init\": [\"random\", \"previous\"]");
    /* slao 1, olora 3 x 2 */
    assert_int_equal(spec->n_trials, 2 * 2 * 2 * 2 * (1 + 3 * 2));
    assert_int_equal(spec->n_extra, 5);
    static const char *const columns[] = {"lora.targets", "train.weight_decay", "lora.rslora",
                                          "olora.l1", "olora.init"};
    for (int c = 0; c < 5; c++)
        assert_string_equal(spec->extra_columns[c], columns[c]);
    int rank4 = 0, both = 0, decayed = 0, one = 0, fresh = 0;
    for (int64_t t = 0; t < spec->n_trials; t++) {
        const slao_trial *trial = &spec->trials[t];
        bool is_olora = strcmp(trial->method.method->name, "olora") == 0;
        rank4 += trial->lora.rank == 4;
        both += trial->lora.targets[SLAO_K_PROJ];
        assert_string_equal(trial->extra[0],
                            trial->lora.targets[SLAO_K_PROJ] ? "q_proj,k_proj" : "q_proj");
        assert_string_equal(trial->extra[1], trial->train.weight_decay > 0 ? "0.01" : "0");
        decayed += trial->train.weight_decay == 0.01;
        assert_string_equal(trial->extra[2], trial->lora.rslora ? "true" : "false");
        assert_string_equal(trial->extra[3], is_olora ? trial->method.values[1] : "");
        one += strcmp(trial->extra[3], "1") == 0;
        fresh += is_olora && strcmp(slao_method_start(&trial->method)->name, "random") == 0;
    }
    assert_int_equal(rank4, spec->n_trials / 2);
    assert_int_equal(both, spec->n_trials / 2);
    assert_int_equal(decayed, spec->n_trials / 2);
    assert_int_equal(one, 16 * 2);
    assert_int_equal(fresh, 16 * 3);
    slao_spec_free(spec);
}

static void test_single_values_are_axes_of_one(void **state) {
    (void)state;
    slao_spec *spec = good_sweep("\"order\": {\"tasks\": [\"CB\", \"yelp\"], \"permutations\": 1},"
                                 "\"method\": \"slao\", \"lambda\": 0.25, \"learning_rate\": 0.01,"
                                 "\"seed\": 7, \"train.epochs\": 3");
    assert_int_equal(spec->n_trials, 1);
    assert_string_equal(spec->trials->lambda.text, "0.25");
    assert_near(spec->trials->train.learning_rate, 0.01, 0);
    assert_int_equal(spec->trials->seed, 7);
    assert_int_equal(spec->trials->train.epochs, 3);
    assert_string_equal(spec->trials->extra[0], "3");
    slao_spec_free(spec);
}

static void test_equal_trials_are_one(void **state) {
    (void)state;
    slao_spec *spec = good_sweep("\"order\": [[\"CB\", \"yelp\"], [\"cb\", \"Yelp\"]],"
                                 "\"lambda\": [0.5, \"0.50\", \"i^(-0.5)\", \"1/sqrt(i)\"],"
                                 "\"lora.alpha\": [8, 8.0], \"seed\": [1, 1]");
    assert_int_equal(spec->n_orders, 1);
    assert_int_equal(spec->n_trials, 2);
    slao_spec_free(spec);
}

static void test_permutations(void **state) {
    (void)state;
    slao_spec *all =
        good_sweep("\"order\": [{\"tasks\": [\"CB\", \"yelp\", \"agnews\", \"amazon\"], "
                   "\"permutations\": \"all\"}]");
    assert_int_equal(all->n_orders, 24);
    assert_int_equal(all->n_trials, 24); /* trials differ, so orders do */
    static const char *const last[] = {"amazon", "agnews", "yelp", "CB"};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(all->orders[0].tasks[i], last[3 - i]);
        assert_string_equal(all->orders[23].tasks[i], last[i]);
    }
    slao_spec_free(all);

    static const char drawn[] = "\"order\": [{\"tasks\": [\"CB\", \"yelp\", \"agnews\", "
                                "\"amazon\"], \"permutations\": 10, \"seed\": %d}]";
    char sweep[256];
    slao_spec *specs[3];
    for (int i = 0; i < 3; i++) {
        snprintf(sweep, sizeof sweep, drawn, i / 2);
        specs[i] = good_sweep(sweep);
        assert_int_equal(specs[i]->n_orders, 10);
        assert_int_equal(specs[i]->n_trials, 10);
    }
    bool same = true;
    for (int o = 0; o < 10; o++) {
        for (int i = 0; i < 4; i++) {
            const char *task = specs[0]->orders[o].tasks[i];
            assert_string_equal(task, specs[1]->orders[o].tasks[i]);
            same = same && strcmp(task, specs[2]->orders[o].tasks[i]) == 0;
        }
    }
    assert_false(same);
    for (int i = 0; i < 3; i++)
        slao_spec_free(specs[i]);
}

static void test_published_orders(void **state) {
    (void)state;
    slao_spec *spec = good_sweep("\"missing_tasks\": \"skip\", \"order\": [\"O1\", [\"dbpedia\", "
                                 "\"amazon\", \"agnews\"], \"O3\"]");
    /* Without yahoo, O1 is the same as the list. */
    assert_int_equal(spec->n_orders, 2);
    assert_string_equal(spec->orders[0].name, "O1");
    assert_int_equal(spec->orders[0].n_tasks, 3);
    assert_string_equal(spec->orders[0].tasks[2], "agnews");
    assert_string_equal(spec->orders[1].name, "O3");
    assert_string_equal(spec->orders[1].tasks[0], "amazon");
    assert_int_equal(spec->n_skipped, 1);
    assert_string_equal(spec->skipped[0], "yahoo");
    slao_spec_free(spec);
}

static void test_settings_of_the_command_line(void **state) {
    (void)state;
    static const char text[] =
        "{" HEAD ", \"train\": {\"epochs\": 1}, \"sweep\": {" ONE_ORDER "},"
        "\"presets\": {\"small\": {\"train\": {\"epochs\": 5, \"batch_size\": 2},"
        " \"sweep\": {\"seed\": [4, 5]}}, \"rates\": {\"sweep\": {\"learning_rate\": [1, 2]}}}}";
    static const char *const settings[] = {"name=run-1",
                                           "train.epochs=2",
                                           "preset=small",
                                           "train.batch_size=3",
                                           "sweep.lambda=1/sqrt(i)",
                                           "preset=rates",
                                           "sweep.lora.rank=[1, 2]",
                                           "evaluate.when=end",
                                           "lora.targets=[\"up_proj\"]",
                                           "sweep.olora.l1=2",
                                           "train.learning_rate=0.5"};
    slao_spec *spec = good(text, settings, sizeof settings / sizeof *settings);
    assert_string_equal(spec->name, "run-1");
    assert_int_equal(spec->n_trials, 2 * 2 * 2);
    assert_int_equal(spec->trials->train.epochs, 5); /* the preset came after */
    assert_int_equal(spec->trials->train.batch_size, 3);
    assert_true(spec->trials->lora.targets[SLAO_UP_PROJ]);
    assert_false(spec->trials->lora.targets[SLAO_Q_PROJ]);
    assert_true(spec->trials->train.learning_rate >= 1); /* the axis wins */
    assert_false(spec->evaluate_every_task);
    slao_spec_free(spec);
}

/* A section that is replaced as a whole has the defaults where it says nothing. */
static void test_whole_sections_set(void **state) {
    (void)state;
    static const char *const settings[] = {
        "lora={\"rank\": 2}", "train={}", "evaluate={\"when\": \"end\"}",
        "sweep={\"order\": [[\"yelp\"]], \"seed\": [3]}",
        "benchmark={\"format\": \"cl_benchmark\", \"path\": \"data\"}"};
    slao_spec *spec = good("{" HEAD ", \"lora\": {\"alpha\": 3}, \"sweep\": {" ONE_ORDER "}}",
                           settings, sizeof settings / sizeof *settings);
    assert_int_equal(spec->n_trials, 1);
    assert_int_equal(spec->trials->lora.rank, 2);
    assert_near(spec->trials->lora.alpha, 16, 0);
    assert_int_equal(spec->trials->train.batch_size, 8);
    assert_int_equal(spec->trials->seed, 3);
    assert_int_equal(spec->trials->order->n_tasks, 1);
    assert_string_equal(spec->trials->method.method->name, "slao");
    assert_true(spec->evaluate_all_tasks && !spec->evaluate_every_task);
    assert_true(spec->benchmark.answer_space);
    slao_spec_free(spec);
}

/* A rank that gets the resolved text sees the same trials. */
static void test_resolved_text_is_read_as_the_same(void **state) {
    (void)state;
    static const char *const settings[] = {"preset=small",
                                           "sweep.lambda=[0.1, 0.30000000000000004]"};
    slao_spec *spec = good("{" HEAD ", \"sweep\": {\"order\": [[\"agnews\"], [\"yelp\", \"CB\"]],"
                           "\"method\": [\"slao\", {\"name\": \"olora\", \"init\": \"random\"}],"
                           "\"train.clip_norm\": [0.1, 1e-30]}, \"presets\": {\"small\":"
                           "{\"benchmark\": {\"train_samples\": 2, \"path\": "
                           "\"${SLAO_TEST_DATA}\"}}}}",
                           settings, 2);
    assert_null(strstr(spec->text, "presets"));
    assert_non_null(strstr(spec->text, "\"path\":\"${SLAO_TEST_DATA}\""));
    assert_null(strstr(spec->expanded, "${"));
    assert_non_null(strstr(spec->text, "\"max_new_tokens\":50"));
    slao_spec *again = good(spec->text, NULL, 0);
    assert_string_equal(again->text, spec->text);
    assert_string_equal(again->expanded, spec->expanded);
    slao_spec_free(again);
    again = good(spec->expanded, NULL, 0);
    assert_string_equal(again->expanded, spec->expanded);
    assert_int_equal(again->n_trials, spec->n_trials);
    assert_int_equal(spec->n_trials, 12);
    for (int64_t t = 0; t < spec->n_trials; t++) {
        assert_string_equal(again->trials[t].id, spec->trials[t].id);
        assert_string_equal(again->trials[t].extra[0], spec->trials[t].extra[0]);
        assert_string_equal(again->trials[t].extra[1], spec->trials[t].extra[1]);
    }
    slao_spec_free(again);
    slao_spec_free(spec);
}

static void test_ids_follow_settings_alone(void **state) {
    (void)state;
    slao_spec *plain = good_sweep(ONE_ORDER);
    /* names, places and what is evaluated when do not make another trial */
    static const char *const same[] = {"name=other",
                                       "benchmark.path=./data",
                                       "store=elsewhere",
                                       "evaluate.when=end",
                                       "evaluate.references=[\"base\"]",
                                       "train.micro_tokens=352",
                                       "train.checkpointing=on",
                                       "weights=file",
                                       "sweep.order=[[\"AGNEWS\", \"Amazon\"]]"};
    static const char *const other[] = {"sweep.method=seqlora",
                                        "sweep.order=[[\"amazon\", \"agnews\"]]",
                                        "sweep.lambda=0.5",
                                        "sweep.seed=1",
                                        "lora.rank=4",
                                        "lora.alpha=8",
                                        "lora.dropout=0.1",
                                        "lora.rslora=true",
                                        "lora.targets=[\"q_proj\"]",
                                        "train.epochs=2",
                                        "train.batch_size=4",
                                        "train.accumulation=2",
                                        "train.max_length=100",
                                        "train.learning_rate=1e-3",
                                        "train.weight_decay=0.1",
                                        "train.schedule=linear",
                                        "train.warmup_steps=1",
                                        "train.clip_norm=2",
                                        "train.micro_tokens=0",
                                        "matmul_precision=bf16",
                                        "evaluate.score=exact",
                                        "evaluate.max_new_tokens=10",
                                        "benchmark.train_samples=1",
                                        "benchmark.test_samples=1",
                                        "benchmark.validation_samples=1",
                                        "benchmark.sample_seed=1",
                                        "benchmark.answer_space=false"};
    static const char text[] = "{" HEAD ", \"sweep\": {" ONE_ORDER "}}";
    enum { OTHERS = sizeof other / sizeof *other };
    char ids[OTHERS][SLAO_TRIAL_ID];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        slao_spec *spec = good(text, &same[i], 1);
        assert_string_equal(spec->trials->id, plain->trials->id);
        slao_spec_free(spec);
    }
    for (int i = 0; i < OTHERS; i++) {
        slao_spec *spec = good(text, &other[i], 1);
        strcpy(ids[i], spec->trials->id);
        slao_spec_free(spec);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
        assert_string_not_equal(ids[i], plain->trials->id);
    }
    slao_spec_free(plain);
}

/* A row: more keys of the spec (with a comma before), its axes, a --set, and what is said. */
static const struct {
    const char *keys, *sweep, *setting, *message;
} refused[] = {
    {", \"trian\": {}", ONE_ORDER, NULL,
     "spec.json: trian is not a key that slao knows; did you mean \"train\"?"},
    {", \"train\": {\"epoch\": 1}", ONE_ORDER, NULL,
     "spec.json: train.epoch is not a key that slao knows; did you mean \"epochs\"?"},
    {", \"lora\": {\"Rank\": 1}", ONE_ORDER, NULL, "lora.Rank is not a key that slao knows"},
    {", \"lora\": {\"rank\": 4, \"rank\": 8}", ONE_ORDER, NULL,
     "spec.json: lora.rank is given twice"},
    {", \"model\": \"model.gguf\"", ONE_ORDER, NULL, "spec.json: model is given twice"},
    {"", ONE_ORDER ", \"seed\": [1], \"seed\": [2]", NULL, "spec.json: sweep.seed is given twice"},
    {", \"presets\": {\"a\": {\"name\": \"x\", \"name\": \"y\"}}", ONE_ORDER, NULL,
     "spec.json: presets.a.name is given twice"},
    {"", "\"order\": [{\"tasks\": [\"CB\"], \"permutations\": 1, \"seed\": 1, \"seed\": 2}]", NULL,
     "spec.json: sweep.order[0].seed is given twice"},
    {", \"train\": {\"epochs\": \"2\"}", ONE_ORDER, NULL,
     "spec.json: train.epochs must be a whole number"},
    {", \"train\": {\"epochs\": 1.5}", ONE_ORDER, NULL, "train.epochs must be a whole number"},
    {", \"train\": {\"epochs\": 0}", ONE_ORDER, NULL, "train.epochs is 0, but must lie between 1"},
    {", \"train\": 3", ONE_ORDER, NULL, "spec.json: train must be an object"},
    {", \"train\": {\"optimizer\": \"adam\"}", ONE_ORDER, NULL,
     "spec.json: train.optimizer cannot be \"adam\"; did you mean \"adamw\"?"},
    {", \"train\": {\"schedule\": \"cosin\"}", ONE_ORDER, NULL, "did you mean \"cosine\"?"},
    {", \"train\": {\"learning_rate\": 0}", ONE_ORDER, NULL,
     "train.learning_rate is 0, but must be above 0"},
    {", \"train\": {\"learning_rate\": 1e999}", ONE_ORDER, NULL, "train.learning_rate is inf"},
    {", \"lora\": {\"alpha\": -1}", ONE_ORDER, NULL, "lora.alpha is -1"},
    {", \"lora\": {\"dropout\": 1}", ONE_ORDER, NULL, "lora.dropout is 1"},
    {", \"lora\": {\"targets\": []}", ONE_ORDER, NULL, "spec.json: lora.targets is empty"},
    {", \"lora\": {\"targets\": [\"q_prj\"]}", ONE_ORDER, NULL, "did you mean \"q_proj\"?"},
    {", \"lora\": {\"targets\": [\"q_proj\", \"q_proj\"]}", ONE_ORDER, NULL,
     "lora.targets names q_proj twice"},
    {", \"lora\": {\"targets\": [1]}", ONE_ORDER, NULL, "lora.targets must be a list of strings"},
    {", \"lora\": {\"rslora\": 1}", ONE_ORDER, NULL, "lora.rslora must be true or false"},
    {", \"evaluate\": {\"score\": \"exakt\"}", ONE_ORDER, NULL, "did you mean \"exact\"?"},
    {", \"evaluate\": {\"when\": \"always\"}", ONE_ORDER, NULL,
     "evaluate.when cannot be \"always\" (it is one of: every_task, end)"},
    {", \"evaluate\": {\"tasks\": \"sen\"}", ONE_ORDER, NULL, "did you mean \"seen\"?"},
    {", \"evaluate\": {\"references\": [\"bas\"]}", ONE_ORDER, NULL, "did you mean \"base\"?"},
    {", \"evaluate\": {\"references\": \"base\"}", ONE_ORDER, NULL, "references must be a list"},
    {", \"ranks_per_trial\": 0", ONE_ORDER, NULL, "spec.json: ranks_per_trial is 0"},
    {", \"train\": {\"checkpointing\": true}", ONE_ORDER, NULL,
     "train.checkpointing must be a string"},
    {", \"train\": {\"checkpointing\": \"onn\"}", ONE_ORDER, NULL,
     "spec.json: train.checkpointing cannot be \"onn\"; did you mean \"on\"?"},
    {", \"train\": {\"micro_tokens\": -1}", ONE_ORDER, NULL, "train.micro_tokens is -1"},
    {", \"weights\": \"fp16\"", ONE_ORDER, NULL,
     "spec.json: weights cannot be \"fp16\"; did you mean \"fp32\"?"},
    {", \"store\": null", ONE_ORDER, NULL, "spec.json: store must be a string"},
    {", \"store\": \"${SLAO_TEST_UNSET}/s\"", ONE_ORDER, NULL,
     "spec.json: store uses ${SLAO_TEST_UNSET}, which is not set"},
    {", \"store\": \"${SLAO_TEST\"", ONE_ORDER, NULL, "store: \"${\" has no \"}\""},
    {", \"name\": \"a/b\"", ONE_ORDER, NULL, "cannot hold a \"/\""},
    {", \"name\": \"\"", ONE_ORDER, NULL, "spec.json: name is empty"},
    {", \"missing_tasks\": \"ignore\"", ONE_ORDER, NULL, "missing_tasks cannot be \"ignore\""},
    {"", "", NULL, "spec.json: sweep.order is missing"},
    {"", "\"order\": []", NULL, "spec.json: sweep.order is empty"},
    {"", "\"order\": [[]]", NULL, "spec.json: sweep.order[0]: no task is left in the order"},
    {"", "\"order\": [[\"agnew\"]]", NULL, "has no task \"agnew\"; did you mean \"agnews\"?"},
    {"", "\"order\": [[\"agnews\", \"AGNews\"]]", NULL,
     "spec.json: sweep.order[0]: task agnews comes twice"},
    {"", "\"order\": [[\"CB\"], [3]]", NULL, "spec.json: sweep.order[1] must be a string"},
    {"", "\"order\": [4]", NULL, "spec.json: sweep.order[0] must be a list of task names"},
    {"", "\"order\": [\"agnews\", \"amazon\"]", NULL,
     "\"agnews\" is no published order (an order of your own is a list of tasks"},
    {"", "\"order\": [\"O1\"]", NULL, "has no task \"yahoo\""},
    {"", "\"order\": [\"superni-1\"]", NULL, "order superni-1 is of a superni benchmark"},
    {"", "\"order\": [\"superni1\"]", NULL, "did you mean \"superni-1\"?"},
    {"", "\"order\": {\"tasks\": [\"CB\"], \"permutation\": 1}", NULL,
     "sweep.order[0].permutation is not a key that slao knows; did you mean \"permutations\"?"},
    {"", "\"order\": {\"tasks\": [\"CB\"]}", NULL, "sweep.order[0].permutations is missing"},
    {"", "\"order\": {\"tasks\": [\"CB\"], \"permutations\": 0}", NULL, "from 1 to 40320"},
    {"", "\"order\": {\"tasks\": [\"CB\"], \"permutations\": 1.5}", NULL, "from 1 to 40320"},
    {"", "\"order\": {\"tasks\": [\"CB\"], \"permutations\": 1e300}", NULL, "from 1 to 40320"},
    {"", "\"order\": {\"tasks\": [\"CB\"], \"permutations\": \"some\"}", NULL,
     "must be \"all\" or"},
    {"", "\"order\": {\"tasks\": [\"CB\", \"yelp\"], \"permutations\": 3}", NULL,
     "is 3, but 2 tasks have only 2 orders"},
    {"", ONE_ORDER ", \"seeds\": [1]", NULL,
     "spec.json: sweep.seeds is not a key that slao knows; did you mean \"seed\"?"},
    {"", ONE_ORDER ", \"lora.rnk\": [1]", NULL, "did you mean \"lora.rank\"?"},
    {"", ONE_ORDER ", \"olora.l2\": [1]", NULL, "did you mean \"olora.l1\"?"},
    {"", ONE_ORDER ", \"evaluate.when\": [\"end\"]", NULL, "sweep.evaluate.when is not a key"},
    {"", ONE_ORDER ", \"lambda\": []", NULL, "spec.json: sweep.lambda is empty"},
    {"", ONE_ORDER ", \"train.epochs\": []", NULL, "spec.json: sweep.train.epochs is empty"},
    {"", ONE_ORDER ", \"lambda\": [0.5, 1.5]", NULL,
     "spec.json: sweep.lambda[1]: \"1.5\" is no schedule lambda(i): a constant lambda must lie"},
    {"", ONE_ORDER ", \"lambda\": [\"sqrt(i)\"]", NULL, "the forms are 1/sqrt(i)"},
    {"", ONE_ORDER ", \"lambda\": [true]", NULL, "sweep.lambda[0] must be a number or a string"},
    {"", ONE_ORDER ", \"seed\": [1, 0.5]", NULL,
     "value 2 of the axis: spec.json: sweep.seed must be a whole number"},
    {"", ONE_ORDER ", \"seed\": [-1]", NULL, "sweep.seed is -1"},
    {"", ONE_ORDER ", \"learning_rate\": [\"1e-4\"]", NULL, "sweep.learning_rate must be a number"},
    {"", ONE_ORDER ", \"learning_rate\": [1], \"train.learning_rate\": [2]", NULL,
     "sweep.learning_rate and sweep.train.learning_rate are the same axis"},
    {"", ONE_ORDER ", \"lora.rank\": [0]", NULL, "spec.json: sweep.lora.rank is 0"},
    {"", ONE_ORDER ", \"lora.targets\": [\"q_proj\"]", NULL, "sweep.lora.targets must be a list"},
    {"", ONE_ORDER ", \"lora.targets\": [[\"qproj\"]]", NULL,
     "spec.json: sweep.lora.targets cannot be \"qproj\"; did you mean \"q_proj\"?"},
    {"", ONE_ORDER ", \"train.schedule\": [\"line\"]", NULL, "did you mean \"linear\"?"},
    {"", ONE_ORDER ", \"method\": [\"slo\"]", NULL,
     "spec.json: sweep.method[0]: \"slo\" is not a method that slao knows; did you mean \"slao\"?"},
    {"", ONE_ORDER ", \"method\": [7]", NULL, "sweep.method[0] must be a method's name"},
    {"", ONE_ORDER ", \"method\": [{\"l1\": 1}]", NULL, "sweep.method[0] must be a method's name"},
    {"", ONE_ORDER ", \"method\": [{\"name\": \"olora\", \"l2\": 1}]", NULL,
     "olora has no option \"l2\"; did you mean \"l1\"?"},
    {"", ONE_ORDER ", \"method\": [{\"name\": \"olora\", \"l1\": [1]}]", NULL,
     "spec.json: sweep.method[0]: l1 must be a number or a string"},
    {"", ONE_ORDER ", \"method\": [{\"name\": \"olora\", \"l1\": 11}]", NULL,
     "l1 is 11, but must lie between 0 and 10"},
    {"", ONE_ORDER ", \"olora.init\": [\"last\"]", NULL,
     "spec.json: sweep.olora.init[0]: init cannot be \"last\""},
    {", \"presets\": {\"a\": {\"trian\": {}}}", ONE_ORDER, NULL,
     "spec.json: presets.a.trian is not a key that slao knows; did you mean \"train\"?"},
    {", \"presets\": {\"a\": {\"train\": {\"epochs\": \"x\"}}}", ONE_ORDER, NULL,
     "spec.json: presets.a.train.epochs must be a whole number"},
    {", \"presets\": {\"a\": {\"sweep\": {\"lamda\": [1]}}}", ONE_ORDER, NULL,
     "spec.json: presets.a.sweep.lamda is not a key that slao knows; did you mean \"lambda\"?"},
    {", \"presets\": {\"a\": {\"presets\": {}}}", ONE_ORDER, NULL, "cannot be nested"},
    {", \"presets\": {\"a\": 1}", ONE_ORDER, NULL, "spec.json: presets.a must be an object"},
    {", \"presets\": {\"small\": {}}", ONE_ORDER, "preset=smal",
     "--set preset=smal: spec.json has no preset of that name; did you mean \"small\"?"},
    {"", ONE_ORDER, "preset=small", "spec.json has no preset of that name"},
    {"", ONE_ORDER, "train.epoch=2",
     "--set train.epoch=2: train.epoch is not a key that slao knows; did you mean \"epochs\"?"},
    {"", ONE_ORDER, "trian.epochs=2",
     "--set trian.epochs=2: trian is not a key that slao knows; did you mean \"train\"?"},
    {"", ONE_ORDER, "train.epochs.x=2", "train.epochs must be a whole number"},
    {"", ONE_ORDER, "train.epochs=two", "train.epochs must be a whole number"},
    {"", ONE_ORDER, "sweep.lamda=0.5", "did you mean \"lambda\"?"},
    {"", ONE_ORDER, "sweep.lambda=[0.5", "\"[0.5\" is not valid JSON"},
    {"", ONE_ORDER, "lora={\"rank\":1,\"rank\":2}", "rank is given twice"},
    {"", ONE_ORDER, "train", "--set train: write KEY=VALUE"},
    {"", ONE_ORDER, "=2", "write KEY=VALUE"},
    {"", ONE_ORDER, ".=2", "is not a key that slao knows"},
    {"", ONE_ORDER, "model=nowhere.gguf", "nowhere.gguf is neither a file nor a folder"},
    {"", ONE_ORDER, "benchmark.path=nowhere", "spec.json: benchmark.path: "},
    {"", ONE_ORDER, "benchmark.format=cl_bench",
     "spec.json: benchmark.format cannot be \"cl_bench\""},
};

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[2048];
        snprintf(text, sizeof text, "{" HEAD "%s, \"sweep\": {%s}}", refused[i].keys,
                 refused[i].sweep);
        slao_spec *spec;
        assert_fails(parse(&spec, text, &refused[i].setting, refused[i].setting ? 1 : 0),
                     SLAO_BAD_INPUT, refused[i].message);
        assert_null(spec);
    }
}

static void test_whole_documents_refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "spec.json:1:1"},
        {"[]", "spec.json: must be an object"},
        {"{\"model\": model.gguf}", "spec.json:1:11: not valid JSON"},
        {"{\"sweep\": {" ONE_ORDER "}}", "spec.json: model is missing"},
        {"{\"model\": \"model.gguf\"}", "spec.json: benchmark.format is missing"},
        {"{\"model\": \"model.gguf\", \"benchmark\": {\"format\": \"cl_benchmark\"}}",
         "spec.json: benchmark.path is missing"},
        {"{" HEAD "}", "spec.json: sweep.order is missing"},
        {"{" HEAD ", \"sweep\": {" ONE_ORDER ", \"seed\": ["
         "0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9],\"learning_rate\":["
         "1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3],\"train.epochs\":["
         "1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3],\"lora.rank\":["
         "1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3],\"lora.alpha\":["
         "1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3]}}",
         "cross to more than 10000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        slao_spec *spec;
        assert_fails(parse(&spec, rows[i][0], NULL, 0), SLAO_BAD_INPUT, rows[i][1]);
        assert_null(spec);
    }
}

static void test_load_from_a_file(void **state) {
    (void)state;
    char path[256];
    small_write(folder, "lambda.json", "{" HEAD ", \"sweep\": {" ONE_ORDER "}}");
    snprintf(path, sizeof path, "%s/lambda.json", folder);
    slao_spec *spec;
    assert_ok(slao_spec_load(&spec, path, NULL, 0));
    assert_string_equal(spec->name, "lambda");
    assert_int_equal(spec->n_trials, 1);
    slao_spec_free(spec);
    assert_fails(slao_spec_load(&spec, "/nowhere/spec.json", NULL, 0), SLAO_BAD_INPUT,
                 "/nowhere/spec.json");
    assert_null(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_said),
        cmocka_unit_test(test_dotted_axes),
        cmocka_unit_test(test_single_values_are_axes_of_one),
        cmocka_unit_test(test_equal_trials_are_one),
        cmocka_unit_test(test_permutations),
        cmocka_unit_test(test_published_orders),
        cmocka_unit_test(test_settings_of_the_command_line),
        cmocka_unit_test(test_whole_sections_set),
        cmocka_unit_test(test_resolved_text_is_read_as_the_same),
        cmocka_unit_test(test_ids_follow_settings_alone),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_whole_documents_refused),
        cmocka_unit_test(test_load_from_a_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
