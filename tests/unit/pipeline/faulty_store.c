#include "faulty_store.h"

#include <errno.h>

static struct faulty_store *faulty(struct store *s)
{
    return (struct faulty_store *)s;
}

static struct store *inner(struct store *s)
{
    return faulty(s)->inner;
}

static int fail(const struct faulty_store *f, const char *what, struct error *err)
{
    return error_set(err, f->error, "%s: told to fail", what);
}

// Whether it is there.
static int reach(struct store *s, struct error *err)
{
    struct faulty_store *f = faulty(s);
    if (!atomic_load(&f->away)) {
        return 0;
    }
    atomic_fetch_add(&f->refused, 1);
    return error_set(err, -ETIMEDOUT, "the store is away");
}

static void faulty_close(struct store *s)
{
    (void)s; // the inner one is the test's
}

static int faulty_commit(struct store *s, struct store_write *w, struct error *err)
{
    struct faulty_store *f = faulty(s);
    f->commits++;
    if (f->fail_commit > 0 && f->commits >= f->fail_commit) {
        return fail(f, "commit", err);
    }
    if (f->on_commit) {
        f->on_commit(f->ctx, w);
    }
    int r = reach(s, err);
    r = r < 0 ? r : store_commit(f->inner, w, err);
    if (r == 0 && atomic_load(&f->lost_replies) > 0) {
        atomic_fetch_sub(&f->lost_replies, 1);
        atomic_fetch_add(&f->refused, 1);
        return error_set(err, -ETIMEDOUT, "the answer got lost");
    }
    return r;
}

static int faulty_prices(struct store *s, struct arena *a, struct price_book *ret,
                         struct error *err)
{
    struct faulty_store *f = faulty(s);
    f->prices_read++;
    if (f->fail_prices > 0 && f->prices_read >= f->fail_prices) {
        return fail(f, "prices", err);
    }
    int r = reach(s, err);
    return r < 0 ? r : store_prices(f->inner, a, ret, err);
}

static int faulty_set_shards(struct store *s, uint32_t n, struct error *err)
{
    return store_set_shards(inner(s), n, err);
}

static int faulty_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                               struct error *err)
{
    return store_add_settings(inner(s), e, added_at, err);
}

static int faulty_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id,
                            struct error *err)
{
    return store_add_price(inner(s), e, ret_id, err);
}

static int faulty_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
                         size_t *ret_removed, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_expire(inner(s), c, before, limit, ret_removed, err);
}

static int faulty_info(struct store *s, struct store_info *ret, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_info(inner(s), ret, err);
}

static int faulty_settings(struct store *s, struct arena *a, struct settings_history *ret,
                           struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_settings(inner(s), a, ret, err);
}

static int faulty_position(struct store *s, struct str input, struct input_position *ret,
                           struct error *err)
{
    return store_position(inner(s), input, ret, err);
}

static int faulty_shard(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_shard(inner(s), shard, ret, err);
}

static int faulty_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret,
                            size_t *ret_n, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_unsettled(inner(s), a, ret, ret_n, err);
}

// Cursors are the inner store's own: they know where they come from.
static int faulty_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                          struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_records(inner(s), q, ret, err);
}

static int faulty_windows(struct store *s, const struct window_query *q,
                          const struct store_match *m, struct store_cursor **ret, struct error *err)
{
    int r = reach(s, err);
    if (r < 0) {
        return r;
    }
    return m ? store_windows_of(inner(s), q, m, ret, err) : store_windows(inner(s), q, ret, err);
}

static int faulty_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                              struct store_cursor **ret, struct error *err)
{
    struct store *at = inner(s);
    return at->ops->corrections(at, from, to, shard, ret, err);
}

static int faulty_take_shard(struct store *s, uint32_t shard, enum shard_claim claim,
                             struct shard_hold *ret, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_take_shard(inner(s), shard, claim, ret, err);
}

static int faulty_alive(struct store *s, struct error *err)
{
    int r = reach(s, err);
    return r < 0 ? r : store_alive(inner(s), err);
}

#define COMMON                                                                                     \
    .scheme = "faulty", .close = faulty_close, .commit = faulty_commit,                            \
    .set_shards = faulty_set_shards, .add_settings = faulty_add_settings,                          \
    .add_price = faulty_add_price, .expire = faulty_expire, .info = faulty_info,                   \
    .settings = faulty_settings, .prices = faulty_prices, .position = faulty_position,             \
    .shard = faulty_shard, .unsettled = faulty_unsettled, .records = faulty_records,               \
    .windows = faulty_windows, .corrections = faulty_corrections

static const struct store_ops faulty_ops = {COMMON};
static const struct store_ops faulty_shared_ops = {COMMON, .take_shard = faulty_take_shard,
                                                   .alive = faulty_alive};

void faulty_store_init(struct faulty_store *f, struct store *inner_store)
{
    *f = (struct faulty_store){.base = *inner_store, .inner = inner_store, .error = -ENOSPC};
    f->base.ops = store_is_shared(inner_store) ? &faulty_shared_ops : &faulty_ops;
}
