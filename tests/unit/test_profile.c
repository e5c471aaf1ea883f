/* base/profile: what is charged to parts, and parts within parts. */
#include "test.h"

#include "base/log.h"
#include "base/profile.h"

#include <pthread.h>

static void spend(double seconds) {
    double end = slao_seconds() + seconds;
    while (slao_seconds() < end)
        ;
}

static void test_inner_parts_are_taken_off_outer_ones(void **state) {
    (void)state;
    int64_t count;
    slao_profile_start();
    double begin = slao_seconds();
    slao_profile_mark outer = slao_profile_begin();
    spend(0.002);
    for (int i = 0; i < 2; i++) {
        slao_profile_mark inner = slao_profile_begin();
        spend(0.01);
        slao_profile_end(inner, "inner", 3, 4, 24);
    }
    slao_profile_end(outer, "outer", 0, 0, 0);
    double whole = slao_seconds() - begin;
    const slao_profile_part *parts = slao_profile_stop(&count);
    assert_int_equal(count, 2);
    assert_string_equal(parts[0].name, "inner"); /* most time first */
    assert_int_equal(parts[0].calls, 2);
    assert_int_equal(parts[0].n, 3);
    assert_int_equal(parts[0].k, 4);
    assert_near(parts[0].operations, 48, 0);
    assert_true(parts[0].seconds >= 0.02);
    assert_true(parts[1].seconds >= 0.002);
    assert_true(parts[0].seconds + parts[1].seconds <= whole);
}

/* Two threads of a second each are a second of the profile; who does not share is not seen. */
static void *beside(void *shares) {
    if (shares)
        slao_profile_share(2);
    slao_profile_mark mark = slao_profile_begin();
    spend(0.02);
    slao_profile_end(mark, "both", 0, 0, 10);
    if (shares)
        slao_profile_unshare();
    mark = slao_profile_begin();
    slao_profile_end(mark, "after", 0, 0, 10);
    return NULL;
}

static void test_threads_share_a_profile(void **state) {
    (void)state;
    for (int shares = 0; shares < 2; shares++) {
        int64_t count;
        pthread_t thread;
        bool shared = shares == 1;
        slao_profile_start();
        double begin = slao_seconds();
        assert_int_equal(pthread_create(&thread, NULL, beside, shared ? &thread : NULL), 0);
        beside(shared ? &thread : NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        double whole = slao_seconds() - begin;
        const slao_profile_part *parts = slao_profile_stop(&count);
        assert_int_equal(count, 2);
        assert_string_equal(parts[0].name, "both");
        assert_int_equal(parts[0].calls, 1 + shares);
        assert_near(parts[0].operations, 10 * (1 + shares), 0);
        assert_true(parts[0].seconds >= 0.02 && parts[0].seconds <= whole);
        assert_string_equal(parts[1].name, "after"); /* of the thread that started it, alone */
        assert_int_equal(parts[1].calls, 1);
    }
}

static void test_nothing_is_charged_outside_a_profile(void **state) {
    (void)state;
    int64_t count;
    slao_profile_mark before = slao_profile_begin();
    slao_profile_end(before, "before", 0, 0, 0);
    slao_profile_start();
    slao_profile_end(before, "across its start", 0, 0, 0);
    slao_profile_stop(&count);
    assert_int_equal(count, 0);
}

static void test_many_parts_share_the_last_row(void **state) {
    (void)state;
    int64_t count, calls = 0;
    slao_profile_start();
    for (int64_t i = 0; i < 1000; i++)
        slao_profile_end(slao_profile_begin(), "product", i, 1, 1);
    const slao_profile_part *parts = slao_profile_stop(&count);
    for (int64_t i = 0; i < count; i++)
        calls += parts[i].calls;
    assert_int_equal(calls, 1000);
    assert_true(count < 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inner_parts_are_taken_off_outer_ones),
        cmocka_unit_test(test_threads_share_a_profile),
        cmocka_unit_test(test_nothing_is_charged_outside_a_profile),
        cmocka_unit_test(test_many_parts_share_the_last_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
