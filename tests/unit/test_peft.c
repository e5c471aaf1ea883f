/* PEFT folders: what of adapter_config.json is honoured, by the sites, ranks and scales that come
 * of it, and what is refused by name. tests/reference/compare_peft.py compares with peft itself. */
#include "tiny_model.h"

#include "fixture.h"

#include "adapter/peft.h"

static const slao_module modules[] = {SLAO_Q_PROJ, SLAO_DOWN_PROJ};
static char *folder;
static slao_lora
    *written; /* q_proj and down_proj of three layers, of rank 3, or 2 on the last one */

/* An adapter of two ranks and two alphas, in `folder`. */
static int write_adapter(void **state) {
    (void)state;
    slao_lora *uniform = tiny_lora_new(modules, 2, 0.1);
    for (int64_t i = 0; i < uniform->n_sites; i++) {
        uniform->sites[i].rank = uniform->sites[i].layer == 2 ? 2 : 3;
        uniform->sites[i].alpha = uniform->sites[i].module == SLAO_DOWN_PROJ ? 9 : 6;
    }
    assert_ok(slao_lora_from_sites(&written, &uniform->settings, uniform->sites, uniform->n_sites));
    slao_lora_free(uniform);
    fill_random(written->values, written->n_values, 0.3, "written");
    folder = scratch_folder();
    assert_ok(slao_peft_save(written, folder, "base"));
    return 0;
}

static int remove_adapter(void **state) {
    (void)state;
    slao_lora_free(written);
    remove_scratch_folder(folder);
    return 0;
}

static void write_config(const char *text) {
    char *path;
    assert_ok(slao_join_path(&path, folder, "adapter_config.json"));
    assert_ok(slao_write_file(path, text, strlen(text)));
    free(path);
}

static void assert_same(const slao_lora *a, const slao_lora *b) {
    assert_true(slao_lora_same_shape(a, b));
    for (int64_t i = 0; i < a->n_sites; i++) {
        assert_near(a->sites[i].alpha, b->sites[i].alpha, 0);
        assert_near(a->sites[i].scale, b->sites[i].scale, 0);
    }
    assert_memory_equal(a->values, b->values, (size_t)a->n_values * sizeof(float));
}

static void test_ranks_and_alphas_by_site_read_back(void **state) {
    (void)state;
    slao_lora *back;
    assert_ok(slao_peft_load(&back, folder, &tiny_config));
    assert_same(written, back);
    assert_near(back->settings.dropout, 0.1, 0);
    assert_true(back->every_layer);
    slao_lora_free(back);
    assert_ok(slao_peft_load(&back, folder, NULL)); /* shapes out of the tensors */
    assert_same(written, back);
    slao_lora_free(back);
    char *base;
    assert_ok(slao_peft_base(&base, folder));
    assert_string_equal(base, "base");
    free(base);
}

#define HEAD "{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":6,"
#define TARGETS "\"target_modules\":[\"q_proj\",\"down_proj\"],"
#define RANKS "\"rank_pattern\":{\"layers.2.*\":2},"
#define ALPHAS "\"alpha_pattern\":{\"down_proj\":9}"

/* Ways to say the same adapter. */
static const char *const spellings[] = {
    HEAD TARGETS RANKS ALPHAS "}",
    HEAD "\"target_modules\":[\"self_attn.q_proj\",\"mlp.down_proj\"]," RANKS ALPHAS "}",
    HEAD "\"target_modules\":\".*\\\\.(q|down)_proj\"," RANKS ALPHAS "}",
    HEAD "\"target_modules\":\"(?:.*\\\\.)?\\\\d+\\\\.(self_attn\\\\.q|mlp\\\\.down)_proj\"," RANKS
        ALPHAS "}",
    HEAD TARGETS "\"layers_to_transform\":[2,1,0]," RANKS ALPHAS "}",
    HEAD TARGETS "\"layers_to_transform\":[0,1,2],\"layers_pattern\":\"layers\"," RANKS ALPHAS "}",
    HEAD TARGETS
    "\"layers_to_transform\":[0,1,2],\"layers_pattern\":[\"h\",\"layers\"]," RANKS ALPHAS "}",
    /* Names that this model does not have change nothing; nor do keys that ask for nothing. */
    HEAD "\"target_modules\":[\"q_proj\",\"W_pack\",\"down_proj\"]," RANKS ALPHAS
         ",\"bias\":\"none\",\"use_dora\":false,\"modules_to_save\":null,\"exclude_modules\":[],"
         "\"some_new_key\":null,\"peft_version\":\"0.21.2\",\"fan_in_fan_out\":true,"
         "\"init_lora_weights\":\"gaussian\",\"qalora_group_size\":16}",
    /* The first pattern that matches counts; one matches a whole name or its end after a dot. */
    HEAD TARGETS
    "\"rank_pattern\":{\"proj\":1,\"model.layers.2.self_attn.q_proj\":2,\"2.mlp.down_proj\":2,"
    "\"layers.2.*\":7}," ALPHAS "}",
};

