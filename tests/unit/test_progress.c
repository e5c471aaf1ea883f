/* sweep/progress: what is shown of a run. */
#include "test.h"

#include "sweep/progress.h"

static void name_step(void *context, int64_t step, char *name, size_t size) {
    assert_string_equal(context, "plan");
    snprintf(name, size, "finetune task-%lld", (long long)step);
}

static char *shown;
static size_t shown_size;
static FILE *stream;

static slao_progress *begin(slao_progress_mode mode, int columns) {
    slao_progress *progress;
    stream = open_memstream(&shown, &shown_size);
    assert_non_null(stream);
    assert_ok(slao_progress_new(&progress, mode, stream, columns, name_step, "plan"));
    return progress;
}

static void end(slao_progress *progress, const char *expected) {
    slao_progress_free(progress);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(shown, expected);
    free(shown);
}

static slao_event event_of(slao_event_kind kind, int64_t step, double elapsed, int64_t done) {
    slao_event event = {.kind = kind, .step = step, .rank = 3, .elapsed = elapsed};
    event.counts = (slao_queue_counts){.steps = 40, .done = done, .running = 2};
    event.counts.waiting = 38 - done;
    event.counts.cost_done = (double)done;
    event.counts.cost_left = (double)(40 - done);
    return event;
}

static slao_event done_event(int64_t step, double elapsed, int64_t done) {
    slao_event event = event_of(SLAO_EVENT_DONE, step, elapsed, done);
    event.seconds = 12.5;
    event.tokens = 25000;
    return event;
}

static slao_event failed_event(double elapsed) {
    slao_event event = event_of(SLAO_EVENT_FAILED, 7, elapsed, 1);
    event.seconds = 2;
    event.counts.failed = 1;
    event.counts.skipped = 4;
    event.message = "the loss is not finite";
    return event;
}

static void hear(slao_progress *progress, slao_event event) {
    slao_progress_hear(progress, &event);
}

static void test_lines(void **state) {
    (void)state;
    slao_progress *progress = begin(SLAO_PROGRESS_LINES, 0);
    hear(progress, event_of(SLAO_EVENT_STARTED, 0, 0, 0));
    hear(progress, done_event(0, 100, 10));
    for (int second = 101; second < 230; second++) /* a state line at 160 and at 220 */
        hear(progress, event_of(SLAO_EVENT_TICK, -1, second, 10));
    hear(progress, failed_event(230));
    slao_event stopping = event_of(SLAO_EVENT_STOPPING, -1, 230, 10);
    stopping.message = "on request";
    hear(progress, stopping);
    end(progress, "slao: [10/40] finetune task-0: 12.5 s, 2000 tokens/s, rank 3; 5 min 00 s left\n"
                  "slao: 10/40 steps, 2 running, 156 tokens/s, 8 min 00 s left\n"
                  "slao: 10/40 steps, 2 running, 114 tokens/s, 11 min 00 s left\n"
                  "slao: FAILED finetune task-7, on rank 3 after 2.0 s: the loss is not finite\n"
                  "slao: stopping on request; 2 steps still run\n");
}

static void test_bar(void **state) {
    (void)state;
    slao_progress *progress = begin(SLAO_PROGRESS_BAR, 71);
    hear(progress, event_of(SLAO_EVENT_STARTED, 0, 0, 0));
    hear(progress, done_event(0, 0.05, 5)); /* too soon to be seen */
    hear(progress, done_event(1, 50, 20));
    hear(progress, failed_event(51));
    slao_event last = done_event(2, 60, 40);
    last.counts.running = last.counts.waiting = 0;
    hear(progress, last);
    end(progress, "\r[..............................................] 0/40 steps, 2 running\033[K"
                  "\r[#########..........] 20/40 steps, 2 running, 1000 tokens/s, 50 s left\033[K"
                  "\r\033[K"
                  "slao: FAILED finetune task-7, on rank 3 after 2.0 s: the loss is not finite\n"
                  "\r1/40 steps, 2 running, 1 failed, 4 skipped, 980 tokens/s, 33 min 09 s \033[K"
                  "\r[##############################] 40/40 steps, 0 running, 1250 tokens/s\033[K"
                  "\n");
}

static void test_none_shows_failures(void **state) {
    (void)state;
    slao_progress *progress = begin(SLAO_PROGRESS_NONE, 0);
    hear(progress, done_event(0, 100, 10));
    hear(progress, event_of(SLAO_EVENT_TICK, -1, 300, 10));
    hear(progress, failed_event(301));
    end(progress, "slao: FAILED finetune task-7, on rank 3 after 2.0 s: the loss is not finite\n");
}

static void test_auto_is_lines_without_a_terminal(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    slao_progress *progress;
    assert_ok(slao_progress_new(&progress, SLAO_PROGRESS_AUTO, file, 0, name_step, "plan"));
    hear(progress, done_event(0, 10000, 1));
    slao_progress_free(progress);
    rewind(file);
    char line[256] = "";
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(
        line, "slao: [1/40] finetune task-0: 12.5 s, 2000 tokens/s, rank 3; 4 d 12 h left\n");
    assert_int_equal(fclose(file), 0);
}

static void test_modes_by_name(void **state) {
    (void)state;
    slao_progress_mode mode;
    assert_ok(slao_progress_parse(&mode, "lines"));
    assert_int_equal(mode, SLAO_PROGRESS_LINES);
    assert_fails(slao_progress_parse(&mode, "dots"), SLAO_BAD_INPUT, "auto, bar, lines or none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_none_shows_failures),
        cmocka_unit_test(test_auto_is_lines_without_a_terminal),
        cmocka_unit_test(test_modes_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
