/* data/benchmark on the real CL_Benchmark folder: counts, labels and prompts as published, and the
 * published orders as the folder's README states them. */
#include "test.h"

#include "base/file.h"
#include "data/benchmark.h"
#include "data/orders.h"

typedef struct {
    const char *name, *group;
    int64_t train, test, unanswerable;
    const char *labels; /* joined by ", " */
} expected_task;

#define STARS "very negative, negative, neutral, positive, very positive"
#define CLASSES                                                                                    \
    "Company, Educational Institution, Artist, Athlete, Office Holder, Mean of Transportation, "   \
    "Building, Natural Place, Village, Animal, Plant, Album, Film, Written Work"

/* The published counts (O-LoRA's data), but for the four tasks that the folder's README names. */
static const expected_task expected[] = {
    {"BoolQA", "BoolQA", 2000, 3270, 0, "True, False"},
    {"CB", "NLI", 250, 56, 0, "entailment, contradiction, neutral"},
    {"COPA", "COPA", 400, 100, 0, "A, B"},
    {"IMDB", "SC", 1600, 400, 0, "Good, Bad"},
    {"MNLI", "NLI", 3000, 7600, 131, "neutral, entailment, contradiction"},
    {"MultiRC", "MultiRC", 1600, 400, 0, "False, True"},
    {"QQP", "QQP", 2000, 7600, 0, "False, True"},
    {"RTE", "NLI", 2000, 277, 0, "contradiction, entailment"},
    {"SST-2", "SC", 2000, 872, 0, "Good, Bad"},
    {"WiC", "WiC", 2000, 638, 0, "True, False"},
    {"agnews", "TC", 4000, 7600, 0, "World, Sports, Business, Science or Technology"},
    {"amazon", "SC", 5000, 7600, 0, STARS},
    {"dbpedia", "TC", 5067, 2533, 0, CLASSES},
    {"yelp", "SC", 4000, 1000, 0, STARS},
};
enum { N_TASKS = sizeof expected / sizeof *expected };

static char folder[4096];
static slao_benchmark_settings settings = {
    .format = "cl_benchmark", .path = folder, .answer_space = true};

static int set_folder(void **state) {
    (void)state;
    const char *data = getenv("SLAO_DATA");
    if (!data)
        return -1;
    snprintf(folder, sizeof folder, "%s/CL_Benchmark", data);
    return 0;
}

static void check_task(const expected_task *wanted, const char *name) {
    slao_task *task;
    assert_ok(slao_task_load(&task, &settings, name));
    assert_string_equal(task->name, wanted->name);
    assert_string_equal(task->group, wanted->group);
    if (task->train.count != wanted->train || task->test.count != wanted->test ||
        task->unanswerable != wanted->unanswerable)
        fail_msg("%s: %lld train, %lld test, %lld unanswerable examples", name,
                 (long long)task->train.count, (long long)task->test.count,
                 (long long)task->unanswerable);
    char labels[1024] = "";
    for (int64_t i = 0; i < task->n_labels; i++)
        strcat(strcat(labels, i ? ", " : ""), task->labels[i]);
    assert_string_equal(labels, wanted->labels);
    for (int64_t i = 0; i < task->train.count; i++)
        assert_int_equal(task->train.examples[i].answer[0], ' ');
    slao_task_free(task);
}

static void test_all_tasks(void **state) {
    (void)state;
    slao_task_names names;
    assert_ok(slao_task_names_load(&names, &settings));
    assert_int_equal(names.count, N_TASKS);
    for (int i = 0; i < N_TASKS; i++) {
        assert_string_equal(names.names[i], expected[i].name);
        check_task(&expected[i], names.names[i]);
    }
    slao_task_names_free(&names);
}

static void test_prompts(void **state) {
    (void)state;
    slao_task *task;
    assert_ok(slao_task_load(&task, &settings, "AGnews"));
    assert_string_equal(task->test.examples[0].head,
                        "Task:TC\nDataset:agnews\nWhat is the topic of the following paragraph? "
                        "Choose one from the option.\nOption: World, Sports, Business, Science or "
                        "Technology \n");
    slao_task_free(task);
    assert_ok(slao_task_load(&task, &settings, "COPA"));
    assert_string_equal(task->test.examples[0].head, "Task:COPA\nDataset:COPA\n");
    slao_task_free(task);
}

/* "4. mnli cb wic ..." in the README of the data: the short names of order `name`. */
static void check_order(const char *readme, const char *start, const char *name) {
    const slao_published_order *order = slao_published_order_find(name);
    slao_task_names names;
    assert_ok(slao_task_names_load(&names, &settings));
    const char *at = strstr(readme, start);
    assert_non_null(at);
    at += strlen(start);
    for (int i = 0; order->tasks[i]; i++) {
        char word[64];
        int used;
        assert_int_equal(sscanf(at, " %63[a-z0-9]%n", word, &used), 1);
        at += used;
        /* Of the names that the folder has, both spellings mean the same. */
        const char *found = slao_task_names_find(&names, word);
        if (found)
            assert_string_equal(found, order->tasks[i]);
        else
            assert_string_equal(word, order->tasks[i]); /* yahoo, which the folder lacks */
    }
    assert_true(*at == '\n' || *at == ';' || *at == '.');
    slao_task_names_free(&names);
}

static void test_orders_are_the_readme_s(void **state) {
    (void)state;
    char *path, *readme;
    assert_ok(slao_join_path(&path, getenv("SLAO_DATA"), "README.md"));
    assert_ok(slao_read_text(&readme, NULL, path));
    check_order(readme, "(standard benchmark):", "O1");
    check_order(readme, "yahoo agnews;", "O2");
    check_order(readme, "agnews yahoo;", "O3");
    check_order(readme, "\n4. ", "O4");
    check_order(readme, "\n5. ", "O5");
    check_order(readme, "\n6. ", "O6");
    free(readme);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_tasks),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_orders_are_the_readme_s),
    };
    return cmocka_run_group_tests(tests, set_folder, NULL);
}
