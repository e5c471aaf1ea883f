#include "model/attention.h"

#include "base/profile.h"
#include "linalg/threads.h"
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

static slao_status context_of(context *found, const slao_batch *batch, const slao_span *span,
                              slao_arena *arena) {
    found->n_pieces = 1;
    for (int64_t s = span->segment; batch->segments[s].parent >= 0; s = batch->segments[s].parent)
        found->n_pieces++;
    SLAO_TRY(
        slao_arena_take(arena, &found->pieces, (size_t)found->n_pieces, sizeof *found->pieces));
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
    return SLAO_OK;
}

/* A span, what it attends to, and its first row. */
typedef struct {
    const slao_span *span;
    context context;
    int64_t row;
} place;

/* The places of a batch's spans; *longest: tokens that the longest chain attends to. */
static slao_status take_places(place **places, int64_t *longest, const slao_batch *batch,
                               slao_arena *arena) {
    SLAO_TRY(slao_arena_take(arena, places, (size_t)batch->n_spans, sizeof **places));
    int64_t row = 0;
    *longest = 0;
    for (int64_t i = 0; i < batch->n_spans; i++) {
        place *p = &(*places)[i];
        *p = (place){.span = &batch->spans[i], .row = row};
        SLAO_TRY(context_of(&p->context, batch, p->span, arena));
        int64_t length = p->context.before + p->span->from + p->span->count;
        *longest = length > *longest ? length : *longest;
        row += p->span->count;
    }
    return SLAO_OK;
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

/* Sets the columns of a block whose rows are set. */
static bool set_columns(block *b, const place *p, int64_t window) {
    int64_t left = p->row + p->span->count - b->row;
    b->count = left < QUERY_BLOCK ? left : QUERY_BLOCK;
    b->first_sees = b->context->before + p->span->from + (b->row - p->row) + 1;
    b->from = window && b->first_sees > window ? b->first_sees - window : 0;
    b->to = b->first_sees + b->count - 1;
    b->columns = b->to - b->from;
    return left > 0;
}

/* For each block of the place's span. */
#define FOR_BLOCKS(name, place, window)                                                            \
    for (block name = {.row = (place)->row, .context = &(place)->context};                         \
         set_columns(&name, place, window); name.row += name.count)

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

typedef struct {
    const slao_vec_table *vec;
    int64_t heads, d, group; /* group: heads of queries that share one of keys and values */
    int64_t q_width, kv_width, window;
    float scale;
} shape;

static shape shape_of(const slao_model_config *config, int64_t window) {
    int64_t d = config->head_dim;
    return (shape){.vec = slao_vec(),
                   .heads = config->heads,
                   .d = d,
                   .group = config->heads / config->kv_heads,
                   .q_width = config->heads * d,
                   .kv_width = config->kv_heads * d,
                   .window = window,
                   .scale = 1.0F / sqrtf((float)d)};
}

/* What a thread computes a block in: rows of the context's length, and of d. */
typedef struct {
    float *scores[2], *rows[2];
} scratch;

/* One for each thread; `scores` and `rows`: how many of each kind are used. */
static slao_status take_scratch(scratch **all, int threads, const shape *sh, int64_t longest,
                                int scores, int rows, slao_arena *arena) {
    size_t most = (size_t)(QUERY_BLOCK * sh->group);
    SLAO_TRY(slao_arena_take(arena, all, (size_t)threads, sizeof **all));
    for (int t = 0; t < threads; t++) {
        for (int i = 0; i < scores; i++)
            SLAO_TRY(slao_arena_take(arena, &(*all)[t].scores[i], most * (size_t)longest,
                                     sizeof(float)));
        for (int i = 0; i < rows; i++)
            SLAO_TRY(
                slao_arena_take(arena, &(*all)[t].rows[i], most * (size_t)sh->d, sizeof(float)));
    }
    return SLAO_OK;
}

/* The log-sum-exp of a block's row r, for the group of heads that share head `head` of the keys. */
static int64_t lse_at(const shape *sh, const block *b, int64_t head, int64_t r) {
    return (b->row + r / sh->group) * sh->heads + head * sh->group + r % sh->group;
}

/* One span and one head of keys and values. */
static void attend(const shape *sh, const place *span, int64_t head, const scratch *own,
                   const float *queries, const float *keys, const float *values, float *out,
                   float *lse) {
    int64_t d = sh->d, width = sh->group * d;
    float *scores = own->scores[0], *q = own->rows[0], *o = own->rows[1];
    slao_matrix k = {keys + head * d, sh->kv_width}, v = {values + head * d, sh->kv_width};
    FOR_BLOCKS(b, span, sh->window) {
        int64_t rows = b.count * sh->group;
        gather(&b, q, (slao_matrix){queries + head * width, sh->q_width}, width);
        score_block(&b, rows, scores, q, k, d);
        for (int64_t r = 0; r < rows; r++) {
            float *row = scores + r * b.columns;
            int64_t first;
            size_t n = seen_by(&b, r / sh->group, sh->window, &first);
            float highest = sh->scale * sh->vec->max(row + first, n);
            double sum = sh->vec->exp_sum(row + first, sh->scale, highest, n);
            sh->vec->scale(row + first, (float)(1.0 / sum), n);
            clear_unseen(&b, row, first, n);
            lse[lse_at(sh, &b, head, r)] = highest + (float)log(sum);
        }
        mix_block(&b, rows, o, scores, v, d);
        scatter(&b, (slao_matrix_out){out + head * width, sh->q_width}, o, width);
    }
}

slao_status slao_attention(const slao_model_config *config, int64_t window, const slao_batch *batch,
                           const float *queries, const float *keys, const float *values, float *out,
                           float *lse, slao_arena *arena) {
    slao_profile_mark profile = slao_profile_begin();
    shape sh = shape_of(config, window);
    slao_arena_mark mark = slao_arena_here(arena);
    place *places;
    scratch *all;
    int64_t longest;
    SLAO_TRY(take_places(&places, &longest, batch, arena));
    int threads = slao_threads_for(4 * batch->n_rows * longest * sh.q_width);
    SLAO_TRY(take_scratch(&all, threads, &sh, longest, 1, 2, arena));
#pragma omp parallel for num_threads(threads) collapse(2) schedule(dynamic)
    for (int64_t head = 0; head < config->kv_heads; head++) {
        for (int64_t s = 0; s < batch->n_spans; s++)
            attend(&sh, &places[s], head, &all[slao_thread()], queries, keys, values, out, lse);
    }
    slao_arena_return(arena, mark);
    slao_profile_end(profile, "attention, but its products", 0, 0, 0);
    return SLAO_OK;
}

/* One span and one head of keys and values, on the way back. */
static void attend_backward(const shape *sh, const place *span, int64_t head, const scratch *own,
                            const float *queries, const float *keys, const float *values,
                            const float *lse, const float *d_out, slao_matrix_out d_queries,
                            slao_matrix_out d_keys, slao_matrix_out d_values) {
    int64_t d = sh->d, width = sh->group * d, at = head * width, kv_at = head * d;
    float *p = own->scores[0], *dp = own->scores[1];
    float *q = own->rows[0], *d_o = own->rows[1];
    slao_matrix k = {keys + kv_at, sh->kv_width}, v = {values + kv_at, sh->kv_width};
    FOR_BLOCKS(b, span, sh->window) {
        int64_t rows = b.count * sh->group;
        gather(&b, q, (slao_matrix){queries + at, sh->q_width}, width);
        gather(&b, d_o, (slao_matrix){d_out + at, sh->q_width}, width);
        score_block(&b, rows, p, q, k, d);
        score_block(&b, rows, dp, d_o, v, d);
        for (int64_t r = 0; r < rows; r++) {
            float *p_row = p + r * b.columns, *dp_row = dp + r * b.columns;
            int64_t first;
            size_t n = seen_by(&b, r / sh->group, sh->window, &first);
            sh->vec->exp_sum(p_row + first, sh->scale, lse[lse_at(sh, &b, head, r)], n);
            float mean = sh->vec->dot(p_row + first, dp_row + first, n);
            sh->vec->softmax_backward(dp_row + first, p_row + first, sh->scale, mean, n);
            clear_unseen(&b, p_row, first, n);
            clear_unseen(&b, dp_row, first, n);
        }
        spread_block(&b, rows, (slao_matrix_out){d_keys.values + kv_at, d_keys.stride}, dp, q, d);
        spread_block(&b, rows, (slao_matrix_out){d_values.values + kv_at, d_values.stride}, p, d_o,
                     d);
        mix_block(&b, rows, q, dp, k, d);
        scatter(&b, (slao_matrix_out){d_queries.values + at, d_queries.stride}, q, width);
    }
}

slao_status slao_attention_backward(const slao_model_config *config, int64_t window,
                                    const slao_batch *batch, const float *queries,
                                    const float *keys, const float *values, const float *lse,
                                    const float *d_out, slao_matrix_out d_queries,
                                    slao_matrix_out d_keys, slao_matrix_out d_values,
                                    slao_arena *arena) {
    slao_profile_mark profile = slao_profile_begin();
    shape sh = shape_of(config, window);
    slao_arena_mark mark = slao_arena_here(arena);
    place *places;
    scratch *all;
    int64_t longest;
    SLAO_TRY(take_places(&places, &longest, batch, arena));
    int threads = slao_threads_for(10 * batch->n_rows * longest * sh.q_width);
    SLAO_TRY(take_scratch(&all, threads, &sh, longest, 2, 2, arena));
    /* Spans add to the keys and values that they share, in their order. */
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t head = 0; head < config->kv_heads; head++) {
        for (int64_t s = 0; s < batch->n_spans; s++)
            attend_backward(&sh, &places[s], head, &all[slao_thread()], queries, keys, values, lse,
                            d_out, d_queries, d_keys, d_values);
    }
    slao_arena_return(arena, mark);
    slao_profile_end(profile, "attention, but its products", 0, 0, 0);
    return SLAO_OK;
}
