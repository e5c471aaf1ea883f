/* sweep/plan: what is shared, what is in a key, and that steps and trials point at one another
 * rightly. */
#include "test.h"

#include "small_benchmark.h"
#include "sweep/plan.h"

static char folder[] = "/tmp/slao-test-XXXXXX";
static const slao_hash model = {.high = 1, .low = 2};

/* Methods with options, which the real table has not yet. */
static const char *const starts[] = {"last-ft", "previous", "last-merge", "random", NULL};
static const slao_method_option options[] = {
    {"init", "where a task starts", "last-ft", SLAO_OPTION_OF_TRAINING, starts, 0, 0, false},
    {"l1", "weight of the penalty", "0.5", SLAO_OPTION_OF_TRAINING, NULL, 0, 10, false},
    {"trim", "entries kept", "1", SLAO_OPTION_OF_MERGE, NULL, 0, 1, false},
    {"row_scale", "norm of rows", "1", SLAO_OPTION_OF_START, NULL, 0, 9, false},
    {0},
};
static const slao_method_option init_alone[] = {
    {"init", "where a task starts", "last-ft", SLAO_OPTION_OF_TRAINING, starts, 0, 0, false},
    {0},
};
static const slao_method methods[] = {
    {.name = "slao",
     .start = "=init",
     .merge = "asymmetric",
     .uses_lambda = true,
     .options = options},
    {.name = "twin",
     .start = "=init",
     .merge = "asymmetric",
     .uses_lambda = true,
     .options = options},
    {.name = "free", .start = "=init", .options = init_alone},
    {.name = "seqlora", .start = "previous"},
    {.name = "frozen", .start = "previous", .frozen = SLAO_FACTOR_B},
    {.name = "stack", .lineage = SLAO_LINEAGE_STACK, .start = "random"},
    {.name = "average",
     .lineage = SLAO_LINEAGE_ALONE,
     .merge = "average",
     .inputs = SLAO_MERGE_ALL},
    {.name = "magmax", .start = "previous", .merge = "magmax", .inputs = SLAO_MERGE_ALL},
    {0},
};

static int setup(void **state) {
    (void)state;
    small_benchmark(folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    small_remove(folder);
    return 0;
}

static slao_plan *plan_of(const char *keys, const char *sweep, const char *setting,
                          const slao_method *table) {
    char text[2048];
    snprintf(text, sizeof text,
             "{\"model\": \"model.gguf\", \"benchmark\": {\"format\": \"cl_benchmark\", \"path\": "
             "\"data\"}%s, \"sweep\": {%s}}",
             keys, sweep);
    slao_spec *spec;
    slao_plan *plan;
    assert_ok(
        slao_spec_parse_with(&spec, text, "spec.json", folder, &setting, setting ? 1 : 0, table));
    assert_ok(slao_plan_new(&plan, spec, model));
    return plan;
}

static void release(slao_plan *plan) {
    slao_spec *spec = (slao_spec *)plan->spec;
    slao_plan_free(plan);
    slao_spec_free(spec);
}

/* A set of texts, the slow and simple way. */
typedef struct {
    char **texts;
    size_t count, capacity;
} text_set;

static void add_text(text_set *set, const char *text) {
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->texts[i], text) == 0)
            return;
    }
    assert_ok(slao_grow(&set->texts, &set->capacity, set->count + 1, sizeof *set->texts));
    assert_ok(slao_copy_text(&set->texts[set->count++], text));
}

static size_t release_texts(text_set *set) {
    for (size_t i = 0; i < set->count; i++)
        free(set->texts[i]);
    free(set->texts);
    return set->count;
}

/* Counts of steps by paths through tries, written down as texts: a fine-tune is its settings and
 * the tasks so far; a merge is that and its schedule's values; an evaluation is an adapter and a
 * task. */
