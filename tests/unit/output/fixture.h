// What the tests of stores share: a store of any kind to work on, short ways to make records and
// rows, and everything that is stored as text.
//
// Tests on MongoDB run when GTAP_TEST_STORE is "mongodb", and then they alone, in databases of
// their own on the server that GTAP_TEST_MONGODB_URI names; see on_mongodb.py.
//
// Records are numbered by the order in which they were stored, each kind for itself, from 1; where
// a store gives other seqs, nth_seq() says which.
//
// Times are given in seconds after 2026-01-01T00:00:00Z, T0.
#pragma once

#include "base/alloc.h"
#include "base/buf.h"
#include "base/time.h"
#include "output/store.h"
#include "test.h"

#define T0 INT64_C(1767225600000000000)

static inline int64_t at(int64_t seconds)
{
    return T0 + seconds * NS_PER_S;
}

enum { WRITE_MAX = 64, SEQS_MAX = 4096 };

// The same records' seqs in two stores, by enum record_kind, as they were stored.
struct seq_map {
    int64_t here[2][SEQS_MAX], there[2][SEQS_MAX];
    uint32_t shard[2][SEQS_MAX];
    size_t n[2];
};

struct fixture {
    const char *scheme; // "memory", "sqlite" or "mongodb"
    char *folder;       // a fresh one, removed with all in it
    char *uri;
    struct store *s;      // opened to write
    struct store *keeper; // keeps a memory store there while `s` is closed
    struct arena arena;   // what the helpers below make
    struct error err;
    int64_t seqs[2][SEQS_MAX]; // of what was stored, by enum record_kind
    size_t n_seqs[2];
    const struct seq_map *shown; // seqs are dumped as those of the other store
    bool loose; // bounds that a store without transactions keeps too wide are not dumped
    // The write being put together.
    struct store_record records[WRITE_MAX];
    size_t n_records;
    struct usage_cost costs[WRITE_MAX];
    size_t n_costs;
    struct window_rows windows[WRITE_MAX];
    size_t n_windows;
    struct shard_state shards[8];
    size_t n_shards;
    struct unsettled_range unsettled[8];
    size_t n_unsettled;
    struct dead_letter letters[8];
    size_t n_letters;
    struct input_position positions[8];
    size_t n_positions;
};

// cmocka's setup and teardown: the test's initial state is the scheme's name.
int fixture_setup(void **state);
int fixture_teardown(void **state);

// The tests that are to run now: those on MongoDB, or all others.
#define fixture_run(name, tests) run_fixture_tests(name, tests, ARRAY_LEN(tests))
int run_fixture_tests(const char *name, const struct CMUnitTest *tests, size_t n);

#define ON(f, kind)                                                                                \
    {                                                                                              \
        .name = #f "(" kind ")", .test_func = (f), .setup_func = fixture_setup,                    \
        .teardown_func = fixture_teardown, .initial_state = (void *)(uintptr_t)(kind)              \
    }
#define ON_BOTH(f) ON(f, "memory"), ON(f, "sqlite") // stores with one writer
#define ON_ALL(f) ON_BOTH(f), ON(f, "mongodb")

bool has_transactions(const struct fixture *f); // see struct store_ops
char *other_uri(struct fixture *f);             // of a store that is not there

void fixture_reopen(struct fixture *f); // closes the writer and opens it anew

// Parts of the next write, and the write.
struct record *add_sample(struct fixture *f, const char *id, const char *host, int32_t gpu,
                          int64_t ts);
struct record *add_usage(struct fixture *f, const char *id, const char *host, int32_t gpu,
                         int64_t start, int64_t end);
void set_digest(struct record *r); // after its fields were changed
int64_t nth_seq(const struct fixture *f, enum record_kind kind, int64_t n);
// Of the nth request.
struct usage_cost *add_cost(struct fixture *f, int64_t n, int64_t in, int64_t out);
void set_seen(const struct fixture *f, struct shard_state *s, int64_t samples, int64_t usages);
struct shard_state *add_shard(struct fixture *f, uint32_t shard, int64_t frontier);
void add_unsettled(struct fixture *f, uint32_t shard, int64_t from, int64_t to);
// An idle row of a GPU; more rows of the same window join it.
struct window_row *add_idle(struct fixture *f, uint32_t shard, int64_t start, const char *host,
                            int32_t gpu, int64_t cost);
void drop_write(struct fixture *f);
int try_put(struct fixture *f); // commits and forgets; verdicts stay in records[0..]
void put(struct fixture *f);    // the same, and it must succeed

// "a b c": the event ids a query gives, in order.
char *ids_of(struct fixture *f, struct store *s, struct record_query q);
struct record_query query(enum record_kind kind, enum record_order order,
                          enum record_filter filter);

// Everything but what depends on the clock or the kind of store, one line each.
char *dump_store(struct fixture *f, struct store *s);
char *dump_windows(struct fixture *f, struct store *s, enum window_level level, int64_t shard);
// "0 h0 $5, 60 h0 $7": start, host and GPU, cost of the rows a query gives, in order.
char *rows_of(struct fixture *f, enum window_level level, int64_t from, int64_t to, int64_t shard);
char *all_rows(struct fixture *f, enum window_level level);
void dump_row(struct buf *b, const struct window_row *row);
struct dead_letter only_letter(struct fixture *f); // the only one there is
struct store_info info_of(struct fixture *f, struct store *s);

int64_t shown_seq(const struct fixture *f, enum record_kind kind, int64_t seq);

// Long texts: fails with the first line that differs.
#define assert_text(got, want) check_text((got), (want), __FILE__, __LINE__)
void check_text(const char *got, const char *want, const char *file, int line);

// xorshift64*: the same everywhere.
uint64_t draw(uint64_t *state, uint64_t below);
