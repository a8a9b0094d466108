// The store in memory: the reference that the others are compared with, and what tests run on. It
// keeps arrays, looks through them, and copies out what it is asked for. What was expired is
// forgotten but its memory stays until the last handle is closed. Handles on one database may be
// on different threads: every call holds its lock. Internal to src/output/memory.
#pragma once

#include <pthread.h>

#include "base/intern.h"
#include "output/rollup.h"
#include "output/store_impl.h"

struct mem_record {
    struct record record; // strings in the database's arena
    struct usage_cost estimate, cost;
    bool has_estimate, has_cost;
};

// Records of one kind.
struct mem_table {
    struct mem_record **rows; // by seq - 1; NULL: never stored (a duplicate) or expired
    size_t n, cap;            // n: the highest seq given
    int64_t stored;
    struct intern *ids;
    int64_t *seq_of_id; // by interned event_id; 0: not stored
    size_t seq_cap;
};

// Rows of one window, hour or day of one shard.
struct mem_span {
    int64_t start;
    uint32_t shard;
    struct window_row *rows; // malloc'ed; strings in the database's arena
    size_t n;
};

struct mem_level {
    struct mem_span *spans; // ascending by start, shard
    size_t n, cap;
};

struct mem_shard {
    struct shard_state state;
    bool has_records;
    int64_t windows_from; // windows before this were expired; INT64_MIN: none
};

struct mem_gpu {
    const struct mem_record *newest;
    int64_t first_seen;
};

#define MEM_ARRAY(T)                                                                               \
    struct {                                                                                       \
        T *v;                                                                                      \
        size_t n, cap;                                                                             \
    }

struct mem_db {
    char *name; // NULL: private
    unsigned handles;
    bool has_writer;
    pthread_mutex_t lock; // held for the length of every call
    struct mem_db *next;

    struct arena arena;
    struct intern *text; // window rows: the same few strings over and over
    struct rollup *rollup;
    uint32_t n_shards;
    uint64_t version;
    int64_t raw_from, longest_usage_ns;
    struct mem_table tables[2];         // by enum record_kind
    struct mem_level levels[3];         // by enum window_level
    MEM_ARRAY(struct mem_shard) shards; // ascending
    MEM_ARRAY(struct unsettled_range) unsettled;
    MEM_ARRAY(struct correction) corrections; // ascending in window_start
    MEM_ARRAY(struct dead_letter) dead_letters;
    MEM_ARRAY(struct input_position) positions;
    MEM_ARRAY(struct settings) settings;
    MEM_ARRAY(struct price_entry) prices;
    MEM_ARRAY(struct mem_gpu) gpus; // canonical order
};

struct mem_store {
    struct store base;
    struct mem_db *db;
    struct mem_db *held; // a copy, read instead of db; see hold.c
};

struct mem_cursor {
    struct store_cursor base;
    struct arena arena; // everything below
    union {
        struct stored_record *records;
        struct window_row *windows;
        struct dead_letter *letters;
        struct correction *corrections;
    };
    size_t n, at;
};

static inline struct mem_db *mem_lock(struct store *s)
{
    struct mem_store *m = (struct mem_store *)s;
    struct mem_db *db = m->held ? m->held : m->db;
    pthread_mutex_lock(&db->lock);
    return db;
}
static inline void mem_unlock(struct mem_db *db)
{
    pthread_mutex_unlock(&db->lock);
}

void mem_db_free(struct mem_db *db);

// copy.c: deep copies into an arena.
struct gpu_sample mem_copy_sample(struct arena *a, const struct gpu_sample *s);
struct dead_letter mem_copy_letter(struct arena *a, const struct dead_letter *d);

// levels.c: windows, hours and days.
void mem_put_span(struct mem_db *db, enum window_level level, int64_t start, uint32_t shard,
                  const struct window_row *rows, size_t n); // replaces; n may be 0
// After *w is applied: rolls up what its windows changed and what its frontiers passed. old: the
// frontiers from before, one for each of w->shards.
void mem_roll_up(struct mem_db *db, const struct store_write *w, const int64_t *old);
void mem_levels_done(struct mem_db *db);
struct mem_shard *mem_shard(struct mem_db *db, uint32_t shard); // adds it when new
// The driver's functions, by file: corrections.c, write.c, read.c, expire.c, hold.c.
void mem_put_correction(struct mem_db *db, const struct correction *c);
int mem_commit(struct store *s, struct store_write *w, struct error *err);
int mem_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                struct error *err);
int mem_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err);
int mem_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err);
int mem_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
               struct stored_record *ret, struct error *err);
int mem_windows(struct store *s, const struct window_query *q, const struct store_match *m,
                struct store_cursor **ret, struct error *err);
int mem_windows_next(struct store_cursor *c, struct window_row *ret, struct error *err);
int mem_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                     struct error *err);
int mem_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err);
int mem_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                    struct store_cursor **ret, struct error *err);
int mem_corrections_next(struct store_cursor *c, struct correction *ret, struct error *err);
void mem_cursor_close(struct store_cursor *c);
int mem_hold(struct store *s, struct error *err);
void mem_release(struct store *s);
int mem_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
               size_t *ret_removed, struct error *err);
