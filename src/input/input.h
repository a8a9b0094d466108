// An input brings records in. Each runs on a thread of its own (pipeline/source.h), which calls
// next() over and over; everything else about threads, queues and back-pressure is the pipeline's.
//
// Every record has an event_id when it leaves an input: the producer's own, or one made from where
// the record stands ("day.ndjson#5f0c21aa:000000041204"), so that reading the same thing again
// makes the same ids. Generated inputs (trace:, synthetic:, seed:) are functions of their options:
// the same options give the same records and ids, so they too go on where they stopped.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"
#include "base/uri.h"
#include "model/record.h"

struct input;
struct http_server;
struct fetch_ops;
struct kafka_settings;

// What happens to the shards that an input owns for a time (a Kafka consumer's partitions). A batch
// that says so holds no records and takes a position of its own; what came before it is about the
// shards as they were. input_stored() with its position is the answer that it has been dealt with:
// shards taken have their engines, those that are left have everything stored and have none. The
// first assignment is told even when it is of no shard: the input has joined.
enum batch_change {
    SHARDS_SAME,
    SHARDS_TAKEN, // these are owned now, beside those owned before
    SHARDS_LEFT,  // these are not, once this was answered
    SHARDS_LOST,  // these are not any more: somebody else may have them already
};

// What next() fills: owned by the caller, emptied by it before each call.
struct batch {
    struct arena arena; // holds all strings of the records
    struct record *records;
    struct str *payloads; // per record, as received; absent for generated ones
    size_t n_records, cap_records;
    struct dead_letter *dead; // refused: in the order of their positions
    size_t n_dead, cap_dead;
    int64_t position; // records + dead letters delivered by this input so far, this batch included
    int64_t offset;   // bytes consumed so far; -1 where that means nothing
    enum batch_change change;
    uint32_t *shards; // of the change; in the arena
    size_t n_shards;
};

enum { BATCH_RECORDS = 2048 }; // a batch is full at about this many records or 1 MiB

void batch_init(struct batch *b);
void batch_clear(struct batch *b);
void batch_done(struct batch *b);
struct record *batch_add(struct batch *b);           // zeroed
struct dead_letter *batch_add_dead(struct batch *b); // zeroed

// What an input may use and must obey.
struct input_env {
    const struct clock *clock;
    int64_t now_start; // wall time at which the run began, ns
    int stop_fd;       // readable once the run is stopping: blocking inputs poll it too; -1: none
    const char *(*getenv)(const char *name); // RATE, BATCH, SLEEP_SEC, GPU_SEED, HOSTNAME, ...
    struct http_server
        *http; // inputs that are sent to add their routes here in open(); may be NULL
    const struct fetch_ops *fetch;      // how pages are fetched (input/fetch.h); NULL: by libcurl
    const struct kafka_settings *kafka; // of kafka: URIs (kafka/settings.h); NULL: the URI's alone
    const struct input_driver *extra;   // one more driver, a test's; NULL: none
};

enum input_result {
    INPUT_MORE = 1, // the batch may hold records (it may be empty after a wait); call again
    INPUT_END = 0,  // finite inputs: that was all
};                  // or a negative errno with a message

enum { INPUT_ABOUT_MAX = 160 };

struct input_info {
    const char *name;     // stable over restarts: the key of its position in the store
    bool finite;          // false: live, never ends by itself
    uint64_t fingerprint; // of its beginning; 0: none
    int64_t total;        // bytes or records to come in all, for progress; -1 unknown
    bool total_is_bytes;
    // > 0: its records come with their shard, below this; it owns shards only for a time, and says
    // which (enum batch_change). Such an input is the only one of a run.
    uint32_t n_shards;
    bool keeps_position; // itself, elsewhere: no position of it is stored
    // For people: "8,819 requests of an Azure trace on 8 simulated GPUs". What a live input finds
    // out later is in input_about().
    char about[INPUT_ABOUT_MAX];
};

// uri is borrowed and outlives the input. -ENOENT, -EINVAL ... with a message that names the URI.
int input_open(const struct uri *uri, const struct input_env *env, struct input **ret,
               struct error *err) GTAP_CHECK;
void input_close(struct input *in); // accepts NULL
const struct input_info *input_info(const struct input *in);

// Goes to behind the first `records` records (and `offset` bytes where that helps). Once, before
// the first input_next(). Called only when the stored fingerprint equals this one's. -ESTALE when
// the input has become shorter than that.
int input_seek(struct input *in, int64_t records, int64_t offset, struct error *err) GTAP_CHECK;

// Everything up to `position` is durable. On the pipeline's thread, while the input's own may be in
// input_next(); between input_open() and input_close().
void input_stored(struct input *in, int64_t position);
// What became of records, for inputs that tell their sender.
enum input_fate {
    FATE_STORED,  // durable in the run's own store, or passed on
    FATE_KAFKA,   // acknowledged by Kafka
    FATE_SPOOL,   // on this machine's disk, on the way to Kafka
    FATE_REFUSED, // nowhere: there is no room for them now, and whoever sent them is to try again
};
// As input_stored(), of those since the last call, saying more.
void input_settle(struct input *in, int64_t position, enum input_fate fate);
// Whether somebody waits for that: its records are to be stored without delay.
bool input_is_awaited(const struct input *in);

// How a live input fares: it tries again by itself, for ever, and says here what is wrong.
struct input_health {
    bool ok;         // the last attempt went well, or there was none yet
    int64_t since;   // wall time, ns: when `ok` became what it is
    int64_t last_ok; // wall time of the last success; INT64_MIN: never
    uint64_t failures;
    char error[ERROR_MSG_MAX]; // of the last failure, also when it is over; "": none
};
void input_health(const struct input *in, struct input_health *ret); // thread-safe

// What it is, as far as it is known by now; info.about until it says more. Thread-safe.
void input_about(const struct input *in, char ret[INPUT_ABOUT_MAX]);

// ---- inputs that own shards (info.n_shards > 0); thread-safe ---------------------------------

// False: the process stood still for so long that others may own its shards by now. Nothing is to
// be made final until it is true again.
bool input_is_current(const struct input *in);
// The kinds (bits of 1 << enum record_kind) of which more waits to be read for this shard, so that
// what has come says nothing about how late it is.
unsigned input_behind(const struct input *in, uint32_t shard);

// Measurements of its own, for /metrics; thread-safe. See base/metric.h.
struct metric_list;
void input_metrics(const struct input *in, struct metric_list *to);

// On the input's thread, at least every 100 ms while there is no batch for input_next() to fill.
void input_idle(struct input *in);

// Waits for something to come (a live input at most about a second, less when env->stop_fd becomes
// readable) and adds it to *b. Bad records become dead letters; only a broken input is an error.
int input_next(struct input *in, struct batch *b, struct error *err) GTAP_CHECK;
