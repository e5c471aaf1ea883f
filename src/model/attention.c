#include "model/attention.h"

#include "linalg/matrix.h"
#include "linalg/vec.h"

#include <math.h>
#include <string.h>

enum { QUERY_BLOCK = 64 };

/* A run of cached tokens that a span attends to. */
typedef struct {
    int64_t slot, count;
} piece;

/* What a span attends to: the pieces of its ancestors, eldest first, then its own segment. */
typedef struct {
    int64_t n_pieces;
    piece *pieces;  /* the last is the span's own segment up to the span's end */
    int64_t before; /* tokens of the ancestors */
} context;

static void context_of(context *found, const slao_batch *batch, const slao_span *span) {
    found->n_pieces = 1;
    for (int64_t s = span->segment; batch->segments[s].parent >= 0; s = batch->segments[s].parent)
        found->n_pieces++;
    int64_t s = span->segment;
    int64_t count = span->from + span->count;
    found->before = 0;
    for (int64_t p = found->n_pieces - 1; p >= 0; p--) {
        found->pieces[p] = (piece){batch->segments[s].slot, count};
        if (p < found->n_pieces - 1)
            found->before += count;
        count = batch->segments[s].parent_count;
        s = batch->segments[s].parent;
    }
}

/* Tokens that the longest chain of the batch attends to. */
static int64_t longest_context(const slao_batch *batch, context *scratch) {
    int64_t longest = 0;
    for (int64_t i = 0; i < batch->n_spans; i++) {
        context_of(scratch, batch, &batch->spans[i]);
        int64_t length = scratch->before + batch->spans[i].from + batch->spans[i].count;
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* A block of queries of one span: where its rows are, and how far each of them sees. */
typedef struct {
    int64_t row, count;
    int64_t first_sees; /* columns of the scores that the block's first query sees; the next sees
                           one more */
    int64_t columns;    /* that the last one sees */
    const context *context;
} block;

/* Calls `body` with each block of the span. */
#define FOR_BLOCKS(name, seen, span, span_row)                                                     \
    for (block name = {.row = (span_row), .context = (seen)};                                      \
         name.row < (span_row) + (span)->count &&                                                  \
         (name.count = (span_row) + (span)->count - name.row,                                      \
         name.count = name.count < QUERY_BLOCK ? name.count : QUERY_BLOCK,                         \
         name.first_sees = (seen)->before + (span)->from + (name.row - (span_row)) + 1,            \
         name.columns = name.first_sees + name.count - 1, true);                                   \
         name.row += name.count)

/* How many columns of a piece that starts at column `start` the block sees. */
static int64_t seen_of(const block *b, int64_t start, const piece *p) {
    int64_t left = b->columns - start;
    return left < p->count ? left : p->count;
}

/* scores (count x columns) = queries . keys */
static void score_block(const block *b, float *scores, slao_matrix queries, const float *keys,
                        int64_t width, int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_multiply_transposed((slao_matrix_out){scores + start, b->columns}, queries,
                                 (slao_matrix){keys + part->slot * width, width}, b->count, n, d, 1,
                                 0);
        start += n;
    }
}

/* out (count x d) = weights (count x columns) times the rows that the columns stand for */
static void mix_block(const block *b, slao_matrix_out out, const float *weights, const float *rows,
                      int64_t width, int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_multiply(out, (slao_matrix){weights + start, b->columns},
                      (slao_matrix){rows + part->slot * width, width}, b->count, d, n, 1,
                      start ? 1 : 0);
        start += n;
    }
}

/* The rows that the columns stand for += weights^T (columns x count) times x (count x d) */
static void spread_block(const block *b, float *rows, int64_t width, const float *weights,
                         slao_matrix x, int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_transposed_multiply((slao_matrix_out){rows + part->slot * width, width},
                                 (slao_matrix){weights + start, b->columns}, x, n, d, b->count, 1,
                                 1);
        start += n;
    }
}

static slao_status take_context(context *seen, const slao_batch *batch, slao_arena *arena) {
    SLAO_TRY(
        slao_arena_take(arena, &seen->pieces, (size_t)batch->n_segments, sizeof *seen->pieces));
    return SLAO_OK;
}