static void test_spellings_of_one_adapter(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        write_config(spellings[i]);
        for (int without_model = 0; without_model < 2; without_model++) {
            slao_lora *back;
            slao_status status = slao_peft_load(&back, folder, without_model ? NULL : &tiny_config);
            if (status != SLAO_OK)
                fail_msg("%s: %s", spellings[i], slao_message());
            assert_same(written, back);
            slao_lora_free(back);
        }
    }
}

static void test_rslora(void **state) {
    (void)state;
    write_config(HEAD TARGETS RANKS ALPHAS ",\"use_rslora\":true}");
    slao_lora *back;
    assert_ok(slao_peft_load(&back, folder, &tiny_config));
    assert_near(back->sites[0].scale, 6 / sqrt(3), 1e-12);
    assert_near(back->sites[5].scale, 9 / sqrt(2), 1e-12);
    char *again = scratch_folder();
    slao_lora *twice;
    assert_ok(slao_peft_save(back, again, "base"));
    assert_ok(slao_peft_load(&twice, again, &tiny_config));
    assert_same(back, twice);
    slao_lora_free(back);
    slao_lora_free(twice);
    remove_scratch_folder(again);
}

/* An adapter on some layers alone is written so that it is read back on those. */
static void test_layers_left_out(void **state) {
    (void)state;
    char *part = scratch_folder();
    slao_lora *some, *back;
    const slao_site sites[] = {written->sites[0], written->sites[3]};
    assert_ok(slao_lora_from_sites(&some, &written->settings, sites, 2));
    assert_ok(slao_peft_save(some, part, ""));
    assert_ok(slao_peft_load(&back, part, &tiny_config));
    assert_same(some, back);
    assert_false(back->every_layer);
    slao_lora_free(back);
    slao_lora_free(some);
    remove_scratch_folder(part);
}

