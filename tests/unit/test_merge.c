/* Merge rules against numpy on dense matrices (tests/reference/make_merge_fixtures.py): a change
 * s B A that a rule makes must be the one that its formula makes. And by themselves: equal
 * adapters, adapters that do not fit together, names and options that there are not. */
#include "test.h"

#include "fixture.h"

#include "adapter/entries.h"
#include "adapter/merge.h"
#include "adapter/spectrum.h"
#include "model/safetensors.h"

enum { N_ADAPTERS = 3, N_SITES = 2 };
static const struct {
    const char *name;
    slao_module module;
} sites[N_SITES] = {{"q", SLAO_Q_PROJ}, {"down", SLAO_DOWN_PROJ}};
static const struct {
    const char *name;
    double scales[N_ADAPTERS];
} families[] = {{"equal", {2, 2, 2}}, {"mixed", {1.5, 0.5, 3}}, {"units", {2, 0.5, 1}}};
enum { EQUAL = 1, MIXED = 2, UNITS = 4, N_FAMILIES = 3 };

static slao_safetensors *adapters_file, *expected_file;
static slao_arena *arena;

static int open_fixtures(void **state) {
    (void)state;
    char *adapters = fixture("merge/adapters.safetensors");
    char *expected = fixture("merge/expected.safetensors");
    assert_ok(slao_safetensors_open(&adapters_file, adapters));
    assert_ok(slao_safetensors_open(&expected_file, expected));
    assert_ok(slao_arena_new(&arena));
    free(adapters);
    free(expected);
    return 0;
}

static int close_fixtures(void **state) {
    (void)state;
    slao_safetensors_close(adapters_file);
    slao_safetensors_close(expected_file);
    slao_arena_free(arena);
    return 0;
}

static const slao_tensor *tensor_of(const slao_safetensors *file, const char *name) {
    const slao_tensor *tensor = slao_tensor_list_find(slao_safetensors_tensors(file), name);
    if (!tensor)
        fail_msg("the fixture has no %s", name);
    return tensor;
}

/* Adapter t of a family, on q_proj of layer 0 and down_proj of layer 1. */
static slao_lora *adapter(int family, int t) {
    slao_site made[N_SITES];
    char name[64];
    for (int i = 0; i < N_SITES; i++) {
        snprintf(name, sizeof name, "%s.%d.%s.A", families[family].name, t, sites[i].name);
        const slao_tensor *a = tensor_of(adapters_file, name);
        snprintf(name, sizeof name, "%s.%d.%s.B", families[family].name, t, sites[i].name);
        const slao_tensor *b = tensor_of(adapters_file, name);
        made[i] = (slao_site){.layer = i,
                              .module = sites[i].module,
                              .d_out = b->shape[0],
                              .d_in = a->shape[1],
                              .rank = a->shape[0],
                              .alpha = families[family].scales[t] * (double)a->shape[0]};
    }
    slao_lora *lora;
    assert_ok(slao_lora_from_sites(&lora, &(slao_lora_settings){0}, made, N_SITES));
    for (int i = 0; i < N_SITES; i++) {
        const slao_site *site = &lora->sites[i];
        snprintf(name, sizeof name, "%s.%d.%s.A", families[family].name, t, sites[i].name);
        slao_expand(site->a, SLAO_F32, tensor_of(adapters_file, name)->data,
                    site->rank * site->d_in);
        snprintf(name, sizeof name, "%s.%d.%s.B", families[family].name, t, sites[i].name);
        slao_expand(site->b, SLAO_F32, tensor_of(adapters_file, name)->data,
                    site->d_out * site->rank);
    }
    return lora;
}

/* s B A of a site; the caller frees it. */
static float *change(const slao_site *site) {
    float *d;
    assert_ok(slao_allocate(&d, (size_t)(site->d_out * site->d_in), sizeof *d));
    for (int64_t i = 0; i < site->d_out; i++) {
        for (int64_t j = 0; j < site->d_in; j++) {
            double sum = 0;
            for (int64_t k = 0; k < site->rank; k++)
                sum += (double)site->b[i * site->rank + k] * (double)site->a[k * site->d_in + j];
            d[i * site->d_in + j] = (float)(site->scale * sum);
        }
    }
    return d;
}

