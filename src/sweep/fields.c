#include "sweep/fields.h"

#include "model/transformer.h"

#include <stdio.h>
#include <string.h>

const char slao_fields_defaults[] =
    "{\"benchmark\": {\"train_samples\": 0, \"test_samples\": 0, \"validation_samples\": 0,"
    " \"sample_seed\": 0, \"answer_space\": true},"
    "\"lora\": {\"rank\": 8, \"alpha\": 16, \"dropout\": 0, \"targets\": [\"q_proj\", \"v_proj\"],"
    " \"rslora\": false},"
    "\"train\": {\"epochs\": 1, \"batch_size\": 8, \"accumulation\": 1, \"max_length\": 512,"
    " \"optimizer\": \"adamw\", \"learning_rate\": 1e-4, \"weight_decay\": 0,"
    " \"schedule\": \"constant\", \"warmup_steps\": 0, \"clip_norm\": 1,"
    " \"micro_tokens\": 352, \"checkpointing\": \"auto\", \"linearisation_samples\": 0},"
    "\"evaluate\": {\"when\": \"every_task\", \"tasks\": \"all\", \"max_new_tokens\": 50,"
    " \"references\": []},"
    "\"weights\": \"auto\", \"matmul_precision\": \"fp32\", \"ranks_per_trial\": 1,"
    "\"sweep\": {\"method\": [\"slao\"], \"lambda\": [\"1/sqrt(i)\"], \"seed\": [0]}}";

#define AT(member) offsetof(slao_fields, member), false
#define ANY 0, 0
/* Large enough for every honest use, small enough that products of two stay whole numbers. */
#define MOST 1e9
#define MOST_SEED 0x1p53

static const slao_json_field spec_table[] = {
    {"name", SLAO_JSON_TEXT, AT(name), ANY},
    {"model", SLAO_JSON_TEXT, AT(model), ANY},
    {"weights", SLAO_JSON_TEXT, AT(weights), ANY},
    {"matmul_precision", SLAO_JSON_TEXT, AT(precision), ANY},
    {"benchmark", SLAO_JSON_OBJECT, AT(sections[SLAO_SECTION_BENCHMARK]), ANY},
    {"lora", SLAO_JSON_OBJECT, AT(sections[SLAO_SECTION_LORA]), ANY},
    {"train", SLAO_JSON_OBJECT, AT(sections[SLAO_SECTION_TRAIN]), ANY},
    {"evaluate", SLAO_JSON_OBJECT, AT(sections[SLAO_SECTION_EVALUATE]), ANY},
    {"ranks_per_trial", SLAO_JSON_INTEGER, AT(ranks_per_trial), 1, MOST},
    {"missing_tasks", SLAO_JSON_TEXT, AT(missing_tasks), ANY},
    {"sweep", SLAO_JSON_OBJECT, AT(sweep), ANY},
    {"presets", SLAO_JSON_OBJECT, AT(presets), ANY},
    {"store", SLAO_JSON_TEXT, AT(store), ANY},
    {0},
};

static const slao_json_field benchmark_table[] = {
    {"format", SLAO_JSON_TEXT, AT(benchmark.format), ANY},
    {"path", SLAO_JSON_TEXT, AT(benchmark.path), ANY},
    {"train_samples", SLAO_JSON_INTEGER, AT(benchmark.train_samples), 0, MOST},
    {"test_samples", SLAO_JSON_INTEGER, AT(benchmark.test_samples), 0, MOST},
    {"validation_samples", SLAO_JSON_INTEGER, AT(benchmark.validation_samples), 0, MOST},
    {"sample_seed", SLAO_JSON_INTEGER, AT(benchmark.sample_seed), 0, MOST_SEED},
    {"answer_space", SLAO_JSON_BOOL, AT(benchmark.answer_space), ANY},
    {"missing_tasks", SLAO_JSON_TEXT, AT(missing_tasks), ANY},
    {0},
};

static const slao_json_field lora_table[] = {
    {"rank", SLAO_JSON_INTEGER, AT(lora.rank), 1, MOST},
    {"alpha", SLAO_JSON_REAL, AT(lora.alpha), 0, MOST},
    {"dropout", SLAO_JSON_REAL, AT(lora.dropout), 0, 1},
    {"targets", SLAO_JSON_ARRAY, AT(targets), ANY},
    {"rslora", SLAO_JSON_BOOL, AT(lora.rslora), ANY},
    {0},
};

static const slao_json_field train_table[] = {
    {"epochs", SLAO_JSON_INTEGER, AT(train.epochs), 1, MOST},
    {"batch_size", SLAO_JSON_INTEGER, AT(train.batch_size), 1, MOST},
    {"accumulation", SLAO_JSON_INTEGER, AT(train.accumulation), 1, MOST},
    {"max_length", SLAO_JSON_INTEGER, AT(train.max_length), 1, MOST},
    {"optimizer", SLAO_JSON_TEXT, AT(train.optimizer), ANY},
    {"learning_rate", SLAO_JSON_REAL, AT(train.learning_rate), 0, MOST},
    {"weight_decay", SLAO_JSON_REAL, AT(train.weight_decay), 0, MOST},
    {"schedule", SLAO_JSON_TEXT, AT(train.schedule), ANY},
    {"warmup_steps", SLAO_JSON_INTEGER, AT(train.warmup_steps), 0, MOST},
    {"clip_norm", SLAO_JSON_REAL, AT(train.clip_norm), 0, MOST},
    {"micro_tokens", SLAO_JSON_INTEGER, AT(train.micro_tokens), 0, MOST},
    {"checkpointing", SLAO_JSON_TEXT, AT(train.checkpointing), ANY},
    {"linearisation_samples", SLAO_JSON_INTEGER, AT(train.linearisation_samples), 0, MOST},
    {0},
};