static void count_by_tries(const slao_spec *spec, size_t counts[SLAO_N_STEP_KINDS]) {
    text_set finetunes = {0}, merges = {0}, evaluations = {0};
    for (int64_t t = 0; t < spec->n_trials; t++) {
        const slao_trial *trial = &spec->trials[t];
        const char *name = trial->method.method->name;
        bool individual = strcmp(name, "individual") == 0, merging = strcmp(name, "slao") == 0;
        char settings[128], path[1024] = "", merged[2048], adapter[2048], evaluation[4096];
        snprintf(settings, sizeof settings, "%g/%d", trial->train.learning_rate, (int)trial->seed);
        for (int64_t j = 0; j < trial->order->n_tasks; j++) {
            if (j == 0 || individual) {
                snprintf(path, sizeof path, "%s:%s", settings, trial->order->tasks[j]);
                snprintf(merged, sizeof merged, "%s", path);
            } else {
                snprintf(path + strlen(path), sizeof path - strlen(path), ">%s%s",
                         merging ? "qr " : "", trial->order->tasks[j]);
                snprintf(merged + strlen(merged), sizeof merged - strlen(merged), "|%s %a",
                         trial->order->tasks[j],
                         merging ? slao_schedule_value(&trial->lambda, j + 1) : 0.0);
            }
            add_text(&finetunes, path);
            if (merging && j > 0)
                add_text(&merges, merged);
            snprintf(adapter, sizeof adapter, "%s", merging ? merged : path);
            for (int64_t i = 0; i < trial->order->n_tasks; i++) {
                bool wanted = spec->evaluate_all_tasks || i <= j;
                wanted = wanted && (spec->evaluate_every_task || j == trial->order->n_tasks - 1);
                if (individual ? i != j : !wanted)
                    continue;
                snprintf(evaluation, sizeof evaluation, "%s on %s", adapter,
                         trial->order->tasks[i]);
                add_text(&evaluations, evaluation);
            }
            snprintf(adapter, sizeof adapter, "%s:%s", settings, trial->order->tasks[j]);
            if (spec->reference_individual) {
                add_text(&finetunes, adapter);
                snprintf(evaluation, sizeof evaluation, "%s on %s", adapter,
                         trial->order->tasks[j]);
                add_text(&evaluations, evaluation);
            }
            if (spec->reference_base) {
                snprintf(evaluation, sizeof evaluation, "base on %s", trial->order->tasks[j]);
                add_text(&evaluations, evaluation);
            }
        }
    }
    counts[SLAO_STEP_FINETUNE] = release_texts(&finetunes);
    counts[SLAO_STEP_MERGE] = release_texts(&merges);
    counts[SLAO_STEP_EVALUATE] = release_texts(&evaluations);
}

static void count_steps(const slao_plan *plan, size_t counts[SLAO_N_STEP_KINDS]) {
    memset(counts, 0, SLAO_N_STEP_KINDS * sizeof *counts);
    for (int64_t s = 0; s < plan->n_steps; s++)
        counts[plan->steps[s].kind]++;
}

static void check_graph(const slao_plan *plan) {
    for (int64_t s = 0; s < plan->n_steps; s++) {
        const slao_step *step = &plan->steps[s];
        for (int64_t p = 0; p < step->n_parents; p++)
            assert_in_range(step->parents[p], 0, s - 1);
        for (int64_t i = 0; i < step->n_tasks; i++)
            assert_non_null(slao_plan_task(plan, step->tasks[i]));
        assert_in_range(step->shared_by, 1, plan->spec->n_trials);
    }
    for (int64_t t = 0; t < plan->spec->n_trials; t++) {
        const slao_trial *trial = &plan->spec->trials[t];
        const slao_trial_steps *steps = &plan->trials[t];
        int64_t n = trial->order->n_tasks;
        for (int64_t j = 0; j < n; j++) {
            const slao_step *finetune = &plan->steps[steps->finetunes[j]];
            assert_int_equal(finetune->kind, SLAO_STEP_FINETUNE);
            assert_string_equal(finetune->task, trial->order->tasks[j]);
            if (finetune->n_parents)
                assert_int_equal(finetune->parents[0], steps->finetunes[j - 1]);
            assert_int_equal(finetune->position, finetune->n_parents ? j + 1 : 1);
            const slao_step *adapter = &plan->steps[steps->adapters[j]];
            if (adapter->kind == SLAO_STEP_MERGE) {
                assert_int_equal(adapter->parents[0], steps->adapters[j - 1]);
                assert_int_equal(adapter->parents[1], steps->finetunes[j]);
                assert_int_equal(adapter->position, j + 1);
            } else {
                assert_int_equal(steps->adapters[j], steps->finetunes[j]);
            }
            for (int64_t i = 0; i < n; i++) {
                int64_t place = steps->accuracy[j * n + i];
                if (place < 0)
                    continue;
                assert_int_equal(plan->steps[place].kind, SLAO_STEP_EVALUATE);
                assert_string_equal(plan->steps[place].task, trial->order->tasks[i]);
                assert_int_equal(plan->steps[place].parents[0], steps->adapters[j]);
            }
            if (steps->base[j] >= 0) {
                assert_int_equal(plan->steps[steps->base[j]].n_parents, 0);
                assert_int_equal(plan->steps[steps->base[j]].position, 0);
            }
            if (steps->individual[j] >= 0) {
                const slao_step *alone = &plan->steps[steps->individual[j]];
                assert_string_equal(alone->task, trial->order->tasks[j]);
                assert_int_equal(plan->steps[alone->parents[0]].n_parents, 0);
                assert_string_equal(plan->steps[alone->parents[0]].task, trial->order->tasks[j]);
            }
        }
    }
}