/* ||change - wanted|| is at most `tolerance` of ||wanted||. */
static void assert_change(const slao_site *site, const float *wanted, double tolerance,
                          const char *name) {
    float *d = change(site);
    double error = 0, size = 0;
    for (int64_t k = 0; k < site->d_out * site->d_in; k++) {
        error += pow((double)d[k] - (double)wanted[k], 2);
        size += pow((double)wanted[k], 2);
    }
    if (!(sqrt(error) <= tolerance * sqrt(size)))
        fail_msg("%s: off by %g of its norm %g", name, sqrt(error / size), sqrt(size));
    free(d);
}

static slao_merge_choice choose(const char *rule, const char *options) {
    slao_merge_choice choice;
    assert_ok(slao_merge_choose(&choice, rule, "test"));
    char *text, *rest;
    assert_ok(slao_copy_text(&text, options));
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        *equals = '\0';
        assert_ok(slao_merge_set(&choice, word, equals + 1, arena, "test"));
    }
    free(text);
    return choice;
}

static const double inverse_roots[N_ADAPTERS] = {1, 0.70710678118654752, 0.57735026918962576};

static slao_lora *merge(const slao_merge_choice *choice, const slao_lora *const *adapters, int n) {
    slao_lora *merged;
    assert_ok(slao_merge_list(&merged, choice, adapters, n,
                              choice->rule->uses_lambda ? inverse_roots : NULL));
    return merged;
}

