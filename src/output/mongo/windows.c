// Rows of windows, hours and days: all rows of one span of one shard, in place of what was there.
// The rows of windows that are not final yet are remembered as they were written last, so that of a
// preview every second only what changed is sent; of other spans the ids that are stored are read
// first, and what is not among the new ones is deleted.
#include "base/hash.h"
#include "base/sort.h"
#include "output/mongo/documents.h"

struct known_row {
    uint64_t key;     // hash of the id
    uint64_t content; // hash of the document; 0: not known
    size_t at, n;     // the id's bytes in ids
};

struct known {
    int64_t start;
    struct known_row *rows; // ascending by key
    size_t n, cap;
    struct mg_buf ids;
};

enum { KNOWN_MAX = 64 }; // windows of one shard that are not final: horizon / W, and some

struct mg_windows {
    struct known v[KNOWN_MAX]; // ascending by start
    size_t n;
};

static void known_done(struct known *k)
{
    free(k->rows);
    mg_buf_done(&k->ids);
    *k = (struct known){0};
}

void mg_windows_forget(struct mg_shard *shard)
{
    for (size_t i = 0; shard->windows && i < shard->windows->n; i++) {
        known_done(&shard->windows->v[i]);
    }
    free(shard->windows);
    shard->windows = NULL;
}

static bool key_before(const struct known_row *a, const struct known_row *b)
{
    return a->key < b->key;
}
DEFINE_SORT(sort_known, struct known_row, key_before);

static void sort_rows(struct known *k)
{
    if (k->n > 1) {
        struct known_row *scratch AUTO_FREE = x_array(k->n, sizeof(*scratch));
        sort_known(k->rows, k->n, scratch);
    }
}

static void add_known(struct known *k, const void *id, size_t n, uint64_t content)
{
    ARRAY_RESERVE(k->rows, k->n, k->cap);
    k->rows[k->n++] = (struct known_row){hash_bytes(id, n, 0), content, k->ids.n, n};
    mg_add(&k->ids, id, n);
}

// The row with this id; k is sorted.
static const struct known_row *find_known(const struct known *k, const void *id, size_t n)
{
    uint64_t key = hash_bytes(id, n, 0);
    size_t low = 0, high = k->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool before = k->rows[mid].key < key;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    for (; low < k->n && k->rows[low].key == key; low++) {
        const struct known_row *row = &k->rows[low];
        if (row->n == n && memcmp(k->ids.p + row->at, id, n) == 0) {
            return row;
        }
    }
    return NULL;
}

// ---- remembering ---------------------------------------------------------------------------

static size_t place_of(const struct mg_windows *w, int64_t start)
{
    size_t i = 0;
    while (i < w->n && w->v[i].start < start) {
        i++;
    }
    return i;
}

// What is known of the window, taken out of the memory.
static bool take_known(struct mg_shard *shard, int64_t start, struct known *ret)
{
    struct mg_windows *w = shard->windows;
    size_t i = w ? place_of(w, start) : 0;
    if (w == NULL || i == w->n || w->v[i].start != start) {
        return false;
    }
    *ret = w->v[i];
    w->n--;
    memmove(&w->v[i], &w->v[i + 1], (w->n - i) * sizeof(w->v[0]));
    return true;
}

// Takes k over. The oldest one makes room.
static void keep_known(struct mg_shard *shard, struct known *k)
{
    if (shard->windows == NULL) {
        shard->windows = x_zalloc(sizeof(*shard->windows));
    }
    struct mg_windows *w = shard->windows;
    if (w->n == KNOWN_MAX) {
        known_done(&w->v[0]);
        w->n--;
        memmove(&w->v[0], &w->v[1], w->n * sizeof(w->v[0]));
    }
    size_t i = place_of(w, k->start);
    memmove(&w->v[i + 1], &w->v[i], (w->n - i) * sizeof(w->v[0]));
    w->v[i] = *k;
    w->n++;
    *k = (struct known){0};
}

// ---- reading what is stored ----------------------------------------------------------------

static void write_span_query(struct mg_query *q, uint32_t shard, int64_t start)
{
    size_t f = mg_begin(&q->filter);
    MG_I32(&q->filter, "partition", (int32_t)shard);
    size_t id = MG_DOC(&q->filter, "_id");
    mg_add(&q->filter, MG_KEY("\x02", "$gte"));
    mg_write_start_id(&q->filter, start);
    mg_add(&q->filter, MG_KEY("\x02", "$lt"));
    mg_write_start_id(&q->filter, start + 1);
    mg_end(&q->filter, id);
    mg_end(&q->filter, f);
    size_t o = mg_begin(&q->opts), fields = MG_DOC(&q->opts, "projection");
    MG_I32(&q->opts, "_id", 1);
    mg_end(&q->opts, fields);
    mg_end(&q->opts, o);
}

