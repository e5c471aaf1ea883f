#include "sweep/store.h"

#include "base/file.h"
#include "base/memory.h"
#include "sweep/journal.h"
#include "sweep/lock.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct slao_store {
    char *folder, *lock_path, *journal_path;
    slao_lock *lock;      /* NULL: not held */
    slao_journal journal; /* opened by the first event */
};

static slao_status make_folder(const char *store, const char *name) {
    char *path;
    SLAO_TRY(slao_join_path(&path, store, name));
    slao_status status = slao_make_folders(path);
    free(path);
    return status;
}

static slao_status make_folders_of(const char *store) {
    static const char *const names[] = {"steps", "adapters", "checkpoints", "logs", "specs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        SLAO_TRY(make_folder(store, names[i]));
    return SLAO_OK;
}

slao_status slao_store_look_into(slao_store **store, const char *folder) {
    SLAO_TRY(slao_allocate(store, 1, sizeof **store));
    slao_store *made = *store;
    made->journal.fd = -1;
    slao_status status = slao_copy_text(&made->folder, folder);
    if (status == SLAO_OK)
        status = slao_join_path(&made->lock_path, folder, "lock");
    if (status == SLAO_OK)
        status = slao_join_path(&made->journal_path, folder, "journal.jsonl");
    if (status != SLAO_OK) {
        slao_store_close(made);
        *store = NULL;
    }
    return status;
}

slao_status slao_store_open(slao_store **store, const char *folder) {
    SLAO_TRY(slao_store_look_into(store, folder));
    slao_status status = make_folders_of(folder);
    if (status == SLAO_OK)
        return SLAO_OK;
    slao_store_close(*store);
    *store = NULL;
    return slao_fail_context(status, "store %s", folder);
}

void slao_store_close(slao_store *store) {
    if (!store)
        return;
    slao_journal_close(&store->journal);
    (void)slao_lock_release(store->lock); /* one that stays is taken over: this process is gone */
    free(store->journal_path);
    free(store->lock_path);
    free(store->folder);
    free(store);
}

const char *slao_store_folder(const slao_store *store) {
    return store->folder;
}

slao_status slao_store_lock(slao_store *store) {
    SLAO_INVARIANT(!store->lock);
    return slao_lock_take(&store->lock, store->lock_path);
}

slao_status slao_store_check_lock(const slao_store *store) {
    SLAO_INVARIANT(store->lock);
    return slao_lock_check(store->lock);
}

slao_status slao_store_unlock(slao_store *store) {
    slao_journal_close(&store->journal);
    slao_lock *lock = store->lock;
    store->lock = NULL;
    return slao_lock_release(lock);
}

static slao_status key_path(const slao_store *store, char **path, const char *folder, slao_hash key,
                            const char *ending) {
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(key, text);
    return slao_format(path, "%s/%s/%s%s", store->folder, folder, text, ending);
}

slao_status slao_store_adapter_path(const slao_store *store, slao_hash key, char **path) {
    return key_path(store, path, "adapters", key, "");
}

slao_status slao_store_evaluated_path(const slao_store *store, slao_hash key, char **path) {
    return key_path(store, path, "adapters", key, "/evaluated");
}

slao_status slao_store_checkpoint_path(const slao_store *store, slao_hash key, char **path) {
    return key_path(store, path, "checkpoints", key, "");
}

slao_status slao_store_log_path(const slao_store *store, slao_hash key, char **path) {
    return key_path(store, path, "logs", key, ".log");
}

slao_status slao_store_tries_path(const slao_store *store, slao_hash key, char **path) {
    return key_path(store, path, "logs", key, ".tries");
}

bool slao_store_has(const slao_store *store, slao_hash key) {
    char *path;
    if (key_path(store, &path, "steps", key, ".json") != SLAO_OK)
        return false; /* no memory for a path: the step's own run will say so */
    bool there = slao_is_file(path);
    free(path);
    return there;
}

static bool is_of_key(const cJSON *record, slao_hash key) {
    const cJSON *item = slao_json_find(record, "key");
    char text[SLAO_HASH_TEXT];
    slao_hash_to_text(key, text);
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

slao_status slao_store_put(slao_store *store, slao_hash key, const cJSON *record) {
    SLAO_INVARIANT(is_of_key(record, key));
    char *path = NULL, *text = NULL;
    slao_status status;
    SLAO_TRY_GOTO(status, key_path(store, &path, "steps", key, ".json"), out);
    SLAO_TRY_GOTO(status, slao_json_print(&text, record), out);
    status = slao_write_file(path, text, strlen(text));
out:
    free(text);
    free(path);
    return status;
}

slao_status slao_store_get(const slao_store *store, slao_hash key, cJSON **record) {
    *record = NULL;
    char *path;
    SLAO_TRY(key_path(store, &path, "steps", key, ".json"));
    slao_status status = slao_json_load(record, path);
    if (status == SLAO_BAD_INPUT)
        status = slao_fail_context(
            status, "a record of the store cannot be read (delete it, and the step runs again)");
    if (status == SLAO_OK && !is_of_key(*record, key)) {
        status =
            slao_fail(SLAO_BAD_INPUT,
                      "%s is the record of another step: delete it, and the step runs again", path);
        cJSON_Delete(*record);
        *record = NULL;
    }
    free(path);
    return status;
}

static slao_status remove_if_there(const char *path) {
    return unlink(path) == 0 || errno == ENOENT
               ? SLAO_OK
               : slao_fail_errno(SLAO_BAD_INPUT, "cannot remove %s", path);
}

slao_status slao_store_forget(slao_store *store, slao_hash key) {
    char *path;
    SLAO_TRY(key_path(store, &path, "steps", key, ".json"));
    slao_status status = remove_if_there(path);
    free(path);
    return status;
}

slao_status slao_store_forget_tries(slao_store *store, slao_hash key) {
    slao_status (*const paths[])(const slao_store *store, slao_hash key, char **path) = {
        slao_store_checkpoint_path, slao_store_log_path, slao_store_tries_path};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *path;
        SLAO_TRY(paths[i](store, key, &path));
        slao_status status = remove_if_there(path);
        free(path);
        SLAO_TRY(status);
    }
    return SLAO_OK;
}

slao_status slao_store_put_spec(slao_store *store, const char *name, const cJSON *spec) {
    char *path = NULL, *json = NULL;
    slao_status status = slao_format(&path, "%s/specs/%s.json", store->folder, name);
    if (status == SLAO_OK)
        status = slao_json_print(&json, spec);
    if (status == SLAO_OK)
        status = slao_write_file(path, json, strlen(json));
    free(json);
    free(path);
    return status;
}

/* How many specs the store holds, and the file name of one of them (NULL without any), which the
 * caller frees. */
static slao_status list_specs(const char *folder, int64_t *count, char **name) {
    *count = 0;
    *name = NULL;
    DIR *entries = opendir(folder);
    if (!entries)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot read %s", folder);
    slao_status status = SLAO_OK;
    for (struct dirent *entry; status == SLAO_OK && (entry = readdir(entries));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        if ((*count)++ == 0)
            status = slao_copy_text(name, entry->d_name);
    }
    closedir(entries);
    return status;
}

/* The file of the spec called `name`, or of the only one there is. */
static slao_status find_spec(const slao_store *store, const char *name, char **path) {
    SLAO_TRY(slao_format(path, "%s/specs/%s.json", store->folder, name));
    if (slao_is_file(*path))
        return SLAO_OK;
    free(*path);
    *path = NULL;
    char *folder, *only = NULL;
    int64_t count;
    SLAO_TRY(slao_join_path(&folder, store->folder, "specs"));
    slao_status status = list_specs(folder, &count, &only);
    if (status == SLAO_OK && count == 1)
        status = slao_join_path(path, folder, only);
    else if (status == SLAO_OK)
        status =
            slao_fail(SLAO_BAD_INPUT,
                      "store %s holds no spec called %s (it holds %lld): give the results file the "
                      "name that its sweep gave it",
                      store->folder, name, (long long)count);
    free(only);
    free(folder);
    return status;
}

slao_status slao_store_get_spec(const slao_store *store, const char *name, cJSON **spec,
                                char **path) {
    *spec = NULL;
    SLAO_TRY(find_spec(store, name, path));
    slao_status status = slao_json_load(spec, *path);
    if (status != SLAO_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}

static slao_status need_journal(slao_store *store) {
    SLAO_TRY(slao_store_check_lock(store));
    return store->journal.fd < 0 ? slao_journal_open(&store->journal, store->journal_path)
                                 : SLAO_OK;
}

slao_status slao_store_journal(slao_store *store, const cJSON *event) {
    SLAO_TRY(need_journal(store));
    return slao_journal_append(&store->journal, event);
}

slao_status slao_store_journal_size(slao_store *store, size_t *size) {
    SLAO_TRY(need_journal(store));
    return slao_journal_size(&store->journal, size);
}
