/* Merge rules against numpy on dense matrices (tests/reference/make_merge_fixtures.py): a change
 * s B A that a rule makes must be the one that its formula makes. And by themselves: equal
 * adapters, adapters that do not fit together, names and options that there are not. */
#include "test.h"

#include "fixture.h"

#include "adapter/merge.h"
#include "adapter/schedule.h"
#include "model/safetensors.h"

enum { N_ADAPTERS = 3, N_SITES = 2 };
static const struct {
    const char *name;
    slao_module module;
} sites[N_SITES] = {{"q", SLAO_Q_PROJ}, {"down", SLAO_DOWN_PROJ}};
static const struct {
    const char *name;
    double scales[N_ADAPTERS];
} families[] = {{"equal", {2, 2, 2}}, {"mixed", {1.5, 0.5, 3}}};

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
    bool mixed; /* ranks and scales may differ */
} cases[] = {
    {"asymmetric", "", "asymmetric.B", false},
    {"asymmetric", "merge=A", "asymmetric.A", false},
    {"asymmetric", "merge=both", "asymmetric.both", false},
    {"average", "", "average", true},
    {"task-arithmetic", "scale=0.4", "task-arithmetic", true},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void test_rules_are_their_formulas(void **state) {
    (void)state;
    for (int c = 0; c < N_CASES; c++) {
        for (int family = 0; family < (cases[c].mixed ? 2 : 1); family++) {
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
        cmocka_unit_test(test_a_lambda_for_each_site),
        cmocka_unit_test(test_adapters_that_do_not_fit_together),
        cmocka_unit_test(test_names_and_options),
    };
    return cmocka_run_group_tests(tests, open_fixtures, close_fixtures);
}
