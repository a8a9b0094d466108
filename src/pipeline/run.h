// `gtap run`: inputs -> store, with the engine between. Three kinds of threads, each owning its
// state, joined by base/queue.h:
//
//   source (one per input)   reads and decodes into batches         -> inbox of the meter
//   meter (the caller's)     shards, engines, settlement            -> inbox of the writer
//   writer                   the store's only writer; one commit for what has come in -> meter
//
// A batch travels source -> meter -> writer -> meter -> source and is reused, so memory is bounded
// by the number of batches. The writer says which records are new; only these reach the engine;
// what the engine computes goes out with the next commit, together with how far it has read. So
// after a crash at any moment the store says exactly where to go on (pipeline/rebuild.h).
#pragma once

#include <stdatomic.h>

#include "base/error.h"
#include "base/metric.h"
#include "base/time.h"
#include "cost/settings.h"
#include "input/input.h"
#include "output/store.h"

// How one of the inputs fares.
struct run_source {
    const char *name, *about;
    bool live, ended;
    bool joined;      // false: it owns shards, and has not been told yet which
    uint64_t records; // and dead letters that came from it in this run
    struct input_health health;
};

// How the store fares: what it cannot take for now is tried again, for as long as it takes.
struct run_store {
    bool ok;
    int64_t since; // wall time, ns: when `ok` became what it is
    uint64_t retries;
    char error[ERROR_MSG_MAX]; // of the last failure, also when it is over; "": none
};

struct run_progress {
    uint64_t records; // stored as new by this run, both kinds
    uint64_t samples, usages;
    uint64_t tokens; // of the usage records: prompt + completion
    uint64_t duplicates, conflicts, expired, dead_letters, late, unplaced; // expired: came too late
    uint64_t refused;                                                      // by the store
    int64_t input_done, input_total; // bytes or records over all finite inputs; total -1 unknown
    int64_t newest;                  // newest event time; INT64_MIN: none
    int64_t frontier;                // final until; INT64_MIN: none
    int64_t settling;                // ns of event time waiting to be settled
    bool opening;                    // the store or what it says is not here yet: see `store`
    bool ending;                     // all inputs ended: finishing windows
    bool draining;                   // told to stop
    bool writer_moves;               // the thread that commits does; a slow store is no standstill
    uint32_t shards;                 // whose engines are here
    uint64_t turned_away;            // records that a sink had no room for: their sender was told,
    uint64_t dropped;                // or there is none
    struct run_store store;
    const struct metric_list *metrics; // borrowed, like sources; NULL: none
    const struct run_source *sources;  // borrowed, for the call of progress()
    size_t n_sources;
};

struct run_config {
    const char *const *inputs; // URI texts
    size_t n_inputs;
    const char *output;    // "sqlite:PATH", "memory:", or a sink, without an engine: "kafka://..."
    const char *spool_dir; // of a sink that may be away (output/sink.h); NULL: none
    int64_t spool_limit;   // bytes; 0: as many as are good
    int64_t gather_ns;     // a sink is given what live inputs bring this often; 0: as it comes
    struct settings settings; // what this run is told; effective_from is found out
    unsigned settings_given;  // which of it (enum setting); a store that has others keeps the rest
    uint32_t shards;          // 0: as the store has it
    bool until_end;           // stop when the finite inputs are exhausted, all final and settled
    // A live trickle is committed this often; 0: as it comes, and computed rows every 200 ms.
    int64_t commit_interval_ns;
    int64_t retain_ns[4]; // by enum store_collection; 0: keep for ever
    // Where dead letters go beside the store: all that a commit has put there, the records that the
    // store refused included, after it and before anything of it counts as stored. An error is
    // treated like one of the store. Called on the writer's thread. publish NULL: nowhere.
    struct {
        int (*publish)(void *ctx, const struct dead_letter *letters, size_t n, struct error *err);
        void *ctx;
    } letters;
    bool wait_for_store;            // also to be there at the start; else that is an error
    int64_t retry_ns, retry_max_ns; // the first wait after a failure, the longest; 0: 1 s, 10 s
    int64_t drain_ns;               // how long a stop tries to write; 0: 16 s
    int64_t claim_ns;               // how long to wait for shards that others have; 0: 20 s
    int64_t audit_ns;               // after a takeover, see pipeline/shards.h; 0: 60 s
    // Clock, environment; stop_fd is the caller's: readable = stop. env.http is the caller's too:
    // it is started once the inputs have added their routes, and stopped before they go.
    struct input_env env;
    // Called on the meter's thread: about once a second, and at the end. May be NULL.
    void (*progress)(void *ctx, const struct run_progress *p);
    // Something a person should know once, without '\n': "settings differ ...". May be NULL.
    void (*notice)(void *ctx, const char *text);
    void *ctx;
};

// Runs until the inputs end (all are finite, or until_end), stop_fd becomes readable, or an error.
// After a stop everything read is stored and computed as far as it is final, and what came late is
// settled, if that takes no more than seconds. While the store is away all of it waits; a stop
// gives up on it after drain_ns, and that is an error, unless every input keeps what was not
// stored, which a notice says. *ret, when not NULL, gets the last progress, also on error:
// ret->records are stored and safe.
int run_pipeline(const struct run_config *c, struct run_progress *ret, struct error *err)
    GTAP_CHECK;
