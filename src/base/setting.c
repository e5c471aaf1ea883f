#include "base/setting.h"

#include "base/number.h"

#include <string.h>

int slao_setting_find(const slao_setting *settings, const char *key) {
    for (int k = 0; settings[k].key; k++) {
        if (strcmp(settings[k].key, key) == 0)
            return k;
    }
    return -1;
}

static slao_status read_choice(const char **canonical, const slao_setting *setting,
                               const char *value, const char *path) {
    for (const char *const *name = setting->choices; *name; name++) {
        if (strcmp(*name, value) == 0) {
            *canonical = *name;
            return SLAO_OK;
        }
    }
    const char *nearest = slao_nearest(value, setting->choices);
    return slao_fail(SLAO_BAD_INPUT, "%s: %s cannot be \"%s\"%s%s%s (%s)", path, setting->key,
                     value, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "", setting->help);
}

slao_status slao_setting_read(const char **canonical, const slao_setting *setting,
                              const char *value, slao_arena *arena, const char *path) {
    if (setting->choices)
        return read_choice(canonical, setting, value, path);
    double number;
    if (!slao_number_parse(&number, value))
        return slao_fail(SLAO_BAD_INPUT, "%s: %s must be a number, not \"%s\" (%s)", path,
                         setting->key, value, setting->help);
    if (!(number >= setting->least && number <= setting->most))
        return slao_fail(SLAO_BAD_INPUT, "%s: %s is %s, but must lie between %g and %g (%s)", path,
                         setting->key, value, setting->least, setting->most, setting->help);
    char *text;
    SLAO_TRY(slao_arena_take(arena, &text, SLAO_NUMBER_TEXT, 1));
    slao_number_text(text, number);
    *canonical = text;
    return SLAO_OK;
}

double slao_setting_number(const char *canonical) {
    double number = 0;
    SLAO_INVARIANT(slao_number_parse(&number, canonical));
    return number;
}

int slao_setting_choice(const slao_setting *setting, const char *canonical) {
    for (int i = 0; setting->choices[i]; i++) {
        if (strcmp(setting->choices[i], canonical) == 0)
            return i;
    }
    slao_invariant_broken("a canonical value is one of the choices", __FILE__, __LINE__);
}
