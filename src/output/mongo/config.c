// What the store was told: settings and prices. Small collections, read whole.
#include <errno.h>

#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

#define NUSD_PER_USD 1e9

static struct mg_query by_id(void)
{
    struct mg_query q = {0};
    size_t o = mg_begin(&q.opts), sort = MG_DOC(&q.opts, "sort");
    MG_I32(&q.opts, "_id", 1);
    mg_end(&q.opts, sort);
    mg_end(&q.opts, o);
    return q;
}

// For those who add a price: a person waits for the answer.
static int undone(int r, struct error *err)
{
    if (r < 0 && err && err->retryable) {
        bool retryable = err->retryable;
        error_set(err, r,
                  "%s. Run the same command again when that is mended; look first whether "
                  "it was added (`gtap price list`)",
                  err->msg);
        err->retryable = retryable;
    }
    return r;
}

// ---- settings ------------------------------------------------------------------------------

static void write_epoch(struct mg_buf *b, const struct settings *e, int64_t added_at)
{
    MG_I64(b, "_id", e->effective_from);
    MG_DATE(b, "effective_from", e->effective_from);
    MG_I64(b, "window_ns", e->window_ns);
    MG_I64(b, "max_gap_ns", e->max_gap_ns);
    MG_I64(b, "gpu_timeout_ns", e->gpu_timeout_ns);
    MG_I64(b, "horizon_ns", e->horizon_ns);
    if (e->default_price_nusd != PRICE_NONE) {
        MG_REAL(b, "price_per_hour_usd", (double)e->default_price_nusd / NUSD_PER_USD);
        MG_I64(b, "price_nusd_hour", e->default_price_nusd);
    }
    MG_I32(b, "weight_in", e->weight_in);
    MG_I32(b, "weight_out", e->weight_out);
    MG_STR(b, "method", str_of(method_name(e->method)));
    MG_DATE(b, "added_at", added_at);
}

static int put_epoch(struct mg_store *s, const struct settings *e, int64_t added_at,
                     struct error *err)
{
    struct mg_batch m;
    mg_batch_init(&m, "update", "settings");
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
    MG_I64(&m.b, "_id", e->effective_from);
    mg_end(&m.b, q);
    size_t u = MG_DOC(&m.b, "u");
    write_epoch(&m.b, e, added_at);
    mg_end(&m.b, u);
    MG_BOOL(&m.b, "upsert", true);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    mg_batch_done(&m);
    return r < 0 ? r : mg_bump_version(s, err);
}

int mg_add_settings(struct store *base, const struct settings *e, int64_t added_at,
                    struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct arena a = {0};
    struct settings_history h = {0};
    int r = mg_settings(base, &a, &h, err);
    if (r == 0) {
        r = store_check_epoch(s->conn.name, h.n ? &h.epochs[h.n - 1] : NULL, e, err);
    }
    arena_done(&a);
    return r < 0 ? r : put_epoch(s, e, added_at, err);
}

static bool parse_epoch(const bson_t *doc, struct settings *ret)
{
    int64_t in = 0, out = 0;
    ret->default_price_nusd = PRICE_NONE;
    (void)mg_find_int(doc, "price_nusd_hour", &ret->default_price_nusd);
    bool good = mg_find_int(doc, "_id", &ret->effective_from) &&
                mg_find_int(doc, "window_ns", &ret->window_ns) &&
                mg_find_int(doc, "max_gap_ns", &ret->max_gap_ns) &&
                mg_find_int(doc, "gpu_timeout_ns", &ret->gpu_timeout_ns) &&
                mg_find_int(doc, "horizon_ns", &ret->horizon_ns) &&
                mg_find_int(doc, "weight_in", &in) && mg_find_int(doc, "weight_out", &out) &&
                method_parse(mg_find_str(doc, "method"), &ret->method) == 0;
    ret->weight_in = (int32_t)in;
    ret->weight_out = (int32_t)out;
    return good && settings_check(ret, NULL) == 0;
}

