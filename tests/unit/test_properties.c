/* What must hold for any shape and rank, over random ones: starts, merges of equal adapters,
 * factored merges against their dense definitions, InfLoRA's subspace, O-LoRA's penalty. The seed
 * is fixed; a failure names its case. */
#include "tiny_model.h"

#include "adapter/merge.h"
#include "adapter/start.h"
#include "base/memory.h"
#include "continual/gradient_memory.h"
#include "continual/merging.h"
#include "data/packing.h"
#include "learn/penalty.h"
#include "linalg/decomposition.h"
#include "model/transformer.h"

enum { CASES = 24, MOST_SITES = 2 * SLAO_N_MODULES, N_ADAPTERS = 3 };

static slao_random random_stream;
static int case_number;

static int64_t between(int64_t least, int64_t most) {
    return least + (int64_t)slao_random_below(&random_stream, (uint64_t)(most - least + 1));
}

/* A random model's shape, and some of its modules. */
typedef struct {
    slao_model_config config;
    slao_lora_settings settings;
} shape;

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static shape random_shape(int number) {
    case_number = number;
    random_stream = slao_random_stream(20, "test", "shapes", (uint64_t)number);
    shape s = {.config = tiny_config};
    s.config.kv_heads = between(1, 3);
    s.config.heads = s.config.kv_heads * between(1, 3);
    s.config.head_dim = 2 * between(1, 5);
    s.config.hidden = between(3, 40);
    s.config.intermediate = between(3, 50);
    s.config.layers = between(1, 2);
    int64_t narrowest = smaller(s.config.hidden, s.config.intermediate);
    narrowest = smaller(narrowest, s.config.kv_heads * s.config.head_dim);
    for (int m = 0; m < SLAO_N_MODULES; m++)
        s.settings.targets[m] = m == SLAO_Q_PROJ || between(0, 2) == 0;
    s.settings.rank = number % 4 == 0 ? narrowest : between(1, narrowest); /* square factors too */
    s.settings.alpha = (double)between(1, 32);
    s.settings.rslora = between(0, 1) == 1;
    return s;
}

static slao_lora *random_lora(const shape *s) {
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &s->settings, &s->config));
    for (int64_t i = 0; i < lora->n_values; i++)
        lora->values[i] = (float)slao_random_normal(&random_stream);
    return lora;
}

/* s B A of a site, d_out x d_in; the caller frees it. */
static double *change(const slao_site *site) {
    double *d;
    assert_ok(slao_allocate(&d, (size_t)(site->d_out * site->d_in), sizeof *d));
    for (int64_t i = 0; i < site->d_out; i++) {
        for (int64_t k = 0; k < site->rank; k++) {
            for (int64_t j = 0; j < site->d_in; j++)
                d[i * site->d_in + j] += site->scale * (double)site->b[i * site->rank + k] *
                                         (double)site->a[k * site->d_in + j];
        }
    }
    return d;
}

static void assert_close(const double *got, const double *wanted, int64_t n, double tolerance,
                         const char *what) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += pow(got[i] - wanted[i], 2);
        size += pow(wanted[i], 2);
    }
    if (!(sqrt(off) <= tolerance * sqrt(size)))
        fail_msg("case %d, %s: off by %g of its norm %g", case_number, what, sqrt(off / size),
                 sqrt(size));
}

static void assert_changes(const slao_lora *got, double *const *wanted, double tolerance,
                           const char *what) {
    for (int64_t i = 0; i < got->n_sites; i++) {
        double *d = change(&got->sites[i]);
        assert_close(d, wanted[i], got->sites[i].d_out * got->sites[i].d_in, tolerance, what);
        free(d);
    }
}

static void free_all(double **changes, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        free(changes[i]);
}