/* A row: a rule with options, and what the fixture calls its result. */
static const struct {
    const char *rule, *options, *expected;
    unsigned families; /* that the fixture has it for */
} cases[] = {
    {"asymmetric", "", "asymmetric.B", EQUAL},
    {"asymmetric", "merge=A", "asymmetric.A", EQUAL},
    {"asymmetric", "merge=both", "asymmetric.both", EQUAL},
    {"average", "", "average", EQUAL | MIXED},
    {"task-arithmetic", "scale=0.4", "task-arithmetic", EQUAL | MIXED},
    {"ties", "density=0.3", "ties", EQUAL | MIXED},
    {"ties", "density=0.3 space=factors", "ties.factors", EQUAL},
    {"magnitude-prune", "density=0.6 scale=0.7", "magnitude-prune", EQUAL | MIXED},
    {"magnitude-prune", "density=0.6 space=factors", "magnitude-prune.factors", EQUAL},
    {"magmax", "", "magmax", EQUAL | MIXED},
    {"magmax", "scale=1 space=factors", "magmax.factors", EQUAL},
    {"knots", "density=0.4", "knots.ties", EQUAL | MIXED},
    {"knots", "inside=mean", "knots.mean", EQUAL | MIXED},
    {"opcm", "", "opcm.0.5", EQUAL | MIXED},
    {"opcm", "threshold=0.9", "opcm.0.9", EQUAL | MIXED},
    {"lora-lego", "", "lora-lego.none", UNITS},
    {"lora-lego", "reweight=norm", "lora-lego.norm", UNITS},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void test_rules_are_their_formulas(void **state) {
    (void)state;
    for (int c = 0; c < N_CASES; c++) {
        for (int family = 0; family < N_FAMILIES; family++) {
            if (!(cases[c].families & 1U << family))
                continue;
            slao_lora *adapters[N_ADAPTERS];
            for (int t = 0; t < N_ADAPTERS; t++)
                adapters[t] = adapter(family, t);
            slao_merge_choice choice = choose(cases[c].rule, cases[c].options);
            slao_lora *merged = merge(&choice, (const slao_lora *const *)adapters, N_ADAPTERS);
            for (int i = 0; i < N_SITES; i++) {
                char name[64];
                snprintf(name, sizeof name, "%s.%s.%s", cases[c].expected, families[family].name,
                         sites[i].name);
                const slao_tensor *wanted = tensor_of(expected_file, name);
                assert_change(&merged->sites[i], (const float *)(const void *)wanted->data, 1e-5,
                              name);
            }
            slao_lora_free(merged);
            for (int t = 0; t < N_ADAPTERS; t++)
                slao_lora_free(adapters[t]);
        }
    }
}

/* The steps of a rule, taken one by one, end where the list does. */
static void test_steps_make_the_list(void **state) {
    (void)state;
    slao_lora *adapters[N_ADAPTERS];
    for (int t = 0; t < N_ADAPTERS; t++)
        adapters[t] = adapter(0, t);
    for (const slao_merge_rule *rule = slao_merge_rules; rule->name; rule++) {
        assert_true((rule->step != NULL) != (rule->list != NULL));
        if (!rule->step)
            continue;
        slao_merge_choice choice = choose(rule->name, "");
        slao_lora *list = merge(&choice, (const slao_lora *const *)adapters, N_ADAPTERS), *last;
        slao_merge_state carried = {{NAN, NAN}}; /* not read at i = 2 */
        assert_ok(slao_lora_copy(&last, adapters[0]));
        for (int i = 2; i <= N_ADAPTERS; i++) {
            slao_merge_moment moment = {.i = i, .lambda = inverse_roots[i - 1]};
            slao_lora *next;
            assert_ok(slao_merge_step(&next, &choice, &moment, last, adapters[i - 1], &carried));
            slao_lora_free(last);
            last = next;
        }
        assert_true(slao_lora_same_shape(list, last));
        assert_memory_equal(list->values, last->values, (size_t)list->n_values * sizeof(float));
        slao_lora_free(list);
        slao_lora_free(last);
    }
    for (int t = 0; t < N_ADAPTERS; t++)
        slao_lora_free(adapters[t]);
}

/* Rules that make of equal adapters that adapter. */
static void test_equal_adapters_merge_to_themselves(void **state) {
    (void)state;
    static const struct {
        const char *rule, *options;
    } idempotent[] = {
        {"asymmetric", "merge=A"},
        {"asymmetric", "merge=B"},
        {"asymmetric", "merge=both"},
        {"average", ""},
        {"opcm", ""},
        {"knots", "inside=mean"},
        {"lora-lego", ""},
        {"magmax", "scale=1"},
    };
    slao_lora *one = adapter(0, 0);
    const slao_lora *const same[N_ADAPTERS] = {one, one, one};
    for (size_t c = 0; c < sizeof idempotent / sizeof *idempotent; c++) {
        slao_merge_choice choice = choose(idempotent[c].rule, idempotent[c].options);
        slao_lora *merged = merge(&choice, same, N_ADAPTERS);
        for (int i = 0; i < N_SITES; i++) {
            float *wanted = change(&one->sites[i]);
            assert_change(&merged->sites[i], wanted, 2e-6, idempotent[c].rule);
            free(wanted);
        }
        slao_lora_free(merged);
    }
    slao_lora_free(one);
}

static void test_a_lambda_for_each_site(void **state) {
    (void)state;
    slao_lora *last = adapter(0, 0), *finetuned = adapter(0, 1), *merged;
    slao_merge_choice choice = choose("asymmetric", "");
    const double lambdas[N_SITES] = {0.25, 1};
    slao_merge_moment moment = {.i = 2, .lambda = NAN, .site_lambdas = lambdas};
    assert_ok(
        slao_merge_step(&merged, &choice, &moment, last, finetuned, &(slao_merge_state){{0}}));
    for (int i = 0; i < N_SITES; i++) {
        const slao_site *m = &merged->sites[i], *b = &last->sites[i], *f = &finetuned->sites[i];
        assert_memory_equal(m->a, f->a, (size_t)(m->rank * m->d_in) * sizeof(float));
        for (int64_t k = 0; k < m->d_out * m->rank; k++)
            assert_near((double)m->b[k],
                        (1 - lambdas[i]) * (double)b->b[k] + lambdas[i] * (double)f->b[k], 1e-6);
    }
    slao_lora_free(last);
    slao_lora_free(finetuned);
    slao_lora_free(merged);
}

/* Adapter t of the family alone, between adapters of zeros: what DARE leaves of it there. */
static slao_lora *dropped(const slao_merge_choice *choice, int family, int t) {
    slao_lora *adapters[N_ADAPTERS];
    for (int other = 0; other < N_ADAPTERS; other++) {
        adapters[other] = adapter(family, other);
        if (other != t)
            memset(adapters[other]->values, 0, (size_t)adapters[other]->n_values * sizeof(float));
    }
    slao_lora *left = merge(choice, (const slao_lora *const *)adapters, N_ADAPTERS);
    for (int other = 0; other < N_ADAPTERS; other++)
        slao_lora_free(adapters[other]);
    return left;
}

/* DARE keeps entries as they are, divided by the density, about that many of them, others for each
 * adapter and each seed; dare is the sum of what is left, dare-ties ties without trimming of it. */
static void test_dare(void **state) {
    (void)state;
    slao_lora *adapters[N_ADAPTERS], *left[N_ADAPTERS];
    slao_merge_choice sum = choose("dare", "density=0.25 scale=1"),
                      ties = choose("dare-ties", "density=0.25");
    for (int t = 0; t < N_ADAPTERS; t++) {
        adapters[t] = adapter(1, t);
        left[t] = dropped(&sum, 1, t);
    }
    slao_lora *all = merge(&sum, (const slao_lora *const *)adapters, N_ADAPTERS);
    slao_lora *agreeing = merge(&ties, (const slao_lora *const *)adapters, N_ADAPTERS);
    int64_t n_kept = 0, n_same = 0, n = 0;
    for (int i = 0; i < N_SITES; i++) {
        float *whole[N_ADAPTERS];
        for (int t = 0; t < N_ADAPTERS; t++)
            whole[t] = change(&adapters[t]->sites[i]);
        const slao_site *site = &all->sites[i];
        for (int64_t k = 0; k < site->d_out * site->d_in; k++, n++) {
            double x[N_ADAPTERS], total = 0, mean = 0;
            int count = 0;
            for (int t = 0; t < N_ADAPTERS; t++) {
                x[t] = (double)slao_lora_change(&left[t]->sites[i])[k];
                total += x[t];
                if (x[t] != 0)
                    assert_near(x[t], (double)whole[t][k] / 0.25, 1e-4);
                n_kept += x[t] != 0;
            }
            n_same += (x[0] != 0) == (x[1] != 0);
            for (int t = 0; t < N_ADAPTERS; t++) {
                if (total >= 0 ? x[t] > 0 : x[t] < 0) {
                    mean += x[t];
                    count++;
                }
            }
            assert_near((double)slao_lora_change(site)[k], total, 1e-4);
            assert_near((double)slao_lora_change(&agreeing->sites[i])[k],
                        mean / (count > 1 ? count : 1), 1e-4);
        }
        for (int t = 0; t < N_ADAPTERS; t++)
            free(whole[t]);
    }
    /* 738 draws of probability 1/4: 184.5 within five deviations of 11.8; two masks agree in 10 of
     * 16 entries. */
    assert_int_equal(n, 246);
    assert_true(n_kept > 125 && n_kept < 244);
    assert_true(n_same < 200);
    slao_lora *again = merge(&sum, (const slao_lora *const *)adapters, N_ADAPTERS);
    assert_memory_equal(all->values, again->values, (size_t)all->n_values * sizeof(float));
    slao_lora_free(again);
    sum.seed = 1;
    again = merge(&sum, (const slao_lora *const *)adapters, N_ADAPTERS);
    assert_memory_not_equal(all->values, again->values, (size_t)all->n_values * sizeof(float));
    slao_lora_free(again);
    slao_lora_free(all);
    slao_lora_free(agreeing);
    for (int t = 0; t < N_ADAPTERS; t++) {
        slao_lora_free(adapters[t]);
        slao_lora_free(left[t]);
    }
}

static void read_row(float *values, int64_t t, const void *context) {
    const float *rows = context;
    memcpy(values, rows + 8 * t, 8 * sizeof *values);
}

/* What random numbers never show: equal magnitudes, sums of zero, nothing kept. */
static void test_entries_at_their_edges(void **state) {
    (void)state;
    static const float rows[2][8] = {{3, -3, 3, 0, -1, 2, 0, 0.5F}, {-3, 3, 1, 0, 4, 2, -5, 0}};
    static const double ones[2] = {1, 1};
    slao_entry_tensors tensors = {"test", 2, 8, ones, read_row, rows};
    slao_entry_rule rule = {SLAO_PRUNE_MAGNITUDE, SLAO_COMBINE_SUM, 0.25, 0};
    float merged[8];
    /* Two of eight: of the three 3 the first two; -5 and 4. */
    assert_ok(slao_merge_entries(merged, &rule, &tensors));
    assert_memory_equal(merged, ((float[8]){3, -3, 0, 0, 4, 0, -5, 0}), sizeof merged);
    rule.density = 0.1; /* int(0.8) entries */
    assert_ok(slao_merge_entries(merged, &rule, &tensors));
    for (int k = 0; k < 8; k++)
        assert_true(merged[k] == 0);
    /* A sum of zero elects +; of equal magnitudes the later one is the largest. */
    rule = (slao_entry_rule){SLAO_PRUNE_MAGNITUDE, SLAO_COMBINE_AGREEING, 1, 0};
    assert_ok(slao_merge_entries(merged, &rule, &tensors));
    assert_memory_equal(merged, ((float[8]){3, 3, 2, 0, 4, 2, -5, 0.5F}), sizeof merged);
    rule = (slao_entry_rule){SLAO_PRUNE_NONE, SLAO_COMBINE_LARGEST, 1, 0};
    assert_ok(slao_merge_entries(merged, &rule, &tensors));
    assert_memory_equal(merged, ((float[8]){-3, 3, 3, 0, 4, 2, -5, 0.5F}), sizeof merged);
}

/* The truncation of a change whose singular values are known: a sum of three adapters of rank 3 has
 * rank 9 in the fixture; its first terms lose what the SVD says, and no more than all of it. */
static void test_truncation(void **state) {
    (void)state;
    slao_lora *adapters[N_ADAPTERS];
    for (int t = 0; t < N_ADAPTERS; t++)
        adapters[t] = adapter(0, t);
    slao_merge_choice choice = choose("task-arithmetic", "scale=1");
    slao_lora *sum = merge(&choice, (const slao_lora *const *)adapters, N_ADAPTERS), *cut;
    slao_truncation loss;
    assert_int_equal(sum->sites[0].rank, 9);
    assert_int_equal(sum->sites[1].rank, 9);
    double before = 0;
    for (int rank = 9; rank >= 1; rank--) {
        assert_ok(slao_lora_truncate(&cut, sum, rank, &loss));
        double lost = 0, whole = 0;
        for (int i = 0; i < N_SITES; i++) {
            assert_int_equal(cut->sites[i].rank, rank);
            float *x = change(&sum->sites[i]), *y = change(&cut->sites[i]);
            for (int64_t k = 0; k < sum->sites[i].d_out * sum->sites[i].d_in; k++) {
                lost += pow((double)x[k] - (double)y[k], 2);
                whole += pow((double)x[k], 2);
            }
            free(x);
            free(y);
        }
        assert_near(loss.error, sqrt(lost / whole), 1e-5);
        assert_true(loss.error >= before && loss.worst_error >= loss.error && loss.error < 1);
        before = loss.error;
        slao_lora_free(cut);
    }
    assert_true(before > 0.3);
    /* A change of rank 3 loses nothing at rank 3 and at rank 5, whatever pairs hold it. */
    for (int rank = 3; rank <= 5; rank += 2) {
        assert_ok(slao_lora_truncate(&cut, adapters[0], rank, &loss));
        assert_true(loss.error == 0);
        slao_lora *dense, *back;
        assert_ok(slao_lora_new_change(&dense, adapters[0]));
        for (int i = 0; i < N_SITES; i++) {
            float *x = change(&adapters[0]->sites[i]);
            assert_change(&cut->sites[i], x, 1e-6, "kept");
            const slao_site *site = &dense->sites[i];
            memcpy(slao_lora_change(site), x, (size_t)(site->d_out * site->d_in) * sizeof *x);
            assert_change(site, x, 0, "dense");
            free(x);
        }
        assert_ok(slao_lora_truncate(&back, dense, rank, &loss));
        assert_near(loss.error, 0, 1e-6);
        for (int i = 0; i < N_SITES; i++)
            assert_change(&back->sites[i], slao_lora_change(&dense->sites[i]), 1e-6, "back");
        double norm, other;
        assert_ok(slao_lora_norm(dense, &norm));
        assert_ok(slao_lora_norm(adapters[0], &other));
        assert_near(norm, other, 1e-5 * other);
        slao_lora_free(dense);
        slao_lora_free(back);
        slao_lora_free(cut);
    }
    assert_fails(slao_lora_truncate(&cut, sum, 10, &loss), SLAO_BAD_INPUT, "between 1 and 9");
    assert_fails(slao_lora_truncate(&cut, sum, 0, &loss), SLAO_BAD_INPUT, "between 1 and");
    slao_lora_free(sum);
    /* Five adapters of rank 3 side by side would have rank 15: as many as the side has. */
    const slao_lora *many[5] = {adapters[0], adapters[1], adapters[2], adapters[0], adapters[1]};
    sum = merge(&choice, many, 5);
    assert_int_equal(sum->sites[0].rank, 10);
    assert_int_equal(sum->sites[1].rank, 9);
    for (int i = 0; i < N_SITES; i++) {
        float *wanted = change(&adapters[2]->sites[i]);
        for (int t = 0; t < 2; t++) {
            float *x = change(&adapters[t]->sites[i]);
            for (int64_t k = 0; k < sum->sites[i].d_out * sum->sites[i].d_in; k++)
                wanted[k] += 2 * x[k];
            free(x);
        }
        assert_change(&sum->sites[i], wanted, 1e-6, "folded");
        free(wanted);
    }
    slao_lora_free(sum);
    for (int t = 0; t < N_ADAPTERS; t++)
        slao_lora_free(adapters[t]);
}

static void test_adapters_that_do_not_fit_together(void **state) {
    (void)state;
    slao_lora *one = adapter(0, 0), *merged, *other;
    slao_merge_choice average = choose("average", ""), asymmetric = choose("asymmetric", "");
    const slao_lora *two[2] = {one, NULL};
    /* a site fewer, another module, other widths */
    assert_ok(slao_lora_from_sites(&other, &one->settings, one->sites, 1));
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &average, two, 2, NULL), SLAO_BAD_INPUT,
                 "adapter 2 sits on 1 modules");
    slao_lora_free(other);
    slao_site changed[N_SITES] = {one->sites[0], one->sites[1]};
    changed[1].module = SLAO_UP_PROJ;
    assert_ok(slao_lora_from_sites(&other, &one->settings, changed, N_SITES));
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &average, two, 2, NULL), SLAO_BAD_INPUT,
                 "adapter 2 has up_proj of layer 1");
    slao_lora_free(other);
    changed[1] = one->sites[1];
    changed[1].d_in++;
    assert_ok(slao_lora_from_sites(&other, &one->settings, changed, N_SITES));
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &average, two, 2, NULL), SLAO_BAD_INPUT,
                 "not of the same model");
    slao_lora_free(other);
    /* Rules on factors need one rank and one scale. */
    changed[1] = one->sites[1];
    changed[1].alpha++;
    assert_ok(slao_lora_from_sites(&other, &one->settings, changed, N_SITES));
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &asymmetric, two, 2, inverse_roots), SLAO_BAD_INPUT,
                 "scaled by");
    slao_lora_free(other);
    changed[1].rank++;
    assert_ok(slao_lora_from_sites(&other, &one->settings, changed, N_SITES));
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &asymmetric, two, 2, inverse_roots), SLAO_BAD_INPUT,
                 "has rank 4 in adapter 2, 3 in the first");
    assert_null(merged);
    slao_lora_free(other);
    assert_ok(slao_lora_copy(&other, one));
    other->sites[1].b[0] = INFINITY;
    two[1] = other;
    assert_fails(slao_merge_list(&merged, &average, two, 2, NULL), SLAO_BAD_INPUT,
                 "adapter 2: down_proj of layer 1 holds a value that is not a finite number");
    slao_lora_free(other);
    slao_lora_free(one);
}

