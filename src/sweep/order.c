#include "sweep/order.h"

#include "base/index.h"
#include "base/random.h"
#include "data/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 512 };

/* The orders found so far. */
typedef struct {
    slao_arena *arena;
    const slao_benchmark_settings *benchmark;
    const slao_task_names *names;
    bool skip_missing;
    slao_order *orders;
    size_t n_orders, capacity;
    slao_index index; /* of orders, by the hash of their tasks */
    slao_hasher *hasher;
    const char **skipped;
    size_t n_skipped, skipped_capacity;
} order_reader;

static slao_status skip_task(order_reader *reader, const char *word) {
    for (size_t i = 0; i < reader->n_skipped; i++) {
        if (strcmp(reader->skipped[i], word) == 0)
            return SLAO_OK;
    }
    SLAO_TRY(slao_grow(&reader->skipped, &reader->skipped_capacity, reader->n_skipped + 1,
                       sizeof *reader->skipped));
    SLAO_TRY(slao_arena_copy_text(reader->arena, &reader->skipped[reader->n_skipped], word));
    reader->n_skipped++;
    return SLAO_OK;
}

static slao_status unknown_task(const order_reader *reader, const char *word, const char *path) {
    const char **names;
    SLAO_TRY(slao_allocate(&names, (size_t)reader->names->count + 1, sizeof *names));
    for (int64_t i = 0; i < reader->names->count; i++)
        names[i] = reader->names->names[i];
    const char *nearest = slao_nearest(word, names);
    free(names);
    return slao_fail(SLAO_BAD_INPUT,
                     "%s: %s has no task \"%s\"%s%s%s (\"missing_tasks\": \"skip\" leaves out what "
                     "a benchmark lacks)",
                     path, reader->benchmark->path, word, nearest ? "; did you mean \"" : "",
                     nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Appends the benchmark's spelling of `word` to the tasks of an order under construction, of
 * *count so far. */
static slao_status add_task(order_reader *reader, const char **tasks, int64_t *count,
                            const char *word, const char *path) {
    const char *name = slao_task_names_find(reader->names, word);
    if (!name)
        return reader->skip_missing ? skip_task(reader, word) : unknown_task(reader, word, path);
    for (int64_t i = 0; i < *count; i++) {
        if (strcmp(tasks[i], name) == 0)
            return slao_fail(SLAO_BAD_INPUT, "%s: task %s comes twice in the order", path, name);
    }
    SLAO_TRY(slao_arena_copy_text(reader->arena, &tasks[*count], name));
    ++*count;
    return SLAO_OK;
}

/* The tasks that a JSON list names, or those of a published order. */
static slao_status read_tasks(order_reader *reader, const cJSON *list, const char ***tasks,
                              int64_t *count, const char *path) {
    if (!cJSON_IsArray(list))
        return slao_fail(SLAO_BAD_INPUT,
                         "%s must be a list of task names, an object with \"tasks\" and "
                         "\"permutations\", or a published order's name",
                         path);
    *count = 0;
    SLAO_TRY(
        slao_arena_take(reader->arena, tasks, (size_t)cJSON_GetArraySize(list), sizeof **tasks));
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        const char *word;
        SLAO_TRY(slao_json_text(&word, item, path));
        SLAO_TRY(add_task(reader, *tasks, count, word, path));
    }
    return SLAO_OK;
}

static slao_status add_order(order_reader *reader, const char *const *tasks, int64_t count,
                             const char *name, const char *path) {
    if (count == 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: no task is left in the order", path);
    slao_hasher_reset(reader->hasher);
    for (int64_t i = 0; i < count; i++)
        slao_hash_text(reader->hasher, tasks[i]);
    slao_hash hash = slao_hash_value(reader->hasher);
    int64_t known = slao_index_find(&reader->index, hash);
    if (known >= 0) {
        if (!*reader->orders[known].name)
            reader->orders[known].name = name;
        return SLAO_OK;
    }
    SLAO_TRY(slao_grow(&reader->orders, &reader->capacity, reader->n_orders + 1,
                       sizeof *reader->orders));
    SLAO_TRY(slao_index_add(&reader->index, hash, (int64_t)reader->n_orders));
    reader->orders[reader->n_orders++] =
        (slao_order){.n_tasks = count, .tasks = tasks, .name = name};
    return SLAO_OK;
}

static slao_status add_published(order_reader *reader, const char *name, const char *path) {
    const slao_published_order *published = slao_published_order_find(name);
    if (!published) {
        enum { MOST = 32 };
        const char *names[MOST + 1] = {0};
        for (int i = 0; i < MOST && slao_published_orders[i].name; i++)
            names[i] = slao_published_orders[i].name;
        const char *nearest = slao_nearest(name, names);
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: \"%s\" is no published order%s%s%s (an order of your own is a list "
                         "of tasks: \"order\": [[\"dbpedia\", \"amazon\"]])",
                         path, name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                         nearest ? "\"?" : "");
    }
    if (strcmp(published->format, reader->benchmark->format) != 0)
        return slao_fail(SLAO_BAD_INPUT, "%s: order %s is of a %s benchmark, but this one is %s",
                         path, name, published->format, reader->benchmark->format);
    const char **tasks;
    int64_t count = 0;
    SLAO_TRY(slao_arena_take(reader->arena, &tasks, SLAO_LONGEST_ORDER, sizeof *tasks));
    for (int i = 0; published->tasks[i]; i++)
        SLAO_TRY(add_task(reader, tasks, &count, published->tasks[i], path));
    return add_order(reader, tasks, count, published->name, path);
}

static slao_status add_permutation(order_reader *reader, const char *const *tasks,
                                   const int64_t *permutation, int64_t count, const char *path) {
    const char **order;
    SLAO_TRY(slao_arena_take(reader->arena, &order, (size_t)count, sizeof *order));
    for (int64_t i = 0; i < count; i++)
        order[i] = tasks[permutation[i]];
    return add_order(reader, order, count, "", path);
}

/* Permutation number `rank` of 0 .. count-1 in lexicographic order. */
static void permutation_of_rank(int64_t *permutation, int64_t count, int64_t rank) {
    int64_t left[SLAO_MOST_PERMUTED_TASKS];
    int64_t block = 1;
    for (int64_t i = 0; i < count; i++) {
        left[i] = i;
        block *= i + 1;
    }
    for (int64_t i = 0; i < count; i++) {
        block /= count - i;
        int64_t chosen = rank / block;
        rank %= block;
        permutation[i] = left[chosen];
        memmove(&left[chosen], &left[chosen + 1], (size_t)(count - i - 1 - chosen) * sizeof *left);
    }
}

/* Few tasks: a draw of `wanted` out of all their `total` orders, without replacement. */
static slao_status draw_of_few(order_reader *reader, const char *const *tasks, int64_t count,
                               int64_t total, int64_t wanted, slao_random *random,
                               const char *path) {
    int64_t *ranks;
    SLAO_TRY(slao_allocate(&ranks, (size_t)total, sizeof *ranks));
    if (random)
        slao_random_permutation(random, ranks, total);
    slao_status status = SLAO_OK;
    for (int64_t k = 0; k < wanted && status == SLAO_OK; k++) {
        int64_t permutation[SLAO_MOST_PERMUTED_TASKS];
        permutation_of_rank(permutation, count, random ? ranks[k] : k);
        status = add_permutation(reader, tasks, permutation, count, path);
    }
    free(ranks);
    return status;
}

/* Many tasks: draws, those that came before left out; of 9 tasks and more there are so many orders
 * that this is rare. */
static slao_status draw_of_many(order_reader *reader, const char *const *tasks, int64_t count,
                                int64_t wanted, slao_random *random, const char *path) {
    int64_t *permutation;
    SLAO_TRY(slao_allocate(&permutation, (size_t)count, sizeof *permutation));
    slao_index drawn = {0};
    slao_status status = SLAO_OK;
    for (int64_t k = 0; k < wanted && status == SLAO_OK;) {
        slao_random_permutation(random, permutation, count);
        slao_hasher_reset(reader->hasher);
        slao_hash_bytes(reader->hasher, permutation, (size_t)count * sizeof *permutation);
        slao_hash hash = slao_hash_value(reader->hasher);
        if (slao_index_find(&drawn, hash) >= 0)
            continue;
        status = slao_index_add(&drawn, hash, k++);
        if (status == SLAO_OK)
            status = add_permutation(reader, tasks, permutation, count, path);
    }
    slao_index_free(&drawn);
    free(permutation);
    return status;
}

typedef struct {
    const cJSON *tasks, *permutations;
    int64_t seed;
} permutation_keys;

static const slao_json_field permutation_table[] = {
    {"tasks", SLAO_JSON_ARRAY, offsetof(permutation_keys, tasks), true, 0, 0},
    {"permutations", SLAO_JSON_ANY, offsetof(permutation_keys, permutations), true, 0, 0},
    {"seed", SLAO_JSON_INTEGER, offsetof(permutation_keys, seed), false, 0, 0x1p53},
    {0},
};

static slao_status add_permutations(order_reader *reader, const cJSON *object, const char *path) {
    permutation_keys read = {0};
    SLAO_TRY(slao_json_read(object, path, permutation_table, false, &read));
    const char **tasks = NULL;
    int64_t count = 0;
    SLAO_TRY(read_tasks(reader, read.tasks, &tasks, &count, path));
    enum { MOST_DRAWN = 40320 }; /* 8!, the most that "all" gives */
    bool all =
        cJSON_IsString(read.permutations) && strcmp(read.permutations->valuestring, "all") == 0;
    if (all && count > SLAO_MOST_PERMUTED_TASKS)
        return slao_fail(SLAO_BAD_INPUT,
                         "%s: %lld tasks have too many orders to run all; up to %d tasks may, "
                         "otherwise give a number of permutations to draw",
                         path, (long long)count, SLAO_MOST_PERMUTED_TASKS);
    int64_t total = 1;
    for (int64_t i = 2; i <= count && i <= SLAO_MOST_PERMUTED_TASKS; i++)
        total *= i;
    int64_t wanted = total;
    if (!all) {
        double number = read.permutations->valuedouble;
        if (!cJSON_IsNumber(read.permutations) || !(number >= 1 && number <= MOST_DRAWN) ||
            number != (double)(int64_t)number)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s.permutations must be \"all\" or a whole number from 1 to %d", path,
                             MOST_DRAWN);
        wanted = (int64_t)number;
        if (count <= SLAO_MOST_PERMUTED_TASKS && wanted > total)
            return slao_fail(SLAO_BAD_INPUT,
                             "%s.permutations is %lld, but %lld tasks have only "
                             "%lld orders",
                             path, (long long)wanted, (long long)count, (long long)total);
    }
    slao_random random = slao_random_stream((uint64_t)read.seed, "orders", "", 0);
    if (count <= SLAO_MOST_PERMUTED_TASKS)
        return draw_of_few(reader, tasks, count, total, wanted, all ? NULL : &random, path);
    return draw_of_many(reader, tasks, count, wanted, &random, path);
}

