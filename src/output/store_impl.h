// For those who write a store: the table of functions behind store.h, member for member. A driver
// is one file (or folder part) that ends in one const struct, and one line in store.c's array.
//
// A driver embeds struct store first; store.c checks arguments and dispatches. Cursors embed
// struct store_cursor first. All contracts are those of store.h. Functions are called by one thread
// at a time for a handle and its cursors; cursors are closed before their store. A function that
// fails sets *err and leaves *ret alone.
#pragma once

#include "output/store.h"

struct store {
    const struct store_ops *ops;
    enum store_access access; // set by the driver when it opens; checked by store.c alone
    bool held;                // by store.c
    char *name;               // owned by store.c
};

struct store_cursor {
    const struct store_ops *ops;
};

struct store_ops {
    const char *scheme;
    bool whole_uri; // open() gets the whole URI as it was given, options included
    // Whether a commit is one transaction, and holds and cursors see one snapshot. Without: a
    // commit that failed may be stored in part, and a cursor may meet what was written since.
    bool transactions;
    // path: what follows "scheme:". On success *ret has its ops set.
    int (*open)(struct str path, enum store_access access, struct store **ret, struct error *err);
    void (*close)(struct store *s);
    int (*commit)(struct store *s, struct store_write *w, struct error *err);
    // NULL for both: there is one writer, which owns all shards.
    int (*take_shard)(struct store *s, uint32_t shard, enum shard_claim claim,
                      struct shard_hold *ret, struct error *err);
    int (*alive)(struct store *s, struct error *err);
    int (*set_shards)(struct store *s, uint32_t n, struct error *err);
    int (*add_settings)(struct store *s, const struct settings *e, int64_t added_at,
                        struct error *err);
    int (*add_price)(struct store *s, const struct price_entry *e, int64_t *ret_id,
                     struct error *err);
    int (*expire)(struct store *s, enum store_collection c, int64_t before, size_t limit,
                  size_t *ret_removed, struct error *err);
    int (*hold)(struct store *s, struct error *err); // of a handle opened to read; once
    void (*release)(struct store *s);
    int (*info)(struct store *s, struct store_info *ret, struct error *err);
    int (*settings)(struct store *s, struct arena *a, struct settings_history *ret,
                    struct error *err);
    int (*prices)(struct store *s, struct arena *a, struct price_book *ret, struct error *err);
    int (*position)(struct store *s, struct str input, struct input_position *ret,
                    struct error *err);
    int (*shard)(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err);
    int (*unsettled)(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                     struct error *err);
    int (*gpus)(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
                struct error *err);
    int (*records)(struct store *s, const struct record_query *q, struct store_cursor **ret,
                   struct error *err);
    int (*records_next)(struct store_cursor *c, struct stored_record *ret, struct error *err);
    int (*record)(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
                  struct stored_record *ret, struct error *err);
    int (*cost)(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err);
    // m NULL: all rows.
    int (*windows)(struct store *s, const struct window_query *q, const struct store_match *m,
                   struct store_cursor **ret, struct error *err);
    int (*windows_next)(struct store_cursor *c, struct window_row *ret, struct error *err);
    int (*dead_letters)(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                        struct error *err);
    int (*dead_letters_next)(struct store_cursor *c, struct dead_letter *ret, struct error *err);
    // NULL for both: it keeps none.
    int (*check_copies)(struct store *s, int64_t from, int64_t to, store_copy_fn *differs,
                        void *ctx, struct error *err);
    int (*mend_copies)(struct store *s, int64_t from, int64_t to, struct error *err);
    // All entries, of all shards (-1) or one.
    int (*corrections)(struct store *s, int64_t from, int64_t to, int64_t shard,
                       struct store_cursor **ret, struct error *err);
    int (*corrections_next)(struct store_cursor *c, struct correction *ret, struct error *err);
    void (*cursor_close)(struct store_cursor *c);
};

extern const struct store_ops store_memory_ops;
extern const struct store_ops store_sqlite_ops;
extern const struct store_ops store_mongodb_ops, store_mongodb_srv_ops;

enum { STORE_SHARDS_MAX = 4096 };

// Shared by the drivers: store.c.

// A URI without passwords, malloc'ed.
char *store_plain_name(const struct store_ops *ops, const char *text);

// The state of a shard that nothing was said about.
struct shard_state store_no_state(uint32_t shard);

// -ENOENT, for the driver's function `record`.
int store_no_record(const struct store *s, enum record_kind kind, struct str event_id,
                    struct error *err);

// Whether an epoch may follow `newest` (NULL: it is the first): -EINVAL with a message otherwise.
int store_check_epoch(const char *name, const struct settings *newest, const struct settings *e,
                      struct error *err) GTAP_CHECK;