static const char *const crossed[][2] = {
    {"", "\"order\": [[\"CB\"]]"},
    {"", "\"order\": {\"tasks\": [\"CB\", \"yelp\", \"agnews\", \"amazon\"], \"permutations\": "
         "\"all\"}, \"lambda\": [\"1/sqrt(i)\", \"1/i\", 0.5], \"method\": [\"slao\", "
         "\"seqlora\", \"individual\"]"},
    {", \"evaluate\": {\"references\": [\"base\", \"individual\"]}",
     "\"order\": {\"tasks\": [\"CB\", \"yelp\", \"agnews\", \"SST-2\", \"dbpedia\"], "
     "\"permutations\": 9}, \"lambda\": [0.1, 0.2], \"seed\": [0, 1], \"learning_rate\": [1e-4, "
     "1e-3], \"method\": [\"seqlora\", \"slao\"]"},
    {", \"evaluate\": {\"when\": \"end\", \"tasks\": \"seen\", \"references\": [\"individual\"]}",
     "\"order\": [[\"CB\", \"yelp\", \"agnews\"], [\"CB\", \"yelp\", \"amazon\"], [\"CB\", "
     "\"yelp\"]], \"method\": [\"slao\", \"individual\"]"},
    {", \"evaluate\": {\"tasks\": \"seen\"}",
     "\"order\": {\"tasks\": [\"CB\", \"yelp\", \"agnews\"], \"permutations\": \"all\"}"},
};

static void test_shared_steps_are_those_of_tries(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof crossed / sizeof *crossed; c++) {
        slao_plan *plan = plan_of(crossed[c][0], crossed[c][1], NULL, slao_methods);
        size_t expected[SLAO_N_STEP_KINDS], counts[SLAO_N_STEP_KINDS];
        count_by_tries(plan->spec, expected);
        count_steps(plan, counts);
        for (int k = 0; k < SLAO_N_STEP_KINDS; k++)
            assert_int_equal(counts[k], expected[k]);
        check_graph(plan);
        release(plan);
    }
}

/* By hand: two orders that begin alike, two lambdas, SLAO and SeqLoRA. */
static void test_counts_by_hand(void **state) {
    (void)state;
    slao_plan *plan =
        plan_of("",
                "\"order\": [[\"CB\", \"yelp\", \"agnews\"], [\"CB\", \"yelp\", \"amazon\"]], "
                "\"lambda\": [0.5, \"1/i\"], \"method\": [\"slao\", \"seqlora\"]",
                NULL, slao_methods);
    assert_int_equal(plan->spec->n_trials, 6);
    size_t counts[SLAO_N_STEP_KINDS];
    count_steps(plan, counts);
    /* CB once; yelp and the last ones with and without QR: 1 + 2 x (1 + 2) */
    assert_int_equal(counts[SLAO_STEP_FINETUNE], 7);
    /* 0.5 is 1/2 at task 2, so that merge is shared: 1, then 2 lambdas x 2 orders */
    assert_int_equal(counts[SLAO_STEP_MERGE], 5);
    /* four tasks on CB's and on yelp's adapters, three on the six last ones (4 merged, 2 not) */
    assert_int_equal(counts[SLAO_STEP_EVALUATE], 4 + 2 * 4 + 6 * 3);
    const slao_step *first = &plan->steps[plan->trials[0].finetunes[0]];
    assert_int_equal(first->shared_by, 6);
    assert_int_equal(plan->n_tasks, 4);
    assert_null(slao_plan_task(plan, "dbpedia"));
    release(plan);
}

