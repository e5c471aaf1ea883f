#include "model/attention.h"

#include "linalg/vec.h"

#include <math.h>
#include <string.h>

enum { QUERY_BLOCK = 32 };

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

/* A block of queries of one span: where its rows are, and how far each of them sees. Its queries of
 * the heads that share keys and values are gathered below one another (count x group rows of d
 * values), so that one product serves them all. */
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

/* gathered (count x width) = the block's rows of x, `width` columns of them */
static void gather(const block *b, float *gathered, slao_matrix x, int64_t width) {
    for (int64_t i = 0; i < b->count; i++)
        memcpy(gathered + i * width, x.values + (b->row + i) * x.stride,
               (size_t)width * sizeof *gathered);
}

static void scatter(const block *b, slao_matrix_out x, const float *gathered, int64_t width) {
    for (int64_t i = 0; i < b->count; i++)
        memcpy(x.values + (b->row + i) * x.stride, gathered + i * width,
               (size_t)width * sizeof *gathered);
}

/* How many columns of a piece that starts at column `start` the block sees. */
static int64_t seen_of(const block *b, int64_t start, const piece *p) {
    int64_t left = b->columns - start;
    return left < p->count ? left : p->count;
}

/* scores (rows x columns) = queries (rows x d) . keys */
static void score_block(const block *b, int64_t rows, float *scores, const float *queries,
                        slao_matrix keys, int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_multiply_transposed(
            (slao_matrix_out){scores + start, b->columns}, (slao_matrix){queries, d},
            (slao_matrix){keys.values + part->slot * keys.stride, keys.stride}, rows, n, d, 1, 0);
        start += n;
    }
}

/* out (rows x d) = weights (rows x columns) times the rows of x that the columns stand for */
static void mix_block(const block *b, int64_t rows, float *out, const float *weights, slao_matrix x,
                      int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_multiply((slao_matrix_out){out, d}, (slao_matrix){weights + start, b->columns},
                      (slao_matrix){x.values + part->slot * x.stride, x.stride}, rows, d, n, 1,
                      start ? 1 : 0);
        start += n;
    }
}

