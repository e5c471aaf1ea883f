#include "cli/document.h"

#include <stdio.h>
#include <stdlib.h>

slao_status slao_document_new(cJSON **root) {
    *root = cJSON_CreateObject();
    return *root ? SLAO_OK : slao_fail(SLAO_NO_RESOURCE, "out of memory for a JSON document");
}

slao_status slao_document_print(cJSON *root, slao_status filled) {
    char *text = NULL;
    slao_status status = filled;
    if (status == SLAO_OK)
        status = slao_json_print(&text, root);
    if (status == SLAO_OK)
        puts(text); /* main checks what stdout took */
    free(text);
    cJSON_Delete(root);
    return status;
}
