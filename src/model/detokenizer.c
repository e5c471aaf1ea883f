#include "model/detokenizer.h"

#include "base/memory.h"
#include "model/byte_level.h"
#include "model/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct step step;

struct step {
    slao_status (*run)(const step *s, const slao_texts *from, slao_texts *to);
    slao_replacement texts;
    size_t most;  /* of strip */
    bool leading; /* of spaces */
};

struct slao_detokenizer {
    step *steps;
    size_t n_steps, capacity;
    bool fused; /* the texts are one by now */
};

slao_status slao_detokenizer_new(slao_detokenizer **detokenizer) {
    return slao_allocate(detokenizer, 1, sizeof **detokenizer);
}

void slao_detokenizer_free(slao_detokenizer *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->n_steps; i++)
        slao_replacement_free(&d->steps[i].texts);
    free(d->steps);
    free(d);
}

void slao_texts_free(slao_texts *texts) {
    slao_bytes_free(&texts->bytes);
    free(texts->ends);
    *texts = (slao_texts){0};
}

/* Ends the text that lies behind the last one. */
static slao_status end_text(slao_texts *texts) {
    SLAO_TRY(slao_grow(&texts->ends, &texts->capacity, texts->count + 1, sizeof *texts->ends));
    texts->ends[texts->count++] = texts->bytes.count;
    return SLAO_OK;
}

slao_status slao_texts_add(slao_texts *texts, const char *text, size_t size) {
    SLAO_TRY(slao_bytes_add(&texts->bytes, text, size));
    return end_text(texts);
}

static const char *text_of(const slao_texts *texts, size_t i, size_t *size) {
    size_t start = i ? texts->ends[i - 1] : 0;
    *size = texts->ends[i] - start;
    return texts->bytes.items + start;
}

static slao_status run_bytes(const step *s, const slao_texts *from, slao_texts *to) {
    (void)s;
    SLAO_TRY(slao_grow(&to->bytes.items, &to->bytes.capacity, from->bytes.count + 1, 1));
    for (size_t i = 0; i < from->count; i++) {
        size_t size, count;
        const char *text = text_of(from, i, &size);
        slao_byte_level_decode(text, size, to->bytes.items + to->bytes.count, &count);
        to->bytes.count += count;
    }
    return end_text(to);
}

static slao_status run_replace(const step *s, const slao_texts *from, slao_texts *to) {
    for (size_t i = 0; i < from->count; i++) {
        size_t size;
        const char *text = text_of(from, i, &size);
        SLAO_TRY(
            slao_bytes_add_replaced(&to->bytes, text, size, s->texts.pattern, s->texts.content));
        SLAO_TRY(end_text(to));
    }
    return SLAO_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' ^ 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool slao_is_fallback_token(const char *text, size_t size, unsigned char *byte) {
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return false;
    int high = text[3] == '+' ? 0 : hex_digit(text[3]),
        low = hex_digit(text[4]); /* as Rust reads */
    *byte = (unsigned char)(high << 4 | low);
    return high >= 0 && low >= 0;
}

/* Ends the run of bytes that starts at `start` of to->bytes. */
static slao_status end_run(slao_texts *to, size_t start) {
    static const char replacement[] = "\xef\xbf\xbd";
    size_t size = to->bytes.count - start, repaired_size;
    char *repaired;
    if (!size)
        return SLAO_OK;
    SLAO_TRY(slao_utf8_repair(to->bytes.items + start, size, &repaired, &repaired_size));
    if (!repaired)
        return end_text(to);
    free(repaired);
    to->bytes.count = start;
    for (size_t i = 0; i < size; i++)
        SLAO_TRY(slao_texts_add(to, replacement, sizeof replacement - 1));
    return SLAO_OK;
}

static slao_status run_fallback(const step *s, const slao_texts *from, slao_texts *to) {
    (void)s;
    size_t start = 0; /* of the run */
    for (size_t i = 0; i < from->count; i++) {
        size_t size;
        const char *text = text_of(from, i, &size);
        unsigned char byte;
        if (slao_is_fallback_token(text, size, &byte)) {
            SLAO_TRY(slao_bytes_add(&to->bytes, (const char *)&byte, 1));
            continue;
        }
        SLAO_TRY(end_run(to, start));
        SLAO_TRY(slao_texts_add(to, text, size));
        start = to->bytes.count;
    }
    return end_run(to, start);
}

