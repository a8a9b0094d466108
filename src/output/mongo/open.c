#include <errno.h>
#include <stdlib.h>

#include "output/mongo/driver.h"

static struct mg_writer *writer_new(void)
{
    struct mg_writer *w = x_zalloc(sizeof(*w));
    uuid7_next(&w->uuids, clock_wall(&clock_system), w->id);
    w->raw_from = INT64_MIN;
    w->checked.ns = INT64_MIN / 2; // never
    w->rollup = rollup_new();
    w->gpus = mg_gpus_new();
    mg_batch_init(&w->inserts, "insert", "");
    mg_batch_init(&w->updates, "update", "");
    mg_batch_init(&w->deletes, "delete", "");
    mg_batch_init(&w->letters, "insert", "dead_letters");
    return w;
}

static void writer_free(struct mg_writer *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < w->shards_end; i++) {
        if (w->shards[i]) {
            mg_windows_forget(w->shards[i]);
            free(w->shards[i]);
        }
    }
    rollup_free(w->rollup);
    mg_gpus_free(w->gpus);
    arena_done(&w->reasons);
    mg_batch_done(&w->inserts);
    mg_batch_done(&w->updates);
    mg_batch_done(&w->deletes);
    mg_batch_done(&w->letters);
    free(w);
}

static void mg_close(struct store *base)
{
    struct mg_store *s = mg_of(base);
    if (s->writer && s->conn.client && !s->conn.away) { // a lease ends by itself
        mg_give_back(s);
    }
    writer_free(s->writer);
    mg_disconnect(&s->conn);
    buf_done(&s->cost_id);
    free(s);
}

static int load_raw_from(struct mg_store *s, struct error *err)
{
    struct store_info info;
    int r = mg_info(&s->base, &info, err);
    s->writer->raw_from = r < 0 ? INT64_MIN : info.raw_from;
    return r;
}

static int open_with(const struct store_ops *ops, struct str uri, enum store_access access,
                     struct store **ret, struct error *err)
{
    struct mg_store *s = x_zalloc(sizeof(*s));
    char *given AUTO_FREE = x_strndup(uri.p, uri.n);
    char *name AUTO_FREE = store_plain_name(ops, given);
    s->base = (struct store){.ops = ops, .access = access};
    buf_init(&s->cost_id, 2 * (size_t)RECORD_TEXT_MAX);
    s->writer = access == STORE_WRITE ? writer_new() : NULL;
    int r = mg_connect(uri, name, access != STORE_READ, &s->conn, err);
    r = r < 0 ? r : mg_check_schema(s, err);
    r = r < 0 || access != STORE_WRITE ? r : load_raw_from(s, err);
    if (r < 0) {
        mg_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

static int open_plain(struct str uri, enum store_access access, struct store **ret,
                      struct error *err)
{
    return open_with(&store_mongodb_ops, uri, access, ret, err);
}

static int open_srv(struct str uri, enum store_access access, struct store **ret, struct error *err)
{
    return open_with(&store_mongodb_srv_ops, uri, access, ret, err);
}

#define MONGODB_OPS(name, open_it)                                                                 \
    {                                                                                              \
        .scheme = (name), .whole_uri = true, .open = (open_it), .close = mg_close,                 \
        .commit = mg_commit, .take_shard = mg_take_shard, .alive = mg_alive,                       \
        .set_shards = mg_set_shards, .add_settings = mg_add_settings, .add_price = mg_add_price,   \
        .expire = mg_expire, .hold = mg_hold, .release = mg_release, .info = mg_info,              \
        .settings = mg_settings, .prices = mg_prices, .position = mg_position,                     \
        .shard = mg_shard_state, .unsettled = mg_unsettled, .gpus = mg_gpus,                       \
        .records = mg_records, .records_next = mg_records_next, .record = mg_record,               \
        .cost = mg_cost, .windows = mg_window_rows, .windows_next = mg_window_rows_next,           \
        .dead_letters = mg_dead_letters, .dead_letters_next = mg_dead_letters_next,                \
        .corrections = mg_corrections, .corrections_next = mg_corrections_next,                    \
        .cursor_close = mg_cursor_close,                                                           \
    }

const struct store_ops store_mongodb_ops = MONGODB_OPS("mongodb", open_plain);
const struct store_ops store_mongodb_srv_ops = MONGODB_OPS("mongodb+srv", open_srv);
