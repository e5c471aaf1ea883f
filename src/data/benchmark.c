#include "data/benchmark.h"

#include "base/random.h"
#include "data/format.h"

#include <stdlib.h>
#include <string.h>

/* The formats: a row is a name and what data/format.h asks of it. */
#define FORMATS(row)                                                                               \
    row("cl_benchmark", slao_format_cl_benchmark) row("superni", slao_format_superni)

#define NAME_OF(name, format) name,
#define ADDRESS_OF(name, format) &format,
const char *const slao_benchmark_formats[] = {FORMATS(NAME_OF) NULL};
static const slao_benchmark_format *const formats[] = {FORMATS(ADDRESS_OF)};

static slao_status find_format(const slao_benchmark_format **format, const char *name) {
    for (int i = 0; slao_benchmark_formats[i]; i++) {
        if (strcmp(slao_benchmark_formats[i], name) == 0) {
            *format = formats[i];
            return SLAO_OK;
        }
    }
    return slao_check_name(name, slao_benchmark_formats, "", "the benchmark's format");
}

static slao_status find_places(slao_task_places *places, const slao_benchmark_format *format,
                               const char *path) {
    SLAO_TRY(format->find(places, path));
    if (places->count == 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s holds no task; its format expects %s: check the benchmark's path",
                         path, format->layout);
    return slao_task_places_sort(places, path);
}

static slao_status copy_names(slao_task_names *names, const slao_task_places *places) {
    SLAO_TRY(slao_allocate(&names->names, places->count, sizeof *names->names));
    for (; names->count < (int64_t)places->count; names->count++)
        SLAO_TRY(slao_copy_text(&names->names[names->count], places->places[names->count].name));
    return SLAO_OK;
}

slao_status slao_task_names_load(slao_task_names *names, const slao_benchmark_settings *settings) {
    *names = (slao_task_names){0};
    const slao_benchmark_format *format = NULL;
    SLAO_TRY(find_format(&format, settings->format));
    slao_task_places places = {0};
    slao_status status = find_places(&places, format, settings->path);
    if (status == SLAO_OK)
        status = copy_names(names, &places);
    slao_task_places_free(&places);
    if (status != SLAO_OK)
        slao_task_names_free(names);
    return status;
}