static slao_status read_value(order_reader *reader, const cJSON *value, const char *path) {
    if (cJSON_IsString(value))
        return add_published(reader, value->valuestring, path);
    if (cJSON_IsObject(value))
        return add_permutations(reader, value, path);
    const char **tasks = NULL;
    int64_t count = 0;
    SLAO_TRY(read_tasks(reader, value, &tasks, &count, path));
    return add_order(reader, tasks, count, "", path);
}

static slao_status keep_orders(slao_spec *spec, order_reader *reader) {
    spec->n_orders = (int64_t)reader->n_orders;
    SLAO_TRY(slao_arena_take(spec->arena, &spec->orders, reader->n_orders, sizeof *spec->orders));
    memcpy(spec->orders, reader->orders, reader->n_orders * sizeof *spec->orders);
    const char **skipped;
    spec->n_skipped = (int64_t)reader->n_skipped;
    SLAO_TRY(slao_arena_take(spec->arena, &skipped, reader->n_skipped, sizeof *skipped));
    if (reader->n_skipped)
        memcpy(skipped, reader->skipped, reader->n_skipped * sizeof *skipped);
    spec->skipped = skipped;
    return SLAO_OK;
}

slao_status slao_orders_read(slao_spec *spec, const slao_axis *axis, bool skip_missing,
                             const char *where) {
    order_reader reader = {
        .arena = spec->arena, .benchmark = &spec->benchmark, .skip_missing = skip_missing};
    slao_task_names found = {0};
    slao_status status = slao_hasher_new(&reader.hasher);
    SLAO_TRY_GOTO(status, status, done);
    reader.names = spec->names ? spec->names : &found;
    if (!spec->names)
        status = slao_task_names_load(&found, &spec->benchmark);
    if (status != SLAO_OK) {
        status = slao_fail_context(status, "%sbenchmark.path", where);
        goto done;
    }
    for (int64_t v = 0; v < axis->n_values; v++) {
        char path[PATH];
        snprintf(path, sizeof path, "%ssweep.order[%lld]", where, (long long)v);
        SLAO_TRY_GOTO(status, read_value(&reader, axis->values[v], path), done);
    }
    status = keep_orders(spec, &reader);
done:
    slao_task_names_free(&found);
    slao_hasher_free(reader.hasher);
    slao_index_free(&reader.index);
    free(reader.orders);
    free(reader.skipped);
    return status;
}
