/* Initialisation rules: where the LoRA pair of a task starts from.
 *
 * A rule is one row of a table. Kaiming is uniform(a = sqrt 5), that is within +-1/sqrt(d_in) (Hu
 * et al., 2021; PEFT's default). Q is the basis of QR(A^T) = Q R with diag(R) > 0, so that
 * Q^T Q = I; c is slao_start.row_scale, 1 unless asked for.
 *
 *   fresh                 A Kaiming, B = 0; the stream is (seed, tensor name): every first task,
 *                         and every task that is trained alone
 *   random                the same, but drawn anew for each task: the task's name is in the stream
 *   zero                  A = 0, B = the last B: the function starts at the base model
 *   previous              the last pair as it is (SeqLoRA)
 *   last-ft               SLAO (arXiv 2512.23017): A = c Q^T of the last fine-tuned A, B = the last
 *                         fine-tuned B, not the merged one. It drops R: the function jumps at the
 *                         start of a task.
 *   last-merge            the same from the merged pair (the paper's ablation)
 *   random-orthonormal    A = c times random orthonormal rows (Q^T of a Gaussian matrix from the
 *                         stream (seed, tensor name, task)), B = the last B
 *   function-preserving   A = c Q^T, B = B_last R^T / c: B A is what it was
 */
#ifndef SLAO_ADAPTER_START_H
#define SLAO_ADAPTER_START_H

#include "adapter/lora.h"
#include "linalg/team.h"

/* Who decomposes an A: LAPACK, the sites spread over the members of a team; or ScaLAPACK, all
 * members together on one site after the other. By itself it is the faster one
 * (slao_team_decomposes), and LAPACK without a team. */
typedef enum { SLAO_QR_AUTO, SLAO_QR_LAPACK, SLAO_QR_SCALAPACK } slao_qr_way;
extern const char *const slao_qr_way_names[];   /* "auto", "lapack", "scalapack", NULL */
slao_qr_way slao_qr_way_find(const char *name); /* one of the names */

/* Which adapter of the task before a rule starts from. */
typedef enum { SLAO_FROM_NOTHING, SLAO_FROM_FINETUNED, SLAO_FROM_MERGED } slao_start_source;

typedef struct {
    const slao_lora *last; /* of the shape of the new one; NULL for SLAO_FROM_NOTHING */
    const char *task;
    uint64_t seed;
    slao_qr_sign sign; /* this and the next are read by rules with orthonormal rows alone */
    double row_scale;  /* c, greater than 0 */
    slao_qr_way qr;
    slao_team *team; /* that all members of call the rule; NULL: alone, and never by ScaLAPACK */
} slao_start;

typedef struct {
    const char *name, *help;
    const char *key; /* what keys of steps call it: equal where two rules compute the same */
    slao_start_source source;
    bool orthonormal;                                             /* reads sign and row_scale */
    slao_status (*set)(slao_lora *lora, const slao_start *start); /* sets the values of `lora` */
} slao_start_rule;

extern const slao_start_rule slao_start_rules[];               /* ends in a row without a name */
const slao_start_rule *slao_start_rule_find(const char *name); /* NULL if there is none */

#endif
