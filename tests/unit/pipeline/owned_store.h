// What MongoDB is to its writers, over a memory store: any number of handles write it, each as if
// it were a process; a shard has an owner, whom an epoch in the shard's state shuts out; seqs hold
// shard, epoch and a counter; a commit is no transaction, and a former owner's computed rows land
// unless it knows already that it is none, or looks.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "output/store_impl.h"

enum { OWNED_SHARDS = 8 };

struct owned_store;

struct owned_db {
    pthread_mutex_t lock;
    struct store *inner; // opened to write; the test's
    uint32_t epochs[OWNED_SHARDS];
    const struct owned_store *owners[OWNED_SHARDS]; // NULL: none, or it is gone
    int64_t *seqs[2];                               // as they are told, by the inner store's
    size_t cap[2];
};

struct owned_store {
    struct store base;
    struct owned_db *db;
    uint32_t epochs[OWNED_SHARDS]; // own ones; 0: never taken
    bool lost[OWNED_SHARDS];       // and it has noticed
    bool looks;                    // whose they are, before what was computed is written
    atomic_int alive;              // so often it said so
    atomic_int taken, kept;
    // Called within a commit: after its raw records, before what was computed.
    void (*between)(void *ctx, const struct store_write *w);
    void *ctx;
};

void owned_db_init(struct owned_db *db, struct store *inner);
void owned_db_done(struct owned_db *db);
void owned_store_init(struct owned_store *s, struct owned_db *db);
void owned_store_die(struct owned_store *s); // its shards are free
