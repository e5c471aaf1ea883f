/* data/benchmark: the cl_benchmark layout, samples, and what is wrong with a folder. */
#include "test.h"

#include "base/file.h"
#include "data/benchmark.h"
#include "data/orders.h"

/* --- a benchmark of our own in a temporary folder --- */

typedef struct {
    char folder[64];
    slao_benchmark_settings settings;
} fixture;

static void write_text(const fixture *f, const char *name, const char *text) {
    char *path;
    assert_ok(slao_join_path(&path, f->folder, name));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_ok(slao_make_folders(path));
    *slash = '/';
    assert_ok(slao_write_file(path, text, strlen(text)));
    free(path);
}

static const char instructions[] =
    "{\"SC\": [{\"instruction_type\": \"few-shot\", \"instruction\": \"no\"},\n"
    " {\"instruction_type\": \"zero-shot\", \"instruction\": \"What is the mood?\\n\"}]}";

/* SC/SST-2 with 10 train and 4 test examples (one of them labelled "-"), COPA/COPA, and what a
 * folder may hold besides. */
static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/slao-test-XXXXXX");
    if (!f || !mkdtemp(f->folder))
        return -1;
    f->settings = (slao_benchmark_settings){.format = "cl_benchmark", .path = f->folder};
    write_text(f, "instruction_config.json", instructions);
    write_text(f, "SC/SST-2/labels.json", "[\"Good\", \"Bad\"]");
    char train[4096] = "[", row[128];
    for (int i = 0; i < 10; i++) {
        snprintf(row, sizeof row, "%s{\"sentence\": \"train %d\", \"label\": \"%s\", \"id\": %d}",
                 i ? ",\n" : "", i, i % 3 ? "Good" : "Bad", i);
        strcat(train, row);
    }
    write_text(f, "SC/SST-2/train.json", strcat(train, "]"));
    write_text(
        f, "SC/SST-2/test.json",
        "[{\"sentence\": \"a\", \"label\": \"Good\"}, {\"sentence\": \"b\", \"label\": \"-\"},"
        "{\"sentence\": \"c\", \"label\": \"Bad\"}, {\"sentence\": \"d\", \"label\": \"Bad\"}]");
    write_text(f, "COPA/COPA/labels.json", "[\"A\", \"B\"]");
    write_text(f, "COPA/COPA/train.json", "[{\"sentence\": \"A or B?\", \"label\": \"B\"}]");
    write_text(f, "COPA/COPA/test.json", "[{\"sentence\": \"B or A?\", \"label\": \"A\"}]");
    write_text(f, ".git/hooks/readme", "not a task");
    write_text(f, "SC/notes.txt", "not a task");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int result = system(command);
    free(f);
    return result;
}

static slao_task *load(const fixture *f, const char *name) {
    slao_task *task;
    assert_ok(slao_task_load(&task, &f->settings, name));
    return task;
}

static void load_fails(const fixture *f, const char *name, const char *part) {
    slao_task *task;
    assert_fails(slao_task_load(&task, &f->settings, name), SLAO_BAD_INPUT, part);
    assert_null(task);
}

/* --- reading --- */

static void test_prompt_is_olora_s(void **state) {
    fixture *f = *state;
    f->settings.answer_space = true;
    slao_task *task = load(f, "sst2");
    assert_string_equal(task->name, "SST-2");
    assert_string_equal(task->group, "SC");
    assert_string_equal(task->score, "exact");
    assert_int_equal(task->n_labels, 2);
    assert_string_equal(task->labels[1], "Bad");
    assert_int_equal(task->train.count, 10);
    assert_int_equal(task->validation.count, 0);
    assert_int_equal(task->test.count, 4);
    assert_int_equal(task->unanswerable, 1);
    bool seen[10] = {0};
    for (int i = 0; i < 10; i++) {
        const slao_example *example = &task->train.examples[i];
        assert_string_equal(example->head, "Task:SC\nDataset:SST-2\nWhat is the mood?\nOption: "
                                           "Good, Bad \n");
        int number;
        assert_int_equal(sscanf(example->sentence, "train %d", &number), 1);
        assert_string_equal(example->tail, "\nAnswer:");
        assert_string_equal(example->answer, number % 3 ? " Good" : " Bad");
        assert_false(seen[number]);
        seen[number] = true;
    }
    slao_task_free(task);
    f->settings.answer_space = false;
    task = load(f, "SST 2");
    assert_string_equal(task->train.examples[0].answer,
                        task->train.examples[0].answer[0] == 'G' ? "Good" : "Bad");
    slao_task_free(task);
}

