/* The store: what finished steps left behind, one file each, and the journal of what happened.
 *
 *   STORE/steps/KEY.json       the record of a finished step; it appears whole
 *   STORE/adapters/KEY/        the adapter of a fine-tune or merge step, as PEFT writes it:
 *                              adapter_config.json and adapter_model.safetensors, written before
 *                              the record
 *   STORE/checkpoints/KEY      a training under way (sweep/savepoint.h)
 *   STORE/logs/KEY.log         why a step failed for good: it runs again only if it is asked for
 *   STORE/logs/KEY.tries       why it did not come to its end when it was run, but may yet or has
 *   STORE/specs/NAME.json      a sweep over it, by its results file NAME.h5 (sweep/archive.h)
 *   STORE/journal.jsonl        events, a line each (sweep/journal.h)
 *   STORE/lock                 who works in this store (sweep/lock.h)
 *
 * A record is a JSON object. All have: key, kind, task, position, started (ISO 8601 UTC), seconds,
 * tokens, mpi_rank, host, peak_memory_bytes; what computed them and what of (sweep/provenance.h):
 * version, commit, numeric_version, mpi, blas, hdf5, cpu, machine, threads, model, tokenizer; data,
 * the hashes of the examples read, by task, but for merges; seed, but for evaluations. By kind:
 *
 *   finetune  resumed_from (optimiser steps, if it went on from a savepoint), loss (per optimiser
 *             step), orthogonality, interference_a, interference_b, gradient_a,
 *             gradient_b (layers x targets, null where not defined), gradient_norm_a,
 *             gradient_norm_b, distance, adapter_hash (32 hex digits)
 *   merge     lambda (of a schedule by site the mean; null where it means nothing), lambda_by_layer
 *             (layers x targets, of a schedule by site alone), distance, adapter_hash; lambda_state
 *             and merge_state: what the next merge goes on from
 *   evaluate  score (fraction), examples, example_scores (0 to 1 each), token_exact (fraction)
 *
 * Any rank of any host reads and writes records and adapters, through the shared file system; the
 * lock and the journal are the coordinator's alone.
 */
#ifndef SLAO_SWEEP_STORE_H
#define SLAO_SWEEP_STORE_H

#include "base/hash.h"
#include "base/json.h"

typedef struct slao_store slao_store;

/* Opens (and makes) the store's folders. Opening takes no lock. */
slao_status slao_store_open(slao_store **store, const char *folder);
/* To read alone: makes nothing, and a store that is not there is an empty one. */
slao_status slao_store_look_into(slao_store **store, const char *folder);
void slao_store_close(slao_store *store); /* gives the lock back; NULL is allowed */
const char *slao_store_folder(const slao_store *store);

/* The lock (sweep/lock.h) keeps two sweeps off one store: SLAO_BAD_INPUT names the host and pid
 * that hold it. One whose holder is gone is taken over with a note; for a holder on another host
 * that takes a lease. */
slao_status slao_store_lock(slao_store *store);
/* SLAO_BROKEN if another took it over meanwhile, as it may from a sweep that stood still. */
slao_status slao_store_check_lock(const slao_store *store);
slao_status slao_store_unlock(slao_store *store);

/* Removes the record, so that the step counts as not run; one that is not there is fine. */
slao_status slao_store_forget(slao_store *store, slao_hash key);
/* Likewise what is left of runs that did not come to an end: its savepoint, log and tries. */
slao_status slao_store_forget_tries(slao_store *store, slao_hash key);

bool slao_store_has(const slao_store *store, slao_hash key);
/* The record's "key" must be `key`. A full disk gives SLAO_NO_RESOURCE and leaves no record. */
slao_status slao_store_put(slao_store *store, slao_hash key, const cJSON *record);
/* The caller deletes *record. A record that is not whole or not of this key is SLAO_BAD_INPUT. */
slao_status slao_store_get(const slao_store *store, slao_hash key, cJSON **record);

/* Keeps what the results file of the sweep of that name is made from (sweep/archive.h). */
slao_status slao_store_put_spec(slao_store *store, const char *name, const cJSON *spec);
/* What was kept under that name; if the store knows one sweep alone, it is given whatever the name.
 * *path is where it is. The caller deletes *spec and frees *path. */
slao_status slao_store_get_spec(const slao_store *store, const char *name, cJSON **spec,
                                char **path);

/* STORE/checkpoints/KEY, STORE/adapters/KEY, the folder in it of what is evaluated instead
 * (continual/tuning.h), STORE/logs/KEY.log and STORE/logs/KEY.tries; the caller frees *path. */
slao_status slao_store_checkpoint_path(const slao_store *store, slao_hash key, char **path);
slao_status slao_store_adapter_path(const slao_store *store, slao_hash key, char **path);
slao_status slao_store_evaluated_path(const slao_store *store, slao_hash key, char **path);
slao_status slao_store_log_path(const slao_store *store, slao_hash key, char **path);
slao_status slao_store_tries_path(const slao_store *store, slao_hash key, char **path);

/* Appends one event ({"event": ..., "time": ..., ...}) to the journal and fsyncs it. Only who holds
 * the lock may: SLAO_BROKEN once it is another's. */
slao_status slao_store_journal(slao_store *store, const cJSON *event);

/* Bytes of the journal so far. Only who holds the lock may ask. */
slao_status slao_store_journal_size(slao_store *store, size_t *size);

#endif
