/* ROUGE-L of one output against its reference, as the rouge-score package computes it with
 * stemming.
 *
 * C.-Y. Lin, "ROUGE: A package for automatic evaluation of summaries", 2004. Words are the runs of
 * a-z and 0-9 of the text in lower case; those of more than three characters are stemmed
 * (learn/porter.h). With the longest common subsequence of both texts' words,
 *
 *   precision = lcs / words of the output    recall = lcs / words of the reference
 *   F1 = 2 precision recall / (precision + recall)
 *
 * and 0 where either text has no word.
 */
#ifndef SLAO_LEARN_ROUGE_H
#define SLAO_LEARN_ROUGE_H

#include "base/status.h"

/* F1 of the output, `size` bytes (NULs are text), against the reference. */
slao_status slao_rouge_l(const char *output, size_t size, const char *reference, double *f1);

#endif