static void test_copa_has_neither_instruction_nor_options(void **state) {
    slao_task *task = load(*state, "copa");
    assert_string_equal(task->train.examples[0].head, "Task:COPA\nDataset:COPA\n");
    assert_string_equal(task->train.examples[0].answer, "B");
    slao_task_free(task);
}

static void test_names(void **state) {
    fixture *f = *state;
    slao_task_names names;
    assert_ok(slao_task_names_load(&names, &f->settings));
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "COPA");
    assert_string_equal(names.names[1], "SST-2");
    assert_string_equal(slao_task_names_find(&names, "sst_2"), "SST-2");
    assert_null(slao_task_names_find(&names, "sst22"));
    assert_null(slao_task_names_find(&names, ""));
    slao_task_names_free(&names);
}

/* --- samples --- */

static bool contains(const slao_examples *examples, const char *sentence) {
    for (int64_t i = 0; i < examples->count; i++) {
        if (strcmp(examples->examples[i].sentence, sentence) == 0)
            return true;
    }
    return false;
}

static void test_samples_are_nested_and_disjoint(void **state) {
    fixture *f = *state;
    f->settings.train_samples = 6;
    f->settings.validation_samples = 3;
    f->settings.test_samples = 2;
    slao_task *six = load(f, "SST-2");
    assert_int_equal(six->train.count, 6);
    assert_int_equal(six->validation.count, 3);
    assert_int_equal(six->test.count, 2);
    for (int i = 0; i < 3; i++)
        assert_false(contains(&six->train, six->validation.examples[i].sentence));
    f->settings.train_samples = 4;
    slao_task *four = load(f, "SST-2");
    for (int i = 0; i < 4; i++)
        assert_string_equal(four->train.examples[i].sentence, six->train.examples[i].sentence);
    assert_string_equal(four->validation.examples[0].sentence, six->train.examples[4].sentence);
    /* More than there are: all that validation leaves. */
    f->settings.train_samples = 100;
    f->settings.test_samples = 100;
    slao_task *all = load(f, "SST-2");
    assert_int_equal(all->train.count, 7);
    assert_int_equal(all->validation.count, 3);
    assert_int_equal(all->test.count, 4);
    slao_task_free(six);
    slao_task_free(four);
    slao_task_free(all);
}

static void test_hashes_follow_what_is_read(void **state) {
    fixture *f = *state;
    slao_task *first = load(f, "SST-2"), *again = load(f, "SST-2");
    assert_true(slao_hash_equal(first->train_hash, again->train_hash));
    assert_true(slao_hash_equal(first->test_hash, again->test_hash));
    slao_task_free(again);

    f->settings.sample_seed = 1; /* another order */
    again = load(f, "SST-2");
    assert_false(slao_hash_equal(first->train_hash, again->train_hash));
    slao_task_free(again);

    f->settings.sample_seed = 0;
    f->settings.answer_space = true; /* other answers */
    again = load(f, "SST-2");
    assert_false(slao_hash_equal(first->train_hash, again->train_hash));
    assert_false(slao_hash_equal(first->test_hash, again->test_hash));
    slao_task_free(again);

    f->settings.answer_space = false;
    f->settings.test_samples = 3; /* the train split is as it was */
    again = load(f, "SST-2");
    assert_true(slao_hash_equal(first->train_hash, again->train_hash));
    assert_false(slao_hash_equal(first->test_hash, again->test_hash));
    slao_task_free(again);
    slao_task_free(first);
}

/* --- what is wrong --- */

static void test_unknown_names(void **state) {
    fixture *f = *state;
    load_fails(f, "stt-2",
               "has no task \"stt-2\"; did you mean \"SST-2\"? its tasks are COPA, SST-2");
    load_fails(f, "dbpedia", "has no task \"dbpedia\"; its tasks are COPA, SST-2");
    f->settings.format = "cl-benchmark";
    load_fails(f, "SST-2", "did you mean \"cl_benchmark\"");
    slao_task_names names;
    assert_fails(slao_task_names_load(&names, &f->settings), SLAO_BAD_INPUT, "cl-benchmark");
}

