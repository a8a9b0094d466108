// Reading: cursors and the driver's functions that read. Internal to src/output/sqlite.
//
// A cursor has a connection of its own and keeps a read transaction open on it, so it sees one
// state, whatever is committed meanwhile; while it is open the write-ahead log cannot be cut
// behind that state. Everything else reads on the store's main connection.
#pragma once

#include "output/sqlite/conn.h"
#include "output/sqlite/pack.h"

struct sq_store;

// Rows of one shard in order; see read_records.c.
struct sq_lane {
    sqlite3_stmt *stmt;
    bool has_row;
    int64_t key; // of the row
    struct str event_id;
};

struct sq_cursor {
    struct store_cursor base;
    struct sq_store *store;
    struct sq_conn *conn;
    enum record_kind kind;
    bool newest_first;
    struct sq_lane *lanes; // of records
    size_t n_lanes;
    struct sq_lane *last; // the one the last row came from
    sqlite3_stmt *rows;   // of anything else
    bool packed;          // its rows are packs
    enum window_level level;
    struct sq_pack pack; // the one at hand
    bool ended;
};

int sq_cursor_open(struct sq_store *s, struct sq_cursor **ret, struct error *err);
// A statement of the cursor's own, for its `rows` or a lane.
int sq_cursor_prepare(struct sq_cursor *c, const char *sql, sqlite3_stmt **ret, struct error *err);
void sq_cursor_trim(struct sq_cursor *c); // before a row is read: bounds what was borrowed so far
int sq_hold(struct store *s, struct error *err);
void sq_release(struct store *s);
void sq_cursor_close(struct store_cursor *c);

// match.c: "AND <column> IN (the consumers that m takes)", with parameters from ?first on.
enum { SQ_SQL_MAX = 16384 };
void sq_put_match(struct buf *b, const char *column, const struct store_match *m, int first);
// The consumer that m takes, 0 when it takes none or several: one is looked for faster.
int sq_only_consumer(struct sq_conn *c, const struct store_match *m, int64_t *ret,
                     struct error *err);
void sq_bind_match(sqlite3_stmt *stmt, const struct store_match *m, int first);

// Binds the connection's statement for this query; sq_read_row reads one of its rows.
int sq_rows_statement(struct sq_conn *c, const struct window_query *q, sqlite3_stmt **ret,
                      struct error *err);
int sq_read_row(struct sq_conn *c, sqlite3_stmt *stmt, struct window_row *ret, struct error *err);
enum { SQ_ROW_COLUMNS = 18 }; // of such a row; its shard follows
void sq_read_numbers(sqlite3_stmt *stmt, struct window_row *row); // all but place and consumer
// Sets what is said by place and consumer.
int sq_name_row(struct sq_conn *c, int64_t place, int64_t consumer, struct window_row *row,
                struct error *err);

// packs.c: hours or days of all shards. While c->pack is not at its end, sq_next_packed reads a row
// of it; sq_open_pack sets it to that of the statement's row.
int sq_packs_statement(struct sq_cursor *c, const struct window_query *q, struct error *err);
int sq_open_pack(struct sq_cursor *c, struct error *err);
int sq_next_packed(struct sq_cursor *c, struct window_row *ret, struct error *err);
// utilization ... price_nusd_hour, from column `from` on.
void sq_read_measures(sqlite3_stmt *stmt, int from, struct gpu_sample *g);
void sq_set_device(struct gpu_sample *g, const struct sq_device *d);

// The driver's functions.
int sq_set_shards(struct store *s, uint32_t n, struct error *err);
int sq_add_settings(struct store *s, const struct settings *e, int64_t added_at, struct error *err);
int sq_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id, struct error *err);
int sq_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
              size_t *ret_removed, struct error *err);
int sq_info(struct store *s, struct store_info *ret, struct error *err);
int sq_settings(struct store *s, struct arena *a, struct settings_history *ret, struct error *err);
int sq_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err);
int sq_position(struct store *s, struct str input, struct input_position *ret, struct error *err);
int sq_shard_state(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err);
int sq_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                 struct error *err);
int sq_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
            struct error *err);
int sq_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
               struct error *err);
int sq_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err);
int sq_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err);
int sq_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
              struct stored_record *ret, struct error *err);
int sq_windows(struct store *s, const struct window_query *q, const struct store_match *m,
               struct store_cursor **ret, struct error *err);
int sq_windows_next(struct store_cursor *c, struct window_row *ret, struct error *err);
int sq_open_rows(struct store *s, const struct window_query *q, struct store_cursor **ret,
                 struct error *err); // of the tables themselves
int sq_check_copies(struct store *s, int64_t from, int64_t to, store_copy_fn *differs, void *ctx,
                    struct error *err);
int sq_mend_copies(struct store *s, int64_t from, int64_t to, struct error *err);
int sq_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                    struct error *err);
int sq_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err);
int sq_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                   struct store_cursor **ret, struct error *err);
int sq_corrections_next(struct store_cursor *c, struct correction *ret, struct error *err);
