#include "data/encode.h"

#include <stdlib.h>
#include <string.h>

enum { SLACK = 16 }; /* ids above the limit, up to which longer prefixes are tried */

/* Encodes the examples of one split, one after the other. */
typedef struct {
    const slao_tokenizer *tokenizer;
    int64_t max_length, bos, eos; /* bos: -1 where none is put in front */
    const char *name;             /* of the split, for messages */
    char *text;                   /* the prompt under work */
    size_t text_capacity;
    slao_ids trial; /* ids of a prompt that is tried */
    slao_ids answer;
    size_t *starts; /* of the characters of a sentence that is cut: byte offsets */
    size_t starts_capacity;
} prompt_encoder;

/* encoder->trial becomes the ids of the prompt with the first `size` bytes of the sentence, and
 * *length how many ids the example has with it. */
static slao_status encode_prompt(prompt_encoder *encoder, const slao_example *example, size_t size,
                                 int64_t *length) {
    size_t head = strlen(example->head), tail = strlen(example->tail);
    SLAO_TRY(slao_grow(&encoder->text, &encoder->text_capacity, head + size + tail + 1, 1));
    memcpy(encoder->text, example->head, head);
    memcpy(encoder->text + head, example->sentence, size);
    memcpy(encoder->text + head + size, example->tail, tail + 1);
    encoder->trial.count = 0;
    if (encoder->bos >= 0)
        SLAO_TRY(slao_ids_add(&encoder->trial, (int32_t)encoder->bos));
    SLAO_TRY(slao_tokenizer_encode(encoder->tokenizer, encoder->text, head + size + tail,
                                   &encoder->trial));
    *length = (int64_t)(encoder->trial.count + encoder->answer.count);
    return SLAO_OK;
}

/* encoder->starts[k] becomes the size in bytes of the first k characters; *count is how many there
 * are. Stray continuation bytes belong to what they follow. */
static slao_status find_characters(prompt_encoder *encoder, const char *sentence, size_t *count) {
    size_t size = strlen(sentence), n = 0;
    SLAO_TRY(
        slao_grow(&encoder->starts, &encoder->starts_capacity, size + 1, sizeof *encoder->starts));
    for (size_t i = 0; i < size; i++) {
        if (i == 0 || ((unsigned char)sentence[i] & 0xC0) != 0x80)
            encoder->starts[n++] = i;
    }
    encoder->starts[n] = size;
    *count = n;
    return SLAO_OK;
}

static slao_status too_long(const prompt_encoder *encoder, int64_t index, int64_t length) {
    return slao_fail(SLAO_BAD_INPUT,
                     "%s, example %lld: its instruction and answer alone are %lld tokens, more "
                     "than max_length %lld; raise max_length to %lld or more",
                     encoder->name, (long long)index, (long long)length,
                     (long long)encoder->max_length, (long long)length);
}

/* Leaves in encoder->trial the prompt with the longest prefix that fits (see the header). */
static slao_status cut_sentence(prompt_encoder *encoder, const slao_example *example,
                                int64_t index) {
    size_t count;
    SLAO_TRY(find_characters(encoder, example->sentence, &count));
    int64_t length;
    SLAO_TRY(encode_prompt(encoder, example, 0, &length));
    if (length > encoder->max_length)
        return too_long(encoder, index, length);
    size_t fits = 0, exceeds = count; /* the whole sentence is too long, or it would not be cut */
    while (exceeds - fits > 1) {
        size_t middle = fits + (exceeds - fits) / 2;
        SLAO_TRY(encode_prompt(encoder, example, encoder->starts[middle], &length));
        if (length <= encoder->max_length)
            fits = middle;
        else
            exceeds = middle;
    }
    for (size_t next = exceeds + 1; next < count; next++) {
        SLAO_TRY(encode_prompt(encoder, example, encoder->starts[next], &length));
        if (length <= encoder->max_length)
            fits = next;
        if (length > encoder->max_length + SLACK)
            break;
    }
    return encode_prompt(encoder, example, encoder->starts[fits], &length);
}

