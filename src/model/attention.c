#include "model/attention.h"

#include "base/profile.h"
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

/* A block of queries of one span: where its rows are, and which columns of the scores (tokens of
 * the context) they see. Its queries of the heads that share keys and values are gathered below one
 * another (count x group rows of d values), so that one product serves them all. */
typedef struct {
    int64_t row, count;
    int64_t first_sees; /* the block's first query sees columns below this; the next one more */
    int64_t from, to;   /* the columns that any of them sees */
    int64_t columns;    /* to - from: what the scores hold */
    const context *context;
} block;

/* Sets the columns of a block whose rows are set; the span's rows begin at `span_row`. */
static bool set_columns(block *b, const slao_span *span, int64_t span_row, int64_t window) {
    int64_t left = span_row + span->count - b->row;
    b->count = left < QUERY_BLOCK ? left : QUERY_BLOCK;
    b->first_sees = b->context->before + span->from + (b->row - span_row) + 1;
    b->from = window && b->first_sees > window ? b->first_sees - window : 0;
    b->to = b->first_sees + b->count - 1;
    b->columns = b->to - b->from;
    return left > 0;
}

/* Calls `body` with each block of the span. */
#define FOR_BLOCKS(name, seen, span, span_row, window)                                             \
    for (block name = {.row = (span_row), .context = (seen)};                                      \
         set_columns(&name, span, span_row, window); name.row += name.count)

/* The columns that query `i` of the block sees: *first .. first + count - 1 of those held. */
static size_t seen_by(const block *b, int64_t i, int64_t window, int64_t *first) {
    int64_t end = b->first_sees + i - b->from;
    *first = window && end > window ? end - window : 0;
    return (size_t)(end - *first);
}

/* Zeroes what a row of the scores holds outside of what its query sees. */
static void clear_unseen(const block *b, float *row, int64_t first, size_t count) {
    size_t end = (size_t)first + count;
    memset(row, 0, (size_t)first * sizeof *row);
    memset(row + end, 0, ((size_t)b->columns - end) * sizeof *row);
}

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

/* The part of a piece that the block sees; the piece's first token is column `start` of the
 * context. *column: where it lies among the columns held. */
static piece seen_of(const block *b, int64_t start, const piece *p, int64_t *column) {
    int64_t first = b->from > start ? b->from - start : 0;
    int64_t end = b->to - start < p->count ? b->to - start : p->count;
    *column = start + first - b->from;
    return (piece){p->slot + first, end > first ? end - first : 0};
}

/* scores (rows x columns) = queries (rows x d) . keys */
static void score_block(const block *b, int64_t rows, float *scores, const float *queries,
                        slao_matrix keys, int64_t d) {
    int64_t start = 0, column;
    for (int64_t i = 0; i < b->context->n_pieces; start += b->context->pieces[i++].count) {
        piece part = seen_of(b, start, &b->context->pieces[i], &column);
        if (part.count)
            slao_multiply_transposed(
                (slao_matrix_out){scores + column, b->columns}, (slao_matrix){queries, d},
                (slao_matrix){keys.values + part.slot * keys.stride, keys.stride}, rows, part.count,
                d, 1, 0);
    }
}

/* out (rows x d) = weights (rows x columns) times the rows of x that the columns stand for */
static void mix_block(const block *b, int64_t rows, float *out, const float *weights, slao_matrix x,
                      int64_t d) {
    int64_t start = 0, column;
    float beta = 0;
    for (int64_t i = 0; i < b->context->n_pieces; start += b->context->pieces[i++].count) {
        piece part = seen_of(b, start, &b->context->pieces[i], &column);
        if (!part.count)
            continue;
        slao_multiply((slao_matrix_out){out, d}, (slao_matrix){weights + column, b->columns},
                      (slao_matrix){x.values + part.slot * x.stride, x.stride}, rows, d, part.count,
                      1, beta);
        beta = 1;
    }
}