static slao_lora *started(const char *rule, const shape *s, const slao_lora *last,
                          double row_scale) {
    slao_start start = {.last = last,
                        .task = "t",
                        .seed = (uint64_t)case_number,
                        .sign = case_number % 2 ? SLAO_SIGN_LAPACK : SLAO_SIGN_POSITIVE,
                        .row_scale = row_scale,
                        .qr = SLAO_QR_LAPACK};
    slao_lora *lora;
    assert_ok(slao_lora_new(&lora, &s->settings, &s->config));
    assert_ok(slao_start_rule_find(rule)->set(lora, &start));
    return lora;
}

static void test_orthonormal_starts(void **state) {
    (void)state;
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *last = random_lora(&s);
        for (const slao_start_rule *rule = slao_start_rules; rule->name; rule++) {
            if (!rule->orthonormal)
                continue;
            double c = number % 3 ? 1 : 0.25;
            slao_lora *lora = started(rule->name, &s, last, c);
            for (int64_t i = 0; i < lora->n_sites; i++) {
                const slao_site *site = &lora->sites[i];
                for (int64_t p = 0; p < site->rank * site->rank; p++) {
                    double dot = 0;
                    for (int64_t k = 0; k < site->d_in; k++)
                        dot += (double)site->a[p / site->rank * site->d_in + k] *
                               (double)site->a[p % site->rank * site->d_in + k];
                    assert_near(dot, p % (site->rank + 1) == 0 ? c * c : 0, 2e-6);
                }
            }
            slao_lora_free(lora);
        }
        slao_lora_free(last);
    }
}

/* B0 A0 = B A, and so the same logits. */
static void test_function_preserving_starts(void **state) {
    (void)state;
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *last = random_lora(&s), *lora = started("function-preserving", &s, last, 0.5);
        for (int64_t i = 0; i < last->n_sites; i++) {
            double *wanted = change(&last->sites[i]), *got = change(&lora->sites[i]);
            assert_close(got, wanted, last->sites[i].d_out * last->sites[i].d_in, 2e-6, "B0 A0");
            free(wanted);
            free(got);
        }
        slao_lora_free(last);
        slao_lora_free(lora);
    }
}

static void logits_of(slao_pass *pass, const slao_lora *lora, float *logits, int64_t count) {
    static int32_t ids[10] = {3, 1, 4, 15, 9, 26, 5, 35, 8, 9};
    slao_sequence sequence = {ids, 10, 4};
    slao_arena *arena;
    slao_packed packed;
    slao_low_ranks pairs;
    assert_ok(slao_arena_new(&arena));
    assert_ok(slao_pack(&packed, &sequence, 1, SLAO_SHARE_NOTHING, NULL, arena));
    assert_int_equal(packed.batch.n_answers, count);
    assert_ok(slao_lora_view(&pairs, lora, NULL, &tiny_config));
    assert_ok(slao_forward_training(pass, &packed.batch, &pairs));
    slao_logits(pass, 0, count, logits);
    slao_lora_view_free(&pairs);
    slao_arena_free(arena);
}

static void test_function_preserving_logits(void **state) {
    (void)state;
    enum { ANSWERS = 6, VOCABULARY = 61 };
    slao_model *model = tiny_model_new();
    slao_pass *pass;
    assert_ok(slao_pass_new(&pass, model));
    for (int number = 0; number < 8; number++) {
        shape s = random_shape(number);
        s.config = tiny_config;
        s.settings.rank = between(1, 16);
        slao_lora *last = random_lora(&s);
        for (int64_t i = 0; i < last->n_values; i++)
            last->values[i] *= 0.3F;
        slao_lora *preserved = started("function-preserving", &s, last, 1),
                  *jumped = started("last-ft", &s, last, 1);
        float before[ANSWERS * VOCABULARY], after[ANSWERS * VOCABULARY],
            other[ANSWERS * VOCABULARY];
        logits_of(pass, last, before, ANSWERS);
        logits_of(pass, preserved, after, ANSWERS);
        logits_of(pass, jumped, other, ANSWERS);
        double most = 0;
        for (int i = 0; i < ANSWERS * VOCABULARY; i++) {
            assert_near((double)after[i], (double)before[i], 1e-4);
            most = fmax(most, fabs((double)other[i] - (double)before[i]));
        }
        assert_true(most > 1e-2); /* SLAO's start drops R: the logits jump */
        slao_lora_free(last);
        slao_lora_free(preserved);
        slao_lora_free(jumped);
    }
    slao_pass_free(pass);
    slao_model_free(model);
}

