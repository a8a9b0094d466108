#include "owned_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sort.h"

enum { SHARD_AT = 51, EPOCH_AT = 31 };
#define COUNTER_MASK ((INT64_C(1) << EPOCH_AT) - 1)

static struct owned_store *owned(struct store *s)
{
    return (struct owned_store *)s;
}

static struct store *inner(struct store *s)
{
    return owned(s)->db->inner;
}

static int64_t seq_of(uint32_t shard, uint32_t epoch, int64_t counter)
{
    return (int64_t)shard << SHARD_AT | (int64_t)epoch << EPOCH_AT | counter;
}

static uint32_t shard_of_seq(int64_t seq)
{
    return (uint32_t)(seq >> SHARD_AT);
}

// ---- seqs ----------------------------------------------------------------------------------

static void note_seq(struct owned_db *db, const struct record *r, uint32_t epoch)
{
    size_t at = (size_t)r->seq;
    if (at >= db->cap[r->kind]) {
        size_t cap = MAX(2 * at, (size_t)1024);
        db->seqs[r->kind] = x_realloc_array(db->seqs[r->kind], cap, sizeof(db->seqs[0][0]));
        db->cap[r->kind] = cap;
    }
    db->seqs[r->kind][at] = seq_of(r->shard, epoch, r->seq);
}

static int64_t outer_seq(const struct owned_db *db, const struct record *r)
{
    return db->seqs[r->kind][r->seq];
}

// ---- commits -------------------------------------------------------------------------------

// A record whose first attempt stored it is not taken for a duplicate.
static void translate(struct owned_store *s, struct store_record *sr, int64_t attempted)
{
    struct record *r = sr->record;
    if (sr->verdict == STORE_NEW) {
        note_seq(s->db, r, s->epochs[r->shard]);
        r->seq = outer_seq(s->db, r);
    } else if (sr->verdict == STORE_DUPLICATE) {
        r->seq = outer_seq(s->db, r);
        sr->verdict = r->seq == attempted ? STORE_NEW : STORE_DUPLICATE;
    }
}

static int commit_raw(struct owned_store *s, struct store_write *w, struct error *err)
{
    struct store_write raw = {
        .records = w->records,
        .n_records = w->n_records,
        .dead_letters = w->dead_letters,
        .n_dead_letters = w->n_dead_letters,
        .positions = w->positions,
        .n_positions = w->n_positions,
    };
    AUTO_FREE int64_t *attempted = x_array(w->n_records + 1, sizeof(*attempted));
    for (size_t i = 0; i < w->n_records; i++) {
        attempted[i] = w->records[i].record->seq;
    }
    pthread_mutex_lock(&s->db->lock);
    int r = store_commit(s->db->inner, &raw, err);
    for (size_t i = 0; i < w->n_records && r == 0; i++) {
        translate(s, &w->records[i], attempted[i]);
    }
    pthread_mutex_unlock(&s->db->lock);
    return r;
}

static size_t put_costs(const struct owned_store *s, const struct store_write *w,
                        struct usage_cost *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_costs; i++) {
        if (!s->lost[shard_of_seq(w->costs[i].seq)]) {
            ret[n] = w->costs[i];
            ret[n++].seq &= COUNTER_MASK;
        }
    }
    return n;
}

static size_t put_windows(const struct owned_store *s, const struct store_write *w,
                          struct window_rows *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_windows; i++) {
        if (!s->lost[w->windows[i].shard]) {
            ret[n++] = w->windows[i];
        }
    }
    return n;
}

static size_t put_states(struct owned_store *s, const struct store_write *w,
                         struct shard_state *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_shards; i++) {
        uint32_t shard = w->shards[i].shard;
        bool lost = s->epochs[shard] != s->db->epochs[shard] || s->lost[shard];
        s->lost[shard] |= lost;
        if (w->lost) {
            w->lost[i] = lost;
        }
        if (!lost) {
            ret[n++] = w->shards[i];
        }
    }
    return n;
}

static size_t put_ranges(const struct owned_store *s, const struct store_write *w,
                         struct unsettled_range *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_unsettled; i++) {
        if (!s->lost[w->unsettled[i].shard]) {
            ret[n++] = w->unsettled[i];
        }
    }
    return n;
}

