// Several "processes", which are meters on threads, over one memory store whose shards have owners:
// what tests of shards that change hands begin with.
#pragma once

#include "owned_store.h"
#include "rig.h"
#include "script.h"

enum { END_S = 4000 }; // of every load, which is of two GPUs: shard 0 and shard 1

// One "process".
struct process {
    struct rig rig;
    struct script script;
    struct owned_store store;
    char uri[32];
    pthread_t thread;
    bool running;
    int result;
    // As last told.
    atomic_int shards;
    atomic_llong frontier, late, duplicates, records;
    _Atomic uint64_t adopted, kept, lost;
};

// All of them, and what they share.
struct world {
    struct rig rig; // whose store it is
    struct store *inner;
    struct owned_db db;
    struct process p[2];
};

void world_init(struct world *w);
void world_done(struct world *w); // ends what runs
// Once all of them have ended: the store holds what one run makes of all records at once.
void world_check(struct world *w);
int64_t world_final_until(struct world *w, uint32_t shard); // INT64_MIN: nothing is final

// One more than world_init's two: the test ends it, its script and its rig.
void process_init(struct process *p, const char *name, struct owned_db *db);
void process_begin(struct process *p);
void process_end(struct process *p);

// Seconds of the load, both ends included.
void script_put_load(struct script *s, int64_t from, int64_t to);
void put_whole_load(struct buf *b); // from 0 to END_S
// Of one GPU, and of one kind: requests, else samples. The caller's.
struct buf load_only(int64_t from, int64_t to, bool usage, int gpu);
