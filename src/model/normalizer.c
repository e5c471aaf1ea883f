#include "model/normalizer.h"

#include "base/memory.h"
#include "model/nfc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct step step;

struct step {
    /* Appends the changed text, or sets *same where nothing changes. */
    slao_status (*run)(const step *s, const char *text, size_t size, slao_bytes *to, bool *same);
    slao_replacement texts;
};

struct slao_normalizer {
    step *steps;
    size_t n_steps, capacity;
};

slao_status slao_normalizer_new(slao_normalizer **normalizer) {
    return slao_allocate(normalizer, 1, sizeof **normalizer);
}

void slao_normalizer_free(slao_normalizer *n) {
    if (!n)
        return;
    for (size_t i = 0; i < n->n_steps; i++)
        slao_replacement_free(&n->steps[i].texts);
    free(n->steps);
    free(n);
}

static slao_status run_nfc(const step *s, const char *text, size_t size, slao_bytes *to,
                           bool *same) {
    (void)s;
    *same = slao_is_surely_nfc(text, size);
    return *same ? SLAO_OK : slao_nfc(text, size, to);
}

static slao_status run_prepend(const step *s, const char *text, size_t size, slao_bytes *to,
                               bool *same) {
    *same = size == 0;
    if (*same)
        return SLAO_OK;
    SLAO_TRY(slao_bytes_add(to, s->texts.content, strlen(s->texts.content)));
    return slao_bytes_add(to, text, size);
}

static slao_status run_replace(const step *s, const char *text, size_t size, slao_bytes *to,
                               bool *same) {
    *same = !memmem(text, size, s->texts.pattern, strlen(s->texts.pattern));
    return *same ? SLAO_OK
                 : slao_bytes_add_replaced(to, text, size, s->texts.pattern, s->texts.content);
}

/* Appends a step, with copies of its texts. */
static slao_status add_step(slao_normalizer *n, step s, const char *pattern, const char *content) {
    SLAO_TRY(slao_grow(&n->steps, &n->capacity, n->n_steps + 1, sizeof *n->steps));
    SLAO_TRY(slao_replacement_copy(&s.texts, pattern, content));
    n->steps[n->n_steps++] = s;
    return SLAO_OK;
}

slao_status slao_normalizer_add_nfc(slao_normalizer *n) {
    return add_step(n, (step){.run = run_nfc}, NULL, NULL);
}

slao_status slao_normalizer_add_prepend(slao_normalizer *n, const char *text) {
    return add_step(n, (step){.run = run_prepend}, NULL, text);
}

slao_status slao_normalizer_add_replace(slao_normalizer *n, const char *pattern,
                                        const char *content) {
    SLAO_INVARIANT(*pattern);
    return add_step(n, (step){.run = run_replace}, pattern, content);
}

bool slao_normalizer_is_empty(const slao_normalizer *n) {
    return n->n_steps == 0;
}

void slao_normalizer_workspace_free(slao_normalizer_workspace *w) {
    for (int i = 0; i < 2; i++)
        slao_bytes_free(&w->texts[i]);
}

slao_status slao_normalizer_run(const slao_normalizer *n, slao_normalizer_workspace *w,
                                const char *text, size_t size, const char **normal,
                                size_t *normal_size) {
    int next = 0;
    for (size_t i = 0; i < n->n_steps; i++) {
        slao_bytes *to = &w->texts[next];
        bool same;
        to->count = 0;
        SLAO_TRY(n->steps[i].run(&n->steps[i], text, size, to, &same));
        if (same)
            continue;
        if (to->count > INT32_MAX)
            return slao_fail(SLAO_BAD_INPUT,
                             "a text of %zu bytes is %zu bytes long when normalised: split it into "
                             "lines",
                             size, to->count);
        text = to->items;
        size = to->count;
        next = !next;
    }
    *normal = text;
    *normal_size = size;
    return SLAO_OK;
}
