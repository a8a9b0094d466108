// Storing raw records: inserted unordered by the thousand, with their event_id as _id. Whose id is
// there already is refused by the server, and only these are looked up: one that was stored by an
// earlier attempt of the same write has the seq that this one was given.
#include <errno.h>

#include "base/hash.h"
#include "output/mongo/documents.h"
#include "output/mongo/driver.h"
#include "output/refusal.h"
#include "output/retain.h"

// Records of one kind of the write, by their place in it.
struct group {
    struct store_record **v;
    size_t n;
};

// ---- looking up ----------------------------------------------------------------------------

struct found {
    int64_t seq;
    uint64_t digest;
};

// What is stored under the ids that were asked for: open addressing by the id's hash, in the order
// of `ids`.
struct lookup {
    struct store_record **v;
    struct found *found; // of v[i]; seq 0: not there
    size_t n;
    uint32_t *slots; // index into v + 1
    size_t n_slots;
};

static size_t first_slot(const struct lookup *l, struct str id)
{
    return (size_t)hash_str(id, 0) & (l->n_slots - 1);
}

static void index_ids(struct lookup *l)
{
    l->n_slots = 16;
    while (l->n_slots < 2 * l->n) {
        l->n_slots *= 2;
    }
    l->slots = x_zalloc(l->n_slots * sizeof(l->slots[0]));
    for (size_t i = 0; i < l->n; i++) {
        size_t at = first_slot(l, l->v[i]->record->event_id);
        while (l->slots[at]) {
            at = (at + 1) & (l->n_slots - 1);
        }
        l->slots[at] = (uint32_t)i + 1;
    }
}

// An id may have been asked for several times.
static void answer(struct lookup *l, struct str id, struct found found)
{
    for (size_t at = first_slot(l, id); l->slots[at]; at = (at + 1) & (l->n_slots - 1)) {
        size_t i = l->slots[at] - 1;
        if (str_eq(l->v[i]->record->event_id, id)) {
            l->found[i] = found;
        }
    }
}

static void write_lookup(struct mg_query *q, const struct lookup *l, size_t from, size_t to)
{
    size_t f = mg_begin(&q->filter), id = MG_DOC(&q->filter, "_id");
    size_t list = MG_ARRAY(&q->filter, "$in");
    for (size_t i = from; i < to; i++) {
        mg_index(&q->filter, '\x02', i - from);
        mg_text(&q->filter, NULL, 0, l->v[i]->record->event_id);
    }
    mg_end(&q->filter, list);
    mg_end(&q->filter, id);
    mg_end(&q->filter, f);
    size_t o = mg_begin(&q->opts), fields = MG_DOC(&q->opts, "projection");
    MG_I32(&q->opts, "seq", 1);
    MG_I32(&q->opts, "digest", 1);
    mg_end(&q->opts, fields);
    mg_end(&q->opts, o);
}

