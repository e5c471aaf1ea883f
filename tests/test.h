/* What every test program includes: cmocka with what it needs before it, and checks that print both
 * values. */
#ifndef SLAO_TESTS_TEST_H
#define SLAO_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The call succeeds; otherwise the test fails with its message. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        slao_status status_ = (call);                                                              \
        if (status_ != SLAO_OK)                                                                    \
            fail_msg("%s: status %d: %s", #call, (int)status_, slao_message());                    \
    } while (0)

/* The call fails with this status, and its message contains `part`. */
#define assert_fails(call, expected, part)                                                         \
    do {                                                                                           \
        slao_status status_ = (call);                                                              \
        if (status_ != (expected) || !strstr(slao_message(), (part)))                              \
            fail_msg("%s: status %d (wanted %d), message \"%s\" (wanted \"%s\")", #call,           \
                     (int)status_, (int)(expected), slao_message(), (part));                       \
    } while (0)

#define assert_near(actual, expected, tolerance)                                                   \
    do {                                                                                           \
        double actual_ = (actual), expected_ = (expected);                                         \
        if (!(fabs(actual_ - expected_) <= (tolerance)))                                           \
            fail_msg("%s is %.17g, not %.17g within %g", #actual, actual_, expected_,              \
                     (double)(tolerance));                                                         \
    } while (0)

#endif
