// The functions behind struct store_ops that others of this folder's files call or open.c lists.
// Internal to src/output/mongo; all contracts are those of output/store.h.
#pragma once

#include "output/mongo/mongo.h"

int mg_add_settings(struct store *s, const struct settings *e, int64_t added_at, struct error *err);
int mg_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id, struct error *err);
int mg_settings(struct store *s, struct arena *a, struct settings_history *ret, struct error *err);
int mg_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err);
int mg_info(struct store *s, struct store_info *ret, struct error *err);
int mg_position(struct store *s, struct str input, struct input_position *ret, struct error *err);
int mg_shard_state(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err);
int mg_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                 struct error *err);
int mg_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
            struct error *err);
int mg_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
               struct error *err);
int mg_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err);
int mg_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err);
int mg_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
              struct stored_record *ret, struct error *err);
int mg_window_rows(struct store *s, const struct window_query *q, const struct store_match *m,
                   struct store_cursor **ret, struct error *err);
int mg_rows_open(struct mg_store *s, const struct window_query *q, int64_t limit,
                 struct store_cursor **ret, struct error *err) GTAP_CHECK; // limit 0: none
int mg_window_rows_next(struct store_cursor *c, struct window_row *ret, struct error *err);
int mg_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                    struct error *err);
int mg_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err);
extern const char mg_correction_collection[];
int mg_put_corrections(struct mg_store *s, const struct store_write *w, struct error *err)
    GTAP_CHECK;
int mg_confirm_corrections(struct mg_store *s, const struct store_write *w, struct error *err)
    GTAP_CHECK; // their rows are written
int mg_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                   struct store_cursor **ret, struct error *err);
int mg_corrections_next(struct store_cursor *c, struct correction *ret, struct error *err);
void mg_cursor_close(struct store_cursor *c);
int mg_hold(struct store *s, struct error *err);
void mg_release(struct store *s);
int mg_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
              size_t *ret_removed, struct error *err);
int mg_set_shards(struct store *s, uint32_t n, struct error *err);
int mg_take_shard(struct store *s, uint32_t shard, enum shard_claim claim, struct shard_hold *ret,
                  struct error *err);
int mg_alive(struct store *s, struct error *err);
int mg_commit(struct store *s, struct store_write *w, struct error *err);