static void test_names_and_options(void **state) {
    (void)state;
    slao_merge_choice choice;
    assert_fails(slao_merge_choose(&choice, "averages", "--rule"), SLAO_BAD_INPUT,
                 "--rule: \"averages\" is not a merge rule that slao knows; did you mean "
                 "\"average\"?");
    choice = choose("task-arithmetic", "");
    assert_fails(slao_merge_set(&choice, "scall", "1", arena, "--option"), SLAO_BAD_INPUT,
                 "has no option \"scall\"; did you mean \"scale\"?");
    assert_fails(slao_merge_set(&choice, "scale", "1e3", arena, "--option"), SLAO_BAD_INPUT,
                 "between -100 and 100");
    assert_fails(slao_merge_set(&choice, "scale", "much", arena, "--option"), SLAO_BAD_INPUT,
                 "must be a number");
    choice = choose("asymmetric", "");
    assert_fails(slao_merge_set(&choice, "merge", "C", arena, "--option"), SLAO_BAD_INPUT,
                 "merge cannot be \"C\"");
    assert_null(slao_merge_rule_find("none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_their_formulas),
        cmocka_unit_test(test_steps_make_the_list),
        cmocka_unit_test(test_equal_adapters_merge_to_themselves),
        cmocka_unit_test(test_dare),
        cmocka_unit_test(test_entries_at_their_edges),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_a_lambda_for_each_site),
        cmocka_unit_test(test_adapters_that_do_not_fit_together),
        cmocka_unit_test(test_names_and_options),
    };
    return cmocka_run_group_tests(tests, open_fixtures, close_fixtures);
}
