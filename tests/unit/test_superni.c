/* data/superni: SAPT's layout and prompt, several references, and what is refused. */
#include "test.h"

#include "base/file.h"
#include "data/benchmark.h"

static const char good[] =
    "{\"Definition\": [\"Answer it.\"], \"Categories\": [\"Question Answering\"], \"Instances\": ["
    "{\"id\": \"0\", \"input\": \"one?\", \"output\": [\"1\", \"uno\"]},"
    "{\"id\": \"1\", \"input\": \"two?\", \"output\": \"2\"}]}";

typedef struct {
    char folder[64];
    slao_benchmark_settings settings;
} fixture;

static void write_split(const fixture *f, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/task001_count", f->folder);
    assert_ok(slao_make_folders(path));
    snprintf(path, sizeof path, "%s/task001_count/%s.json", f->folder, name);
    assert_ok(slao_write_file(path, text, strlen(text)));
}

static int set_up(void **state) {
    static fixture f;
    strcpy(f.folder, "/tmp/slao-superni-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.settings =
        (slao_benchmark_settings){.format = "superni", .path = f.folder, .answer_space = true};
    write_split(&f, "train", good);
    write_split(&f, "test", good);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", ((fixture *)*state)->folder);
    return system(command);
}

static void test_prompt_and_references(void **state) {
    const fixture *f = *state;
    slao_task *task;
    assert_ok(slao_task_load(&task, &f->settings, "task001 count"));
    assert_string_equal(task->name, "task001_count");
    assert_string_equal(task->group, "Question Answering");
    assert_string_equal(task->score, "rouge_l");
    assert_int_equal(task->n_labels, 0);
    assert_int_equal(task->unanswerable, 0);
    assert_int_equal(task->train.count, 2);
    assert_int_equal(task->test.count, 2);
    int64_t n_references = 0;
    for (int i = 0; i < 2; i++) {
        const slao_example *example = &task->test.examples[i];
        bool one = strcmp(example->sentence, "one?") == 0;
        assert_string_equal(example->head, "Definition: Answer it.\n\nNow complete the following "
                                           "example -\nInput: ");
        assert_string_equal(example->tail, "\nOutput: ");
        assert_string_equal(example->answer, one ? "1" : "2"); /* no second space */
        assert_int_equal(example->n_references, one ? 2 : 1);
        assert_string_equal(example->references[0], one ? "1" : "2");
        if (one)
            assert_string_equal(example->references[1], "uno");
        n_references += example->n_references;
    }
    assert_int_equal(n_references, 3);
    slao_task_free(task);
}

static void test_references_are_in_the_test_hash(void **state) {
    const fixture *f = *state;
    slao_task *before, *after;
    assert_ok(slao_task_load(&before, &f->settings, "task001_count"));
    char text[sizeof good];
    strcpy(text, good);
    memcpy(strstr(text, "uno"), "eins" + 1, 3);
    write_split(f, "test", text);
    assert_ok(slao_task_load(&after, &f->settings, "task001_count"));
    assert_true(slao_hash_equal(before->train_hash, after->train_hash));
    assert_false(slao_hash_equal(before->test_hash, after->test_hash));
    slao_task_free(before);
    slao_task_free(after);
}

static void test_output_may_be_empty(void **state) {
    const fixture *f = *state;
    write_split(
        f, "train",
        "{\"Definition\": [\"x\"], \"Categories\": [\"y\"], \"Instances\": [{\"input\": \"a\", "
        "\"output\": [\"\"]}]}");
    slao_task *task;
    assert_ok(slao_task_load(&task, &f->settings, "task001_count"));
    assert_string_equal(task->train.examples[0].answer, "");
    assert_int_equal(task->train.examples[0].n_references, 1);
    slao_task_free(task);
}

static void test_bad_files(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "train.json"},
        {"{\"Definition\": [\"x\"], \"Categories\": [\"y\"]}", "Instances"},
        {"{\"Definition\": [], \"Categories\": [\"y\"], \"Instances\": [{}]}",
         "train.json: Definition must be a string or a list"},
        {"{\"Definition\": [\"x\"], \"Categories\": 3, \"Instances\": [{}]}",
         "train.json: Categories must be a string or a list"},
        {"{\"Definition\": [\"x\"], \"Categories\": [\"y\"], \"Instances\": []}",
         "Instances must not be empty"},
        {"{\"Definition\": [\"x\"], \"Categories\": [\"y\"], \"Instances\": [{\"input\": \"a\"}]}",
         "Instances[0]"},
        {"{\"Definition\": [\"\"], \"Categories\": [\"y\"], \"Instances\": [{}]}",
         "train.json: Definition must be a string or a list of strings, none empty"},
        {"{\"Definition\": [\"x\"], \"Categories\": [\"y\"], \"Instances\": [{\"input\": \"a\", "
         "\"output\": []}]}",
         "Instances[0].output must be a string or a list"},
        {"{\"Definition\": [\"x\"], \"Categories\": [\"y\"], \"Instances\": [{\"input\": \"a\", "
         "\"output\": [\"b\", 4]}]}",
         "Instances[0].output must be a string or a list"},
    };
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slao_task *task;
        write_split(f, "train", cases[i].text);
        assert_fails(slao_task_load(&task, &f->settings, "task001_count"), SLAO_BAD_INPUT,
                     cases[i].message);
        assert_null(task);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prompt_and_references, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_references_are_in_the_test_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_may_be_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
