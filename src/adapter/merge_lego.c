/* LoRA-LEGO (Zhao et al., arXiv 2409.16167): the units of all adapters, row k of A together with
 * column k of B, are clustered by k-means into as many clusters as the result has ranks; the
 * centroids are the new pair.
 *
 * A unit is the vector (sqrt(s) a_k, sqrt(s) b_k), so that adapters of different scales meet on
 * equal terms. k-means++ draws the first centroids from the stream (seed, tensor name); then
 * Lloyd's iterations until no unit moves. Option reweight: norm scales each centroid to the mean
 * norm of its units, as averaging shortens it (the paper's parameter reweighting; its reweighting
 * of outputs is not done). */
#include "adapter/merge_parts.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const reweights[] = {"none", "norm", NULL};
enum { REWEIGHT_NONE };

const slao_setting slao_lego_options[] = {
    {"reweight", "scale a centroid to the mean norm of its units (norm), or not (none)", "none",
     reweights, 0, 0},
    {0},
};

enum { MOST_ITERATIONS = 300 };

typedef struct {
    int64_t n_units, n_clusters, width;
    double *units, *centroids; /* n_units x width, n_clusters x width */
    double *distances;         /* n_units: squared, to the nearest centroid */
    int64_t *cluster, *sizes;  /* of each unit; of each cluster */
} clustering;

static double squared_distance(const double *x, const double *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum;
}

static void gather_units(clustering *c, const slao_lora *const *adapters, int64_t n,
                         int64_t place) {
    double *unit = c->units;
    for (int64_t t = 0; t < n; t++) {
        const slao_site *site = &adapters[t]->sites[place];
        double root = sqrt(fabs(site->scale)), sign = site->scale < 0 ? -1 : 1;
        for (int64_t k = 0; k < site->rank; k++, unit += c->width) {
            for (int64_t j = 0; j < site->d_in; j++)
                unit[j] = sign * root * (double)site->a[k * site->d_in + j];
            for (int64_t i = 0; i < site->d_out; i++)
                unit[site->d_in + i] = root * (double)site->b[i * site->rank + k];
        }
    }
}

/* A unit, each with a probability in proportion to its squared distance from the nearest centroid;
 * -1 if all of them are centroids. */
static int64_t draw_far_unit(const clustering *c, slao_random *random) {
    double sum = 0;
    for (int64_t i = 0; i < c->n_units; i++)
        sum += c->distances[i];
    double left = slao_random_uniform(random) * sum;
    int64_t last = -1;
    for (int64_t i = 0; i < c->n_units; i++) {
        if (c->distances[i] <= 0)
            continue;
        last = i;
        left -= c->distances[i];
        if (left < 0)
            break;
    }
    return last;
}

/* k-means++ (Arthur and Vassilvitskii, 2007). Fewer clusters come out of fewer different units. */
static void seed_centroids(clustering *c, slao_random *random) {
    int64_t chosen = (int64_t)slao_random_below(random, (uint64_t)c->n_units);
    int64_t wanted = c->n_clusters;
    for (int64_t i = 0; i < c->n_units; i++)
        c->distances[i] = INFINITY;
    for (c->n_clusters = 0; c->n_clusters < wanted && chosen >= 0; c->n_clusters++) {
        double *centroid = c->centroids + c->n_clusters * c->width;
        memcpy(centroid, c->units + chosen * c->width, (size_t)c->width * sizeof *centroid);
        for (int64_t i = 0; i < c->n_units; i++) {
            double distance = squared_distance(c->units + i * c->width, centroid, c->width);
            if (distance < c->distances[i])
                c->distances[i] = distance;
        }
        chosen = draw_far_unit(c, random);
    }
}

static bool assign_units(clustering *c) {
    bool moved = false;
    for (int64_t i = 0; i < c->n_units; i++) {
        int64_t best = 0;
        double least = INFINITY;
        for (int64_t k = 0; k < c->n_clusters; k++) {
            double distance =
                squared_distance(c->units + i * c->width, c->centroids + k * c->width, c->width);
            if (distance < least) {
                least = distance;
                best = k;
            }
        }
        moved = moved || c->cluster[i] != best;
        c->cluster[i] = best;
    }
    return moved;
}

