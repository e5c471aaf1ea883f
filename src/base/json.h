/* JSON through cJSON: parsing with errors that say where, and objects read by a table of fields.
 *
 * cJSON's own look-up ignores case and its integers saturate; everything here is case-sensitive and
 * goes through doubles, checked to be whole where whole numbers are asked for.
 */
#ifndef SLAO_BASE_JSON_H
#define SLAO_BASE_JSON_H

#include "base/status.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* How deep lists and objects may be nested; how many values a foreign file may hold, so that no file
 * makes us allocate much more than its size: the largest tokenizers have half as many. */
enum { SLAO_JSON_DEPTH = 500, SLAO_JSON_VALUES = 1 << 22 };

/* Parses `size` bytes of text; `//` comments to the end of a line are allowed. `name` (a file's
 * path) goes into messages as "name:line:column". Lists and objects may be nested
 * SLAO_JSON_DEPTH deep. The caller releases *root with cJSON_Delete. */
slao_status slao_json_parse(cJSON **root, const char *text, size_t size, const char *name);
slao_status slao_json_load(cJSON **root, const char *path);

/* slao_json_parse of what comes from elsewhere: text of more than SLAO_JSON_VALUES values is refused
 * before anything is allocated for them. */
slao_status slao_json_parse_foreign(cJSON **root, const char *text, size_t size, const char *name);

/* The same for a foreign file that must hold an object, in at most `most` bytes: a larger one is
 * refused before anything is allocated for it. */
slao_status slao_json_load_object(cJSON **root, const char *path, size_t most);

/* Prints without white space, numbers so that reading them gives the same bits; the caller frees
 * *text. */
slao_status slao_json_print(char **text, const cJSON *root);

/* The value of `key`, or NULL. Linear: for objects of many keys, iterate instead. */
cJSON *slao_json_find(const cJSON *object, const char *key);

typedef enum {
    SLAO_JSON_BOOL,    /* bool */
    SLAO_JSON_INTEGER, /* int64_t, within +-2^53 */
    SLAO_JSON_REAL,    /* double */
    SLAO_JSON_TEXT,    /* const char *, owned by the document */
    SLAO_JSON_ARRAY,   /* const cJSON *, an array */
    SLAO_JSON_OBJECT,  /* const cJSON *, an object */
    SLAO_JSON_ANY      /* const cJSON * */
} slao_json_kind;

/* A row: where the value of `key` goes in the struct that is filled. Numbers must lie in least ..
 * most, unless both are 0. A field whose key is absent keeps what the struct held before. */
typedef struct {
    const char *key;
    slao_json_kind kind;
    size_t offset;
    bool required;
    double least, most;
} slao_json_field;

/* Fills *into from `object` by `fields` (ended by a row without a key). `path` names the object in
 * messages ("spec.json: train"; the document itself is "spec.json: "). A value of the wrong type or
 * out of its bounds, a required key that is missing and a key that comes twice are errors; so is a
 * key without a row, unless `extra_keys` allows them (foreign files), and the message names the
 * nearest key there is. */
slao_status slao_json_read(const cJSON *object, const char *path, const slao_json_field *fields,
                           bool extra_keys, void *into);

/* One value for one row, checked and named as slao_json_read does. */
slao_status slao_json_store(const cJSON *item, const char *path, const slao_json_field *field,
                            void *into);

/* One value, checked and named as above. */
slao_status slao_json_integer(int64_t *value, const cJSON *item, const char *path);
slao_status slao_json_text(const char **value, const cJSON *item, const char *path);

/* Adds to an object under construction; they take care of cJSON's returns. NaN is written as null.
 */
slao_status slao_json_add(cJSON *object, const char *key,
                          cJSON *item); /* takes item; NULL: no memory */
slao_status slao_json_add_real(cJSON *object, const char *key, double value);
slao_status slao_json_add_text(cJSON *object, const char *key, const char *value);

#endif