static slao_status run_fuse(const step *s, const slao_texts *from, slao_texts *to) {
    (void)s;
    return slao_texts_add(to, from->bytes.items, from->bytes.count);
}

static slao_status run_strip(const step *s, const slao_texts *from, slao_texts *to) {
    size_t width = strlen(s->texts.content);
    for (size_t i = 0; i < from->count; i++) {
        size_t size, cut = 0;
        const char *text = text_of(from, i, &size);
        for (size_t n = 0;
             n < s->most && size - cut >= width && memcmp(text + cut, s->texts.content, width) == 0;
             n++)
            cut += width;
        SLAO_TRY(slao_texts_add(to, text + cut, size - cut));
    }
    return SLAO_OK;
}

static slao_status run_spaces(const step *s, const slao_texts *from, slao_texts *to) {
    for (size_t i = 0; i < from->count; i++) {
        size_t size;
        const char *text = text_of(from, i, &size);
        const char *content = i == 0 && s->leading ? "" : " ";
        SLAO_TRY(slao_bytes_add_replaced(&to->bytes, text, size, s->texts.pattern, content));
        SLAO_TRY(end_text(to));
    }
    return SLAO_OK;
}

/* Appends a step, with copies of its texts. What would change the start of a text by what comes
 * later is refused. */
static slao_status add_step(slao_detokenizer *d, step s, const char *pattern, const char *content) {
    const step *last = d->n_steps ? &d->steps[d->n_steps - 1] : NULL;
    if ((last && last->run == run_bytes) || (d->fused && s.run != run_strip))
        return slao_fail(SLAO_BAD_INPUT, "a decoder after ByteLevel, or after Fuse but for Strip, "
                                         "is not supported");
    SLAO_TRY(slao_grow(&d->steps, &d->capacity, d->n_steps + 1, sizeof *d->steps));
    SLAO_TRY(slao_replacement_copy(&s.texts, pattern, content));
    d->fused = d->fused || s.run == run_fuse;
    d->steps[d->n_steps++] = s;
    return SLAO_OK;
}

slao_status slao_detokenizer_add_bytes(slao_detokenizer *d) {
    return add_step(d, (step){.run = run_bytes}, NULL, NULL);
}

slao_status slao_detokenizer_add_replace(slao_detokenizer *d, const char *pattern,
                                         const char *content) {
    SLAO_INVARIANT(*pattern);
    return add_step(d, (step){.run = run_replace}, pattern, content);
}

slao_status slao_detokenizer_add_fallback(slao_detokenizer *d) {
    return add_step(d, (step){.run = run_fallback}, NULL, NULL);
}

slao_status slao_detokenizer_add_fuse(slao_detokenizer *d) {
    return add_step(d, (step){.run = run_fuse}, NULL, NULL);
}

slao_status slao_detokenizer_add_strip(slao_detokenizer *d, const char *character, int64_t most) {
    SLAO_INVARIANT(*character && most >= 0);
    return add_step(d, (step){.run = run_strip, .most = (size_t)most}, NULL, character);
}

slao_status slao_detokenizer_add_spaces(slao_detokenizer *d, const char *character, bool leading) {
    SLAO_INVARIANT(*character);
    return add_step(d, (step){.run = run_spaces, .leading = leading}, character, NULL);
}

bool slao_detokenizer_falls_back(const slao_detokenizer *d) {
    for (size_t i = 0; i < d->n_steps; i++) {
        if (d->steps[i].run == run_fallback)
            return true;
    }
    return false;
}

slao_status slao_detokenizer_run(const slao_detokenizer *d, slao_texts *texts) {
    slao_texts spare = {0};
    slao_status status = SLAO_OK;
    for (size_t i = 0; i < d->n_steps && status == SLAO_OK; i++) {
        spare.bytes.count = spare.count = 0;
        status = d->steps[i].run(&d->steps[i], texts, &spare);
        slao_texts before = *texts;
        *texts = spare;
        spare = before;
    }
    slao_texts_free(&spare);
    return status;
}
