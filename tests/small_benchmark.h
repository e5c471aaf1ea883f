/* A CL_Benchmark folder of six tiny tasks in /tmp, beside an empty file that stands for a model:
 * what tests of specs and plans read. */
#ifndef SLAO_TESTS_SMALL_BENCHMARK_H
#define SLAO_TESTS_SMALL_BENCHMARK_H

#include "base/file.h"

#include <stdlib.h>

static const char *const small_tasks[] = {"agnews", "amazon", "dbpedia", "SST-2", "yelp", "CB"};
enum { SMALL_TASKS = 6, SMALL_TRAIN = 5, SMALL_TEST = 3 };

static void small_write(const char *folder, const char *name, const char *text) {
    char *path;
    assert_ok(slao_join_path(&path, folder, name));
    assert_ok(slao_write_file(path, text, strlen(text)));
    free(path);
}

/* The folder holds model.gguf and data/; `folder` is a template for mkdtemp. */
static void small_benchmark(char *folder) {
    static const char *const splits[] = {"train.json", "test.json"};
    static const int counts[] = {SMALL_TRAIN, SMALL_TEST};
    assert_non_null(mkdtemp(folder));
    small_write(folder, "model.gguf", "");
    char path[256], text[1024];
    for (int t = 0; t < SMALL_TASKS; t++) {
        snprintf(path, sizeof path, "%s/data/TC/%s", folder, small_tasks[t]);
        assert_ok(slao_make_folders(path));
        small_write(path, "labels.json", "[\"yes\", \"no\"]");
        for (int s = 0; s < 2; s++) {
            int at = sprintf(text, "[");
            for (int i = 0; i < counts[s]; i++)
                at += sprintf(text + at, "%s{\"sentence\": \"%s %d\", \"label\": \"%s\"}",
                              i ? ", " : "", small_tasks[t], 10 * s + i, i % 2 ? "yes" : "no");
            sprintf(text + at, "]");
            small_write(path, splits[s], text);
        }
    }
    snprintf(path, sizeof path, "%s/data", folder);
    small_write(
        path, "instruction_config.json",
        "{\"TC\": [{\"instruction_type\": \"zero-shot\", \"instruction\": \"Which?\\n\"}]}");
}

static void small_remove(const char *folder) {
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

#endif
