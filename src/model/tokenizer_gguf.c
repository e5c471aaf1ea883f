#include "model/gguf.h"
#include "model/scored_merges.h"
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/* Values of tokenizer.ggml.token_type: the kinds of token that are recognised in a text, of which
 * those of the last are not special. */
enum { UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4 };

/* What tokenizer.ggml.pre stands for where the model is "gpt2": the tokenizer.json that the family
 * publishes. */
static const struct family {
    const char *pre;
    const char *rules[2]; /* of the pre-tokenizer, in order */
    bool ignore_merges, nfc;
    bool adds_bos; /* where tokenizer.ggml.add_bos_token does not say */
} families[] = {
    {"gpt-2", {"gpt2"}, false, false, false},
    {"smollm", {"digits", "gpt2"}, false, false, false},
    {"llama-bpe", {"llama3"}, true, false, true},
    {"llama3", {"llama3"}, true, false, true},
    {"llama-v3", {"llama3"}, true, false, true},
    {"qwen2", {"qwen2"}, false, true, false},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static slao_status find_family(const slao_gguf *gguf, const struct family **family) {
    const char *pre;
    SLAO_TRY(slao_gguf_text(gguf, "tokenizer.ggml.pre", &pre, NULL));
    int i = 0;
    while (i < N_FAMILIES && strcmp(families[i].pre, pre) != 0)
        i++;
    if (i == N_FAMILIES)
        return slao_fail(SLAO_BAD_INPUT,
                         "tokenizer.ggml.pre is \"%.60s\": slao knows the pre-tokenizers "
                         "\"gpt-2\", \"smollm\", \"llama-bpe\" and \"qwen2\"; use the model's "
                         "folder with its tokenizer.json",
                         pre);
    *family = &families[i];
    return SLAO_OK;
}

static slao_status read_tokens(slao_tokenizer *t, const slao_gguf *gguf) {
    const char *const *tokens;
    const int64_t *types;
    int64_t n_tokens, n_types;
    SLAO_TRY(slao_gguf_texts(gguf, "tokenizer.ggml.tokens", &tokens, &n_tokens, NULL));
    SLAO_TRY(slao_gguf_integers(gguf, "tokenizer.ggml.token_type", &types, &n_types, NULL));
    if (n_types != n_tokens)
        return slao_fail(SLAO_BAD_INPUT,
                         "tokenizer.ggml.token_type has %lld entries for %lld tokens",
                         (long long)n_types, (long long)n_tokens);
    for (int64_t id = 0; id < n_tokens; id++)
        SLAO_TRY_IN(slao_vocabulary_add(t->vocabulary, tokens[id], strlen(tokens[id]), id),
                    "tokenizer.ggml.tokens");
    for (int64_t id = 0; id < n_tokens; id++) {
        bool special = types[id] == CONTROL || types[id] == UNKNOWN;
        size_t size = strlen(tokens[id]);
        if (size && (special || types[id] == USER_DEFINED))
            SLAO_TRY_IN(slao_tokenizer_add_token(t, tokens[id], size,
                                                 (slao_added_token){.id = id, .special = special}),
                        "tokenizer.ggml.tokens");
    }
    return SLAO_OK;
}

static slao_status read_merges(slao_tokenizer *t, const slao_gguf *gguf) {
    const char *const *merges;
    int64_t count;
    SLAO_TRY(slao_gguf_texts(gguf, "tokenizer.ggml.merges", &merges, &count, NULL));
    for (int64_t i = 0; i < count; i++)
        SLAO_TRY_IN(slao_bpe_add_merge_line(t->bpe, merges[i]), "tokenizer.ggml.merges");
    return SLAO_OK;
}

static slao_status read_scores(slao_tokenizer *t, const slao_gguf *gguf) {
    double *scores = NULL;
    int64_t count;
    SLAO_TRY(slao_gguf_reals(gguf, "tokenizer.ggml.scores", &scores, &count, NULL));
    slao_status status = SLAO_OK;
    if (count != slao_vocabulary_count(t->vocabulary))
        status = slao_fail(SLAO_BAD_INPUT, "tokenizer.ggml.scores has %lld entries for %lld tokens",
                           (long long)count, (long long)slao_vocabulary_count(t->vocabulary));
    if (status == SLAO_OK)
        status = slao_add_scored_merges(t->bpe, t->vocabulary, scores);
    free(scores);
    return status;
}

/* A token's id, or -1 where the file has none. */
static slao_status read_id(const slao_tokenizer *t, const slao_gguf *gguf, const char *key,
                           int64_t *id) {
    bool found;
    int64_t value = -1;
    SLAO_TRY(slao_gguf_integer(gguf, key, &value, &found));
    if (found && (value < 0 || value >= slao_tokenizer_vocabulary(t)))
        return slao_fail(SLAO_BAD_INPUT, "%s is %lld, which is no token", key, (long long)value);
    *id = found ? value : -1;
    return SLAO_OK;
}

/* A boolean; `absent` where the file does not say. */
static slao_status read_switch(const slao_gguf *gguf, const char *key, bool absent, bool *value) {
    int64_t number = absent;
    bool found;
    SLAO_TRY(slao_gguf_integer(gguf, key, &number, &found));
    *value = number != 0;
    return SLAO_OK;
}

/* Byte-level BPE. */
static slao_status read_gpt2(slao_tokenizer *t, const slao_gguf *gguf, bool *adds_bos) {
    const struct family *family = families;
    SLAO_TRY(find_family(gguf, &family));
    if (family->nfc)
        SLAO_TRY(slao_normalizer_add_nfc(t->normalizer));
    SLAO_TRY(read_tokens(t, gguf));
    for (int i = 0; i < 2 && family->rules[i]; i++)
        SLAO_TRY(slao_pretokenizer_add(t->pretokenizer, family->rules[i]));
    SLAO_TRY(slao_detokenizer_add_bytes(t->detokenizer));
    slao_bpe_options options = {
        .byte_level = true, .ignore_merges = family->ignore_merges, .unknown = -1};
    SLAO_TRY(slao_bpe_new(&t->bpe, t->vocabulary, options));
    *adds_bos = family->adds_bos;
    return read_merges(t, gguf);
}

/* SentencePiece's BPE: a space is U+2581, one stands before each text, unknown characters are
 * written as bytes, and the merges follow from the scores. */
static slao_status read_llama(slao_tokenizer *t, const slao_gguf *gguf, bool *adds_bos) {
    static const char space[] = "\xe2\x96\x81";
    bool leading, has_merges;
    int64_t unknown;
    const char *const *merges;
    int64_t n_merges;
    SLAO_TRY(read_switch(gguf, "tokenizer.ggml.add_space_prefix", true, &leading));
    if (leading)
        SLAO_TRY(slao_normalizer_add_prepend(t->normalizer, space));
    SLAO_TRY(slao_normalizer_add_replace(t->normalizer, " ", space));
    SLAO_TRY(read_tokens(t, gguf));
    SLAO_TRY(slao_detokenizer_add_replace(t->detokenizer, space, " "));
    SLAO_TRY(slao_detokenizer_add_fallback(t->detokenizer));
    SLAO_TRY(slao_detokenizer_add_fuse(t->detokenizer));
    if (leading)
        SLAO_TRY(slao_detokenizer_add_strip(t->detokenizer, " ", 1));
    SLAO_TRY(read_id(t, gguf, "tokenizer.ggml.unknown_token_id", &unknown));
    slao_bpe_options options = {
        .byte_fallback = true, .unknown = (int32_t)unknown, .fuse_unknown = true};
    SLAO_TRY(slao_bpe_new(&t->bpe, t->vocabulary, options));
    *adds_bos = true;
    SLAO_TRY(slao_gguf_texts(gguf, "tokenizer.ggml.merges", &merges, &n_merges, &has_merges));
    return has_merges ? read_merges(t, gguf) : read_scores(t, gguf);
}

static const struct {
    const char *model; /* tokenizer.ggml.model */
    /* Reads all but BOS and EOS; *adds_bos where tokenizer.ggml.add_bos_token does not say. */
    slao_status (*read)(slao_tokenizer *t, const slao_gguf *gguf, bool *adds_bos);
} models[] = {{"gpt2", read_gpt2}, {"llama", read_llama}};
enum { N_MODELS = sizeof models / sizeof *models };

static slao_status read_metadata(slao_tokenizer *t, const slao_gguf *gguf) {
    const char *model;
    bool adds_bos;
    int i = 0;
    SLAO_TRY(slao_gguf_text(gguf, "tokenizer.ggml.model", &model, NULL));
    while (i < N_MODELS && strcmp(models[i].model, model) != 0)
        i++;
    if (i == N_MODELS)
        return slao_fail(SLAO_BAD_INPUT,
                         "tokenizer.ggml.model is \"%.60s\": slao reads only \"gpt2\" (byte-level "
                         "BPE) and \"llama\" (SentencePiece's BPE)",
                         model);
    SLAO_TRY(models[i].read(t, gguf, &adds_bos));
    SLAO_TRY(read_id(t, gguf, "tokenizer.ggml.bos_token_id", &t->bos));
    SLAO_TRY(read_id(t, gguf, "tokenizer.ggml.eos_token_id", &t->eos));
    SLAO_TRY(read_switch(gguf, "tokenizer.ggml.add_bos_token", adds_bos, &adds_bos));
    t->adds_bos = adds_bos && t->bos >= 0;
    return SLAO_OK;
}

slao_status slao_tokenizer_read_gguf(slao_tokenizer *t, const char *path) {
    slao_gguf *gguf;
    SLAO_TRY(slao_gguf_open(&gguf, path));
    slao_status status = read_metadata(t, gguf);
    slao_gguf_close(gguf);
    return status == SLAO_OK ? status : slao_fail_context(status, "%s", path);
}
