/* Messages to people, on stderr: one line each, written at once so that lines of several ranks do
 * not mix; and clocks. */
#ifndef SLAO_BASE_LOG_H
#define SLAO_BASE_LOG_H

/* "slao: ..." */
void slao_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "slao: warning: ..." : something the user would want to change, though the result is right. */
void slao_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds of a clock that never goes back, for measuring. */
double slao_seconds(void);

/* The time of day for files and messages: ISO 8601, UTC, as 2026-03-01T12:34:56Z. */
enum { SLAO_TIME_TEXT = 24 };
void slao_time_text(char text[SLAO_TIME_TEXT]);

/* How long something takes, as people say it: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h. */
enum { SLAO_DURATION_TEXT = 24 };
void slao_duration_text(char text[SLAO_DURATION_TEXT], double seconds);

#endif
