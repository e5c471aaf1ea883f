/* sweep/: store, lock and journal. */
#include "test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "sweep/journal.h"
#include "sweep/leftovers.h"
#include "sweep/lock.h"
#include "sweep/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/slao-store-XXXXXX";
static slao_hash key = {0x0123456789abcdef, 42};

static int make_store_folder(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_store_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static slao_store *open_store(void) {
    slao_store *store;
    assert_ok(slao_store_open(&store, folder));
    return store;
}

/* STORE/name, in one of a few buffers. */
static const char *in_folder(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_text(const char *path, const char *text) {
    assert_ok(slao_write_file(path, text, strlen(text)));
}

static cJSON *record_of(slao_hash of) {
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(of, text);
    cJSON *record = cJSON_CreateObject();
    assert_ok(slao_json_add_text(record, "key", text));
    assert_ok(slao_json_add_real(record, "score", 1.0 / 3));
    return record;
}

static void test_a_record_comes_back(void **state) {
    (void)state;
    slao_store *store = open_store();
    assert_false(slao_store_has(store, key));
    cJSON *record = record_of(key), *back;
    assert_ok(slao_store_put(store, key, record));
    assert_true(slao_store_has(store, key));
    assert_ok(slao_store_get(store, key, &back));
    assert_true(cJSON_Compare(record, back, true));
    assert_true(slao_json_find(back, "score")->valuedouble == 1.0 / 3); /* every bit */
    cJSON_Delete(record);
    cJSON_Delete(back);
    char *path;
    assert_ok(slao_store_adapter_path(store, key, &path));
    assert_string_equal(path, in_folder("adapters/0123456789abcdef000000000000002a"));
    free(path);
    assert_ok(slao_store_log_path(store, key, &path));
    assert_string_equal(path, in_folder("logs/0123456789abcdef000000000000002a.log"));
    free(path);
    slao_store_close(store);
}

static void test_bad_records_are_refused(void **state) {
    (void)state;
    slao_store *store = open_store();
    const char *path = in_folder("steps/0123456789abcdef000000000000002a.json");
    cJSON *record;
    assert_fails(slao_store_get(store, key, &record), SLAO_BAD_INPUT, path);
    write_text(path, "{\"key\":\"0123456789abcdef0000000000");
    assert_fails(slao_store_get(store, key, &record), SLAO_BAD_INPUT, "delete it");
    write_text(path, "{\"key\":\"ffffffffffffffff000000000000002a\"}");
    assert_fails(slao_store_get(store, key, &record), SLAO_BAD_INPUT, "another step");
    assert_null(record);
    slao_store_close(store);
}

static void test_a_full_disk_leaves_no_record(void **state) {
    (void)state;
    slao_store *store = open_store();
    const char *path = in_folder("steps/0123456789abcdef000000000000002a.json");
    char *temporary;
    assert_ok(slao_temporary_name(&temporary, path));
    assert_int_equal(symlink("/dev/full", temporary), 0);
    cJSON *record = record_of(key);
    assert_fails(slao_store_put(store, key, record), SLAO_NO_RESOURCE, "No space");
    assert_false(slao_store_has(store, key));
    assert_false(slao_is_file(temporary));
    assert_ok(slao_store_put(store, key, record)); /* there is room again */
    assert_true(slao_store_has(store, key));
    cJSON_Delete(record);
    free(temporary);
    slao_store_close(store);
}

static void test_a_store_needs_a_folder(void **state) {
    (void)state;
    slao_store *store;
    write_text(in_folder("file"), "x");
    assert_fails(slao_store_open(&store, in_folder("file")), SLAO_BAD_INPUT, in_folder("file"));
    assert_null(store);
}

/* Runs `body` in a process of its own and returns the status that it ended with. */
static int in_a_process(int (*body)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int lock_and_die(void) {
    slao_store *store;
    slao_status status = slao_store_open(&store, folder);
    return (int)(status == SLAO_OK ? slao_store_lock(store) : status);
}

static int lock_and_release(void) {
    slao_store *store;
    slao_status status = slao_store_open(&store, folder);
    if (status == SLAO_OK)
        status = slao_store_lock(store);
    if (status == SLAO_OK)
        status = slao_store_unlock(store);
    return (int)status;
}

static void test_the_lock_keeps_others_out(void **state) {
    (void)state;
    slao_store *store = open_store(), *other = open_store();
    assert_ok(slao_store_lock(store));
    assert_fails(slao_store_lock(other), SLAO_BAD_INPUT, in_folder("lock"));
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld ", (long)getpid());
    assert_non_null(strstr(slao_message(), pid));
    assert_int_equal(in_a_process(lock_and_release), SLAO_BAD_INPUT);
    assert_ok(slao_store_unlock(store));
    assert_int_equal(in_a_process(lock_and_release), SLAO_OK);
    assert_ok(slao_store_lock(other));
    slao_store_close(other);
    assert_false(slao_is_file(in_folder("lock")));
    slao_store_close(store);
}

static void test_the_lock_of_the_dead_is_taken_over(void **state) {
    (void)state;
    assert_int_equal(in_a_process(lock_and_die), SLAO_OK);
    assert_true(slao_is_file(in_folder("lock")));
    slao_store *store = open_store();
    assert_ok(slao_store_lock(store));
    assert_int_equal(in_a_process(lock_and_die), SLAO_BAD_INPUT); /* now it is ours */
    slao_store_close(store);
}

/* The pid is there, but it is another process: it was given again. */
static void test_a_pid_given_again_is_no_holder(void **state) {
    (void)state;
    char *text, start[64];
    assert_ok(slao_holder_write(in_folder("lock")));
    slao_holder holder;
    assert_ok(slao_holder_read(&holder, in_folder("lock")));
    slao_store *store = open_store();
    assert_fails(slao_store_lock(store), SLAO_BAD_INPUT, "in use");
    assert_ok(slao_read_text(&text, NULL, in_folder("lock")));
    snprintf(start, sizeof start, "\"process_start\":%lld", (long long)holder.process_start);
    char *place = strstr(text, start);
    assert_non_null(place);
    place[strlen(start) - 1] ^= 1; /* another digit */
    write_text(in_folder("lock"), text);
    free(text);
    assert_ok(slao_store_lock(store));
    slao_store_close(store);
}

/* The holder has ended, but its parent has not noticed: its pid is still there. */
static void test_a_zombie_is_no_holder(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(lock_and_die());
    siginfo_t ended;
    assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(ended.si_status, SLAO_OK);
    assert_int_equal(kill(child, 0), 0);
    slao_store *store = open_store();
    assert_ok(slao_store_lock(store));
    slao_store_close(store);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static const char elsewhere[] =
    "{\"host\":\"elsewhere.example\",\"namespace\":\"\",\"pid\":7,\"process_start\":9,"
    "\"started\":\"2026-01-01T00:00:00Z\"}";

static int give_signs_of_life(void) {
    for (int i = 0; i < 50; i++) {
        struct timespec nap = {0, 100 * 1000 * 1000};
        nanosleep(&nap, NULL);
        if (utimensat(AT_FDCWD, in_folder("lock"), NULL, 0) != 0)
            return 1;
    }
    return 0;
}

/* Both times what is in the file is the same, and old. */
static void test_the_lock_of_another_host_lives_by_its_heartbeat(void **state) {
    (void)state;
    const struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    slao_store *store = open_store();
    write_text(in_folder("lock"), elsewhere);
    assert_int_equal(utimensat(AT_FDCWD, in_folder("lock"), old, 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(give_signs_of_life());
    assert_fails(slao_store_lock(store), SLAO_BAD_INPUT, "host elsewhere.example");
    assert_non_null(strstr(slao_message(), in_folder("lock")));
    slao_lock_state look;
    assert_ok(slao_lock_look(&look, in_folder("lock")));
    assert_true(look.held && look.alive && look.silence < 1.9);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(utimensat(AT_FDCWD, in_folder("lock"), old, 0), 0);
    assert_ok(slao_lock_look(&look, in_folder("lock")));
    assert_true(look.held && !look.alive && look.holder.pid == 7);
    double begin = slao_seconds();
    assert_ok(slao_store_lock(store));
    assert_true(slao_seconds() - begin >= 2);
    assert_ok(slao_lock_look(&look, in_folder("lock")));
    assert_true(look.held && look.alive && look.holder.pid == getpid());
    slao_store_close(store);
    assert_ok(slao_lock_look(&look, in_folder("lock")));
    assert_false(look.held);
}

static void test_an_unreadable_lock_is_refused(void **state) {
    (void)state;
    slao_store *store = open_store();
    write_text(in_folder("lock"), "");
    assert_fails(slao_store_lock(store), SLAO_BAD_INPUT, "delete it");
    slao_store_close(store);
    assert_true(slao_is_file(in_folder("lock")));
}

static void test_the_heart_beats(void **state) {
    (void)state;
    const struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    slao_store *store = open_store();
    assert_ok(slao_store_lock(store));
    assert_int_equal(utimensat(AT_FDCWD, in_folder("lock"), old, 0), 0);
    slao_lock_state look = {.silence = 1e9};
    for (double begin = slao_seconds(); look.silence > 2 && slao_seconds() - begin < 10;)
        assert_ok(slao_lock_look(&look, in_folder("lock")));
    assert_true(look.silence <= 2);
    slao_store_close(store);
}

/* As after having been suspended: whoever has the lock now keeps it, and nothing more is written.
 */
static void test_a_lost_lock_is_noticed(void **state) {
    (void)state;
    slao_store *store = open_store();
    assert_ok(slao_store_lock(store));
    assert_ok(slao_store_check_lock(store));
    write_text(in_folder("other"), elsewhere);
    assert_int_equal(rename(in_folder("other"), in_folder("lock")), 0);
    cJSON *event = cJSON_CreateObject();
    assert_fails(slao_store_journal(store, event), SLAO_BROKEN, "was taken over");
    cJSON_Delete(event);
    slao_store_close(store);
    assert_true(slao_is_file(in_folder("lock")));
}

/* Tells through `reports` how the race ended, and stays alive until `hold` is closed: the lock of a
 * winner that is gone might rightly be taken over by a late racer. */
static void race_for_the_lock(int reports, int hold) {
    slao_store *store;
    unsigned char status =
        slao_store_open(&store, folder) == SLAO_OK ? (unsigned char)slao_store_lock(store) : 100;
    char nothing;
    bool told = write(reports, &status, 1) == 1;
    _exit(told && read(hold, &nothing, 1) == 0 ? 0 : 1);
}

static void test_one_of_many_takes_over(void **state) {
    (void)state;
    enum { ROUNDS = 5, RACERS = 8, READING = 0, WRITING = 1 };
    for (int round = 0; round < ROUNDS; round++) {
        unlink(in_folder("lock"));
        assert_int_equal(in_a_process(lock_and_die), SLAO_OK);
        int reports[2], hold[2];
        pid_t racers[RACERS];
        assert_int_equal(pipe(reports), 0);
        assert_int_equal(pipe(hold), 0);
        for (int i = 0; i < RACERS; i++) {
            racers[i] = fork();
            assert_true(racers[i] >= 0);
            if (racers[i] == 0) {
                close(hold[WRITING]);
                race_for_the_lock(reports[WRITING], hold[READING]);
            }
        }
        int winners = 0;
        for (int i = 0; i < RACERS; i++) {
            unsigned char status;
            assert_int_equal(read(reports[READING], &status, 1), 1);
            winners += status == SLAO_OK;
            assert_true(status == SLAO_OK || status == SLAO_BAD_INPUT);
        }
        assert_int_equal(winners, 1);
        close(hold[WRITING]);
        for (int i = 0; i < RACERS; i++) {
            int status;
            assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        close(hold[READING]);
        close(reports[READING]);
        close(reports[WRITING]);
    }
}

static cJSON *event_of(int number) {
    cJSON *event = cJSON_CreateObject();
    assert_ok(slao_json_add_text(event, "event", "done"));
    assert_ok(slao_json_add_real(event, "number", number));
    return event;
}

static int n_events(void) {
    cJSON *events;
    assert_ok(slao_journal_read(&events, in_folder("journal.jsonl"), 0));
    int count = cJSON_GetArraySize(events), i = 0;
    const cJSON *event;
    cJSON_ArrayForEach (event, events)
        assert_int_equal(slao_json_find(event, "number")->valuedouble, i++);
    cJSON_Delete(events);
    return count;
}

static void journal(slao_store *store, int number) {
    cJSON *event = event_of(number);
    assert_ok(slao_store_journal(store, event));
    cJSON_Delete(event);
}

static void test_the_journal_survives_a_torn_line(void **state) {
    (void)state;
    slao_store *store = open_store();
    assert_int_equal(n_events(), 0);
    assert_ok(slao_store_lock(store));
    journal(store, 0);
    journal(store, 1);
    assert_int_equal(n_events(), 2);
    slao_store_close(store);
    FILE *file = fopen(in_folder("journal.jsonl"), "a");
    assert_non_null(file);
    fputs("{\"event\":\"done\",\"numb", file);
    assert_int_equal(fclose(file), 0);
    store = open_store();
    assert_int_equal(n_events(), 2);
    assert_ok(slao_store_lock(store));
    journal(store, 2);
    assert_int_equal(n_events(), 3);
    slao_store_close(store);
    write_text(in_folder("journal.jsonl"), "{\"number\":0}\n{\"num\n{\"number\":1}\n");
    store = open_store();
    cJSON *events;
    assert_fails(slao_journal_read(&events, in_folder("journal.jsonl"), 0), SLAO_BAD_INPUT,
                 "line 2");
    slao_store_close(store);
}

static void test_a_full_disk_leaves_the_journal(void **state) {
    (void)state;
    slao_store *store = open_store();
    assert_int_equal(symlink("/dev/full", in_folder("journal.jsonl")), 0);
    assert_ok(slao_store_lock(store));
    cJSON *event = event_of(0);
    assert_fails(slao_store_journal(store, event), SLAO_NO_RESOURCE, "No space");
    cJSON_Delete(event);
    slao_store_close(store);
}

/* A limit on the file's size in the midst of a line stands in for a disk that fills there. */
static void test_half_a_line_is_taken_back(void **state) {
    (void)state;
    slao_store *store = open_store();
    assert_ok(slao_store_lock(store));
    journal(store, 0);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){40, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    cJSON *event = event_of(1);
    slao_status status = slao_store_journal(store, event);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_fails(status, SLAO_NO_RESOURCE, "File too large (does ulimit -f limit it?)");
    cJSON_Delete(event);
    char *text;
    assert_ok(slao_read_text(&text, NULL, in_folder("journal.jsonl")));
    assert_string_equal(text, "{\"event\":\"done\",\"number\":0}\n");
    free(text);
    journal(store, 1);
    assert_int_equal(n_events(), 2);
    slao_store_close(store);
}

static void make_leftover(const char *name, long pid, bool old) {
    char path[512], host[64] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    snprintf(path, sizeof path, "%s.%s.%ld.tmp", in_folder(name), host, pid);
    write_text(path, "half");
    const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    if (old)
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
}

static int count_files(const char *pattern) {
    char command[256];
    snprintf(command, sizeof command, "exit $(find %s -name '%s' | wc -l)", folder, pattern);
    return WEXITSTATUS(system(command));
}

/* A pid that was, and is no more. */
static long dead_pid(void) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return (long)child;
}

static void test_leftovers_are_removed(void **state) {
    (void)state;
    static const char *const places[] = {"status.json", "steps/a.json", "adapters/b/c/d",
                                         "checkpoints/e", "out.h5"};
    slao_store *store = open_store();
    assert_ok(slao_make_folders(in_folder("adapters/b/c")));
    long dead = dead_pid(), living = (long)getpid();
    for (size_t i = 0; i < 5; i++) {
        make_leftover(places[i], dead, false);
        make_leftover(places[i], living, false);
    }
    make_leftover("specs/old", living, true);
    write_text(in_folder("steps/x.elsewhere.7.tmp"), "written on another host just now");
    write_text(in_folder("steps/notes.tmp.txt"), "not ours");
    char done[SLAO_HASH_TEXT], other[SLAO_HASH_TEXT], path[64];
    slao_hash_to_text(key, done);
    slao_hash_to_text((slao_hash){7, 7}, other);
    snprintf(path, sizeof path, "checkpoints/%s", done);
    write_text(in_folder(path), "savepoint");
    snprintf(path, sizeof path, "checkpoints/%s", other);
    write_text(in_folder(path), "savepoint");
    cJSON *record = record_of(key);
    assert_ok(slao_store_put(store, key, record));
    cJSON_Delete(record);
    assert_ok(slao_store_lock(store));
    assert_ok(slao_leftovers_remove(store, in_folder("out.h5")));
    assert_int_equal(count_files("*.tmp"), 5 + 1);
    assert_int_equal(count_files("*.txt"), 1);
    assert_int_equal(count_files(done), 0);
    assert_int_equal(count_files(other), 1);
    assert_true(slao_store_has(store, key));
    slao_store_close(store);
}

#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, make_store_folder, remove_store_folder)

int main(void) {
    assert_int_equal(setenv("SLAO_LEASE_SECONDS", "2", 1), 0);
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_a_record_comes_back),
        STORE_TEST(test_bad_records_are_refused),
        STORE_TEST(test_a_full_disk_leaves_no_record),
        STORE_TEST(test_a_store_needs_a_folder),
        STORE_TEST(test_the_lock_keeps_others_out),
        STORE_TEST(test_the_lock_of_the_dead_is_taken_over),
        STORE_TEST(test_a_pid_given_again_is_no_holder),
        STORE_TEST(test_a_zombie_is_no_holder),
        STORE_TEST(test_the_lock_of_another_host_lives_by_its_heartbeat),
        STORE_TEST(test_an_unreadable_lock_is_refused),
        STORE_TEST(test_the_heart_beats),
        STORE_TEST(test_a_lost_lock_is_noticed),
        STORE_TEST(test_one_of_many_takes_over),
        STORE_TEST(test_leftovers_are_removed),
        STORE_TEST(test_the_journal_survives_a_torn_line),
        STORE_TEST(test_a_full_disk_leaves_the_journal),
        STORE_TEST(test_half_a_line_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
