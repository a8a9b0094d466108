// The middle of `gtap run`: takes what the sources read, has it stored, feeds the engines with what
// was new, and sends what they find after it. Everything here happens on one thread.
#pragma once

#include "pipeline/run.h"
#include "pipeline/source.h"
#include "pipeline/writer.h"

struct shard {
    struct engine *engine;
    struct shard_state state;
};

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
    struct source *sources;
    struct run_source *states; // of the sources, as last told
    size_t n_sources;

    struct queue *inbox; // parcels from the sources and from the writer
    struct queue *writer_queue;
    struct writer *writer;
    size_t in_flight;     // parcels at the writer
    struct outbox outbox; // found since the last parcel left
    bool holding;         // engines take records in but do not advance: before a settlement
    bool stopping;
    bool halting; // the sources are: what they have read is all that comes

    struct mono now;
    struct mono listened; // like now, but without the time in which nobody listened to the sources
    struct mono last_sent, last_progress, last_preview, last_settled, last_wish;
    int64_t preview_cost, settle_cost; // ns the last one took
    bool preview_due;                  // something has changed since
    int64_t advanced_to;               // watermark of the last advance
    struct run_progress progress;
    struct error err; // of the first failure
};

// Loads settings, prices and engines from the store. The store stays the caller's.
int meter_open(struct meter *m, const struct run_config *c, struct store *store, struct error *err)
    GTAP_CHECK;
int meter_run(struct meter *m, struct error *err) GTAP_CHECK;
void meter_close(struct meter *m);

// ---- between the files of the meter --------------------------------------------------------

bool meter_told_to_stop(const struct meter *m);
void meter_tell(const struct meter *m, const char *text); // what a person should know
int64_t meter_commit_interval(const struct meter *m);     // ns

// feeds.c: which source goes on, and what time it is.
struct source *feeds_next(struct meter *m);     // whose oldest waiting parcel goes next; NULL: wait
int64_t feeds_watermark(const struct meter *m); // INT64_MIN: nothing known
void feeds_note(struct meter *m, struct source *s, const struct parcel *p);

// upkeep.c: what happens now and then.
// For so long, or until nothing is left, or the run is told to stop. Needs in_flight == 0 and an
// empty outbox.
int upkeep_settle(struct meter *m, int64_t for_ns);
bool upkeep_settle_due(const struct meter *m);
void upkeep_preview(struct meter *m);
void upkeep_progress(struct meter *m, bool at_once);
