/* Tokenises whole texts, newlines and all, for comparison with other programs.
 *
 *   tokenize_texts MODEL < TEXTS > RESULTS
 *
 * TEXTS: per text, u32 size and the bytes. RESULTS: per text, u32 count and the ids as i32; then
 * what they decode to, and the same without special tokens, each as u32 size and bytes. */
#include "base/memory.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

static slao_status write_block(const void *items, size_t count, size_t size) {
    uint32_t header = (uint32_t)count;
    if (fwrite(&header, sizeof header, 1, stdout) != 1 ||
        (count && fwrite(items, size, count, stdout) != count))
        return slao_fail(SLAO_BROKEN, "cannot write the results");
    return SLAO_OK;
}

static slao_status write_decoded(const slao_tokenizer *tokenizer, const slao_ids *ids,
                                 bool skip_special) {
    char *text;
    size_t size;
    SLAO_TRY(slao_tokenizer_decode(tokenizer, ids->ids, ids->count, skip_special, &text, &size));
    slao_status status = write_block(text, size, 1);
    free(text);
    return status;
}

static slao_status run(const slao_tokenizer *tokenizer) {
    char *text = NULL;
    size_t capacity = 0;
    slao_ids ids = {0};
    slao_status status = SLAO_OK;
    uint32_t size;
    while (status == SLAO_OK && fread(&size, sizeof size, 1, stdin) == 1) {
        SLAO_TRY_GOTO(status, slao_grow(&text, &capacity, size + 1u, 1), done);
        if (fread(text, 1, size, stdin) != size) {
            status = slao_fail(SLAO_BAD_INPUT, "a text is shorter than its size says");
            goto done;
        }
        ids.count = 0;
        SLAO_TRY_GOTO(status, slao_tokenizer_encode(tokenizer, text, size, &ids), done);
        SLAO_TRY_GOTO(status, write_block(ids.ids, ids.count, sizeof *ids.ids), done);
        SLAO_TRY_GOTO(status, write_decoded(tokenizer, &ids, false), done);
        SLAO_TRY_GOTO(status, write_decoded(tokenizer, &ids, true), done);
    }
done:
    slao_ids_free(&ids);
    free(text);
    return status;
}

int main(int argc, char **argv) {
    slao_tokenizer *tokenizer;
    slao_status status = argc == 2 ? slao_tokenizer_load(&tokenizer, argv[1])
                                   : slao_fail(SLAO_BAD_INPUT, "usage: tokenize_texts MODEL");
    if (status == SLAO_OK) {
        status = run(tokenizer);
        slao_tokenizer_free(tokenizer);
    }
    if (status != SLAO_OK)
        fprintf(stderr, "tokenize_texts: %s\n", slao_message());
    return (int)status;
}