static void test_names_that_clash(void **state) {
    fixture *f = *state;
    write_text(f, "NLI/sst2/labels.json", "[]");
    load_fails(f, "SST-2", "the tasks SC/SST-2 and NLI/sst2 have the same name");
}

static void test_missing_folder(void **state) {
    fixture *f = *state;
    f->settings.path = "/nowhere/benchmark";
    load_fails(f, "SST-2", "/nowhere/benchmark: No such file");
    char *empty;
    assert_ok(slao_join_path(&empty, f->folder, "SC/SST-2"));
    f->settings.path = empty;
    load_fails(f, "SST-2",
               "SC/SST-2 holds no task; its format expects instruction_config.json and");
    free(empty);
    char *group;
    assert_ok(slao_join_path(&group, f->folder, "SC"));
    f->settings.path = group;
    load_fails(f, "SST-2", "/SC holds no task");
    free(group);
}

static void test_missing_files(void **state) {
    fixture *f = *state;
    write_text(f, "SC/new/labels.json", "[\"Good\"]");
    load_fails(f, "new", "SC/new/train.json is missing; the benchmark's format expects");
    write_text(f, "SC/other/train.json", "[]");
    load_fails(f, "other", "SC/other/labels.json is missing");
}

static void test_wrong_counts(void **state) {
    fixture *f = *state;
    f->settings.validation_samples = 10;
    load_fails(f, "SST-2", "task SST-2 has 10 train examples: validation_samples 10 leaves none");
    f->settings.validation_samples = -1;
    load_fails(f, "SST-2", "must be 0 or more (they are 0, 0, -1)");
}

typedef struct {
    const char *file, *text, *message;
} bad_file;

static const bad_file bad_files[] = {
    {"SC/SST-2/train.json", "[]", "SST-2/train.json must be a list of"},
    {"SC/SST-2/test.json", "[]", "SST-2/test.json must be a list of"},
    {"SC/SST-2/train.json", "{}", "SST-2/train.json must be a list of"},
    {"SC/SST-2/train.json", "", "SST-2/train.json:1:1: JSON ends too early"},
    {"SC/SST-2/train.json", "[{\"sentence\": \"a\",\n \"label\": \"Go", "SST-2/train.json:2:"},
    {"SC/SST-2/train.json", "[{\"sentence\": \"a\", \"label\": \"Good\"}, 7]",
     "SST-2/train.json[1] must be an object"},
    {"SC/SST-2/train.json", "[{\"sentence\": \"a\", \"label\": 1}]",
     "SST-2/train.json[0].label must be a string"},
    {"SC/SST-2/train.json", "[{\"sentence\": null, \"label\": \"Good\"}]",
     "SST-2/train.json[0].sentence must be a string"},
    {"SC/SST-2/test.json", "[{\"label\": \"Good\"}]", "SST-2/test.json[0].sentence is missing"},
    {"SC/SST-2/train.json",
     "[{\"sentence\": \"a\", \"label\": \"Good\"}, {\"sentence\": \"b\", \"label\": \"good\"}]",
     "SST-2/train.json[1]: its label \"good\" is not in labels.json"},
    {"SC/SST-2/labels.json", "[]", "SST-2/labels.json must be a list of label strings"},
    {"SC/SST-2/labels.json", "{\"a\": 1}", "SST-2/labels.json must be a list of label strings"},
    {"SC/SST-2/labels.json", "[\"Good\", 2]", "SST-2/labels.json[1] must be a string"},
    {"SC/SST-2/labels.json", "[\"Good\", \"\"]", "SST-2/labels.json[1] must be a string"},
    {"SC/SST-2/labels.json", "[\"Good\", \"Good\"]", "the label \"Good\" is given twice"},
    {"instruction_config.json", "[]", "instruction_config.json must be an object"},
    {"instruction_config.json", "{\"TC\": []}",
     "instruction_config.json has no entry for the group \"SC\"; add \"SC\": [{"},
    {"instruction_config.json", "{\"SC\": \"What?\"}", "instruction_config.json.SC must be a list"},
    {"instruction_config.json", "{\"SC\": []}",
     "no entry with \"instruction_type\": \"zero-shot\""},
    {"instruction_config.json", "{\"SC\": [{\"instruction_type\": \"zero-shot\"}]}",
     "instruction_config.json: SC[0].instruction is missing"},
};

