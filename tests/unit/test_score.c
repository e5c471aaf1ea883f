/* learn/score: exact match of normalised texts, and when to stop generating. */
#include "test.h"

#include "base/random.h"
#include "learn/score.h"

static bool exact(const char *output, const char *reference) {
    return slao_score_exact(output, strlen(output), reference);
}

static bool can(const char *output, const char *reference) {
    return slao_score_can_still_match(output, strlen(output), reference);
}

static void test_exact_match(void **state) {
    (void)state;
    assert_true(exact("World", "World"));
    assert_true(exact(" world.", "World"));
    assert_true(exact("Science or  Technology\n", "science or technology"));
    assert_true(exact("\"very-negative!\"", "very negative"));
    assert_true(exact("Society Culture", "Society & Culture"));
    assert_true(
        exact("$+<=>^`|~world", "World")); /* ASCII symbols go too, as in string.punctuation */
    assert_false(exact("World Sports", "World"));
    assert_false(exact("Worl", "World"));
    assert_false(exact("Sports", "World"));
    assert_false(exact("Word", "World"));
}

static void test_exact_match_beyond_ascii(void **state) {
    (void)state;
    assert_true(exact("“ÉCOLE”…", "école"));
    assert_true(exact("ΟΔΟΣ", "οδος")); /* final sigma */
    assert_true(exact("a\u00a0b\u3000c\u2028\xc2\x85", "ABC"));
    assert_true(exact("ЖУК", "жук"));
    assert_false(exact("€5", "5")); /* symbols beyond ASCII stay */
    assert_false(exact("ecole", "école"));
    assert_false(exact("no\xff", "no")); /* stray bytes stay */
    assert_true(slao_score_exact("no\0", 2, "no"));
    assert_false(slao_score_exact("no\0", 3, "no"));
    assert_false(exact("\xe2\x82", "\xe2\x82\xac"));
}

static void test_nothing_is_wrong(void **state) {
    (void)state;
    assert_false(exact("", "World"));
    assert_false(exact("", ""));
    assert_false(exact("-", "-"));
    assert_false(exact(" .\n", "-"));
    assert_false(can("", "-"));
}

static void test_can_still_match(void **state) {
    (void)state;
    assert_true(can("", "World"));
    assert_true(can(" ", "World"));
    assert_true(can(" wo", "World"));
    assert_true(can(" world", "World"));
    assert_true(can(" world...\n", "World"));
    assert_false(can(" worlds", "World"));
    assert_false(can("The", "World"));
    assert_false(can("very p", "very negative"));
    /* The first byte, or two, of a euro sign: it may become anything that begins like that. */
    assert_true(can("5 \xe2", "5€"));
    assert_true(can("5 \xe2\x82", "5€"));
    assert_true(can("5 \xe2\x82", "5")); /* as 5⁂ could: punctuation, if E2 81 followed */
    assert_false(can("5 \xe2\x82x", "5€"));
    assert_false(can("5 \x82", "5€")); /* begins nothing */
    assert_false(can("5 \xf0\x9f\x98\x80", "5€"));
}

/* --- never false when some continuation matches --- */

static const char *const pieces[] = {"a", "B", "é", "É", "Σ", "σ",    "ς",        "ж",   "Ж",
                                     "€", "😀", "1", "-", " ", "\xff", "\xe2\x82", "\xf0"};
static const char *const fillers[] = {" ", ".", "\n", "“", "\u00a0", "…", "&", "\u2029"};
/* Characters that count as the same. */
static const char *const twins[][2] = {{"a", "A"}, {"B", "b"}, {"é", "É"}, {"É", "é"}, {"Σ", "ς"},
                                       {"σ", "Σ"}, {"ς", "σ"}, {"ж", "Ж"}, {"Ж", "ж"}};

enum { N_PIECES = sizeof pieces / sizeof *pieces, N_FILLERS = sizeof fillers / sizeof *fillers };
enum { N_TWINS = sizeof twins / sizeof *twins, MOST = 256 };

static uint64_t below(slao_random *random, uint64_t bound) {
    return slao_random_below(random, bound);
}

/* Another spelling of the piece. */
static const char *twin_of(slao_random *random, const char *piece) {
    for (int i = 0; i < N_TWINS; i++) {
        if (strcmp(twins[i][0], piece) == 0 && below(random, 2))
            return twins[i][1];
    }
    return piece;
}

static void test_no_match_is_ever_given_up(void **state) {
    (void)state;
    slao_random random = slao_random_stream(0, "test", "score", 0);
    int matches = 0, given_up = 0;
    for (int round = 0; round < 20000; round++) {
        char reference[MOST] = "", output[MOST] = "";
        uint64_t length = below(&random, 6);
        for (uint64_t i = 0; i < length; i++) {
            const char *piece = pieces[below(&random, N_PIECES)];
            strcat(reference, piece);
            if (below(&random, 3) == 0)
                strcat(output, fillers[below(&random, N_FILLERS)]);
            /* Now and then something else, so that there are outputs that do not match. */
            strcat(output,
                   below(&random, 20) ? twin_of(&random, piece) : pieces[below(&random, N_PIECES)]);
        }
        bool match = exact(output, reference);
        matches += match;
        for (size_t size = 0; size <= strlen(output); size++) {
            bool hope = slao_score_can_still_match(output, size, reference);
            given_up += !hope;
            if (match && !hope)
                fail_msg("\"%s\" matches \"%s\", but was given up after %zu bytes", output,
                         reference, size);
        }
    }
    assert_true(matches > 5000);
    assert_true(given_up > 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_match),
        cmocka_unit_test(test_exact_match_beyond_ascii),
        cmocka_unit_test(test_nothing_is_wrong),
        cmocka_unit_test(test_can_still_match),
        cmocka_unit_test(test_no_match_is_ever_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