static const struct {
    const char *config, *words;
} refused[] = {
    {"{\"peft_type\":\"IA3\",\"r\":3,\"lora_alpha\":6," TARGETS "\"x\":0}", "peft_type is IA3"},
    {"{\"peft_type\":\"LORA\",\"lora_alpha\":6," TARGETS "\"x\":null}",
     "adapter_config.json: r is missing"},
    {HEAD TARGETS RANKS ALPHAS ",\"use_dora\":true}",
     "use_dora is true, which slao does not support: have PEFT merge"},
    {HEAD TARGETS RANKS ALPHAS ",\"modules_to_save\":[\"lm_head\"]}", "modules_to_save"},
    {HEAD TARGETS RANKS ALPHAS ",\"exclude_modules\":[\"q_proj\"]}", "exclude_modules"},
    {HEAD TARGETS RANKS ALPHAS ",\"trainable_token_indices\":[1]}", "trainable_token_indices"},
    {HEAD TARGETS RANKS ALPHAS ",\"target_parameters\":[\"x\"]}", "target_parameters"},
    {HEAD TARGETS RANKS ALPHAS ",\"layer_replication\":[[0,1]]}", "layer_replication"},
    {HEAD TARGETS RANKS ALPHAS ",\"bias\":\"all\"}",
     "bias is \"all\", which slao does not support"},
    {HEAD TARGETS RANKS ALPHAS ",\"lora_bias\":true}", "lora_bias"},
    {HEAD TARGETS RANKS ALPHAS ",\"kasa_config\":{\"a\":1}}", "kasa_config"},
    {HEAD TARGETS RANKS ALPHAS ",\"some_new_key\":3}",
     "some_new_key is 3, which slao does not support"},
    {HEAD TARGETS RANKS ALPHAS ",\"init_lora_weights\":\"pissa\"}", "init_lora_weights \"pissa\""},
    {HEAD "\"target_modules\":[\"q_proj\",\"lm_head\"]}", "target_modules has lm_head"},
    {HEAD "\"target_modules\":[\"embed_tokens\"]}", "target_modules has model.embed_tokens"},
    {HEAD "\"target_modules\":[]}", "target_modules must be"},
    {HEAD "\"target_modules\":[1]}", "list of names"},
    {HEAD "\"target_modules\":null}", "target_modules"},
    {HEAD "\"target_modules\":[\"W_pack\"]}", "names no linear layer"},
    {HEAD "\"target_modules\":\"(q_proj\"}", "is no regular expression"},
    {HEAD "\"target_modules\":\"(.*a*)*_pro\"}", "takes too long"},
    {HEAD TARGETS ALPHAS ",\"rank_pattern\":[2]}", "rank_pattern must be an object"},
    {HEAD TARGETS ALPHAS ",\"rank_pattern\":{\"q_proj\":0}}", "whole number"},
    {HEAD TARGETS ALPHAS ",\"rank_pattern\":{\"q_proj\":2.5}}", "whole number"},
    {HEAD TARGETS RANKS "\"alpha_pattern\":{\"q_proj\":\"x\"}}", "alpha_pattern"},
    {HEAD TARGETS RANKS ALPHAS ",\"layers_to_transform\":\"all\"}", "layers_to_transform"},
    {HEAD "\"target_modules\":\".*q_proj\",\"layers_to_transform\":[0]}", "layers_to_transform"},
    /* what the tensors do not bear out */
    {HEAD TARGETS ALPHAS "}", "layers.2.self_attn.q_proj.lora_A.weight must be 3 x 32"},
    {HEAD "\"target_modules\":[\"q_proj\"]," RANKS ALPHAS "}",
     "down_proj.lora_A.weight belongs to no module"},
    {HEAD "\"target_modules\":\"all-linear\"," RANKS ALPHAS "}", "k_proj.lora_A.weight is missing"},
    {HEAD TARGETS RANKS ALPHAS ",\"layers_to_transform\":[0,2]}", "layers.1."},
    {HEAD TARGETS RANKS ALPHAS ",\"layers_to_transform\":1,\"layers_pattern\":\"h\"}",
     "names no linear layer"},
};

static void test_what_is_refused(void **state) {
    (void)state;
    slao_lora *back;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        write_config(refused[i].config);
        slao_status status = slao_peft_load(&back, folder, &tiny_config);
        if (status != SLAO_BAD_INPUT || !strstr(slao_message(), refused[i].words))
            fail_msg("%s: status %d, message \"%s\" (wanted \"%s\")", refused[i].config,
                     (int)status, slao_message(), refused[i].words);
        assert_null(back);
    }
}

static void test_folders_that_are_not_whole(void **state) {
    (void)state;
    slao_lora *back;
    char *other = scratch_folder(), *path;
    assert_fails(slao_peft_load(&back, other, NULL), SLAO_BAD_INPUT, "adapter_config.json");
    assert_ok(slao_join_path(&path, other, "adapter_config.json"));
    assert_ok(slao_write_file(path, spellings[0], strlen(spellings[0])));
    free(path);
    assert_fails(slao_peft_load(&back, other, NULL), SLAO_BAD_INPUT, "adapter_model.safetensors");
    assert_ok(slao_join_path(&path, other, "adapter_model.bin"));
    assert_ok(slao_write_file(path, "PK", 2));
    free(path);
    assert_fails(slao_peft_load(&back, other, NULL), SLAO_BAD_INPUT, "save_pretrained");
    remove_scratch_folder(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_and_alphas_by_site_read_back),
        cmocka_unit_test(test_spellings_of_one_adapter),
        cmocka_unit_test(test_rslora),
        cmocka_unit_test(test_layers_left_out),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_folders_that_are_not_whole),
    };
    return cmocka_run_group_tests(tests, write_adapter, remove_adapter);
}
