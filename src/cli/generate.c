/* slao generate: greedy text, for a look. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/loaded.h"
#include "cli/options.h"
#include "data/packing.h"
#include "learn/decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An embedding may have more rows than the tokenizer has tokens. Greedy decoding may choose such a
 * row, as in transformers, and it stands for no text: without a word that would look like nothing.
 */
static void tell_of_ids_without_text(const slao_tokenizer *tokenizer, const int32_t *ids,
                                     int64_t count) {
    int64_t without = 0;
    for (int64_t i = 0; i < count; i++)
        without += ids[i] >= slao_tokenizer_vocabulary(tokenizer);
    if (without)
        slao_note(
            "%lld of the %lld tokens written are rows of the embedding beyond the tokenizer's "
            "%lld tokens: they stand for no text",
            (long long)without, (long long)count, (long long)slao_tokenizer_vocabulary(tokenizer));
}

/* Reads the prompt and writes up to max_tokens tokens after it into `written`. */
static slao_status write_on(const slao_loaded *loaded, slao_decoder *decoder, slao_ids *prompt,
                            slao_arena *arena, slao_continuation *written) {
    const slao_model_config *config = &loaded->model->config;
    int64_t count = (int64_t)prompt->count;
    slao_packed packed;
    float *logits;
    SLAO_TRY(slao_ids_add(prompt, 0)); /* stands for what is predicted, and is not fed in */
    slao_sequence sequence = {prompt->ids, count + 1, count};
    SLAO_TRY(slao_pack(&packed, &sequence, 1, SLAO_SHARE_NOTHING, NULL, arena));
    SLAO_TRY(slao_decoder_read(decoder, &packed.batch, written->max_tokens));
    SLAO_TRY(slao_arena_take(arena, &logits, (size_t)config->vocabulary, sizeof *logits));
    slao_logits(loaded->pass, 0, 1, logits);
    int32_t first = slao_argmax(logits, config->vocabulary);
    if (slao_model_ends_at(config, first) || written->max_tokens == 0)
        return SLAO_OK;
    written->row_segment = packed.leaves[0];
    written->row_count = count;
    written->tokens[written->n_tokens++] = first;
    return slao_decoder_run(decoder, written, 1, NULL);
}

static slao_status generate(const slao_loaded *loaded, const char *prompt, int64_t max_new_tokens,
                            slao_arena *arena, slao_ids *ids, slao_decoder *decoder) {
    int64_t bos = slao_tokenizer_bos(loaded->tokenizer);
    if (slao_tokenizer_adds_bos(loaded->tokenizer) && bos >= 0)
        SLAO_TRY(slao_ids_add(ids, (int32_t)bos));
    SLAO_TRY(slao_tokenizer_encode(loaded->tokenizer, prompt, strlen(prompt), ids));
    if (ids->count == 0)
        return slao_fail(SLAO_BAD_INPUT, "the prompt is empty");
    slao_continuation written = {.max_tokens = max_new_tokens};
    SLAO_TRY(slao_arena_take(arena, &written.tokens, (size_t)written.max_tokens,
                             sizeof *written.tokens));
    SLAO_TRY(write_on(loaded, decoder, ids, arena, &written));
    char *text;
    size_t size;
    SLAO_TRY(slao_tokenizer_decode(loaded->tokenizer, written.tokens, (size_t)written.n_tokens,
                                   true, &text, &size));
    fwrite(text, 1, size, stdout);
    putchar('\n');
    free(text);
    tell_of_ids_without_text(loaded->tokenizer, written.tokens, written.n_tokens);
    return SLAO_OK;
}

/* All of standard input, without the newline at its end; the caller frees *text. */
static slao_status read_prompt(char **text) {
    size_t size = 0, capacity = 0, read;
    char block[4096];
    *text = NULL;
    while ((read = fread(block, 1, sizeof block, stdin)) > 0) {
        SLAO_TRY(slao_grow(text, &capacity, size + read + 1, 1));
        memcpy(*text + size, block, read);
        size += read;
    }
    if (ferror(stdin))
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot read standard input");
    SLAO_TRY(slao_grow(text, &capacity, size + 1, 1));
    (*text)[size] = '\0';
    if (strlen(*text) != size)
        return slao_fail(SLAO_BAD_INPUT, "the prompt on standard input holds a NUL");
    if (size > 0 && (*text)[size - 1] == '\n')
        (*text)[size - 1] = '\0';
    return SLAO_OK;
}

slao_status slao_command_generate(int argc, char **argv) {
    const char *model = NULL, *adapter = NULL;
    slao_load_options load_options = {0};
    int64_t max_new_tokens = 50;
    const slao_option options[] = {
        {"--model", NULL, SLAO_OPTION_TEXT, "M", "model folder or GGUF file", &model, true},
        SLAO_OPTIONS_OF_MODEL(load_options),
        {"--adapter", NULL, SLAO_OPTION_TEXT, "DIR", "PEFT LoRA adapter", &adapter, false},
        {"--max-new-tokens", NULL, SLAO_OPTION_INTEGER, "N", "tokens to write at the most (50)",
         &max_new_tokens, false},
        SLAO_THREADS_ROW,
        {0},
    };
    const slao_usage usage = {
        .usage = "slao generate --model M [--adapter DIR] [--max-new-tokens N] [--weights WHERE] "
                 "[--matmul-precision P] "
                 "[--threads T] [PROMPT]",
        .summary = "Writes on after the prompt (standard input without one), always the likeliest "
                   "token, until the\nmodel ends the text.",
        .example = "slao generate --model models/SmolLM2-135M \"The capital of France is\"",
        .options = options,
        .least_arguments = 0,
        .most_arguments = 1,
    };
    int64_t n_arguments;
    SLAO_TRY(slao_options_parse(argc, argv, &usage, &n_arguments));
    slao_loaded loaded = {0};
    slao_low_ranks pairs = {0};
    slao_arena *arena = NULL;
    slao_decoder *decoder = NULL;
    slao_ids ids = {0};
    char *prompt = NULL;
    slao_status status = n_arguments ? SLAO_OK : read_prompt(&prompt);
    if (status == SLAO_OK)
        status = slao_load(&loaded, model, adapter, &load_options, true);
    if (status == SLAO_OK && loaded.lora)
        status = slao_lora_view(&pairs, loaded.lora, NULL, &loaded.model->config);
    if (status == SLAO_OK)
        status = slao_arena_new(&arena);
    if (status == SLAO_OK)
        status = slao_decoder_new(&decoder, loaded.pass, &loaded.model->config, &pairs);
    if (status == SLAO_OK)
        status = generate(&loaded, prompt ? prompt : argv[1], max_new_tokens, arena, &ids, decoder);
    free(prompt);
    slao_ids_free(&ids);
    slao_decoder_free(decoder);
    slao_arena_free(arena);
    slao_lora_view_free(&pairs);
    slao_loaded_free(&loaded);
    return status;
}
