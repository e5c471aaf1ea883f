/* slao tokenize: token ids of text, line by line. */
#include "cli/command.h"
#include "cli/options.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_stdin(const char *path) {
    return strcmp(path, "-") == 0;
}

/* Every file can be opened: said before the first line is printed, so that no half of a JSON
 * document comes out for a slip in a name. */
static slao_status check_files(char *const *paths, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        FILE *file = is_stdin(paths[i]) ? NULL : fopen(paths[i], "rb");
        if (!file && !is_stdin(paths[i]))
            return slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", paths[i]);
        if (file)
            fclose(file);
    }
    return SLAO_OK;
}

static void print_ids(const slao_ids *ids, bool json, bool first) {
    if (json)
        fputs(first ? "[" : ",\n[", stdout);
    for (size_t i = 0; i < ids->count; i++)
        printf("%s%d", i == 0 ? "" : json ? "," : " ", ids->ids[i]);
    fputs(json ? "]" : "\n", stdout);
}

static slao_status tokenize_lines(const slao_tokenizer *tokenizer, FILE *file, const char *name,
                                  bool json, bool *first) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    slao_ids ids = {0};
    slao_status status = SLAO_OK;
    errno = 0;
    while (status == SLAO_OK && (length = getdelim(&line, &capacity, '\n', file)) >= 0) {
        size_t size = (size_t)length;
        if (line[size - 1] == '\n')
            size--;
        ids.count = 0;
        status = slao_tokenizer_encode(tokenizer, line, size, &ids);
        if (status == SLAO_OK)
            print_ids(&ids, json, *first);
        *first = false;
        errno = 0;
    }
    if (status == SLAO_OK && !feof(file))
        status = slao_fail_errno(SLAO_BAD_INPUT, "cannot read %s", name);
    slao_ids_free(&ids);
    free(line);
    return status;
}

static slao_status tokenize_file(const slao_tokenizer *tokenizer, const char *path, bool json,
                                 bool *first) {
    if (is_stdin(path))
        return tokenize_lines(tokenizer, stdin, "standard input", json, first);
    FILE *file = fopen(path, "rb");
    if (!file)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path);
    slao_status status = tokenize_lines(tokenizer, file, path, json, first);
    fclose(file);
    return status;
}

static slao_status tokenize_files(const char *model, char *const *paths, int64_t count, bool json) {
    SLAO_TRY(check_files(paths, count));
    slao_tokenizer *tokenizer;
    SLAO_TRY(slao_tokenizer_load(&tokenizer, model));
    bool first = true;
    slao_status status = SLAO_OK;
    if (json)
        fputs("[", stdout);
    for (int64_t i = 0; i < count && status == SLAO_OK; i++)
        status = tokenize_file(tokenizer, paths[i], json, &first);
    if (json && status == SLAO_OK)
        fputs("]\n", stdout);
    slao_tokenizer_free(tokenizer);
    return status;
}

slao_status slao_command_tokenize(int argc, char **argv) {
    enum { MOST_FILES = 1 << 20 };
    const char *model = NULL;
    bool json = false;
    const slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "a GGUF file, or a folder with tokenizer.json",
         &model, true},
        {"--json", NULL, SLAO_OPTION_FLAG, NULL, "a JSON list with a list of ids per line", &json,
         false},
        {0},
    };
    const slao_usage usage = {
        .usage = "slao tokenize --model M [--json] [FILE...]",
        .summary = "Prints the token ids of each line of the files, or of standard input (also "
                   "called -):\n"
                   "those of tokenizers' encode(line, add_special_tokens=False). A line ends at "
                   "\\n alone.\n"
                   "The tokenizer is BPE: byte-level (GPT-2, Llama-3, Qwen2, SmolLM2) or "
                   "SentencePiece's (Llama-2,\nMistral).",
        .example = "echo 'Hello, world' | slao tokenize --model model.gguf",
        .options = options,
        .least_arguments = 0,
        .most_arguments = MOST_FILES,
    };
    int64_t count;
    SLAO_TRY(slao_options_parse(argc, argv, &usage, &count));
    char *standard_input[] = {"-"};
    return tokenize_files(model, count ? argv + 1 : standard_input, count ? count : 1, json);
}
