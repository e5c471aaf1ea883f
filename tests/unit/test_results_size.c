/* sweep/results: a results file reads each record once, however many trials share its step. Plans
 * of dummy trials: their records are made here, nothing is trained.
 *
 *   test_results_size LAMBDAS SEEDS   one file of so many trials, with the time that it takes
 */
#include "test.h"

#include "adapter/peft.h"
#include "base/log.h"
#include "base/memory.h"
#include "small_benchmark.h"
#include "sweep/results.h"

#include <time.h>

enum { LAYERS = 2, MODULES = 2, LOSSES = 8 };

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

/* The linker puts __wrap_ in place of slao_store_get. */
static int64_t records_read;
slao_status __real_slao_store_get(const slao_store *store, slao_hash key, cJSON **record);
slao_status __wrap_slao_store_get(const slao_store *store, slao_hash key, cJSON **record);
slao_status __wrap_slao_store_get(const slao_store *store, slao_hash key, cJSON **record) {
    records_read++;
    return __real_slao_store_get(store, key, record);
}

typedef struct {
    char folder[64];
    slao_spec *spec;
    slao_plan *plan;
    slao_store *store;
} sweep;

static void make_plan(sweep *s, int lambdas, int seeds) {
    char *text;
    size_t size = 1024 + 12 * (size_t)(lambdas + seeds);
    assert_ok(slao_allocate(&text, size, 1));
    int at = sprintf(text, "{\"model\": \"model.gguf\", \"benchmark\": {\"format\": "
                           "\"cl_benchmark\", \"path\": \"data\"}, \"evaluate\": {\"when\": "
                           "\"end\"}, \"sweep\": {\"method\": \"slao\", \"order\": [[\"agnews\", "
                           "\"amazon\", \"yelp\"]], \"learning_rate\": 1e-4, \"lambda\": [");
    for (int i = 0; i < lambdas; i++)
        at += sprintf(text + at, "%s%.6f", i ? ", " : "", (i + 1) / (lambdas + 1.0));
    at += sprintf(text + at, "], \"seed\": [");
    for (int i = 0; i < seeds; i++)
        at += sprintf(text + at, "%s%d", i ? ", " : "", i);
    sprintf(text + at, "]}}");
    assert_ok(slao_spec_parse(&s->spec, text, "spec.json", s->folder, NULL, 0));
    assert_ok(slao_plan_new(&s->plan, s->spec, (slao_hash){1, 2}));
    assert_int_equal(s->spec->n_trials, lambdas * seeds);
    free(text);
}

static void add_list(FILE *file, const char *key, int rows, int columns, int64_t step) {
    fprintf(file, ", \"%s\": [", key);
    for (int i = 0; i < rows; i++) {
        fprintf(file, "%s[", i ? ", " : "");
        for (int j = 0; j < columns; j++)
            fprintf(file, "%s%.17g", j ? ", " : "",
                    1 / (3.0 + (double)step + i + 10.0 * (double)j));
        fprintf(file, "]");
    }
    fprintf(file, "]");
}

static void put_record(const sweep *s, int64_t index) {
    const slao_step *step = &s->plan->steps[index];
    char key[SLAO_HASH_TEXT], path[256];
    slao_hash_to_text(step->key, key);
    snprintf(path, sizeof path, "%s/store/steps/%s.json", s->folder, key);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"key\": \"%s\", \"started\": \"2026-01-31T12:00:00Z\", \"host\": \"a\", "
            "\"mpi_rank\": 0, \"tokens\": 10, \"seconds\": 1",
            key);
    if (step->kind == SLAO_STEP_EVALUATE) {
        fprintf(file, ", \"score\": 0.5, \"examples\": 4");
        fprintf(file, ", \"example_scores\": [0, 1, 0, 1]");
    } else {
        fprintf(file, ", \"adapter_hash\": \"%032llx\", \"distance\": 1", (long long)index);
    }
    if (step->kind == SLAO_STEP_FINETUNE) {
        static const char *const keys[] = {"orthogonality", "interference_a", "interference_b",
                                           "gradient_a", "gradient_b"};
        fprintf(file, ", \"loss\": [");
        for (int i = 0; i < LOSSES; i++)
            fprintf(file, "%s%.17g", i ? ", " : "", 3.0 / (i + 1 + (double)index));
        fprintf(file, "]");
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            add_list(file, keys[i], LAYERS, MODULES, index);
    }
    fprintf(file, "}");
    assert_int_equal(fclose(file), 0);
}

static void put_adapter(const sweep *s, int64_t index) {
    slao_lora *lora;
    char *folder;
    assert_ok(slao_lora_new(&lora, &s->plan->steps[index].trial->lora, &config));
    for (int64_t i = 0; i < lora->n_values; i++)
        lora->values[i] = (float)(i % 7) + (float)index;
    assert_ok(slao_store_adapter_path(s->store, s->plan->steps[index].key, &folder));
    assert_ok(slao_peft_save(lora, folder, "base"));
    free(folder);
    slao_lora_free(lora);
}

/* A sweep that is done. */
static void begin(sweep *s, int lambdas, int seeds) {
    char path[128];
    snprintf(s->folder, sizeof s->folder, "/tmp/slao-test-XXXXXX");
    small_benchmark(s->folder);
    make_plan(s, lambdas, seeds);
    snprintf(path, sizeof path, "%s/store", s->folder);
    assert_ok(slao_store_open(&s->store, path));
    for (int64_t i = 0; i < s->plan->n_steps; i++) {
        put_record(s, i);
        if (s->plan->steps[i].kind == SLAO_STEP_FINETUNE && lambdas > 1)
            put_adapter(s, i);
    }
}

static void end(sweep *s) {
    slao_store_close(s->store);
    slao_plan_free(s->plan);
    slao_spec_free(s->spec);
    small_remove(s->folder);
}

/* Seconds of processor time: those of the clock depend on who else computes. */
static double write_results(const sweep *s) {
    static const slao_machine machine = {.mpi = "m", .blas = "b", .cpu = "c"};
    static const slao_inputs inputs = {.model = {1, 2}, .tokenizer = {3, 4}};
    static const slao_results_context context = {
        .machine = &machine, .inputs = &inputs, .config = &config};
    const slao_store *stores[] = {s->store};
    char path[128], fingerprint[SLAO_HASH_TEXT];
    snprintf(path, sizeof path, "%s/out.h5", s->folder);
    records_read = 0;
    clock_t begun = clock();
    assert_ok(slao_results_write(path, s->plan, stores, 1, &context, fingerprint));
    return (double)(clock() - begun) / CLOCKS_PER_SEC;
}

static void measure(int lambdas, int seeds) {
    sweep s;
    begin(&s, lambdas, seeds);
    double wall = slao_seconds(), seconds = write_results(&s);
    wall = slao_seconds() - wall;
    print_message("%d lambdas x %d seeds, %lld steps: %.2f s of processor time, %.2f s; "
                  "%lld records read\n",
                  lambdas, seeds, (long long)s.plan->n_steps, seconds, wall,
                  (long long)records_read);
    assert_int_equal(records_read, s.plan->n_steps);
    end(&s);
}

static void test_each_record_is_read_once(void **state) {
    (void)state;
    measure(10, 4); /* trials share their training */
    measure(1, 20); /* or do not */
}

int main(int argc, char **argv) {
    if (argc == 3) {
        measure(atoi(argv[1]), atoi(argv[2]));
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_record_is_read_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
