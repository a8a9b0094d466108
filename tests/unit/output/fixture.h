// What the tests of stores share: a store of either kind to work on, short ways to make records and
// rows, and everything that is stored as text.
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

enum { WRITE_MAX = 64 };

struct fixture {
    const char *scheme; // "memory" or "sqlite"
    char *folder;       // a fresh one, removed with all in it
    char *uri;
    struct store *s;      // opened to write
    struct store *keeper; // keeps a memory store there while `s` is closed
    struct arena arena;   // what the helpers below make
    struct error err;
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

// One test on both kinds of store.
#define ON(f, kind)                                                                                \
    {                                                                                              \
        .name = #f "(" kind ")", .test_func = (f), .setup_func = fixture_setup,                    \
        .teardown_func = fixture_teardown, .initial_state = (void *)(uintptr_t)(kind)              \
    }
#define ON_BOTH(f) ON(f, "memory"), ON(f, "sqlite")

void fixture_reopen(struct fixture *f); // closes the writer and opens it anew

// Parts of the next write, and the write.
struct record *add_sample(struct fixture *f, const char *id, const char *host, int32_t gpu,
                          int64_t ts);
struct record *add_usage(struct fixture *f, const char *id, const char *host, int32_t gpu,
                         int64_t start, int64_t end);
void set_digest(struct record *r); // after its fields were changed
struct usage_cost *add_cost(struct fixture *f, int64_t seq, int64_t in, int64_t out);
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

// Long texts: fails with the first line that differs.
#define assert_text(got, want) check_text((got), (want), __FILE__, __LINE__)
void check_text(const char *got, const char *want, const char *file, int line);

// xorshift64*: the same everywhere.
uint64_t draw(uint64_t *state, uint64_t below);
