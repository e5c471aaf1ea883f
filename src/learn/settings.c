#include "learn/settings.h"

#include <stddef.h>

const char *const slao_optimizer_names[] = {"adamw", NULL};
const char *const slao_rate_schedule_names[] = {"constant", "linear", "cosine", NULL};
const char *const slao_score_names[] = {"exact", "generate", "rank", "rouge_l", NULL};