static slao_merge_choice choose(const char *rule, const char *key, const char *value) {
    slao_merge_choice choice;
    assert_ok(slao_merge_choose(&choice, rule, "test"));
    for (int k = 0; key && choice.rule->options[k].key; k++) {
        if (strcmp(choice.rule->options[k].key, key) == 0)
            choice.values[k] = value;
    }
    return choice;
}

static void test_equal_adapters_merge_to_themselves(void **state) {
    (void)state;
    static const struct {
        const char *rule, *key, *value;
    } idempotent[] = {
        {"asymmetric", "merge", "A"}, {"asymmetric", "merge", "B"}, {"asymmetric", "merge", "both"},
        {"average", NULL, NULL},      {"opcm", NULL, NULL},         {"knots", "inside", "mean"},
        {"lora-lego", NULL, NULL}};
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *one = random_lora(&s);
        int64_t n = between(2, 5);
        const slao_lora *const same[] = {one, one, one, one, one};
        double *wanted[MOST_SITES], lambdas[5] = {1, 0.3, 0.9, 0.5, 0.7};
        for (int64_t i = 0; i < one->n_sites; i++)
            wanted[i] = change(&one->sites[i]);
        for (size_t c = 0; c < sizeof idempotent / sizeof *idempotent; c++) {
            slao_merge_choice choice =
                choose(idempotent[c].rule, idempotent[c].key, idempotent[c].value);
            slao_lora *merged;
            assert_ok(slao_merge_list(&merged, &choice, same, n,
                                      choice.rule->uses_lambda ? lambdas : NULL));
            assert_changes(merged, wanted, 2e-5, idempotent[c].rule);
            slao_lora_free(merged);
        }
        free_all(wanted, one->n_sites);
        slao_lora_free(one);
    }
}

/* With lambda 1 what is evaluated is the fine-tuned pair, whatever was merged before. */
static void test_lambda_one_is_the_finetuned_pair(void **state) {
    (void)state;
    static const char *const merges[] = {"A", "B", "both"};
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *last = random_lora(&s), *finetuned = random_lora(&s), *merged;
        slao_merge_choice choice = choose("asymmetric", NULL, NULL);
        slao_merge_state carried = {{0}};
        slao_lambda lambda = {.value = 1};
        assert_ok(slao_merging_step(&merged, &choice, merges[number % 3], between(2, 15), &lambda,
                                    last, finetuned, &carried));
        assert_true(slao_lora_same_shape(merged, finetuned));
        for (int64_t i = 0; i < merged->n_values; i++)
            assert_near((double)merged->values[i], (double)finetuned->values[i],
                        1e-6 * fabs((double)finetuned->values[i]));
        slao_lora_free(last);
        slao_lora_free(finetuned);
        slao_lora_free(merged);
    }
}

/* Adapters of one shape but of their own ranks and alphas. */
static void random_adapters(const shape *s, slao_lora *adapters[N_ADAPTERS]) {
    for (int t = 0; t < N_ADAPTERS; t++) {
        shape own = *s;
        own.settings.rank = between(1, s->settings.rank);
        own.settings.alpha = (double)between(1, 32);
        own.settings.rslora = false;
        adapters[t] = random_lora(&own);
    }
}