static const slao_json_field evaluate_table[] = {
    {"score", SLAO_JSON_TEXT, AT(score.score), ANY},
    {"when", SLAO_JSON_TEXT, AT(when), ANY},
    {"tasks", SLAO_JSON_TEXT, AT(tasks), ANY},
    {"max_new_tokens", SLAO_JSON_INTEGER, AT(score.max_new_tokens), 1, MOST},
    {"references", SLAO_JSON_ARRAY, AT(references), ANY},
    {0},
};

const slao_json_field slao_sweep_table[] = {
    {"learning_rate", SLAO_JSON_REAL, AT(train.learning_rate), 0, MOST},
    {"seed", SLAO_JSON_INTEGER, AT(seed), 0, MOST_SEED},
    {0},
};

const slao_section slao_sections[SLAO_N_SECTIONS] = {
    [SLAO_SECTION_BENCHMARK] = {"benchmark", benchmark_table, false},
    [SLAO_SECTION_LORA] = {"lora", lora_table, true},
    [SLAO_SECTION_TRAIN] = {"train", train_table, true},
    [SLAO_SECTION_EVALUATE] = {"evaluate", evaluate_table, false},
};

enum { PATH = 512 }; /* of a key in messages; a longer one is cut */

slao_status slao_fields_read(slao_fields *fields, const cJSON *object, const char *where) {
    SLAO_TRY(slao_json_read(object, where, spec_table, false, fields));
    for (int i = 0; i < SLAO_N_SECTIONS; i++) {
        if (!fields->sections[i])
            continue;
        char path[PATH];
        snprintf(path, sizeof path, "%s%s", where, slao_sections[i].name);
        SLAO_TRY(slao_json_read(fields->sections[i], path, slao_sections[i].table, false, fields));
    }
    return SLAO_OK;
}

static slao_status check_targets(slao_fields *fields, const char *where) {
    static const char key[] = "lora.targets";
    const char *names[SLAO_N_MODULES + 1] = {0};
    for (int m = 0; m < SLAO_N_MODULES; m++) {
        names[m] = slao_module_name((slao_module)m);
        fields->lora.targets[m] = false;
    }
    if (cJSON_GetArraySize(fields->targets) == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s%s is empty: name at least one module, as in "
                         "[\"q_proj\", \"v_proj\"]",
                         where, key);
    const cJSON *item;
    cJSON_ArrayForEach (item, fields->targets) {
        if (!cJSON_IsString(item))
            return slao_fail(SLAO_BAD_INPUT, "%s%s must be a list of strings", where, key);
        SLAO_TRY(slao_check_name(item->valuestring, names, where, key));
        slao_module module = slao_module_by_name(item->valuestring);
        if (fields->lora.targets[module])
            return slao_fail(SLAO_BAD_INPUT, "%s%s names %s twice", where, key, item->valuestring);
        fields->lora.targets[module] = true;
    }
    return SLAO_OK;
}

static slao_status check_references(slao_fields *fields, const char *where) {
    static const char key[] = "evaluate.references";
    static const char *const names[] = {"base", "individual", NULL};
    bool *asked[] = {&fields->reference_base, &fields->reference_individual};
    *asked[0] = *asked[1] = false;
    const cJSON *item;
    cJSON_ArrayForEach (item, fields->references) {
        if (!cJSON_IsString(item))
            return slao_fail(SLAO_BAD_INPUT, "%s%s must be a list of strings", where, key);
        SLAO_TRY(slao_check_name(item->valuestring, names, where, key));
        for (int i = 0; names[i]; i++)
            *asked[i] = *asked[i] || strcmp(item->valuestring, names[i]) == 0;
    }
    return SLAO_OK;
}

slao_status slao_fields_check(slao_fields *fields, const char *where) {
    static const char *const whens[] = {"every_task", "end", NULL};
    static const char *const tasks[] = {"all", "seen", NULL};
    static const char *const missing[] = {"error", "skip", NULL};
    SLAO_TRY(slao_check_name(fields->benchmark.format, slao_benchmark_formats, where,
                             "benchmark.format"));
    SLAO_TRY(
        slao_check_name(fields->train.optimizer, slao_optimizer_names, where, "train.optimizer"));
    SLAO_TRY(
        slao_check_name(fields->train.schedule, slao_rate_schedule_names, where, "train.schedule"));
    SLAO_TRY(slao_check_name(fields->train.checkpointing, slao_checkpointing_names, where,
                             "train.checkpointing"));
    SLAO_TRY(slao_check_name(fields->score.score, slao_score_names, where, "evaluate.score"));
    SLAO_TRY(slao_check_name(fields->when, whens, where, "evaluate.when"));
    SLAO_TRY(slao_check_name(fields->tasks, tasks, where, "evaluate.tasks"));
    SLAO_TRY(slao_check_name(fields->missing_tasks, missing, where, "missing_tasks"));
    SLAO_TRY(slao_check_name(fields->weights, slao_weights_names, where, "weights"));
    SLAO_TRY(slao_check_name(fields->precision, slao_precision_names, where, "matmul_precision"));
    if (fields->lora.alpha == 0 || fields->train.learning_rate == 0)
        return slao_fail(SLAO_BAD_INPUT, "%s%s is 0, but must be above 0", where,
                         fields->lora.alpha == 0 ? "lora.alpha" : "train.learning_rate");
    if (fields->lora.dropout == 1)
        return slao_fail(SLAO_BAD_INPUT, "%slora.dropout is 1: nothing would be left to train",
                         where);
    SLAO_TRY(check_targets(fields, where));
    return check_references(fields, where);
}
