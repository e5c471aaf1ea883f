/* Files that the tests are given: those under tests/fixtures, the default model, and files written
 * for one test. Included after test.h. */
#ifndef SLAO_TESTS_FIXTURE_H
#define SLAO_TESTS_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"

#include <unistd.h>

/* The path of tests/fixtures/NAME; the caller frees it. */
static inline char *fixture(const char *name) {
    const char *source = getenv("SLAO_SOURCE");
    char *path;
    if (!source)
        fail_msg("SLAO_SOURCE must name the checkout (ctest sets it)");
    assert_ok(slao_format(&path, "%s/tests/fixtures/%s", source, name));
    return path;
}

/* A file of the test's own, written anew by each call; its name is the same throughout a program.
 */
static inline const char *scratch_file(const void *bytes, size_t size) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/slao-test-%ld", (long)getpid());
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* An empty folder of the test's own; released by remove_scratch_folder with all it holds. */
static inline char *scratch_folder(void) {
    char *folder;
    assert_ok(slao_copy_text(&folder, "/tmp/slao-test-XXXXXX"));
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline void remove_scratch_folder(char *folder) {
    char *command;
    assert_ok(slao_format(&command, "rm -r '%s'", folder));
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

#endif