int mg_settings(struct store *base, struct arena *a, struct settings_history *ret,
                struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query q = by_id();
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    struct settings *epochs AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    int r = mg_find(&s->conn, "settings", &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        ARRAY_RESERVE(epochs, n, cap);
        epochs[n] = (struct settings){0};
        if (!parse_epoch(doc, &epochs[n++])) {
            r = mg_fail_corrupt(&s->conn, "settings", err);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    if (r == 0) {
        *ret = (struct settings_history){arena_alloc(a, n * sizeof(*epochs)), n};
        if (n > 0) {
            memcpy(ret->epochs, epochs, n * sizeof(*epochs));
        }
    }
    return r;
}

// ---- prices --------------------------------------------------------------------------------

static int next_price_id(struct mg_store *s, int64_t *ret, struct error *err)
{
    struct mg_buf b = {0};
    bson_t reply;
    bson_iter_t it, in;
    size_t at = mg_begin(&b);
    MG_STR(&b, "findAndModify", STR("meta"));
    size_t q = MG_DOC(&b, "query");
    MG_STR(&b, "_id", STR("gtap"));
    mg_end(&b, q);
    size_t u = MG_DOC(&b, "update"), inc = MG_DOC(&b, "$inc");
    MG_I64(&b, "last_price_id", 1);
    MG_I64(&b, "version", 1);
    mg_end(&b, inc);
    mg_end(&b, u);
    MG_BOOL(&b, "new", true);
    mg_end(&b, at);
    int r = mg_run(&s->conn, MG_WRITE, &b, at, &reply, err);
    *ret = 0;
    if (r == 0 && bson_iter_init_find(&it, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&it) &&
        bson_iter_recurse(&it, &in) && bson_iter_find(&in, "last_price_id")) {
        *ret = bson_iter_as_int64(&in);
    }
    r = r == 0 && *ret <= 0 ? mg_fail_corrupt(&s->conn, "meta", err) : r;
    bson_destroy(&reply);
    mg_buf_done(&b);
    return r;
}

static int put_price(struct mg_store *s, const struct price_entry *e, int64_t id, struct error *err)
{
    struct mg_batch m;
    mg_batch_init(&m, "insert", "price_book");
    size_t one = mg_batch_add(&m);
    MG_I64(&m.b, "_id", id);
    MG_STR(&m.b, "name", e->name);
    MG_MAYBE_STR(&m.b, "site", e->site);
    MG_REAL(&m.b, "price_per_hour_usd", (double)e->price_nusd_hour / NUSD_PER_USD);
    MG_I64(&m.b, "price_nusd_hour", e->price_nusd_hour);
    MG_DATE(&m.b, "effective_from", e->effective_from);
    MG_I64(&m.b, "effective_from_ns", e->effective_from);
    MG_DATE(&m.b, "added_at", e->added_at);
    MG_I64(&m.b, "added_at_ns", e->added_at);
    MG_MAYBE_STR(&m.b, "source", e->source);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    mg_batch_done(&m);
    return r;
}

int mg_add_price(struct store *base, const struct price_entry *e, int64_t *ret_id,
                 struct error *err)
{
    struct mg_store *s = mg_of(base);
    int64_t id;
    int r = next_price_id(s, &id, err);
    r = r < 0 ? r : put_price(s, e, id, err);
    r = r < 0 ? r : mg_bump_version(s, err); // once more: who read between saw no new price
    if (r == 0) {
        *ret_id = id;
    }
    return undone(r, err);
}

static bool parse_price(const bson_t *doc, struct arena *a, struct price_entry *ret)
{
    *ret = (struct price_entry){
        .name = arena_copy(a, mg_find_str(doc, "name")),
        .site = arena_copy(a, mg_find_str(doc, "site")),
        .source = arena_copy(a, mg_find_str(doc, "source")),
    };
    return mg_find_int(doc, "_id", &ret->id) &&
           mg_find_int(doc, "effective_from_ns", &ret->effective_from) &&
           mg_find_int(doc, "price_nusd_hour", &ret->price_nusd_hour) &&
           mg_find_int(doc, "added_at_ns", &ret->added_at) && str_present(ret->name) &&
           ret->price_nusd_hour >= 0 && ret->price_nusd_hour <= RECORD_PRICE_MAX;
}

int mg_prices(struct store *base, struct arena *a, struct price_book *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query q = by_id();
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    struct price_entry *entries AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    int r = mg_find(&s->conn, "price_book", &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        ARRAY_RESERVE(entries, n, cap);
        if (!parse_price(doc, a, &entries[n++])) {
            r = mg_fail_corrupt(&s->conn, "price_book", err);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    if (r == 0) {
        struct price_entry *copy = arena_alloc(a, n * sizeof(*copy));
        if (n > 0) {
            memcpy(copy, entries, n * sizeof(*copy));
        }
        *ret = (struct price_book){copy, n};
    }
    return r;
}