/* The rows of y that the columns stand for += weights^T (columns x rows) times x (rows x d) */
static void spread_block(const block *b, int64_t rows, slao_matrix_out y, const float *weights,
                         const float *x, int64_t d) {
    int64_t start = 0, column;
    for (int64_t i = 0; i < b->context->n_pieces; start += b->context->pieces[i++].count) {
        piece part = seen_of(b, start, &b->context->pieces[i], &column);
        if (part.count)
            slao_transposed_multiply((slao_matrix_out){y.values + part.slot * y.stride, y.stride},
                                     (slao_matrix){weights + column, b->columns},
                                     (slao_matrix){x, d}, part.count, d, rows, 1, 1);
    }
}

static slao_status take_context(context *seen, const slao_batch *batch, slao_arena *arena) {
    SLAO_TRY(
        slao_arena_take(arena, &seen->pieces, (size_t)batch->n_segments, sizeof *seen->pieces));
    return SLAO_OK;
}

slao_status slao_attention(const slao_model_config *config, int64_t window, const slao_batch *batch,
                           const float *queries, const float *keys, const float *values, float *out,
                           float *lse, slao_arena *arena) {
    slao_profile_mark profile = slao_profile_begin();
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
            FOR_BLOCKS(b, &seen, span, span_row, window) {
                int64_t rows = b.count * group;
                gather(&b, q, (slao_matrix){queries + head * width, q_width}, width);
                score_block(&b, rows, scores, q, k, d);
                for (int64_t r = 0; r < rows; r++) {
                    float *row = scores + r * b.columns;
                    int64_t first;
                    size_t n = seen_by(&b, r / group, window, &first);
                    float highest = scale * vec->max(row + first, n);
                    float sum = vec->exp_sum(row + first, scale, highest, n);
                    vec->scale(row + first, 1.0F / sum, n);
                    clear_unseen(&b, row, first, n);
                    lse[(b.row + r / group) * config->heads + head * group + r % group] =
                        highest + logf(sum);
                }
                mix_block(&b, rows, o, scores, v, d);
                scatter(&b, (slao_matrix_out){out + head * width, q_width}, o, width);
            }
        }
    }
    slao_arena_return(arena, mark);
    slao_profile_end(profile, "attention, but its products", 0, 0, 0);
    return SLAO_OK;
}

slao_status slao_attention_backward(const slao_model_config *config, int64_t window,
                                    const slao_batch *batch, const float *queries,
                                    const float *keys, const float *values, const float *out,
                                    const float *lse, const float *d_out, slao_matrix_out d_queries,
                                    slao_matrix_out d_keys, slao_matrix_out d_values,
                                    slao_arena *arena) {
    slao_profile_mark profile = slao_profile_begin();
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
            FOR_BLOCKS(b, &seen, span, span_row, window) {
                int64_t rows = b.count * group;
                gather(&b, q, (slao_matrix){queries + at, q_width}, width);
                gather(&b, o, (slao_matrix){out + at, q_width}, width);
                gather(&b, d_o, (slao_matrix){d_out + at, q_width}, width);
                score_block(&b, rows, p, q, k, d);
                score_block(&b, rows, dp, d_o, v, d);
                for (int64_t r = 0; r < rows; r++) {
                    float *p_row = p + r * b.columns, *dp_row = dp + r * b.columns;
                    int64_t first;
                    size_t n = seen_by(&b, r / group, window, &first);
                    vec->exp_sum(
                        p_row + first, scale,
                        lse[(b.row + r / group) * config->heads + head * group + r % group], n);
                    float mean = vec->dot(d_o + r * d, o + r * d, (size_t)d);
                    vec->softmax_backward(dp_row + first, p_row + first, scale, mean, n);
                    clear_unseen(&b, p_row, first, n);
                    clear_unseen(&b, dp_row, first, n);
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
    slao_profile_end(profile, "attention, but its products", 0, 0, 0);
    return SLAO_OK;
}