static void look(struct owned_store *s)
{
    for (size_t i = 0; i < OWNED_SHARDS; i++) {
        s->lost[i] |= s->epochs[i] != s->db->epochs[i];
    }
}

static int commit_computed(struct owned_store *s, const struct store_write *w, struct error *err)
{
    AUTO_FREE struct usage_cost *costs = x_array(w->n_costs + 1, sizeof(*costs));
    AUTO_FREE struct window_rows *windows = x_array(w->n_windows + 1, sizeof(*windows));
    AUTO_FREE struct shard_state *states = x_array(w->n_shards + 1, sizeof(*states));
    AUTO_FREE struct unsettled_range *ranges = x_array(w->n_unsettled + 1, sizeof(*ranges));
    pthread_mutex_lock(&s->db->lock);
    if (s->looks) {
        look(s);
    }
    struct store_write out = {
        .costs = costs, .windows = windows, .shards = states, .unsettled = ranges};
    out.n_costs = put_costs(s, w, costs); // what it does not know yet shuts nothing out
    out.n_windows = put_windows(s, w, windows);
    out.n_shards = put_states(s, w, states);
    out.n_unsettled = put_ranges(s, w, ranges);
    int r = store_commit(s->db->inner, &out, err);
    pthread_mutex_unlock(&s->db->lock);
    return r;
}

static int owned_commit(struct store *base, struct store_write *w, struct error *err)
{
    struct owned_store *s = owned(base);
    int r = commit_raw(s, w, err);
    if (r == 0 && s->between) {
        s->between(s->ctx, w);
    }
    return r == 0 ? commit_computed(s, w, err) : r;
}

// ---- owners --------------------------------------------------------------------------------

static int owned_take(struct store *base, uint32_t shard, enum shard_claim claim,
                      struct shard_hold *ret, struct error *err)
{
    struct owned_store *s = owned(base);
    struct owned_db *db = s->db;
    int r = 0;
    pthread_mutex_lock(&db->lock);
    const struct owned_store *owner = db->owners[shard];
    if (claim == SHARD_EXCLUSIVE && owner && owner != s) {
        r = error_set(err, -EBUSY, "shard %u is metered by another process", shard);
    } else {
        ret->kept = owner == s && s->epochs[shard] == db->epochs[shard] && !s->lost[shard];
        db->epochs[shard] += !ret->kept;
        db->owners[shard] = s;
        s->epochs[shard] = db->epochs[shard];
        s->lost[shard] = false;
        s->taken++;
        s->kept += ret->kept;
        ret->own_seq[0] = ret->own_seq[1] = seq_of(shard, s->epochs[shard], 0);
        ret->first_seq = seq_of(shard, 0, 0);
        r = store_shard(db->inner, shard, &ret->state, err);
    }
    pthread_mutex_unlock(&db->lock);
    return r;
}

static int owned_alive(struct store *s, struct error *err)
{
    (void)err;
    owned(s)->alive++;
    return 0;
}

// ---- reading -------------------------------------------------------------------------------

struct owned_cursor {
    struct store_cursor base;
    struct store_cursor *inner; // whose rows these are
    struct stored_record *rows;
    size_t n, cap, at;
};

static bool earlier(const struct stored_record *a, const struct stored_record *b)
{
    return a->record.seq < b->record.seq;
}
DEFINE_SORT(sort_by_seq, struct stored_record, earlier);

static int read_all(struct owned_cursor *c, const struct owned_db *db, const struct record_query *q,
                    struct error *err)
{
    struct stored_record row;
    int r;
    while ((r = store_records_next(c->inner, &row, err)) > 0) {
        row.record.seq = outer_seq(db, &row.record);
        row.cost.seq = row.cost.seq ? row.record.seq : 0;
        bool in = row.record.seq >= q->from && row.record.seq < q->to;
        if (q->order == RECORDS_BY_TIME || in) {
            ARRAY_RESERVE(c->rows, c->n, c->cap);
            c->rows[c->n++] = row;
        }
    }
    if (q->order == RECORDS_BY_SEQ) {
        AUTO_FREE struct stored_record *room = x_array(c->n + 1, sizeof(*room));
        sort_by_seq(c->rows, c->n, room);
    }
    return r;
}

static void owned_cursor_close(struct store_cursor *base)
{
    struct owned_cursor *c = (struct owned_cursor *)base;
    store_cursor_close(c->inner);
    free(c->rows);
    free(c);
}