static int read_ids(struct mg_store *s, enum window_level level, uint32_t shard, int64_t start,
                    struct known *ret, struct error *err)
{
    struct mg_query q = {0};
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    write_span_query(&q, shard, start);
    int r = mg_find(&s->conn, mg_level_collection[level], &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        bson_iter_t it;
        uint32_t n = 0;
        if (bson_iter_init_find(&it, doc, "_id") && BSON_ITER_HOLDS_UTF8(&it)) {
            const char *p = bson_iter_utf8(&it, &n);
            add_known(ret, p, n, 0);
        }
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    sort_rows(ret);
    return r;
}

// ---- writing -------------------------------------------------------------------------------

// {q: {_id: ID}, u: DOCUMENT, upsert: true}. Returns what is to be known of it; taken back when it
// is what is known already.
static int put_row(struct mg_store *s, uint32_t shard, const struct window_row *row,
                   const struct known *old, struct known *fresh, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    size_t before_n = m->n, before = m->b.n, one = mg_batch_add(m);
    size_t q = MG_DOC(&m->b, "q");
    mg_add(&m->b, MG_KEY("\x02", "_id"));
    size_t id = m->b.n + sizeof(int32_t);
    mg_write_row_id(&m->b, shard, row);
    size_t id_n = m->b.n - 1 - id;
    mg_end(&m->b, q);
    size_t u = MG_DOC(&m->b, "u");
    mg_write_row(&m->b, shard, row);
    mg_end(&m->b, u);
    uint64_t content = hash_bytes(m->b.p + u, m->b.n - u, 0) | 1;
    const struct known_row *known = find_known(old, m->b.p + id, id_n);
    add_known(fresh, m->b.p + id, id_n, content);
    if (known && known->content == content) {
        m->b.n = before; // an empty batch begins anew
        m->n = before_n;
        return 0;
    }
    MG_BOOL(&m->b, "upsert", true);
    mg_end(&m->b, one);
    return mg_batch_spill(&s->conn, m, err);
}

static int delete_rows(struct mg_store *s, const struct known *old, const struct known *fresh,
                       struct error *err)
{
    struct mg_batch *m = &s->writer->deletes;
    int r = 0;
    for (size_t i = 0; r == 0 && i < old->n; i++) {
        const char *id = old->ids.p + old->rows[i].at;
        if (find_known(fresh, id, old->rows[i].n)) {
            continue;
        }
        size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
        MG_STR(&m->b, "_id", ((struct str){id, old->rows[i].n}));
        mg_end(&m->b, q);
        MG_I32(&m->b, "limit", 1);
        mg_end(&m->b, one);
        r = mg_batch_spill(&s->conn, m, err);
    }
    return r;
}

static int replace(struct mg_store *s, enum window_level level, const struct window_rows *span,
                   const struct known *old, struct known *fresh, struct error *err)
{
    int r = 0;
    s->writer->updates.collection = s->writer->deletes.collection = mg_level_collection[level];
    for (size_t i = 0; r == 0 && i < span->n; i++) {
        r = put_row(s, span->shard, &span->rows[i], old, fresh, err);
    }
    sort_rows(fresh);
    return r < 0 ? r : delete_rows(s, old, fresh, err);
}

int mg_put_span(struct mg_store *s, enum window_level level, const struct window_rows *span,
                struct error *err)
{
    struct known old = {0}, fresh = {0};
    int r = read_ids(s, level, span->shard, span->window_start, &old, err);
    r = r < 0 ? r : replace(s, level, span, &old, &fresh, err);
    known_done(&old);
    known_done(&fresh);
    return r;
}

static bool is_open(const struct window_rows *span)
{
    for (size_t i = 0; i < span->n; i++) {
        if (!span->rows[i].final) {
            return true;
        }
    }
    return false;
}

// What is remembered is true once the batch was sent; a commit that fails forgets all of it.
static int put_window(struct mg_store *s, const struct window_rows *span, struct error *err)
{
    struct mg_shard *shard = mg_shard(s->writer, span->shard);
    struct known old = {0}, fresh = {.start = span->window_start};
    int r = take_known(shard, span->window_start, &old)
                ? 0
                : read_ids(s, LEVEL_WINDOW, span->shard, span->window_start, &old, err);
    r = r < 0 ? r : replace(s, LEVEL_WINDOW, span, &old, &fresh, err);
    if (r == 0 && is_open(span)) {
        keep_known(shard, &fresh);
    }
    known_done(&old);
    known_done(&fresh);
    return r;
}

int mg_flush_rows(struct mg_store *s, struct error *err)
{
    int r = mg_batch_flush(&s->conn, &s->writer->updates, err);
    return r < 0 ? r : mg_batch_flush(&s->conn, &s->writer->deletes, err);
}

// ---- the windows of a commit ---------------------------------------------------------------

typedef const struct window_rows *span_ptr;

static bool span_before(const span_ptr *a, const span_ptr *b)
{
    return (*a)->shard != (*b)->shard ? (*a)->shard < (*b)->shard
                                      : (*a)->window_start < (*b)->window_start;
}
DEFINE_SORT(sort_spans, span_ptr, span_before); // stable: of several of one window the last holds

int mg_put_windows(struct mg_store *s, const struct store_write *w, struct error *err)
{
    span_ptr *sorted AUTO_FREE = x_array(2 * w->n_windows, sizeof(*sorted)); // half to sort with
    for (size_t i = 0; i < w->n_windows; i++) {
        sorted[i] = &w->windows[i];
    }
    sort_spans(sorted, w->n_windows, sorted + w->n_windows);
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        bool last = i + 1 == w->n_windows || span_before(&sorted[i], &sorted[i + 1]);
        r = last && mg_owns(s, sorted[i]->shard) ? put_window(s, sorted[i], err) : 0;
    }
    return r < 0 ? r : mg_flush_rows(s, err);
}