/* The rows of y that the columns stand for += weights^T (columns x rows) times x (rows x d) */
static void spread_block(const block *b, int64_t rows, slao_matrix_out y, const float *weights,
                         const float *x, int64_t d) {
    int64_t start = 0;
    for (int64_t p = 0; p < b->context->n_pieces; p++) {
        const piece *part = &b->context->pieces[p];
        int64_t n = seen_of(b, start, part);
        slao_transposed_multiply((slao_matrix_out){y.values + part->slot * y.stride, y.stride},
                                 (slao_matrix){weights + start, b->columns}, (slao_matrix){x, d}, n,
                                 d, rows, 1, 1);
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
    int64_t group = config->heads / config->kv_heads, width = group * d;
    float scale = 1.0F / sqrtf((float)d);
    slao_arena_mark mark = slao_arena_here(arena);
    context seen;
    SLAO_TRY(take_context(&seen, batch, arena));
    float *scores, *q, *o;
    int64_t longest = longest_context(batch, &seen), most_rows = QUERY_BLOCK * group;
    SLAO_TRY(slao_arena_take(arena, &scores, (size_t)(most_rows * longest), sizeof *scores));
    SLAO_TRY(slao_arena_take(arena, &q, (size_t)(most_rows * d), sizeof *q));
    SLAO_TRY(slao_arena_take(arena, &o, (size_t)(most_rows * d), sizeof *o));

    int64_t span_row = 0;
    for (int64_t s = 0; s < batch->n_spans; span_row += batch->spans[s++].count) {
        const slao_span *span = &batch->spans[s];
        context_of(&seen, batch, span);
        for (int64_t head = 0; head < config->kv_heads; head++) {
            slao_matrix k = {keys + head * d, kv_width}, v = {values + head * d, kv_width};
            FOR_BLOCKS(b, &seen, span, span_row) {
                int64_t rows = b.count * group;
                gather(&b, q, (slao_matrix){queries + head * width, q_width}, width);
                score_block(&b, rows, scores, q, k, d);
                for (int64_t r = 0; r < rows; r++) {
                    float *row = scores + r * b.columns;
                    size_t n = (size_t)(b.first_sees + r / group);
                    float highest = scale * vec->max(row, n);
                    float sum = vec->exp_sum(row, scale, highest, n);
                    vec->scale(row, 1.0F / sum, n);
                    memset(row + n, 0, ((size_t)b.columns - n) * sizeof *row);
                    lse[(b.row + r / group) * config->heads + head * group + r % group] =
                        highest + logf(sum);
                }
                mix_block(&b, rows, o, scores, v, d);
                scatter(&b, (slao_matrix_out){out + head * width, q_width}, o, width);
            }
        }
    }
    slao_arena_return(arena, mark);
    return SLAO_OK;
}

slao_status slao_attention_backward(const slao_model_config *config, const slao_batch *batch,
                                    const float *queries, const float *keys, const float *values,
                                    const float *out, const float *lse, const float *d_out,
                                    slao_matrix_out d_queries, slao_matrix_out d_keys,
                                    slao_matrix_out d_values, slao_arena *arena) {
    const slao_vec_table *vec = slao_vec();
    int64_t d = config->head_dim, q_width = config->heads * d, kv_width = config->kv_heads * d;
    int64_t group = config->heads / config->kv_heads, width = group * d;
    float scale = 1.0F / sqrtf((float)d);
    slao_arena_mark mark = slao_arena_here(arena);
    context seen;
    SLAO_TRY(take_context(&seen, batch, arena));
    float *p, *dp, *q, *o, *d_o;
    int64_t longest = longest_context(batch, &seen), most_rows = QUERY_BLOCK * group;
    SLAO_TRY(slao_arena_take(arena, &p, (size_t)(most_rows * longest), sizeof *p));
    SLAO_TRY(slao_arena_take(arena, &dp, (size_t)(most_rows * longest), sizeof *dp));
    SLAO_TRY(slao_arena_take(arena, &q, (size_t)(most_rows * d), sizeof *q));
    SLAO_TRY(slao_arena_take(arena, &o, (size_t)(most_rows * d), sizeof *o));
    SLAO_TRY(slao_arena_take(arena, &d_o, (size_t)(most_rows * d), sizeof *d_o));

    int64_t span_row = 0;
    for (int64_t s = 0; s < batch->n_spans; span_row += batch->spans[s++].count) {
        const slao_span *span = &batch->spans[s];
        context_of(&seen, batch, span);
        for (int64_t head = 0; head < config->kv_heads; head++) {
            int64_t at = head * width, kv_at = head * d;
            slao_matrix k = {keys + kv_at, kv_width}, v = {values + kv_at, kv_width};
            FOR_BLOCKS(b, &seen, span, span_row) {
                int64_t rows = b.count * group;
                gather(&b, q, (slao_matrix){queries + at, q_width}, width);
                gather(&b, o, (slao_matrix){out + at, q_width}, width);
                gather(&b, d_o, (slao_matrix){d_out + at, q_width}, width);
                score_block(&b, rows, p, q, k, d);
                score_block(&b, rows, dp, d_o, v, d);
                for (int64_t r = 0; r < rows; r++) {
                    float *p_row = p + r * b.columns, *dp_row = dp + r * b.columns;
                    size_t n = (size_t)(b.first_sees + r / group), rest = (size_t)b.columns - n;
                    vec->exp_sum(
                        p_row, scale,
                        lse[(b.row + r / group) * config->heads + head * group + r % group], n);
                    float mean = vec->dot(d_o + r * d, o + r * d, (size_t)d);
                    vec->softmax_backward(dp_row, p_row, scale, mean, n);
                    memset(p_row + n, 0, rest * sizeof *p_row);
                    memset(dp_row + n, 0, rest * sizeof *dp_row);
                }
                spread_block(&b, rows, (slao_matrix_out){d_keys.values + kv_at, d_keys.stride}, dp,
                             q, d);
                spread_block(&b, rows, (slao_matrix_out){d_values.values + kv_at, d_values.stride},
                             p, d_o, d);
                mix_block(&b, rows, q, dp, k, d);
                scatter(&b, (slao_matrix_out){d_queries.values + at, d_queries.stride}, q, width);
            }
        }
    }
    slao_arena_return(arena, mark);
    return SLAO_OK;
}