slao_status slao_attention(const slao_model_config *config, const slao_batch *batch,
                           const float *queries, const float *keys, const float *values, float *out,
                           float *lse, slao_arena *arena) {
    const slao_vec_table *vec = slao_vec();
    int64_t d = config->head_dim, q_width = config->heads * d, kv_width = config->kv_heads * d;
    int64_t group = config->heads / config->kv_heads;
    float scale = 1.0F / sqrtf((float)d);
    slao_arena_mark mark = slao_arena_here(arena);
    context seen;
    SLAO_TRY(take_context(&seen, batch, arena));
    float *scores;
    int64_t longest = longest_context(batch, &seen);
    SLAO_TRY(slao_arena_take(arena, &scores, (size_t)(QUERY_BLOCK * longest), sizeof *scores));

    int64_t span_row = 0;
    for (int64_t s = 0; s < batch->n_spans; span_row += batch->spans[s++].count) {
        const slao_span *span = &batch->spans[s];
        context_of(&seen, batch, span);
        for (int64_t head = 0; head < config->heads; head++) {
            const float *k = keys + head / group * d, *v = values + head / group * d;
            FOR_BLOCKS(b, &seen, span, span_row) {
                int64_t at = b.row * q_width + head * d;
                score_block(&b, scores, (slao_matrix){queries + at, q_width}, k, kv_width, d);
                for (int64_t i = 0; i < b.count; i++) {
                    float *row = scores + i * b.columns;
                    size_t n = (size_t)(b.first_sees + i);
                    float highest = scale * vec->max(row, n);
                    float sum = vec->exp_sum(row, scale, highest, n);
                    vec->scale(row, 1.0F / sum, n);
                    memset(row + n, 0, ((size_t)b.columns - n) * sizeof *row);
                    lse[(b.row + i) * config->heads + head] = highest + logf(sum);
                }
                mix_block(&b, (slao_matrix_out){out + at, q_width}, scores, v, kv_width, d);
            }
        }
    }
    slao_arena_return(arena, mark);
    return SLAO_OK;
}

slao_status slao_attention_backward(const slao_model_config *config, const slao_batch *batch,
                                    const float *queries, const float *keys, const float *values,
                                    const float *out, const float *lse, const float *d_out,
                                    float *d_queries, float *d_keys, float *d_values,
                                    int64_t gradient_stride, slao_arena *arena) {
    const slao_vec_table *vec = slao_vec();
    int64_t d = config->head_dim, q_width = config->heads * d, kv_width = config->kv_heads * d;
    int64_t group = config->heads / config->kv_heads;
    float scale = 1.0F / sqrtf((float)d);
    slao_arena_mark mark = slao_arena_here(arena);
    context seen;
    SLAO_TRY(take_context(&seen, batch, arena));
    float *p, *dp;
    int64_t longest = longest_context(batch, &seen);
    SLAO_TRY(slao_arena_take(arena, &p, (size_t)(QUERY_BLOCK * longest), sizeof *p));
    SLAO_TRY(slao_arena_take(arena, &dp, (size_t)(QUERY_BLOCK * longest), sizeof *dp));
    for (int64_t row = 0; row < batch->n_rows; row++) {
        memset(d_keys + row * gradient_stride, 0, (size_t)kv_width * sizeof *d_keys);
        memset(d_values + row * gradient_stride, 0, (size_t)kv_width * sizeof *d_values);
    }

    int64_t span_row = 0;
    for (int64_t s = 0; s < batch->n_spans; span_row += batch->spans[s++].count) {
        const slao_span *span = &batch->spans[s];
        context_of(&seen, batch, span);
        for (int64_t head = 0; head < config->heads; head++) {
            int64_t kv_at = head / group * d;
            FOR_BLOCKS(b, &seen, span, span_row) {
                int64_t at = b.row * q_width + head * d;
                slao_matrix q = {queries + at, q_width}, d_o = {d_out + at, q_width};
                score_block(&b, p, q, keys + kv_at, kv_width, d);
                score_block(&b, dp, d_o, values + kv_at, kv_width, d);
                for (int64_t i = 0; i < b.count; i++) {
                    float *p_row = p + i * b.columns, *dp_row = dp + i * b.columns;
                    size_t n = (size_t)(b.first_sees + i), rest = (size_t)b.columns - n;
                    vec->exp_sum(p_row, scale, lse[(b.row + i) * config->heads + head], n);
                    float mean =
                        vec->dot(d_out + at + i * q_width, out + at + i * q_width, (size_t)d);
                    vec->softmax_backward(dp_row, p_row, scale, mean, n);
                    memset(p_row + n, 0, rest * sizeof *p_row);
                    memset(dp_row + n, 0, rest * sizeof *dp_row);
                }
                slao_matrix_out d_q = {d_queries + b.row * gradient_stride + head * d,
                                       gradient_stride};
                mix_block(&b, d_q, dp, keys + kv_at, kv_width, d);
                spread_block(&b, d_keys + kv_at, gradient_stride, dp, q, d);
                spread_block(&b, d_values + kv_at, gradient_stride, p, d_o, d);
            }
        }
    }
    slao_arena_return(arena, mark);
    return SLAO_OK;
}