void slao_task_names_free(slao_task_names *names) {
    for (int64_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (slao_task_names){0};
}

const char *slao_task_names_find(const slao_task_names *names, const char *word) {
    for (int64_t i = 0; i < names->count; i++) {
        if (slao_task_name_same(names->names[i], word))
            return names->names[i];
    }
    return NULL;
}

/* --- drawing samples --- */

/* What drawing from a whole task into the one that is kept needs. `last_from` and `last_to` are the
 * texts copied for the example before: heads, tails and labels are often shared, and are copied
 * once. */
typedef struct {
    const slao_benchmark_settings *settings;
    slao_arena *arena;
    slao_example last_from, last_to;
} copier;

static slao_status copy_shared(copier *to, const char **copy, const char *text, const char *before,
                               const char *copy_before) {
    *copy = copy_before;
    return text == before ? SLAO_OK : slao_arena_copy_text(to->arena, copy, text);
}

static slao_status with_space(slao_arena *arena, const char **copy, const char *answer) {
    size_t size = strlen(answer) + 1;
    char *memory;
    SLAO_TRY(slao_arena_take(arena, &memory, size + 1, 1));
    memory[0] = ' ';
    memcpy(memory + 1, answer, size);
    *copy = memory;
    return SLAO_OK;
}

/* Does an answer after this text get a space of its own? */
static bool needs_space(const slao_benchmark_settings *settings, const char *tail) {
    size_t length = strlen(tail);
    return settings->answer_space && !(length > 0 && tail[length - 1] == ' ');
}

static slao_status copy_answer(copier *to, const char **copy, const slao_example *example) {
    if (needs_space(to->settings, example->tail))
        return with_space(to->arena, copy, example->answer);
    return copy_shared(to, copy, example->answer, to->last_from.answer, to->last_to.answer);
}

static slao_status copy_references(copier *to, slao_example *copy, const slao_example *example) {
    const char **references;
    SLAO_TRY(
        slao_arena_take(to->arena, &references, (size_t)example->n_references, sizeof *references));
    copy->references = references;
    copy->n_references = example->n_references;
    for (int64_t i = 0; i < example->n_references; i++)
        SLAO_TRY(slao_arena_copy_text(to->arena, &references[i], example->references[i]));
    return SLAO_OK;
}

static slao_status copy_example(copier *to, slao_example *copy, const slao_example *example) {
    const slao_example *from = &to->last_from, *made = &to->last_to;
    SLAO_TRY(copy_shared(to, &copy->head, example->head, from->head, made->head));
    SLAO_TRY(copy_shared(to, &copy->tail, example->tail, from->tail, made->tail));
    SLAO_TRY(slao_arena_copy_text(to->arena, &copy->sentence, example->sentence));
    SLAO_TRY(copy_answer(to, &copy->answer, example));
    SLAO_TRY(copy_references(to, copy, example));
    to->last_from = *example;
    to->last_to = *copy;
    return SLAO_OK;
}

/* `count` examples of `all`, those at `order`. */
static slao_status copy_examples(copier *to, slao_examples *chosen, const slao_examples *all,
                                 const int64_t *order, int64_t count) {
    SLAO_TRY(
        slao_arena_take(to->arena, &chosen->examples, (size_t)count, sizeof *chosen->examples));
    for (; chosen->count < count; chosen->count++)
        SLAO_TRY(copy_example(to, &chosen->examples[chosen->count],
                              &all->examples[order[chosen->count]]));
    return SLAO_OK;
}

static int64_t at_most(int64_t wanted, int64_t available) {
    return wanted == 0 || wanted > available ? available : wanted;
}

/* The shuffle of one split: keyed by what it is for and the task's name, never by the trial. */
static slao_status shuffle(int64_t **order, const slao_benchmark_settings *settings,
                           const char *purpose, const char *task, int64_t count) {
    SLAO_TRY(slao_allocate(order, (size_t)count, sizeof **order));
    slao_random random = slao_random_stream((uint64_t)settings->sample_seed, purpose, task, 0);
    slao_random_permutation(&random, *order, count);
    return SLAO_OK;
}

static slao_status draw_train(slao_task *task, copier *to, const slao_task *whole) {
    int64_t available = whole->train.count, held_back = to->settings->validation_samples;
    if (held_back >= available)
        return slao_fail(SLAO_BAD_INPUT,
                         "task %s has %lld train examples: validation_samples %lld leaves none to "
                         "train on; ask for fewer",
                         task->name, (long long)available, (long long)held_back);
    int64_t count = at_most(to->settings->train_samples, available - held_back);
    int64_t *order;
    SLAO_TRY(shuffle(&order, to->settings, "sample train", task->name, available));
    slao_status status = copy_examples(to, &task->train, &whole->train, order, count);
    if (status == SLAO_OK)
        status = copy_examples(to, &task->validation, &whole->train, order + count, held_back);
    free(order);
    return status;
}

static bool is_label(const slao_task *task, const char *text) {
    for (int64_t i = 0; i < task->n_labels; i++) {
        if (strcmp(task->labels[i], text) == 0)
            return true;
    }
    return false;
}

static slao_status draw_test(slao_task *task, copier *to, const slao_task *whole) {
    int64_t count = at_most(to->settings->test_samples, whole->test.count);
    int64_t *order;
    SLAO_TRY(shuffle(&order, to->settings, "sample test", task->name, whole->test.count));
    slao_status status = copy_examples(to, &task->test, &whole->test, order, count);
    for (int64_t i = 0; i < count && whole->n_labels > 0; i++)
        task->unanswerable += !is_label(whole, whole->test.examples[order[i]].answer);
    free(order);
    return status;
}

static slao_status copy_labels(slao_task *task, const slao_benchmark_settings *settings,
                               const slao_task *whole) {
    const char **labels, **answers;
    SLAO_TRY(slao_arena_take(task->arena, &labels, (size_t)whole->n_labels, sizeof *labels));
    SLAO_TRY(slao_arena_take(task->arena, &answers, (size_t)whole->n_labels, sizeof *answers));
    task->labels = labels;
    task->answers = answers;
    bool space = needs_space(settings, whole->train.examples[0].tail);
    for (int64_t i = 0; i < whole->n_labels; i++) {
        SLAO_TRY(slao_arena_copy_text(task->arena, &labels[i], whole->labels[i]));
        answers[i] = labels[i];
        if (space)
            SLAO_TRY(with_space(task->arena, &answers[i], labels[i]));
        task->n_labels++;
    }
    return SLAO_OK;
}

static void hash_examples(slao_hasher *hasher, const slao_examples *examples) {
    slao_hash_integer(hasher, examples->count);
    for (int64_t i = 0; i < examples->count; i++) {
        const slao_example *example = &examples->examples[i];
        slao_hash_text(hasher, example->head);
        slao_hash_text(hasher, example->sentence);
        slao_hash_text(hasher, example->tail);
        slao_hash_text(hasher, example->answer);
    }
}

/* Of examples that have more than the answer: what counts as right, too. */
static void hash_references(slao_hasher *hasher, const slao_examples *examples) {
    for (int64_t i = 0; i < examples->count; i++) {
        const slao_example *example = &examples->examples[i];
        if (example->n_references == 1)
            continue;
        slao_hash_integer(hasher, i);
        slao_hash_integer(hasher, example->n_references);
        for (int64_t k = 0; k < example->n_references; k++)
            slao_hash_text(hasher, example->references[k]);
    }
}

static slao_status hash_task(slao_task *task) {
    slao_hasher *hasher;
    SLAO_TRY(slao_hasher_new(&hasher));
    hash_examples(hasher, &task->train);
    task->train_hash = slao_hash_value(hasher);
    slao_hasher_reset(hasher);
    hash_examples(hasher, &task->validation);
    task->validation_hash = slao_hash_value(hasher);
    slao_hasher_reset(hasher);
    slao_hash_integer(hasher, task->n_labels);
    for (int64_t i = 0; i < task->n_labels; i++)
        slao_hash_text(hasher, task->labels[i]);
    hash_examples(hasher, &task->test);
    hash_references(hasher, &task->test);
    task->test_hash = slao_hash_value(hasher);
    slao_hasher_free(hasher);
    return SLAO_OK;
}

/* Fills the empty *task, which has its arena, from the whole one. */
static slao_status draw_task(slao_task *task, const slao_benchmark_settings *settings,
                             const slao_task *whole) {
    copier to = {.settings = settings, .arena = task->arena};
    task->score = whole->score;
    SLAO_TRY(slao_arena_copy_text(task->arena, &task->name, whole->name));
    SLAO_TRY(slao_arena_copy_text(task->arena, &task->group, whole->group));
    SLAO_TRY(copy_labels(task, settings, whole));
    SLAO_TRY(draw_train(task, &to, whole));
    SLAO_TRY(draw_test(task, &to, whole));
    return hash_task(task);
}

static slao_status check_counts(const slao_benchmark_settings *settings) {
    if (settings->train_samples < 0 || settings->test_samples < 0 ||
        settings->validation_samples < 0)
        return slao_fail(SLAO_BAD_INPUT,
                         "benchmark: train_samples, test_samples and validation_samples must be 0 "
                         "or more (they are %lld, %lld, %lld)",
                         (long long)settings->train_samples, (long long)settings->test_samples,
                         (long long)settings->validation_samples);
    return SLAO_OK;
}

static slao_status load_from(slao_task *task, const slao_benchmark_settings *settings,
                             const slao_benchmark_format *format, const slao_task_places *places,
                             const char *name) {
    const slao_task_place *place;
    SLAO_TRY(slao_task_places_find(places, name, settings->path, &place));
    SLAO_TRY(slao_arena_new(&task->arena));
    slao_arena *scratch; /* the whole task: dropped once the samples are drawn */
    SLAO_TRY(slao_arena_new(&scratch));
    slao_task whole = {0};
    slao_status status = format->read(&whole, settings->path, place, scratch);
    if (status == SLAO_OK)
        status = draw_task(task, settings, &whole);
    slao_arena_free(scratch);
    return status;
}

slao_status slao_task_load(slao_task **task, const slao_benchmark_settings *settings,
                           const char *name) {
    *task = NULL;
    const slao_benchmark_format *format = NULL;
    SLAO_TRY(find_format(&format, settings->format));
    SLAO_TRY(check_counts(settings));
    slao_task_places places = {0};
    slao_status status = find_places(&places, format, settings->path);
    if (status == SLAO_OK)
        status = slao_allocate(task, 1, sizeof **task);
    if (status == SLAO_OK)
        status = load_from(*task, settings, format, &places, name);
    slao_task_places_free(&places);
    if (status != SLAO_OK) {
        slao_task_free(*task);
        *task = NULL;
    }
    return status;
}

void slao_task_free(slao_task *task) {
    if (!task)
        return;
    slao_arena_free(task->arena);
    free(task);
}