/* SVD of a dense copy; the caller frees u, which holds s and vt too. */
static void dense_svd(const double *d, int64_t m, int64_t n, double **u, double **s, double **vt) {
    int64_t k = smaller(m, n);
    double *copy;
    assert_ok(slao_allocate(&copy, (size_t)(m * n), sizeof *copy));
    memcpy(copy, d, (size_t)(m * n) * sizeof *copy);
    assert_ok(slao_allocate(u, (size_t)(m * k + k + k * n), sizeof **u));
    *s = *u + m * k;
    *vt = *s + k;
    assert_ok(slao_svd(copy, m, n, *u, *s, *vt));
    free(copy);
}

static double norm_of(double *const *changes, const slao_lora *like) {
    double squares = 0;
    for (int64_t i = 0; i < like->n_sites; i++) {
        for (int64_t k = 0; k < like->sites[i].d_out * like->sites[i].d_in; k++)
            squares += changes[i][k] * changes[i][k];
    }
    return sqrt(squares);
}

/* delta <- l delta + tau - U (what is closed of U^T tau V) V^T. */
static void dense_opcm_site(double *delta, const double *tau, const slao_site *site, double l,
                            double threshold) {
    int64_t m = site->d_out, n = site->d_in, kept = 0, k = 0;
    double *u, *s, *vt, total = 0, running = 0;
    dense_svd(delta, m, n, &u, &s, &vt);
    int64_t width = smaller(m, n);
    while (kept < width && s[kept] > 1e-6 * s[0])
        total += s[kept++];
    while (k < kept && (running += s[k]) / total <= threshold)
        k++;
    for (int64_t i = 0; i < m * n; i++)
        delta[i] = l * delta[i] + tau[i];
    for (int64_t p = 0; p < kept; p++) {
        for (int64_t q = 0; q < kept; q++) {
            if (p != q && (p >= k || q >= k))
                continue;
            double along = 0;
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = 0; j < n; j++)
                    along += u[i * width + p] * tau[i * n + j] * vt[q * n + j];
            }
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = 0; j < n; j++)
                    delta[i * n + j] -= along * u[i * width + p] * vt[q * n + j];
            }
        }
    }
    free(u);
}

static void test_opcm_is_its_dense_definition(void **state) {
    (void)state;
    static const char *const thresholds[] = {"0", "0.3", "0.5", "0.9", "1"};
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *adapters[N_ADAPTERS], *merged;
        random_adapters(&s, adapters);
        int64_t n = adapters[0]->n_sites;
        const char *threshold = thresholds[number % 5];
        double *delta[MOST_SITES], *tau[MOST_SITES], l = 1, norms = 0;
        for (int64_t i = 0; i < n; i++)
            delta[i] = change(&adapters[0]->sites[i]);
        norms = norm_of(delta, adapters[0]);
        for (int t = 1; t < N_ADAPTERS; t++) {
            for (int64_t i = 0; i < n; i++)
                tau[i] = change(&adapters[t]->sites[i]);
            norms += norm_of(tau, adapters[t]);
            for (int64_t i = 0; i < n; i++)
                dense_opcm_site(delta[i], tau[i], &adapters[t]->sites[i], l,
                                strtod(threshold, NULL));
            l = norm_of(delta, adapters[t]) / (norms / (t + 1));
            for (int64_t i = 0; i < n; i++) {
                for (int64_t k = 0; k < adapters[t]->sites[i].d_out * adapters[t]->sites[i].d_in;
                     k++)
                    delta[i][k] /= l;
            }
            free_all(tau, n);
        }
        slao_merge_choice choice = choose("opcm", "threshold", threshold);
        assert_ok(slao_merge_list(&merged, &choice, (const slao_lora *const *)adapters, N_ADAPTERS,
                                  NULL));
        assert_changes(merged, delta, 2e-5, "opcm");
        free_all(delta, n);
        slao_lora_free(merged);
        for (int t = 0; t < N_ADAPTERS; t++)
            slao_lora_free(adapters[t]);
    }
}

/* KnOTS with the mean: what the common basis spans is all there is, so it is the mean of the
 * changes. With TIES: in the coordinates of a dense SVD. */
