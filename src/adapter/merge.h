/* Merge rules: how adapters of several tasks, in the order given, become the one that is evaluated.
 *
 * A rule is one row of a table, and has one of two forms:
 *
 *   step   merged(i) out of merged(i-1), finetuned(i) and a few numbers of state; merged(1) is
 *          finetuned(1). The whole list is a fold of the step (slao_merge_list).
 *   list   merged out of finetuned(1) .. finetuned(n) at once.
 *
 * With D_t = s_t B_t A_t the change that adapter t makes to a weight, rules see
 *
 *   factors: A and B by themselves; all adapters must have the same rank and scale at each site.
 *   changes: D_t; ranks and scales may differ. Where algebra allows, D_t stays factored, and the
 *            result's rank is the sum of the ranks (at most the smaller side of the weight).
 *
 * Rules, by the formulas of their papers, site by site:
 *
 *   asymmetric        SLAO (arXiv 2512.23017), step, factors. Option merge: B (SLAO): A_m <- A_ft,
 *                     B_m <- B_m + lambda(i) (B_ft - B_m); A: the other way round; both: both.
 *   average           step, changes: the running mean, D_m <- D_m + (D_i - D_m) / i.
 *   task-arithmetic   list, changes: l sum D_t (Ilharco et al., arXiv 2212.04089); option scale: l.
 *   ties, dare, dare-ties, magnitude-prune, magmax
 *                     list, entry by entry (adapter/entries.h). Option space: delta merges the D_t,
 *                     exactly: the result is of full rank (slao_lora_new_change), as no smaller one
 *                     holds it; factors merges A and B by themselves, as add_weighted_adapter of
 *                     PEFT does, and keeps the rank. Options density and scale.
 *   knots             list, changes: in a common basis (merge_knots.c); options inside (ties or
 *                     mean), density, scale. The result's rank is that of all changes together.
 *   lora-lego         list, changes: clusters of rank-one units (merge_lego.c), as many as the rank
 *                     asked for (the first adapter's, if none is); option reweight.
 *   opcm              step, changes: what lies along the merged change is taken out of the new one
 *                     (merge_opcm.c); option threshold. State: l_{t-1}, and the sum of the norms.
 *
 * TIES and its kind trim each tensor by itself (PEFT), not the whole model at once.
 * Nothing here draws random numbers but by streams of (seed, tensor name), so results depend on
 * what is merged alone.
 */
#ifndef SLAO_ADAPTER_MERGE_H
#define SLAO_ADAPTER_MERGE_H

#include "adapter/lora.h"
#include "base/setting.h"

typedef struct slao_merge_rule slao_merge_rule;

enum { SLAO_MAX_MERGE_OPTIONS = 8, SLAO_MERGE_STATE = 2 };

/* A rule with its options set; values[k] is the canonical text of rule->options[k]. */
typedef struct {
    const slao_merge_rule *rule;
    const char *values[SLAO_MAX_MERGE_OPTIONS];
    uint64_t seed; /* of the rules that draw random numbers */
    int64_t rank;  /* the rank that is wanted, or 0: lora-lego makes it, other rules don't look
                      (adapter/spectrum.h truncates what they make) */
} slao_merge_choice;

/* When a step is taken. */
typedef struct {
    int64_t i;                  /* the number of the task that is merged in, >= 2 */
    double lambda;              /* lambda(i), for rules that use it */
    const double *site_lambdas; /* lambda(i) of each site instead, or NULL */
} slao_merge_moment;

/* What a step rule carries along beside the merged adapter. Whatever it holds at i = 2 is not read:
 * a step makes it from finetuned(1) there. */
typedef struct {
    double values[SLAO_MERGE_STATE];
} slao_merge_state;

struct slao_merge_rule {
    const char *name, *help;
    bool uses_lambda;
    const slao_setting *options; /* ends in a row without a key */
    /* One of the two; *merged is new, the inputs have been checked to have the same sites. */
    slao_status (*step)(slao_lora **merged, const slao_merge_choice *choice,
                        const slao_merge_moment *moment, const slao_lora *last,
                        const slao_lora *finetuned, slao_merge_state *state);
    slao_status (*list)(slao_lora **merged, const slao_merge_choice *choice,
                        const slao_lora *const *adapters, int64_t n);
};

extern const slao_merge_rule slao_merge_rules[];               /* ends in a row without a name */
const slao_merge_rule *slao_merge_rule_find(const char *name); /* NULL if there is none */

/* The rule called `name`, every option at its default, seed 0. An unknown name is SLAO_BAD_INPUT
 * with the nearest one; `path` says where it stood. */
slao_status slao_merge_choose(slao_merge_choice *choice, const char *name, const char *path);

/* Sets option `key` to `value`, made canonical (base/setting.h). An unknown key is SLAO_BAD_INPUT.
 */
slao_status slao_merge_set(slao_merge_choice *choice, const char *key, const char *value,
                           slao_arena *arena, const char *path);

/* The rules with their options, a line or more each, for help texts; the caller frees *text. */
slao_status slao_merge_help(char **text);

/* One step of a rule that has the step form: merged(i), which is new, out of merged(i-1) = `last`
 * and finetuned(i); `state` becomes the state after it. Adapters that do not fit together, or
 * hold what is no finite number, are SLAO_BAD_INPUT. */
slao_status slao_merge_step(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_merge_moment *moment, const slao_lora *last,
                            const slao_lora *finetuned, slao_merge_state *state);

/* All of finetuned(1) .. finetuned(n), n >= 1, by a rule of either form. lambdas[i-1] is lambda(i);
 * NULL for a rule that does not use it. *merged is new. Adapters that do not fit together are
 * SLAO_BAD_INPUT: "adapter 2" is adapters[1]. */
slao_status slao_merge_list(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_lora *const *adapters, int64_t n, const double *lambdas);

/* sum_t weights[t] D_t as pairs side by side, of scale 1: the rank is the sum of the ranks, or the
 * smaller side of the weight where that is less. */
slao_status slao_merge_sum(slao_lora **sum, const slao_lora *const *adapters, int64_t n,
                           const double *weights);

#endif
