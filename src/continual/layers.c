#include "continual/layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const factors[] = {"B", "A", "both"};
enum { DEFAULT, N_FACTORS = sizeof factors / sizeof *factors, MOST_LAYERS = 1024 };

typedef struct {
    int64_t first, last;
    int factor;
} layer_range;

/* The factor named by the `length` characters at `text`, or -1. */
static int factor_named(const char *text, size_t length) {
    for (int f = 0; f < N_FACTORS; f++) {
        if (strlen(factors[f]) == length && strncmp(factors[f], text, length) == 0)
            return f;
    }
    return -1;
}

static bool read_number(const char **at, int64_t *number) {
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    long long value = strtoll(*at, &end, 10);
    *number = value;
    *at = end;
    return value < MOST_LAYERS;
}

/* "0-9:A" or "12:A", up to a comma or the end. */
static bool read_range(const char **at, layer_range *range) {
    if (!read_number(at, &range->first))
        return false;
    range->last = range->first;
    if (**at == '-') {
        ++*at;
        if (!read_number(at, &range->last))
            return false;
    }
    if (**at != ':' || range->last < range->first)
        return false;
    const char *name = ++*at;
    *at += strcspn(name, ",");
    range->factor = factor_named(name, (size_t)(*at - name));
    return range->factor >= 0;
}

static slao_status refuse(const char *text, const char *path) {
    return slao_fail(SLAO_BAD_INPUT,
                     "%s: merge cannot be \"%s\": it is A, B, both, or a list of layers such as "
                     "[{\"layers\": \"0-9\", \"merge\": \"A\"}]",
                     path, text);
}

/* The canonical text of what each layer merges. */
static slao_status write_ranges(const char **canonical, const unsigned char *of_layer,
                                slao_arena *arena) {
    enum { RANGE_TEXT = 24 };
    char *text;
    size_t used = 0;
    SLAO_TRY(slao_arena_take(arena, &text, MOST_LAYERS * (size_t)RANGE_TEXT / 2, 1));
    *text = '\0';
    for (int first = 0, next; first < MOST_LAYERS; first = next) {
        for (next = first + 1; next < MOST_LAYERS && of_layer[next] == of_layer[first];)
            next++;
        if (of_layer[first] == DEFAULT)
            continue;
        char range[RANGE_TEXT] = "";
        if (next - first > 1)
            snprintf(range, sizeof range, "-%d", next - 1);
        used += (size_t)sprintf(text + used, "%s%d%s:%s", used ? "," : "", first, range,
                                factors[of_layer[first]]);
    }
    *canonical = used ? text : factors[DEFAULT];
    return SLAO_OK;
}

slao_status slao_layers_read(const char **canonical, const char *text, slao_arena *arena,
                             const char *path) {
    int whole = factor_named(text, strlen(text));
    if (whole >= 0) {
        *canonical = factors[whole];
        return SLAO_OK;
    }
    unsigned char of_layer[MOST_LAYERS] = {0};
    bool named[MOST_LAYERS] = {false};
    const char *at = text;
    do {
        layer_range range;
        if (!read_range(&at, &range))
            return refuse(text, path);
        for (int64_t l = range.first; l <= range.last; l++) {
            if (named[l])
                return slao_fail(SLAO_BAD_INPUT, "%s: merge names layer %" PRId64 " twice", path,
                                 l);
            named[l] = true;
            of_layer[l] = (unsigned char)range.factor;
        }
    } while (*at++ == ',');
    return write_ranges(canonical, of_layer, arena);
}

slao_status slao_layers_text(const char **text, const cJSON *list, slao_arena *arena,
                             const char *path) {
    typedef struct {
        const char *layers, *merge;
    } entry;
    static const slao_json_field fields[] = {
        {"layers", SLAO_JSON_TEXT, offsetof(entry, layers), true, 0, 0},
        {"merge", SLAO_JSON_TEXT, offsetof(entry, merge), true, 0, 0},
        {0},
    };
    bool single = cJSON_IsObject(list);
    size_t count = single ? 1 : (size_t)cJSON_GetArraySize(list), length = 1;
    entry *entries;
    SLAO_TRY(slao_arena_take(arena, &entries, count + 1, sizeof *entries));
    const cJSON *item = single ? list : list->child;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!cJSON_IsObject(item))
            return slao_fail(SLAO_BAD_INPUT,
                             "%s: a list of layers holds objects such as {\"layers\": \"0-9\", "
                             "\"merge\": \"A\"}",
                             path);
        SLAO_TRY(slao_json_read(item, path, fields, false, &entries[i]));
        length += strlen(entries[i].layers) + strlen(entries[i].merge) + 2;
    }
    char *joined;
    SLAO_TRY(slao_arena_take(arena, &joined, length, 1));
    *text = joined;
    *joined = '\0';
    for (size_t i = 0; i < count; i++)
        joined += sprintf(joined, "%s%s:%s", i ? "," : "", entries[i].layers, entries[i].merge);
    return SLAO_OK;
}

const char *slao_layers_find(const char *canonical, int64_t layer) {
    int whole = factor_named(canonical, strlen(canonical));
    const char *at = canonical;
    if (whole >= 0)
        return factors[whole];
    do {
        layer_range range;
        SLAO_INVARIANT(read_range(&at, &range));
        if (layer >= range.first && layer <= range.last)
            return factors[range.factor];
    } while (*at++ == ',');
    return factors[DEFAULT];
}

int64_t slao_layers_highest(const char *canonical) {
    int64_t highest = -1;
    const char *at = canonical;
    if (factor_named(canonical, strlen(canonical)) >= 0)
        return highest;
    do {
        layer_range range;
        SLAO_INVARIANT(read_range(&at, &range));
        highest = range.last > highest ? range.last : highest;
    } while (*at++ == ',');
    return highest;
}
