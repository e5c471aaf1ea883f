#include "data/orders.h"

#include <string.h>

const slao_published_order slao_published_orders[] = {
    {"O1", "cl_benchmark", {"dbpedia", "amazon", "yahoo", "agnews"}},
    {"O2", "cl_benchmark", {"dbpedia", "amazon", "agnews", "yahoo"}},
    {"O3", "cl_benchmark", {"yahoo", "amazon", "agnews", "dbpedia"}},
    {"O4",
     "cl_benchmark",
     {"MNLI", "CB", "WiC", "COPA", "QQP", "BoolQA", "RTE", "IMDB", "yelp", "amazon", "SST-2",
      "dbpedia", "agnews", "MultiRC", "yahoo"}},
    {"O5",
     "cl_benchmark",
     {"MultiRC", "BoolQA", "WiC", "MNLI", "CB", "COPA", "QQP", "RTE", "IMDB", "SST-2", "dbpedia",
      "agnews", "yelp", "amazon", "yahoo"}},
    {"O6",
     "cl_benchmark",
     {"yelp", "amazon", "MNLI", "CB", "COPA", "QQP", "RTE", "IMDB", "SST-2", "dbpedia", "agnews",
      "yahoo", "MultiRC", "BoolQA", "WiC"}},
    {"superni-1",
     "superni",
     {"task1572_samsum_summary", "task363_sst2_polarity_classification",
      "task1290_xsum_summarization", "task181_outcome_extraction",
      "task002_quoref_answer_generation", "task1510_evalution_relation_extraction",
      "task639_multi_woz_user_utterance_generation", "task1729_personachat_generate_next",
      "task073_commonsenseqa_answer_generation", "task1590_diplomacy_text_generation",
      "task748_glucose_reverse_cause_event_detection",
      "task511_reddit_tifu_long_text_summarization", "task591_sciq_answer_generation",
      "task1687_sentiment140_classification", "task875_emotion_classification"}},
    {"superni-2",
     "superni",
     {"task748_glucose_reverse_cause_event_detection", "task073_commonsenseqa_answer_generation",
      "task1590_diplomacy_text_generation", "task639_multi_woz_user_utterance_generation",
      "task1572_samsum_summary", "task1687_sentiment140_classification",
      "task591_sciq_answer_generation", "task363_sst2_polarity_classification",
      "task1510_evalution_relation_extraction", "task1729_personachat_generate_next",
      "task181_outcome_extraction", "task511_reddit_tifu_long_text_summarization",
      "task002_quoref_answer_generation", "task1290_xsum_summarization",
      "task875_emotion_classification"}},
    {0},
};

const slao_published_order *slao_published_order_find(const char *name) {
    for (const slao_published_order *order = slao_published_orders; order->name; order++) {
        if (strcmp(order->name, name) == 0)
            return order;
    }
    return NULL;
}
