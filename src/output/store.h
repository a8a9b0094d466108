// A store keeps everything that is true: raw records, the rows computed from them, and how far
// every input got. Three implementations (memory, SQLite, MongoDB) pass one conformance suite,
// tests/unit/output.
//
// Raw records are evidence: written once, never changed. Computed rows are replaced whole, by
// key. One store_commit() is one transaction, or, in a store that has none, a sequence of writes
// that a crash may cut short anywhere and that is right when it is repeated: records first, the
// states of shards last, so that a state never claims what is not there.
//
// A handle belongs to one thread at a time. Any number of processes may read while others write.
// Memory and SQLite have one writer; MongoDB has one a shard: see store_take_shard().
#pragma once

#include "base/error.h"
#include "cost/price.h"
#include "cost/rows.h"
#include "cost/settings.h"
#include "model/record.h"
#include "output/corrections.h"
#include "output/store_read.h"

struct store;

enum store_access {
    STORE_READ,  // reports, export, verify. -ENOENT when there is no such store
    STORE_ADMIN, // prices and settings: short writes beside a running writer; creates
    STORE_WRITE, // records and computed rows: one process at a time, others get -EBUSY, where the
                 // store has one writer; creates
};

// text: "sqlite:PATH", "mongodb://HOST/DATABASE", "memory:" or "memory:NAME" (shared by name within
// the process; for tests).
// Messages say what is the matter and what to do: not there, not ours (application id), newer
// schema, corrupt, read-only, in use by process N. An older schema is migrated when opened to
// write, refused with that advice when opened to read.
int store_open(const char *text, enum store_access access, struct store **ret, struct error *err)
    GTAP_CHECK;
void store_close(struct store *s); // accepts NULL; an open transaction is rolled back

const char *store_name(const struct store *s); // the text it was opened by, without secrets

enum store_verdict {
    STORE_NEW,       // stored; record.seq is set
    STORE_DUPLICATE, // same event_id and digest as a stored one: nothing to do
    STORE_CONFLICT,  // same event_id, other digest: the stored one stays, this one is in the dead
                     // letters, put there by the store itself
    STORE_EXPIRED,   // of time whose records were expired, so that nobody can tell any more what it
                     // costs; in the dead letters too, and what is computed of that time stays
    STORE_REFUSED,   // the store cannot hold this one (a rule of the database, its size): in the
                     // dead letters too, where there is room; `reason` says why
};

// record.seq: set by the commit; 0 before the first attempt, left as it is when the same write is
// tried again. Of a duplicate it is the stored one's where several processes write, else 0.
struct store_record {
    struct record *record;
    const struct usage_cost *provisional; // of usage; NULL: unknown
    const char *payload; // as received, for the dead letter of a conflict; NULL: re-encoded
    size_t payload_n;
    struct str origin; // the input in which record.position counts, for dead letters; or absent
    enum store_verdict verdict; // out
    struct str reason;          // out, with STORE_REFUSED: valid until the next commit
};

struct store_write {
    struct store_record *records;
    size_t n_records;
    const struct dead_letter *dead_letters;
    size_t n_dead_letters;
    const struct input_position *positions;
    size_t n_positions;
    const struct window_rows *windows;
    size_t n_windows;
    const struct correction *corrections; // set by store_commit() alone
    size_t n_corrections;
    const struct usage_cost *costs; // by seq (an event_id, if it is there, is that record's: a help
                                    // to find it); late, once true for a seq, stays true
    size_t n_costs;
    const struct shard_state *shards;
    size_t n_shards;
    // Out, room for n_shards, or NULL: lost[i] is set when shards[i] was not written, nor its
    // windows and costs from now on, since another process has taken the shard.
    bool *lost;
    const struct unsettled_range *unsettled; // replaces all ranges of the shards named in `shards`
    size_t n_unsettled;
};

// Applies all of *w in one transaction; on return it is durable. Within one write, records are
// applied in order, so a duplicate inside the batch is found too. On failure nothing of it is
// stored (without transactions: perhaps some), verdicts are undefined, and err says what to do; a
// full disk is -ENOSPC. With err->retryable (a server is away, a primary has stepped down) the same
// write is to be tried again: what was stored by the first attempt is not taken for a duplicate.
int store_commit(struct store *s, struct store_write *w, struct error *err) GTAP_CHECK;

// ---- owners ----------------------------------------------------------------------------------
//
// Where several processes write one store, each shard has one owner, who alone may write its
// windows, costs and states; raw records may come from anyone, since they are the same whoever
// writes them. Whoever takes a shard shuts the former owner out of it (by a number in its state
// that only grows), noticed or not. In a store with one writer this only reads the state.

enum shard_claim {
    SHARD_EXCLUSIVE, // -EBUSY (retryable) while another live process has it; says which
    SHARD_TAKEOVER,  // whoever has it: something else, Kafka's group, has decided that it is ours
};

struct shard_hold {
    struct shard_state state; // as the former owner left it
    bool kept; // nobody else has had it since this handle took it last: what is known of it holds
    int64_t own_seq[2]; // by enum record_kind: seqs from here on are given by this owner
    int64_t first_seq;  // all seqs of the shard are from here on; those of others may be below
};
int store_take_shard(struct store *s, uint32_t shard, enum shard_claim claim,
                     struct shard_hold *ret, struct error *err) GTAP_CHECK;

bool store_is_shared(const struct store *s); // whether it is such a store
// "I am still here", for SHARD_EXCLUSIVE of others: about every 2 s while shards are held.
int store_alive(struct store *s, struct error *err) GTAP_CHECK;

// The number of shards, fixed once records are stored: -EBUSY when n differs from what is stored
// and there are records. A new store has 1.
int store_set_shards(struct store *s, uint32_t n, struct error *err) GTAP_CHECK;

// Appends an epoch (see cost/settings.h); one with the same effective_from as the newest replaces
// it. `added_at`: wall time, ns.
int store_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                       struct error *err) GTAP_CHECK;
// Appends an entry to the price book and returns its id.
int store_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id,
                    struct error *err) GTAP_CHECK;

// Makes anew, from the rows, every copy that store_check_copies() tells of in this range; those
// that are as they must be are not written. A failure leaves some for the next time.
int store_mend_copies(struct store *s, int64_t from, int64_t to, struct error *err) GTAP_CHECK;

enum store_collection {
    STORE_GPU_METRICS,
    STORE_TOKEN_USAGE,
    STORE_COST_WINDOWS, // windows only: hours and days stay
    STORE_DEAD_LETTERS,
};
// Removes what is older than `before` (event time; dead letters: `at`), at most `limit` rows a
// call; *ret_removed says how many. Raw records that something unsettled or not final may still
// need are kept. What was removed is remembered: see store_info.raw_from.
int store_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
                 size_t *ret_removed, struct error *err) GTAP_CHECK;