/* Which keys of a plan of one trial over two tasks, and the untrained model, a setting changes:
 * [1] fine-tune of task 1, [2] of task 2, [m]erge, [b]ase evaluation, [e]valuation of the end. */
enum { FIRST, SECOND, MERGED, BASE, END, N_LOOKS };
static const char looks[] = "12mbe";

static void look(const slao_plan *plan, slao_hash keys[N_LOOKS]) {
    const slao_trial_steps *steps = plan->trials;
    const int64_t places[N_LOOKS] = {steps->finetunes[0], steps->finetunes[1], steps->adapters[1],
                                     steps->base[0], steps->accuracy[3]};
    for (int i = 0; i < N_LOOKS; i++)
        keys[i] = plan->steps[places[i]].key;
}

#define BOTH_TASKS "\"order\": [[\"CB\", \"yelp\"]]"
static const char with_base[] = ", \"evaluate\": {\"references\": [\"base\"]}";

static void test_keys_hold_what_steps_read(void **state) {
    (void)state;
    static const struct {
        const char *setting, *changed;
    } rows[] = {
        {"name=other", ""},
        {"store=elsewhere", ""},
        {"benchmark.path=./data", ""},
        {"evaluate.references=[\"base\", \"individual\"]", ""},
        {"evaluate.tasks=seen", ""},
        {"evaluate.when=end", ""},
        {"evaluate.score=exact", ""}, /* what these tasks have by default */
        {"lora.targets=[\"v_proj\", \"q_proj\"]", ""},
        {"sweep.method=twin", ""}, /* another name, the same training */
        {"sweep.lambda=\"i^(-0.5)\"", ""},
        {"evaluate.score=generate", "be"},
        {"evaluate.max_new_tokens=10", "be"},
        {"benchmark.test_samples=2", "be"},
        {"sweep.lambda=0.5", "me"},
        {"sweep.slao.trim=0.5", "me"},
        {"sweep.slao.l1=1", "2me"},
        {"sweep.slao.init=previous", "2me"},
        {"sweep.slao.init=last-merge", ""}, /* at task 2 the merged pair is the last fine-tuned */
        {"sweep.slao.row_scale=2", "2me"},
        {"sweep.seed=1", "12me"},
        {"sweep.learning_rate=1", "12me"},
        {"benchmark.train_samples=2", "12me"},
        {"benchmark.answer_space=false", "12mbe"},
        {"ranks_per_trial=2", "12me"},
        {"lora.rank=4", "12me"},
        {"lora.alpha=4", "12me"},
        {"lora.dropout=0.5", "12me"},
        {"lora.rslora=true", "12me"},
        {"lora.targets=[\"q_proj\"]", "12me"},
        {"train.epochs=2", "12me"},
        {"train.batch_size=2", "12me"},
        {"train.accumulation=2", "12me"},
        {"train.max_length=100", "12mbe"},
        {"train.weight_decay=1", "12me"},
        {"train.schedule=linear", "12me"},
        {"train.warmup_steps=3", "12me"},
        {"train.clip_norm=0", "12me"},
        {"train.micro_tokens=100", "12me"},
        {"matmul_precision=bf16", "12mbe"},
        {"train.checkpointing=on", ""},
        {"weights=file", ""},
    };
    slao_plan *plan = plan_of(with_base, BOTH_TASKS, NULL, methods);
    slao_hash plain[N_LOOKS], keys[N_LOOKS];
    look(plan, plain);
    release(plan);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        plan = plan_of(with_base, BOTH_TASKS, rows[r].setting, methods);
        look(plan, keys);
        release(plan);
        for (int i = 0; i < N_LOOKS; i++) {
            bool changed = !slao_hash_equal(keys[i], plain[i]);
            if (changed != (strchr(rows[r].changed, looks[i]) != NULL))
                fail_msg("%s: the key of %c %s", rows[r].setting, looks[i],
                         changed ? "changes" : "stays");
        }
    }
}

