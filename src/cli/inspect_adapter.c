/* slao inspect of an adapter: its modules, ranks and size. */
#include "adapter/peft.h"
#include "base/memory.h"
#include "cli/document.h"
#include "cli/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t first_layer, last_layer, least_rank, most_rank;
    double least_scale, most_scale, norm;
    char modules[128];
    char *base;
} adapter_facts;

static slao_status gather(adapter_facts *facts, const slao_lora *lora, const char *folder) {
    const slao_site *first = &lora->sites[0];
    *facts = (adapter_facts){.first_layer = first->layer,
                             .last_layer = lora->sites[lora->n_sites - 1].layer,
                             .least_rank = first->rank,
                             .most_rank = first->rank,
                             .least_scale = first->scale,
                             .most_scale = first->scale};
    for (int64_t i = 1; i < lora->n_sites; i++) {
        const slao_site *site = &lora->sites[i];
        facts->least_rank = site->rank < facts->least_rank ? site->rank : facts->least_rank;
        facts->most_rank = site->rank > facts->most_rank ? site->rank : facts->most_rank;
        facts->least_scale = site->scale < facts->least_scale ? site->scale : facts->least_scale;
        facts->most_scale = site->scale > facts->most_scale ? site->scale : facts->most_scale;
    }
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        size_t used = strlen(facts->modules);
        if (lora->settings.targets[module])
            snprintf(facts->modules + used, sizeof facts->modules - used, "%s%s", used ? " " : "",
                     slao_module_name(module));
    }
    SLAO_TRY(slao_lora_norm(lora, &facts->norm));
    return slao_peft_base(&facts->base, folder);
}

static slao_status fill_json(cJSON *root, const slao_lora *lora, const adapter_facts *facts) {
    SLAO_TRY(slao_json_add_text(root, "kind", "adapter"));
    SLAO_TRY(slao_json_add_text(root, "base_model", facts->base));
    cJSON *names = cJSON_CreateArray();
    SLAO_TRY(slao_json_add(root, "modules", names));
    for (slao_module module = 0; module < SLAO_N_MODULES; module++) {
        if (lora->settings.targets[module])
            SLAO_TRY(slao_json_add_text(names, "", slao_module_name(module)));
    }
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"sites", (double)lora->n_sites},          {"first_layer", (double)facts->first_layer},
        {"last_layer", (double)facts->last_layer}, {"rank_least", (double)facts->least_rank},
        {"rank_most", (double)facts->most_rank},   {"scale_least", facts->least_scale},
        {"scale_most", facts->most_scale},         {"dropout", lora->settings.dropout},
        {"parameters", (double)lora->n_values},    {"norm", facts->norm},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        SLAO_TRY(slao_json_add_real(root, numbers[i].key, numbers[i].value));
    return slao_json_add(root, "rslora", cJSON_CreateBool(lora->settings.rslora));
}

static slao_status print_json(const slao_lora *lora, const adapter_facts *facts) {
    cJSON *root;
    SLAO_TRY(slao_document_new(&root));
    return slao_document_print(root, fill_json(root, lora, facts));
}

static void print_text(const slao_lora *lora, const adapter_facts *facts) {
    printf("base model     %s\n", *facts->base ? facts->base : "not named");
    printf("modules        %s; %lld in layers %lld to %lld\n", facts->modules,
           (long long)lora->n_sites, (long long)facts->first_layer, (long long)facts->last_layer);
    if (facts->least_rank == facts->most_rank)
        printf("rank           %lld\n", (long long)facts->least_rank);
    else
        printf("rank           %lld to %lld\n", (long long)facts->least_rank,
               (long long)facts->most_rank);
    if (facts->least_scale == facts->most_scale)
        printf("scale          %g%s\n", facts->least_scale,
               lora->settings.rslora ? " (rsLoRA)" : "");
    else
        printf("scale          %g to %g%s\n", facts->least_scale, facts->most_scale,
               lora->settings.rslora ? " (rsLoRA)" : "");
    printf("dropout        %g\n", lora->settings.dropout);
    printf("parameters     %lld\n", (long long)lora->n_values);
    printf("norm           %g of the change to the weights\n", facts->norm);
}

slao_status slao_inspect_adapter(const char *folder, bool json) {
    slao_lora *lora;
    adapter_facts facts;
    SLAO_TRY(slao_peft_load(&lora, folder, NULL));
    slao_status status = gather(&facts, lora, folder);
    if (status == SLAO_OK && json)
        status = print_json(lora, &facts);
    else if (status == SLAO_OK)
        print_text(lora, &facts);
    free(facts.base);
    slao_lora_free(lora);
    return status;
}