static void test_bad_files(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        char *path, *good;
        assert_ok(slao_join_path(&path, f->folder, bad_files[i].file));
        assert_ok(slao_read_text(&good, NULL, path));
        write_text(f, bad_files[i].file, bad_files[i].text);
        load_fails(f, "SST-2", bad_files[i].message);
        write_text(f, bad_files[i].file, good);
        free(good);
        free(path);
    }
    slao_task_free(load(f, "SST-2"));
}

static void test_empty_instruction_means_no_options(void **state) {
    fixture *f = *state;
    write_text(f, "instruction_config.json",
               "{\"SC\": [{\"instruction_type\": \"zero-shot\", \"instruction\": \"\"}]}");
    slao_task *task = load(f, "SST-2");
    assert_string_equal(task->train.examples[0].head, "Task:SC\nDataset:SST-2\n");
    slao_task_free(task);
}

/* --- the project's own suite --- */

static void test_quickstart_suite(void **state) {
    (void)state;
    const char *source = getenv("SLAO_SOURCE");
    assert_non_null(source);
    char *path;
    assert_ok(slao_join_path(&path, source, "experiments/quickstart/suite"));
    slao_benchmark_settings settings = {.format = "cl_benchmark", .path = path};
    slao_task_names names;
    assert_ok(slao_task_names_load(&names, &settings));
    assert_int_equal(names.count, 5);
    for (int64_t t = 0; t < names.count; t++) {
        slao_task *task;
        assert_ok(slao_task_load(&task, &settings, names.names[t]));
        assert_int_equal(task->train.count, 240);
        assert_int_equal(task->test.count, 100);
        assert_int_equal(task->unanswerable, 0);
        assert_non_null(strstr(task->train.examples[0].head, "?\nOption: "));
        slao_task_free(task);
    }
    slao_task_names_free(&names);
    free(path);
}

/* --- orders --- */

static int count_tasks(const slao_published_order *order) {
    int count = 0;
    while (order->tasks[count])
        count++;
    return count;
}

static bool has_task(const slao_published_order *order, const char *task) {
    for (int i = 0; order->tasks[i]; i++) {
        if (strcmp(order->tasks[i], task) == 0)
            return true;
    }
    return false;
}

static void test_published_orders(void **state) {
    (void)state;
    static const char *const families[][3] = {
        {"O1", "O2", "O3"}, {"O4", "O5", "O6"}, {"superni-1", "superni-2", "superni-1"}};
    static const int lengths[] = {4, 15, 15};
    for (int f = 0; f < 3; f++) {
        const slao_published_order *first = slao_published_order_find(families[f][0]);
        assert_non_null(first);
        for (int k = 0; k < 3; k++) {
            const slao_published_order *order = slao_published_order_find(families[f][k]);
            assert_non_null(order);
            assert_string_equal(order->name, families[f][k]);
            assert_string_equal(order->format, f < 2 ? "cl_benchmark" : "superni");
            assert_int_equal(count_tasks(order), lengths[f]);
            for (int i = 0; order->tasks[i]; i++)
                assert_true(has_task(first, order->tasks[i]));
        }
    }
    assert_string_equal(slao_published_order_find("O4")->tasks[0], "MNLI");
    assert_string_equal(slao_published_order_find("O6")->tasks[14], "WiC");
    assert_null(slao_published_order_find("O7"));
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_folder(test_prompt_is_olora_s),
        with_folder(test_copa_has_neither_instruction_nor_options),
        with_folder(test_names),
        with_folder(test_samples_are_nested_and_disjoint),
        with_folder(test_hashes_follow_what_is_read),
        with_folder(test_unknown_names),
        with_folder(test_names_that_clash),
        with_folder(test_missing_folder),
        with_folder(test_missing_files),
        with_folder(test_wrong_counts),
        with_folder(test_bad_files),
        with_folder(test_empty_instruction_means_no_options),
        cmocka_unit_test(test_quickstart_suite),
        cmocka_unit_test(test_published_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