/* A cluster that lost all its units keeps its centroid. */
static void move_centroids(clustering *c) {
    memset(c->sizes, 0, (size_t)c->n_clusters * sizeof *c->sizes);
    for (int64_t i = 0; i < c->n_units; i++)
        c->sizes[c->cluster[i]]++;
    for (int64_t k = 0; k < c->n_clusters; k++) {
        if (c->sizes[k] > 0)
            memset(c->centroids + k * c->width, 0, (size_t)c->width * sizeof *c->centroids);
    }
    for (int64_t i = 0; i < c->n_units; i++) {
        double *centroid = c->centroids + c->cluster[i] * c->width;
        for (int64_t j = 0; j < c->width; j++)
            centroid[j] += c->units[i * c->width + j] / (double)c->sizes[c->cluster[i]];
    }
}

static void restore_norms(clustering *c) {
    for (int64_t k = 0; k < c->n_clusters; k++) {
        double *centroid = c->centroids + k * c->width, mean = 0, norm = 0;
        for (int64_t j = 0; j < c->width; j++)
            norm += centroid[j] * centroid[j];
        for (int64_t i = 0; i < c->n_units; i++) {
            double squares = 0;
            for (int64_t j = 0; j < c->width && c->cluster[i] == k; j++)
                squares += c->units[i * c->width + j] * c->units[i * c->width + j];
            mean += sqrt(squares);
        }
        if (norm > 0 && c->sizes[k] > 0) {
            double factor = mean / (double)c->sizes[k] / sqrt(norm);
            for (int64_t j = 0; j < c->width; j++)
                centroid[j] *= factor;
        }
    }
}

static slao_status make_pair(const clustering *c, const slao_site *site, slao_merge_pair *pair) {
    SLAO_TRY(slao_merge_pair_new(pair, c->n_clusters, site->d_out, site->d_in));
    for (int64_t k = 0; k < c->n_clusters; k++) {
        const double *centroid = c->centroids + k * c->width;
        for (int64_t j = 0; j < site->d_in; j++)
            pair->a[k * site->d_in + j] = (float)centroid[j];
        for (int64_t i = 0; i < site->d_out; i++)
            pair->b[i * c->n_clusters + k] = (float)centroid[site->d_in + i];
    }
    return SLAO_OK;
}

static slao_status merge_site(const slao_lora *const *adapters, int64_t n, int64_t place,
                              const slao_merge_choice *choice, slao_merge_pair *pair) {
    const slao_site *first = &adapters[0]->sites[place];
    clustering c = {.width = first->d_in + first->d_out,
                    .n_clusters = choice->rank > 0 ? choice->rank : first->rank};
    for (int64_t t = 0; t < n; t++)
        c.n_units += adapters[t]->sites[place].rank;
    if (c.n_clusters > c.n_units)
        c.n_clusters = c.n_units;
    size_t n_units = (size_t)c.n_units, n_clusters = (size_t)c.n_clusters;
    SLAO_TRY(slao_allocate(&c.units, (n_units + n_clusters) * (size_t)c.width + n_units,
                           sizeof *c.units));
    c.centroids = c.units + c.n_units * c.width;
    c.distances = c.centroids + c.n_clusters * c.width;
    slao_status status = slao_allocate(&c.cluster, n_units + n_clusters, sizeof *c.cluster);
    if (status == SLAO_OK) {
        c.sizes = c.cluster + c.n_units;
        for (int64_t i = 0; i < c.n_units; i++)
            c.cluster[i] = -1;
        char name[SLAO_LORA_NAME];
        slao_lora_tensor_name(name, first, 'A');
        slao_random random = slao_random_stream(choice->seed, "lego", name, 0);
        gather_units(&c, adapters, n, place);
        seed_centroids(&c, &random);
        for (int i = 0; i < MOST_ITERATIONS && assign_units(&c); i++)
            move_centroids(&c);
        if (slao_merge_name(choice, "reweight") != REWEIGHT_NONE)
            restore_norms(&c);
        status = make_pair(&c, first, pair);
    }
    free(c.cluster);
    free(c.units);
    return status;
}

slao_status slao_merge_lego(slao_lora **merged, const slao_merge_choice *choice,
                            const slao_lora *const *adapters, int64_t n) {
    return slao_merge_by_site(merged, choice, adapters, n, merge_site);
}
