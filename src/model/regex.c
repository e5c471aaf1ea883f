#define PCRE2_CODE_UNIT_WIDTH 8

#include "model/regex.h"

#include "base/memory.h"

#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>

struct slao_regex {
    pcre2_code *code;
};

struct slao_regex_match {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

enum { MESSAGE = 256 };

slao_status slao_regex_new(slao_regex **regex, const char *pattern) {
    SLAO_TRY(slao_allocate(regex, 1, sizeof **regex));
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    (*regex)->code = code;
    if (code) {
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it fails, PCRE2 interprets */
        return SLAO_OK;
    }
    slao_regex_free(*regex);
    *regex = NULL;
    PCRE2_UCHAR message[MESSAGE];
    pcre2_get_error_message(error, message, sizeof message);
    return slao_fail(SLAO_BROKEN, "PCRE2 cannot compile a regular expression, at byte %zu: %s",
                     (size_t)at, (const char *)message);
}

void slao_regex_free(slao_regex *regex) {
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

slao_status slao_regex_match_new(slao_regex_match **match) {
    SLAO_TRY(slao_allocate(match, 1, sizeof **match));
    (*match)->data = pcre2_match_data_create(1, NULL);
    (*match)->context = pcre2_match_context_create(NULL);
    if (!(*match)->data || !(*match)->context) {
        slao_regex_match_free(*match);
        *match = NULL;
        return slao_fail(SLAO_NO_RESOURCE, "out of memory for a regular expression");
    }
    /* The patterns are linear; a limit would only refuse long texts. */
    pcre2_set_match_limit((*match)->context, UINT32_MAX);
    return SLAO_OK;
}

void slao_regex_match_free(slao_regex_match *match) {
    if (!match)
        return;
    pcre2_match_data_free(match->data);
    pcre2_match_context_free(match->context);
    free(match);
}

slao_status slao_regex_find(const slao_regex *regex, slao_regex_match *match, const char *text,
                            size_t size, size_t from, bool *found, size_t *start, size_t *end) {
    int result = pcre2_match(regex->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK,
                             match->data, match->context);
    *found = result >= 0; /* 0: a match whose groups had no room, which nobody asked for */
    if (result == PCRE2_ERROR_NOMATCH)
        return SLAO_OK;
    if (result < 0) {
        PCRE2_UCHAR message[MESSAGE];
        pcre2_get_error_message(result, message, sizeof message);
        return slao_fail(SLAO_BROKEN, "PCRE2 gave up on a text of %zu bytes, at byte %zu: %s", size,
                         from, (const char *)message);
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(match->data);
    *start = bounds[0];
    *end = bounds[1];
    return SLAO_OK;
}