/* The same training under two names: SLAO without QR has SeqLoRA's trajectory. */
static void test_methods_share_training(void **state) {
    (void)state;
    static const char *const inits[] = {"sweep.free.init=previous", "sweep.free.init=last-ft"};
    for (int i = 0; i < 2; i++) {
        slao_plan *plan =
            plan_of("", BOTH_TASKS ", \"method\": [\"free\", \"seqlora\"]", inits[i], methods);
        assert_int_equal(plan->spec->n_trials, 2);
        assert_int_equal(plan->trials[0].finetunes[0], plan->trials[1].finetunes[0]);
        assert_int_equal(plan->trials[0].finetunes[1] == plan->trials[1].finetunes[1], i == 0);
        assert_int_equal(plan->trials[0].accuracy[3] == plan->trials[1].accuracy[3], i == 0);
        release(plan);
    }
}

static const slao_step *step_of(const slao_plan *plan, const char *method, int64_t order_first,
                                const char *what, int64_t j) {
    for (int64_t t = 0; t < plan->spec->n_trials; t++) {
        const slao_trial *trial = &plan->spec->trials[t];
        const slao_trial_steps *steps = &plan->trials[t];
        int64_t n = trial->order->n_tasks;
        if (strcmp(trial->method.method->name, method) != 0 ||
            trial->order != &plan->spec->orders[order_first])
            continue;
        int64_t place = strcmp(what, "finetune") == 0  ? steps->finetunes[j]
                        : strcmp(what, "adapter") == 0 ? steps->adapters[j]
                                                       : steps->accuracy[j * n];
        return place < 0 ? NULL : &plan->steps[place];
    }
    fail_msg("no trial of %s", method);
    return NULL;
}

#define STEP(method, what, j) step_of(plan, method, 0, what, j)

/* Who reads what, and what is shared, by the lineages and merge inputs of continual/method.h. */
static void test_lineages(void **state) {
    (void)state;
    slao_plan *plan =
        plan_of("",
                "\"order\": [[\"CB\", \"yelp\", \"agnews\"]], \"method\": [\"slao\", \"seqlora\", "
                "\"magmax\", \"frozen\", \"stack\", \"average\", {\"name\": \"twin\", \"init\": "
                "\"last-merge\"}, {\"name\": \"free\", \"init\": \"random\"}]",
                NULL, methods);
    assert_int_equal(plan->spec->n_trials, 8);
    /* Sequences: MagMax is SeqLoRA's trajectory, a frozen factor is not; task 1 is all methods'. */
    assert_ptr_equal(STEP("magmax", "finetune", 2), STEP("seqlora", "finetune", 2));
    assert_ptr_not_equal(STEP("frozen", "finetune", 1), STEP("seqlora", "finetune", 1));
    static const char *const names[] = {"slao",  "seqlora", "magmax", "frozen",
                                        "stack", "average", "twin",   "free"};
    for (int m = 0; m < 8; m++)
        assert_ptr_equal(STEP(names[m], "finetune", 0), STEP("slao", "finetune", 0));
    assert_false(STEP("seqlora", "finetune", 0)->changed);
    assert_true(STEP("seqlora", "finetune", 1)->changed);
    /* A stack reads all pairs before, to train and to evaluate. */
    const slao_step *third = STEP("stack", "finetune", 2), *scored = STEP("stack", "accuracy", 2);
    assert_int_equal(third->n_parents, 2);
    assert_ptr_equal(&plan->steps[third->parents[1]], STEP("stack", "finetune", 1));
    assert_int_equal(scored->n_parents, 3);
    assert_ptr_equal(&plan->steps[scored->parents[2]], third);
    assert_ptr_not_equal(STEP("stack", "finetune", 1), STEP("free", "finetune", 1));
    /* Drawn anew, with nothing read; but not the individual runs, which all draw the same. */
    assert_int_equal(STEP("free", "finetune", 1)->n_parents, 0);
    assert_ptr_not_equal(STEP("free", "finetune", 1), STEP("average", "finetune", 1));
    /* Merges of all adapters, from task 1 on. */
    const slao_step *merged = STEP("average", "adapter", 2);
    assert_int_equal(STEP("average", "adapter", 0)->kind, SLAO_STEP_MERGE);
    assert_int_equal(merged->n_parents, 3);
    assert_ptr_equal(&plan->steps[merged->parents[1]], STEP("average", "finetune", 1));
    assert_false(STEP("average", "finetune", 1)->changed);
    assert_int_equal(STEP("average", "accuracy", 1)->n_parents, 1);
    /* A start from the merged pair makes training read lambda, from task 3 on. */
    assert_ptr_equal(STEP("twin", "finetune", 1), STEP("slao", "finetune", 1));
    assert_ptr_not_equal(STEP("twin", "finetune", 2), STEP("slao", "finetune", 2));
    assert_ptr_equal(&plan->steps[STEP("twin", "finetune", 2)->parents[0]],
                     STEP("twin", "adapter", 1));
    release(plan);
}