static int run_lookup(struct mg_store *s, enum record_kind kind, struct lookup *l, size_t from,
                      size_t to, struct error *err)
{
    struct mg_query q = {0};
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    write_lookup(&q, l, from, to);
    int r = mg_find(&s->conn, mg_record_collection[kind], &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        int64_t seq = 0, digest = 0;
        if (!mg_find_int(doc, "seq", &seq) || !mg_find_int(doc, "digest", &digest) || seq <= 0) {
            r = mg_fail_corrupt(&s->conn, mg_record_collection[kind], err);
            break;
        }
        answer(l, mg_find_str(doc, "_id"), (struct found){seq, (uint64_t)digest});
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    return r;
}

static int look_up(struct mg_store *s, enum record_kind kind, struct lookup *l, struct error *err)
{
    int r = 0;
    index_ids(l);
    for (size_t at = 0; r == 0 && at < l->n; at += MG_BATCH_MAX) {
        r = run_lookup(s, kind, l, at, MIN(l->n, at + (size_t)MG_BATCH_MAX), err);
    }
    return r;
}

static void lookup_init(struct lookup *l, size_t n)
{
    *l = (struct lookup){.v = x_array(n, sizeof(*l->v)), .found = x_zalloc(n * sizeof(*l->found))};
}

static void lookup_done(struct lookup *l)
{
    free(l->v);
    free(l->found);
    free(l->slots);
}

// ---- inserting -----------------------------------------------------------------------------

struct insertion {
    struct mg_store *s;
    const struct store_write *w;
    enum record_kind kind;
    struct store_record **sent; // what is in the batch, in its order
    struct lookup duplicates;
    struct arena *reasons;
};

static void refuse(struct insertion *in, struct store_record *sr, struct str reason)
{
    sr->verdict = STORE_REFUSED;
    sr->reason = arena_copy(in->reasons, reason);
    sr->record->seq = 0;
}

static int take_errors(struct insertion *in, const bson_t *reply, size_t n, size_t *ret_failed,
                       struct error *err)
{
    bson_iter_t it;
    struct mg_write_error e;
    if (!mg_write_errors_begin(reply, &it)) {
        return 0;
    }
    while (mg_write_errors_next(&it, &e)) {
        if (e.index < 0 || e.index >= (int64_t)n) {
            return mg_fail_code(&in->s->conn, e.code, e.text.p, err);
        }
        struct store_record *sr = in->sent[e.index];
        if (e.duplicate_id) {
            in->duplicates.v[in->duplicates.n++] = sr;
        } else if (mg_code_refuses(e.code)) {
            refuse(in, sr, e.text);
        } else {
            return mg_fail_code(&in->s->conn, e.code, e.text.p, err);
        }
        (*ret_failed)++;
    }
    return 0;
}

// Sends the batch: each of its documents was inserted, or there is an error of it.
static int send_batch(struct insertion *in, struct error *err)
{
    struct mg_batch *m = &in->s->writer->inserts;
    bson_t reply;
    size_t failed = 0;
    if (m->n == 0) {
        return 0;
    }
    int r = mg_batch_run(&in->s->conn, m, &reply, err);
    r = r < 0 ? r : take_errors(in, &reply, m->n, &failed, err);
    if (r == 0 && mg_reply_int(&reply, "n") + (int64_t)failed != (int64_t)m->n) {
        r = mg_fail_code(&in->s->conn, 0, "it does not say what became of each record", err);
    }
    bson_destroy(&reply);
    mg_batch_clear(m);
    return r;
}

static int add(struct insertion *in, struct store_record *sr, struct error *err)
{
    struct mg_batch *m = &in->s->writer->inserts;
    size_t before = m->b.n, at = mg_batch_add(m);
    mg_write_record(&m->b, sr);
    mg_end(&m->b, at);
    if (m->b.n - at > MG_DOC_MAX) {
        m->b.n = before;
        m->n--;
        refuse(in, sr, STR("too large for a document of MongoDB (16 MiB)"));
        return 0;
    }
    in->sent[m->n - 1] = sr;
    return mg_batch_full(m) ? send_batch(in, err) : 0;
}

static void judge(struct store_record *sr, struct found found)
{
    if (found.seq == sr->record->seq) {
        return; // by an earlier attempt
    }
    sr->verdict = found.digest == sr->record->digest ? STORE_DUPLICATE : STORE_CONFLICT;
    sr->record->seq = found.seq;
}

// One that is not there any more was expired between the insertion and now: it is inserted again by
// the next attempt.
static int judge_duplicates(struct insertion *in, struct error *err)
{
    struct lookup *l = &in->duplicates;
    if (l->n == 0) {
        return 0;
    }
    int r = look_up(in->s, in->kind, l, err);
    for (size_t i = 0; r == 0 && i < l->n; i++) {
        if (l->found[i].seq == 0) {
            return mg_fail_code(&in->s->conn, 112, "a record was removed meanwhile", err);
        }
        judge(l->v[i], l->found[i]);
    }
    return r;
}

static int insert(struct insertion *in, const struct group *g, struct error *err)
{
    struct mg_batch *m = &in->s->writer->inserts;
    int r = 0;
    m->collection = mg_record_collection[in->kind];
    for (size_t i = 0; r == 0 && i < g->n; i++) {
        struct record *record = g->v[i]->record;
        g->v[i]->verdict = STORE_NEW;
        if (record->seq == 0) {
            r = mg_next_seq(in->s, record->shard, in->kind, &record->seq, err);
        }
        r = r < 0 ? r : add(in, g->v[i], err);
    }
    r = r < 0 ? r : send_batch(in, err);
    return r < 0 ? r : judge_duplicates(in, err);
}

// ---- what comes too late -------------------------------------------------------------------

// Of the same write, what comes behind record `i` cannot have been there before it.
static bool comes_later(const struct store_write *w, size_t i, int64_t seq)
{
    for (size_t k = i + 1; k < w->n_records; k++) {
        const struct store_record *sr = &w->records[k];
        if (sr->verdict == STORE_NEW && sr->record->seq == seq &&
            sr->record->kind == w->records[i].record->kind) {
            return true;
        }
    }
    return false;
}

static void judge_late(const struct store_write *w, struct store_record *sr, struct found found)
{
    size_t i = (size_t)(sr - w->records);
    if (found.seq > 0 && found.seq == sr->record->seq) {
        sr->verdict = STORE_NEW; // by an earlier attempt, which was in time
        return;
    }
    bool there = found.seq > 0 && !comes_later(w, i, found.seq);
    sr->record->seq = there ? found.seq : 0;
    if (there) {
        bool same = found.digest == sr->record->digest;
        sr->verdict = same ? STORE_DUPLICATE : STORE_CONFLICT;
    }
}

static int judge_all_late(struct mg_store *s, struct store_write *w, enum record_kind kind,
                          const struct group *late, struct error *err)
{
    struct lookup l;
    if (late->n == 0) {
        return 0;
    }
    lookup_init(&l, late->n);
    memcpy(l.v, late->v, late->n * sizeof(*l.v));
    l.n = late->n;
    int r = look_up(s, kind, &l, err);
    for (size_t i = 0; r == 0 && i < l.n; i++) {
        judge_late(w, l.v[i], l.found[i]);
    }
    lookup_done(&l);
    return r;
}

// Records that begin before *ret come too late.
static int find_open_from(struct mg_store *s, int64_t *ret, struct error *err)
{
    struct arena a = {0};
    struct settings_history h = {0};
    int r = 0;
    *ret = INT64_MIN;
    if (s->writer->raw_from != INT64_MIN) {
        r = mg_settings(&s->base, &a, &h, err);
        *ret = retain_open_from(&h, s->writer->raw_from);
    }
    arena_done(&a);
    return r;
}

// ---- the whole -----------------------------------------------------------------------------

static int put_kind(struct mg_store *s, struct store_write *w, enum record_kind kind,
                    int64_t open_from, struct error *err)
{
    struct group fresh = {x_array(w->n_records, sizeof(struct store_record *)), 0};
    struct group late = {x_array(w->n_records, sizeof(struct store_record *)), 0};
    for (size_t i = 0; i < w->n_records; i++) {
        struct store_record *sr = &w->records[i];
        if (sr->record->kind == kind) {
            bool is_late = record_too_late(sr->record, open_from);
            struct group *g = is_late ? &late : &fresh;
            sr->verdict = STORE_EXPIRED; // unless it is there
            g->v[g->n++] = sr;
        }
    }
    struct insertion in = {.s = s, .w = w, .kind = kind, .reasons = &s->writer->reasons};
    in.sent = x_array(MIN(fresh.n, (size_t)MG_BATCH_MAX), sizeof(*in.sent));
    lookup_init(&in.duplicates, fresh.n);
    int r = fresh.n > 0 ? insert(&in, &fresh, err) : 0;
    r = r < 0 ? r : judge_all_late(s, w, kind, &late, err);
    lookup_done(&in.duplicates);
    free(in.sent);
    free(fresh.v);
    free(late.v);
    return r;
}

static int put_refusals(struct mg_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_records; i++) {
        struct buf room;
        if (!verdict_refuses(w->records[i].verdict)) {
            continue;
        }
        struct dead_letter d = refusal_letter(&w->records[i], clock_wall(&clock_system), &room);
        r = mg_put_letter(s, &d, err);
        buf_done(&room);
    }
    return r < 0 ? r : mg_flush_letters(s, err);
}

// A failed write is tried again, and a seq then says: stored by an earlier attempt. That of a
// duplicate is another's.
void mg_unjudge(struct store_write *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        struct store_record *sr = &w->records[i];
        if (sr->verdict == STORE_DUPLICATE || sr->verdict == STORE_CONFLICT) {
            sr->record->seq = 0;
        }
    }
}

int mg_put_records(struct mg_store *s, struct store_write *w, struct error *err)
{
    int64_t open_from;
    if (w->n_records == 0) {
        return 0;
    }
    arena_reset(&s->writer->reasons);
    int r = find_open_from(s, &open_from, err);
    r = r < 0 ? r : put_kind(s, w, RECORD_SAMPLE, open_from, err);
    r = r < 0 ? r : put_kind(s, w, RECORD_USAGE, open_from, err);
    return r < 0 ? r : put_refusals(s, w, err);
}