static int owned_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                         struct error *err)
{
    struct record_query all = *q;
    struct owned_cursor *c = x_zalloc(sizeof(*c));
    c->base.ops = s->ops;
    if (q->order == RECORDS_BY_SEQ) {
        all.from = INT64_MIN;
        all.to = INT64_MAX;
    }
    pthread_mutex_lock(&owned(s)->db->lock);
    int r = store_records(inner(s), &all, &c->inner, err);
    r = r < 0 ? r : read_all(c, owned(s)->db, q, err);
    pthread_mutex_unlock(&owned(s)->db->lock);
    if (r < 0) {
        owned_cursor_close(&c->base);
        return r;
    }
    *ret = &c->base;
    return 0;
}

static int owned_records_next(struct store_cursor *base, struct stored_record *ret,
                              struct error *err)
{
    struct owned_cursor *c = (struct owned_cursor *)base;
    (void)err;
    if (c->at == c->n) {
        return 0;
    }
    *ret = c->rows[c->at++];
    return 1;
}

// ---- passed through ------------------------------------------------------------------------

static void owned_close(struct store *s)
{
    (void)s;
}

static int owned_set_shards(struct store *s, uint32_t n, struct error *err)
{
    return store_set_shards(inner(s), n, err);
}

static int owned_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                              struct error *err)
{
    return store_add_settings(inner(s), e, added_at, err);
}

static int owned_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
                        size_t *ret_removed, struct error *err)
{
    return store_expire(inner(s), c, before, limit, ret_removed, err);
}

static int owned_info(struct store *s, struct store_info *ret, struct error *err)
{
    return store_info(inner(s), ret, err);
}

static int owned_settings(struct store *s, struct arena *a, struct settings_history *ret,
                          struct error *err)
{
    return store_settings(inner(s), a, ret, err);
}

static int owned_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err)
{
    return store_prices(inner(s), a, ret, err);
}

static int owned_position(struct store *s, struct str input, struct input_position *ret,
                          struct error *err)
{
    return store_position(inner(s), input, ret, err);
}

static int owned_shard(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err)
{
    return store_shard(inner(s), shard, ret, err);
}

static int owned_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret,
                           size_t *ret_n, struct error *err)
{
    return store_unsettled(inner(s), a, ret, ret_n, err);
}

static int owned_windows(struct store *s, const struct window_query *q, const struct store_match *m,
                         struct store_cursor **ret, struct error *err)
{
    return m ? store_windows_of(inner(s), q, m, ret, err) : store_windows(inner(s), q, ret, err);
}

static int owned_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                             struct store_cursor **ret, struct error *err)
{
    struct store *at = inner(s);
    return at->ops->corrections(at, from, to, shard, ret, err);
}

static const struct store_ops owned_ops = {
    .scheme = "owned",
    .close = owned_close,
    .commit = owned_commit,
    .take_shard = owned_take,
    .alive = owned_alive,
    .set_shards = owned_set_shards,
    .add_settings = owned_add_settings,
    .expire = owned_expire,
    .info = owned_info,
    .settings = owned_settings,
    .prices = owned_prices,
    .position = owned_position,
    .shard = owned_shard,
    .unsettled = owned_unsettled,
    .records = owned_records,
    .records_next = owned_records_next,
    .windows = owned_windows,
    .corrections = owned_corrections,
    .cursor_close = owned_cursor_close,
};

void owned_db_init(struct owned_db *db, struct store *inner_store)
{
    *db = (struct owned_db){.inner = inner_store};
    pthread_mutex_init(&db->lock, NULL);
}

void owned_db_done(struct owned_db *db)
{
    pthread_mutex_destroy(&db->lock);
    free(db->seqs[0]);
    free(db->seqs[1]);
}

void owned_store_init(struct owned_store *s, struct owned_db *db)
{
    *s = (struct owned_store){.base = *db->inner, .db = db};
    s->base.ops = &owned_ops;
}

void owned_store_die(struct owned_store *s)
{
    pthread_mutex_lock(&s->db->lock);
    for (size_t i = 0; i < OWNED_SHARDS; i++) {
        if (s->db->owners[i] == s) {
            s->db->owners[i] = NULL;
        }
    }
    pthread_mutex_unlock(&s->db->lock);
}
