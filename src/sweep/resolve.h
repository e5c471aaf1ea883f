/* From the text of a spec file to one JSON tree in which every setting stands: the file, what its
 * keys are by default, presets and --set in the order given, variables of the environment put in.
 *
 *   --set train.epochs=2          the value at a dotted path, replaced; below "sweep" the rest of
 *                                 the path is one key (sweep.lora.rank=[4,8]); JSON, or a bare word
 *   --set preset=small            the object presets.small laid over the spec, key by key
 *   "${SLAO_DATA}/CL_Benchmark"   in any string; a variable that is not set is an error
 *
 * Reading the tree's own text again gives the same tree.
 */
#ifndef SLAO_SWEEP_RESOLVE_H
#define SLAO_SWEEP_RESOLVE_H

#include "sweep/fields.h"

/* The keys and the types of values have been checked in what comes out, and who gave a wrong one is
 * named: the file, a preset (also one that was not asked for) or a --set. Required keys may still
 * be missing. *written is the tree as text before variables were put in. `name` is the file's, for
 * messages. The caller deletes *tree and frees *written. */
slao_status slao_resolve(cJSON **tree, char **written, const char *text, const char *name,
                         const char *const *settings, int64_t n_settings,
                         const slao_method *methods);

#endif
