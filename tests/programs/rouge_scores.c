/* Prints the ROUGE-L F1 of pairs of texts, a line each, for comparison with the rouge-score
 * package.
 *
 *   rouge_scores < PAIRS        PAIRS: output and reference, each as u32 size and the bytes */
#include "base/memory.h"
#include "learn/rouge.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char *bytes;
    size_t size, capacity;
} text;

/* *there: was there another text? */
static slao_status read_text(text *into, bool *there) {
    uint32_t size;
    *there = fread(&size, sizeof size, 1, stdin) == 1;
    if (!*there)
        return SLAO_OK;
    SLAO_TRY(slao_grow(&into->bytes, &into->capacity, size + 1u, 1));
    if (fread(into->bytes, 1, size, stdin) != size)
        return slao_fail(SLAO_BAD_INPUT, "a text is shorter than its size says");
    into->bytes[size] = '\0';
    into->size = size;
    return SLAO_OK;
}

static slao_status run(text *output, text *reference) {
    for (;;) {
        bool there;
        double f1;
        SLAO_TRY(read_text(output, &there));
        if (!there)
            return SLAO_OK;
        SLAO_TRY(read_text(reference, &there));
        if (!there)
            return slao_fail(SLAO_BAD_INPUT, "an output has no reference");
        SLAO_TRY(slao_rouge_l(output->bytes, output->size, reference->bytes, &f1));
        printf("%.17g\n", f1);
    }
}

int main(void) {
    text output = {0}, reference = {0};
    slao_status status = run(&output, &reference);
    if (status != SLAO_OK)
        fprintf(stderr, "%s\n", slao_message());
    free(output.bytes);
    free(reference.bytes);
    return status;
}