static void test_knots_is_its_dense_definition(void **state) {
    (void)state;
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *adapters[N_ADAPTERS], *mean, *ties;
        random_adapters(&s, adapters);
        slao_merge_choice by_mean = choose("knots", "inside", "mean"),
                          by_ties = choose("knots", "density", "1");
        const slao_lora *const *list = (const slao_lora *const *)adapters;
        assert_ok(slao_merge_list(&mean, &by_mean, list, N_ADAPTERS, NULL));
        assert_ok(slao_merge_list(&ties, &by_ties, list, N_ADAPTERS, NULL));
        for (int64_t i = 0; i < mean->n_sites; i++) {
            int64_t m = mean->sites[i].d_out, n = mean->sites[i].d_in, wide = N_ADAPTERS * n,
                    k = smaller(m, wide);
            double *side_by_side, *average, *elected, *u, *sigma, *vt;
            assert_ok(slao_allocate(&side_by_side, (size_t)(m * wide), sizeof *side_by_side));
            assert_ok(slao_allocate(&average, (size_t)(m * n), sizeof *average));
            assert_ok(slao_allocate(&elected, (size_t)(m * n), sizeof *elected));
            for (int t = 0; t < N_ADAPTERS; t++) {
                double *d = change(&adapters[t]->sites[i]);
                for (int64_t p = 0; p < m * n; p++) {
                    side_by_side[p / n * wide + t * n + p % n] = d[p];
                    average[p] += d[p] / N_ADAPTERS;
                }
                free(d);
            }
            dense_svd(side_by_side, m, wide, &u, &sigma, &vt);
            for (int64_t p = 0; p < k && sigma[p] >= 1e-5; p++) {
                for (int64_t j = 0; j < n; j++) {
                    double sum = 0, agreeing = 0;
                    int count = 0;
                    for (int t = 0; t < N_ADAPTERS; t++)
                        sum += vt[p * wide + t * n + j];
                    for (int t = 0; t < N_ADAPTERS; t++) {
                        double entry = vt[p * wide + t * n + j];
                        if ((entry > 0) == (sum >= 0) && entry != 0) {
                            agreeing += sigma[p] * entry;
                            count++;
                        }
                    }
                    for (int64_t row = 0; row < m && count; row++)
                        elected[row * n + j] += u[row * k + p] * agreeing / count;
                }
            }
            double *got = change(&mean->sites[i]);
            assert_close(got, average, m * n, 2e-5, "knots, mean");
            free(got);
            got = change(&ties->sites[i]);
            assert_close(got, elected, m * n, 2e-5, "knots, ties");
            free(got);
            free(u);
            free(elected);
            free(average);
            free(side_by_side);
        }
        slao_lora_free(mean);
        slao_lora_free(ties);
        for (int t = 0; t < N_ADAPTERS; t++)
            slao_lora_free(adapters[t]);
    }
}

/* A new subspace is orthogonal to what the memory holds of all tasks before. */
static void test_inflora_is_orthogonal_to_its_memory(void **state) {
    (void)state;
    for (int number = 0; number < CASES; number++) {
        random_shape(number);
        int64_t width = between(2, 40), rank = between(1, width), n_inputs = between(1, 60);
        slao_gradient_memory memory = {.width = width};
        double *h, *x;
        float *a;
        assert_ok(slao_allocate(&h, (size_t)(width * width), sizeof *h));
        assert_ok(slao_allocate(&x, (size_t)(n_inputs * width), sizeof *x));
        assert_ok(slao_allocate(&a, (size_t)(rank * width), sizeof *a));
        for (int task = 0; task < 3; task++) {
            for (int64_t i = 0; i < n_inputs * width; i++)
                x[i] = slao_random_normal(&random_stream) * pow(0.9, (double)(i % width));
            slao_transposed_multiply_f64(h, x, x, width, width, n_inputs);
            assert_ok(slao_gradient_memory_subspace(&memory, h, rank, a));
            for (int64_t p = 0; p < rank; p++) {
                double norm = 0, outside = 0;
                for (int64_t i = 0; i < width; i++)
                    norm += pow((double)a[p * width + i], 2);
                for (int64_t k = 0; k < memory.rows; k++) {
                    double dot = 0;
                    for (int64_t i = 0; i < width; i++)
                        dot += memory.basis[k * width + i] * (double)a[p * width + i];
                    outside += dot * dot;
                }
                /* in the memory's basis: nothing of it; in that of its complement: all of it */
                assert_near(outside, memory.complement ? norm : 0, 1e-7);
            }
            assert_ok(slao_gradient_memory_add(&memory, h, 0.9));
        }
        slao_gradient_memory_free(&memory);
        free(h);
        free(x);
        free(a);
    }
}

