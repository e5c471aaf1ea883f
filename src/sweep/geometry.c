#include "sweep/geometry.h"

#include "base/memory.h"
#include "continual/analysis.h"

#include <stdlib.h>

/* Values by site as layers x modules: sites are ordered by layer, and all layers have the same. */
static slao_status add_by_layer(cJSON *record, const char *key, const slao_lora *lora,
                                const double *values) {
    SLAO_TRY(slao_json_add(record, key, cJSON_CreateArray()));
    cJSON *layers = slao_json_find(record, key), *layer = NULL;
    for (int64_t i = 0; i < lora->n_sites; i++) {
        if (i == 0 || lora->sites[i].layer != lora->sites[i - 1].layer) {
            layer = cJSON_CreateArray();
            SLAO_TRY(slao_json_add(layers, key, layer));
        }
        SLAO_TRY(slao_json_add_real(layer, key, values[i]));
    }
    return SLAO_OK;
}

slao_status slao_geometry_record_change(cJSON *record, const slao_lora *start,
                                        const slao_lora *finetuned) {
    double *orthogonality;
    size_t n = (size_t)start->n_sites;
    SLAO_TRY(slao_allocate(&orthogonality, 3 * n, sizeof *orthogonality));
    double *interference_a = orthogonality + n, *interference_b = interference_a + n;
    slao_orthogonality_error(start, orthogonality);
    slao_interference(start, finetuned, interference_a, interference_b);
    double moved;
    slao_status status = slao_distance_from(start, finetuned, &moved);
    if (status == SLAO_OK)
        status = slao_json_add(record, "distance_from_start", cJSON_CreateDoubleArray(&moved, 1));
    if (status == SLAO_OK)
        status = add_by_layer(record, "orthogonality", start, orthogonality);
    if (status == SLAO_OK)
        status = add_by_layer(record, "interference_a", start, interference_a);
    if (status == SLAO_OK)
        status = add_by_layer(record, "interference_b", start, interference_b);
    free(orthogonality);
    return status;
}

slao_status slao_geometry_record_gradients(cJSON *record, const slao_lora *lora,
                                           const slao_training *training) {
    double *a;
    size_t n = (size_t)lora->n_sites;
    SLAO_TRY(slao_allocate(&a, 2 * n, sizeof *a));
    double *b = a + n;
    for (size_t i = 0; i < n; i++) {
        a[i] = training->gradient_norms[2 * i];
        b[i] = training->gradient_norms[2 * i + 1];
    }
    slao_status status = add_by_layer(record, "gradient_a", lora, a);
    if (status == SLAO_OK)
        status = add_by_layer(record, "gradient_b", lora, b);
    if (status == SLAO_OK)
        status = slao_json_add_real(record, "gradient_norm_a", training->gradient_norm_a);
    if (status == SLAO_OK)
        status = slao_json_add_real(record, "gradient_norm_b", training->gradient_norm_b);
    free(a);
    return status;
}

slao_status slao_geometry_record_sites(cJSON *record, const char *key, const slao_lora *lora,
                                       const double *values) {
    return add_by_layer(record, key, lora, values);
}

slao_status slao_geometry_record_distance(cJSON *record, const slao_lora *lora) {
    double distance;
    SLAO_TRY(slao_distance(lora, &distance));
    return slao_json_add_real(record, "distance", distance);
}
