// A thread that reads one input into parcels, as many at a time as it was given.
#pragma once

#include <stdatomic.h>

#include "base/queue.h"
#include "input/input.h"
#include "pipeline/parcel.h"

enum { SOURCE_PARCELS = 16 };

// The meter's view of a source. The thread touches nothing here but `input`, the queues, and what
// is said to be its own.
struct source {
    struct input *input;
    struct uri uri;
    struct arena uri_arena;
    struct queue *free_parcels; // meter -> source
    struct queue *inbox;        // source -> meter; the meter's own
    struct parcel *parcels[SOURCE_PARCELS];
    const struct clock *clock;
    int stop_fd;                         // as the input knows it
    void *thread;                        // pthread_t, once started
    _Atomic int64_t read_ns, starved_ns; // the thread's: time in the input, and without a parcel

    // Of the meter:
    struct parcel *waiting[SOURCE_PARCELS]; // read, not yet passed on; in order
    size_t n_waiting;
    size_t in_flight;  // with records, passed on, not yet back from the writer
    bool ended;        // has read its last
    bool joined;       // knows which shards it owns, if it owns any
    int64_t passed_ts; // newest event time passed on; INT64_MIN: none
    struct mono heard; // when it last delivered something; of meter.listened, as is fed
    int64_t newest[2]; // newest event time taken into the engines, by kind
    struct mono fed[2];
    char about[INPUT_ABOUT_MAX]; // as last told
    uint64_t came;               // records and dead letters that are stored now
    int64_t done;                // progress in the units of input_info.total
};

// Opens the input. env and inbox are borrowed.
int source_open(struct source *s, const char *uri, const struct input_env *env, struct queue *inbox,
                struct error *err) GTAP_CHECK;
// The thread delivers nothing after a parcel with result <= 0.
int source_start(struct source *s, struct error *err) GTAP_CHECK;
// Ends the thread: on return all that it has read is in the inbox, which must have had room for it.
// Parcels cannot be given back to it any more.
void source_halt(struct source *s);
// Halts it and frees everything, its parcels included. Accepts one that was never opened.
void source_close(struct source *s);

// As struct run_progress tells of it.
struct run_source;
void source_state(struct source *s, struct run_source *ret);
