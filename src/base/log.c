#include "base/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void say(const char *prefix, const char *format, va_list arguments) {
    char line[4096];
    vsnprintf(line, sizeof line, format, arguments);
    dprintf(STDERR_FILENO, "%s%s\n", prefix, line); /* one write */
}

void slao_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("slao: ", format, arguments);
    va_end(arguments);
}

void slao_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("slao: warning: ", format, arguments);
    va_end(arguments);
}

double slao_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void slao_time_text(char text[SLAO_TIME_TEXT]) {
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(text, SLAO_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void slao_duration_text(char text[SLAO_DURATION_TEXT], double seconds) {
    if (!(seconds < 1e9)) {
        snprintf(text, SLAO_DURATION_TEXT, "a long time");
        return;
    }
    long all = lround(seconds);
    if (all < 60)
        snprintf(text, SLAO_DURATION_TEXT, "%ld s", all);
    else if (all < 3600)
        snprintf(text, SLAO_DURATION_TEXT, "%ld min %02ld s", all / 60, all % 60);
    else if (all < 86400)
        snprintf(text, SLAO_DURATION_TEXT, "%ld h %02ld min", all / 3600, all / 60 % 60);
    else
        snprintf(text, SLAO_DURATION_TEXT, "%ld d %ld h", all / 86400, all / 3600 % 24);
}
