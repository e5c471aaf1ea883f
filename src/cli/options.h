/* Command-line options by table: the same rows parse argv and print the help. */
#ifndef SLAO_CLI_OPTIONS_H
#define SLAO_CLI_OPTIONS_H

#include "base/status.h"

#include <stdint.h>

typedef enum {
    SLAO_OPTION_FLAG,    /* bool, set to true */
    SLAO_OPTION_TEXT,    /* const char * */
    SLAO_OPTION_INTEGER, /* int64_t, 0 to 2^31 - 1: what is counted never comes near an overflow */
    SLAO_OPTION_REAL,    /* double */
    SLAO_OPTION_LIST,    /* slao_option_list: may be given several times */
    SLAO_OPTION_THREADS  /* no target: slao_threads_set */
} slao_option_kind;

typedef struct {
    const char **values;
    int64_t count;
} slao_option_list;

typedef struct {
    const char *name;       /* "--model" */
    const char *short_name; /* "-o", or NULL */
    slao_option_kind kind;
    const char *value; /* what the help calls the value: "DIR" */
    const char *help;
    void *target; /* holds the default before parsing */
    bool required;
} slao_option;

/* The row of every command that computes for long. */
#define SLAO_THREADS_ROW                                                                           \
    {                                                                                              \
        "--threads", NULL, SLAO_OPTION_THREADS, "T", "cores to compute on (1); changes no result", \
            NULL, false                                                                            \
    }

typedef struct {
    const char *usage;                       /* "slao tokenize --model M [--json] [FILE...]" */
    const char *summary;                     /* a sentence or two */
    const char *example;                     /* a command line that works */
    const slao_option *options;              /* ends in a row without a name */
    int64_t least_arguments, most_arguments; /* positional */
} slao_usage;

/* Parses argv[1..]. "--name=value" and "--name value" are the same; "--" ends the options. The
 * positional arguments are moved to argv[1], argv[2], ...; how many there are is told unless
 * n_arguments is NULL. The caller frees the arrays of lists. --help prints the help and ends the
 * program. */
slao_status slao_options_parse(int argc, char **argv, const slao_usage *usage,
                               int64_t *n_arguments);

#endif