/* All tasks at once: one step for all orders of the same tasks, and nothing but the last row. */
static void test_multitask(void **state) {
    (void)state;
    slao_plan *plan = plan_of(with_base,
                              "\"order\": [[\"yelp\", \"CB\", \"agnews\"], [\"CB\", \"agnews\", "
                              "\"yelp\"], [\"CB\", \"yelp\"]], \"method\": \"multitask\"",
                              NULL, slao_methods);
    const slao_step *step = STEP("multitask", "finetune", 2);
    assert_string_equal(step->task, "CB+agnews+yelp");
    assert_int_equal(step->n_tasks, 3);
    assert_int_equal(step->n_parents, 0);
    assert_null(STEP("multitask", "finetune", 0));
    assert_null(STEP("multitask", "accuracy", 1));
    assert_non_null(STEP("multitask", "accuracy", 2));
    assert_ptr_equal(step_of(plan, "multitask", 1, "finetune", 2), step);
    assert_ptr_not_equal(step_of(plan, "multitask", 2, "finetune", 1), step);
    assert_int_equal(step->shared_by, 2);
    release(plan);
}

/* Old stores stay valid as long as this key does: if it changes, results may not be taken for the
 * old ones, and SLAO_NUMERIC_VERSION is to be raised if training changed. */
static void test_golden_key(void **state) {
    (void)state;
    slao_plan *plan = plan_of(with_base, BOTH_TASKS, NULL, slao_methods);
    static const char *const golden[N_LOOKS] = {
        "c4e79fae0dcd7490a59e7ecacf4da072", "a65be9e136d84a4a3e7e621fceea8245",
        "89910be7dccc5edb536c6b1be346f4ef", "be23a040e6528af1032d42bd477023d4",
        "a25fd4ee9c8a633d7f77b11e5cfc78d2"};
    slao_hash keys[N_LOOKS];
    look(plan, keys);
    for (int i = 0; i < N_LOOKS; i++) {
        char text[SLAO_HASH_TEXT];
        slao_hash_to_text(keys[i], text);
        assert_string_equal(text, golden[i]);
    }
    assert_string_equal(plan->spec->trials->id, "315c1bc3d37e");
    release(plan);
}

static void test_model_is_in_the_keys(void **state) {
    (void)state;
    slao_plan *plan = plan_of(with_base, BOTH_TASKS, NULL, slao_methods), *other;
    assert_ok(slao_plan_new(&other, plan->spec, (slao_hash){.high = 1, .low = 3}));
    slao_hash keys[N_LOOKS], others[N_LOOKS];
    look(plan, keys);
    look(other, others);
    for (int i = 0; i < N_LOOKS; i++)
        assert_false(slao_hash_equal(keys[i], others[i]));
    slao_plan_free(other);
    release(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_steps_are_those_of_tries),
        cmocka_unit_test(test_counts_by_hand),
        cmocka_unit_test(test_keys_hold_what_steps_read),
        cmocka_unit_test(test_methods_share_training),
        cmocka_unit_test(test_lineages),
        cmocka_unit_test(test_multitask),
        cmocka_unit_test(test_golden_key),
        cmocka_unit_test(test_model_is_in_the_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
