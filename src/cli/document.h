/* The JSON document that a command prints under --json: made, filled, printed on stdout.
 *
 *   cJSON *root;
 *   SLAO_TRY(slao_document_new(&root));
 *   return slao_document_print(root, fill(root, ...));
 */
#ifndef SLAO_CLI_DOCUMENT_H
#define SLAO_CLI_DOCUMENT_H

#include "base/json.h"

/* An empty object. */
slao_status slao_document_new(cJSON **root);

/* Prints it, unless `filled`, the status of what filled it, is a failure; frees it in any case.
 * Returns the first failure. */
slao_status slao_document_print(cJSON *root, slao_status filled);

#endif