static slao_status append(slao_ids *ids, const slao_ids *more) {
    if (more->count == 0)
        return SLAO_OK;
    SLAO_TRY(slao_grow(&ids->ids, &ids->capacity, ids->count + more->count, sizeof *ids->ids));
    memcpy(ids->ids + ids->count, more->ids, more->count * sizeof *ids->ids);
    ids->count += more->count;
    return SLAO_OK;
}

static slao_status encode_example(prompt_encoder *encoder, const slao_example *example,
                                  slao_encoded *encoded) {
    int64_t length, index = encoded->count;
    encoder->answer.count = 0;
    SLAO_TRY(slao_tokenizer_encode(encoder->tokenizer, example->answer, strlen(example->answer),
                                   &encoder->answer));
    SLAO_TRY(slao_ids_add(&encoder->answer, (int32_t)encoder->eos));
    SLAO_TRY(encode_prompt(encoder, example, strlen(example->sentence), &length));
    bool cut = length > encoder->max_length;
    if (cut)
        SLAO_TRY(cut_sentence(encoder, example, index));
    SLAO_TRY(append(&encoded->ids, &encoder->trial));
    SLAO_TRY(append(&encoded->ids, &encoder->answer));
    length = (int64_t)(encoder->trial.count + encoder->answer.count);
    encoded->sequences[index] =
        (slao_sequence){.count = length, .answer_start = (int64_t)encoder->trial.count};
    encoded->truncated[index] = cut;
    encoded->count++;
    encoded->n_truncated += cut;
    encoded->n_ids += length;
    if (length > encoded->longest)
        encoded->longest = length;
    return SLAO_OK;
}

static slao_status encode_all(prompt_encoder *encoder, const slao_examples *examples,
                              slao_encoded *encoded) {
    SLAO_TRY(
        slao_allocate(&encoded->sequences, (size_t)examples->count, sizeof *encoded->sequences));
    SLAO_TRY(
        slao_allocate(&encoded->truncated, (size_t)examples->count, sizeof *encoded->truncated));
    for (int64_t i = 0; i < examples->count; i++)
        SLAO_TRY(encode_example(encoder, &examples->examples[i], encoded));
    const int32_t *ids = encoded->ids.ids; /* it has stopped moving */
    for (int64_t i = 0; i < encoded->count; i++) {
        encoded->sequences[i].ids = ids;
        ids += encoded->sequences[i].count;
    }
    return SLAO_OK;
}

static slao_status special_tokens(prompt_encoder *encoder) {
    encoder->bos = -1;
    if (slao_tokenizer_adds_bos(encoder->tokenizer)) {
        encoder->bos = slao_tokenizer_bos(encoder->tokenizer);
        if (encoder->bos < 0)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: the model's tokenizer adds a BOS token, but "
                             "names none (bos_token)",
                             encoder->name);
    }
    encoder->eos = slao_tokenizer_eos(encoder->tokenizer);
    if (encoder->eos < 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: the model's tokenizer names no end token (eos_token), and an answer "
                         "ends in one",
                         encoder->name);
    return SLAO_OK;
}

slao_status slao_encode(slao_encoded **encoded, const slao_tokenizer *tokenizer,
                        const slao_examples *examples, int64_t max_length, const char *name) {
    *encoded = NULL;
    prompt_encoder encoder = {.tokenizer = tokenizer, .max_length = max_length, .name = name};
    SLAO_TRY(special_tokens(&encoder));
    SLAO_TRY(slao_allocate(encoded, 1, sizeof **encoded));
    slao_status status = encode_all(&encoder, examples, *encoded);
    free(encoder.text);
    free(encoder.starts);
    slao_ids_free(&encoder.trial);
    slao_ids_free(&encoder.answer);
    if (status != SLAO_OK) {
        slao_encoded_free(*encoded);
        *encoded = NULL;
    }
    return status;
}

void slao_encoded_free(slao_encoded *encoded) {
    if (!encoded)
        return;
    free(encoded->sequences);
    free(encoded->truncated);
    slao_ids_free(&encoded->ids);
    free(encoded);
}
