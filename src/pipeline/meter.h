// The middle of `gtap run`: takes what the sources read, has it stored, feeds the engines with what
// was new, and sends what they find after it. Everything here happens on one thread.
#pragma once

#include "pipeline/gauges.h"
#include "pipeline/patience.h"
#include "pipeline/run.h"
#include "pipeline/shards.h"
#include "pipeline/source.h"
#include "pipeline/writer.h"

struct meter {
    const struct run_config *config;
    struct store *store;
    struct arena told; // owns what `settings` and `prices` point to
    struct settings_history settings;
    struct price_book prices;
    struct arena price_arena; // of a book read later
    struct provisional *provisional;
    struct shard *shards;
    uint32_t n_shards;
    struct source *owner; // the input that owns shards for a time; NULL: there is none
    struct buried *buried;
    size_t n_buried, cap_buried;
    struct source *sources;
    struct run_source *states; // of the sources, as last told
    size_t n_sources;

    struct queue *inbox; // parcels from the sources and from the writer
    struct queue *writer_queue;
    struct writer *writer;
    struct patience patience;
    struct attempts attempts;
    struct gauges gauges;
    struct metric_list metrics;
    struct mono since;       // of the stage it is in; real time
    size_t in_flight;        // parcels at the writer
    uint64_t sent, returned; // parcels, to and from it
    struct outbox outbox;    // found since the last parcel left
    bool holding;            // engines take records in but do not advance: before a settlement
    bool open;               // meter_open() is over
    bool stopping;
    bool halting; // the sources are: what they have read is all that comes

    struct mono now;
    struct mono listened; // like now, but without the time in which nobody listened to the sources
    struct mono last_sent, last_progress, last_preview, last_settled, last_wish;
    struct mono last_states, last_alive, last_look;
    int64_t preview_cost, settle_cost; // ns the last one took
    bool previewing;                   // one has begun; preview_next is its next shard
    uint32_t preview_next;
    bool preview_more; // of that one, and it has begun
    struct mono preview_resume;
    bool advance_due;      // a shard may have more to compute: advance_next is looked at first
    uint32_t advance_next; // of shards that are owned for a time
    bool began;            // a record was sent
    bool came_calmly;      // what was stored lay there until the next commit is due
    bool preview_due;      // something has changed since
    bool preview_out;      // the last one is not stored yet
    int64_t advanced_to;   // watermark of the last advance; without an owner
    bool advance_more;     // which found more than the outbox has room for
    uint64_t taken, kept, lost, adopted; // shards, shards, shards, records: so often
    uint64_t untold; // records that engines have taken in and the states do not tell of
    struct run_progress progress;
    struct error err; // of the first failure
};

// Loads settings, prices and engines from the store. The store stays the caller's.
int meter_open(struct meter *m, const struct run_config *c, struct store *store, struct error *err)
    GTAP_CHECK;
int meter_run(struct meter *m, struct error *err) GTAP_CHECK;
void meter_close(struct meter *m);

// ---- between the files of the meter --------------------------------------------------------

bool meter_told_to_stop(struct meter *m);
// After a failure of the store that m->err tells: whether to try again, once it has waited.
bool meter_again(struct meter *m);
void meter_well(struct meter *m);
// Says that this process is there, when that is due; while the meter has the store.
void meter_alive(struct meter *m);
void meter_tell(const struct meter *m, const char *text); // what a person should know
int64_t meter_commit_interval(const struct meter *m);     // ns

// intake.c: what comes from sources and writer.
#define METER_WISHES_NS (2 * NS_PER_S) // how often the writer is asked for more than a commit
int intake_take(struct meter *m, struct parcel *p);
int intake_give_back(struct meter *m, struct parcel *p); // it is dealt with; to its source
// Engines, to where time is. Of shards that are owned for a time one computes, if not all shall:
// what comes meanwhile goes before the others.
void intake_advance(struct meter *m, bool all);

// feeds.c: which source goes on, and what time it is.
struct source *feeds_next(struct meter *m);     // whose oldest waiting parcel goes next; NULL: wait
int64_t feeds_watermark(const struct meter *m); // INT64_MIN: nothing known
void feeds_note(struct meter *m, struct source *s, const struct parcel *p);
// Of shards that are owned for a time, each has a watermark of its own.
void feeds_read(struct meter *m, const struct parcel *p);   // it waits to be passed on
void feeds_stored(struct meter *m, const struct parcel *p); // it is back from the writer
void feeds_begin(const struct meter *m, struct shard *s);   // the shard was just taken
void feeds_find_watermarks(struct meter *m);                // into the shards

// upkeep.c: what happens now and then.
// For so long, or until nothing is left, or the run is told to stop. Needs in_flight == 0 and an
// empty outbox.
int upkeep_settle(struct meter *m, int64_t for_ns);
bool upkeep_settle_due(const struct meter *m);
int64_t upkeep_due(const struct meter *m); // ns until something of this is, if nothing comes
void upkeep_preview(struct meter *m); // a step of it, so that records do not wait for all of it
int64_t upkeep_preview_in(const struct meter *m); // ns until the next step; INT64_MAX: none yet
void upkeep_progress(struct meter *m, bool at_once);