/* The sum of absolute values and norms that the penalty is, in fp64. */
static double olora_value(const slao_penalty *penalty, const slao_lora *lora) {
    double value = 0;
    for (int64_t s = 0; s < lora->n_sites; s++) {
        const slao_site *site = &lora->sites[s];
        double a = 0, b = 0;
        for (int64_t k = 0; k < penalty->n_old; k++) {
            const slao_site *old = &penalty->old[k]->sites[s];
            for (int64_t p = 0; p < old->rank * site->rank; p++) {
                double dot = 0;
                for (int64_t i = 0; i < site->d_in; i++)
                    dot += (double)old->a[p / site->rank * site->d_in + i] *
                           (double)site->a[p % site->rank * site->d_in + i];
                value += penalty->first * fabs(dot);
            }
        }
        for (int64_t i = 0; i < site->rank * site->d_in; i++)
            a += pow((double)site->a[i], 2);
        for (int64_t i = 0; i < site->d_out * site->rank; i++)
            b += pow((double)site->b[i], 2);
        value += penalty->second * (sqrt(a) + sqrt(b));
    }
    return value;
}

static void test_olora_penalty(void **state) {
    (void)state;
    for (int number = 0; number < CASES; number++) {
        shape s = random_shape(number);
        slao_lora *lora = random_lora(&s), *old[N_ADAPTERS];
        random_adapters(&s, old);
        slao_penalty penalty = {.rule = slao_penalty_rule_find("orthogonal"),
                                .first = 0.5,
                                .second = 0.1,
                                .old = (const slao_lora *const *)old,
                                .n_old = N_ADAPTERS};
        float *gradients;
        double value;
        assert_ok(slao_allocate(&gradients, (size_t)lora->n_values, sizeof *gradients));
        assert_ok(slao_penalty_add(&penalty, lora, gradients, &value));
        assert_near(value, olora_value(&penalty, lora), 1e-5 * value);
        for (int tries = 0; tries < 12; tries++) {
            int64_t i = between(0, lora->n_values - 1);
            /* powers of two, small enough that no absolute value turns on the way */
            float at = lora->values[i], step = 0x1p-14F;
            lora->values[i] = at + step;
            double above = olora_value(&penalty, lora);
            lora->values[i] = at - step;
            double below = olora_value(&penalty, lora);
            double moved = (double)(at + step) - (double)(at - step);
            lora->values[i] = at;
            double slope = (above - below) / moved;
            assert_near((double)gradients[i], slope, 1e-4 * fabs(slope) + 1e-4);
        }
        free(gradients);
        slao_lora_free(lora);
        for (int t = 0; t < N_ADAPTERS; t++)
            slao_lora_free(old[t]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orthonormal_starts),
        cmocka_unit_test(test_function_preserving_starts),
        cmocka_unit_test(test_function_preserving_logits),
        cmocka_unit_test(test_equal_adapters_merge_to_themselves),
        cmocka_unit_test(test_lambda_one_is_the_finetuned_pair),
        cmocka_unit_test(test_opcm_is_its_dense_definition),
        cmocka_unit_test(test_knots_is_its_dense_definition),
        cmocka_unit_test(test_inflora_is_orthogonal_to_its_memory),
        cmocka_unit_test(test_olora_penalty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
