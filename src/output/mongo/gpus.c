// The newest sample of each GPU. A commit brings many samples of few GPUs: the newest of each are
// found first, then written where they are newer than what is there.
#include "base/hash.h"
#include "output/mongo/documents.h"

struct seen {
    const struct record *newest;
    int64_t first;
};

// Open addressing by GPU; newest NULL: free.
struct table {
    struct seen *slots;
    size_t n_slots;
};

static bool newer(const struct record *a, const struct record *b)
{
    return a->sample.ts != b->sample.ts ? a->sample.ts > b->sample.ts
                                        : str_cmp(a->event_id, b->event_id) < 0;
}

static struct seen *slot_of(const struct table *t, const struct gpu_key *gpu)
{
    uint64_t seed = (uint64_t)(uint32_t)gpu->index << 32 | (uint32_t)gpu->instance;
    size_t at = (size_t)hash_str(gpu->host, seed) & (t->n_slots - 1);
    while (t->slots[at].newest && gpu_key_cmp(&t->slots[at].newest->sample.gpu, gpu) != 0) {
        at = (at + 1) & (t->n_slots - 1);
    }
    return &t->slots[at];
}

static void see(struct table *t, const struct record *r)
{
    struct seen *seen = slot_of(t, &r->sample.gpu);
    if (seen->newest == NULL) {
        *seen = (struct seen){r, r->sample.ts};
        return;
    }
    seen->first = MIN(seen->first, r->sample.ts);
    if (newer(r, seen->newest)) {
        seen->newest = r;
    }
}

static void write_key(struct mg_buf *b, const struct gpu_key *gpu)
{
    mg_add(b, MG_KEY("\x02", "_id"));
    mg_write_gpu_id(b, gpu);
}

// {_id, and older than r}
static void write_older(struct mg_buf *b, const struct record *r)
{
    size_t q = MG_DOC(b, "q");
    write_key(b, &r->sample.gpu);
    size_t any = MG_ARRAY(b, "$or");
    size_t earlier = MG_DOC(b, "0"), ts = MG_DOC(b, "ts_ns");
    MG_I64(b, "$lt", r->sample.ts);
    mg_end(b, ts);
    mg_end(b, earlier);
    size_t same = MG_DOC(b, "1");
    MG_I64(b, "ts_ns", r->sample.ts);
    size_t id = MG_DOC(b, "event_id");
    MG_STR(b, "$gt", r->event_id);
    mg_end(b, id);
    mg_end(b, same);
    mg_end(b, any);
    mg_end(b, q);
}

static void write_first(struct mg_buf *b, const struct seen *seen)
{
    size_t min = MG_DOC(b, "$min");
    MG_DATE(b, "first_seen", seen->first);
    MG_I64(b, "first_seen_ns", seen->first);
    mg_end(b, min);
}

static void write_newest(struct mg_batch *m, const struct seen *seen)
{
    const struct gpu_sample *g = &seen->newest->sample;
    struct mg_buf *b = &m->b;
    size_t one = mg_batch_add(m);
    write_older(b, seen->newest);
    size_t u = MG_DOC(b, "u"), set = MG_DOC(b, "$set");
    MG_STR(b, "host", g->gpu.host);
    MG_I32(b, "gpu_index", g->gpu.index);
    if (g->gpu.instance != GPU_INSTANCE_NONE) {
        MG_I32(b, "gpu_instance", g->gpu.instance);
    }
    MG_DATE(b, "last_seen", g->ts);
    MG_I64(b, "ts_ns", g->ts);
    MG_STR(b, "event_id", seen->newest->event_id);
    mg_write_measures(b, g);
    mg_end(b, set);
    size_t gone = MG_DOC(b, "$unset");
    MG_STR(b, "stale", STR("")); // never there: an empty $unset is refused by old servers
    mg_unset_measures(b, g);
    mg_end(b, gone);
    write_first(b, seen);
    mg_end(b, u);
    MG_BOOL(b, "upsert", true);
    mg_end(b, one);
}

// Of a GPU whose newer sample is there already: it may have been seen before what is known.
static void write_earlier(struct mg_batch *m, const struct seen *seen)
{
    struct mg_buf *b = &m->b;
    size_t one = mg_batch_add(m), q = MG_DOC(b, "q");
    write_key(b, &seen->newest->sample.gpu);
    mg_end(b, q);
    size_t u = MG_DOC(b, "u");
    write_first(b, seen);
    mg_end(b, u);
    mg_end(b, one);
}

// Sends m, whose statements are of sent[]; those that another sample had overtaken go to `later`.
static int send_batch(struct mg_store *s, struct mg_batch *m, struct seen *const *sent,
                      struct mg_batch *later, struct error *err)
{
    bson_t reply;
    bson_iter_t it;
    struct mg_write_error e;
    if (m->n == 0) {
        return 0;
    }
    mg_batch_close(m);
    int r = mg_run(&s->conn, MG_WRITE, &m->b, 0, &reply, err);
    bool failed = r == 0 && mg_write_errors_begin(&reply, &it);
    while (r == 0 && failed && mg_write_errors_next(&it, &e)) {
        if (e.duplicate_id && e.index >= 0 && e.index < (int64_t)m->n) {
            write_earlier(later, sent[e.index]);
        } else {
            r = mg_fail_code(&s->conn, e.code, e.text.p, err);
        }
    }
    bson_destroy(&reply);
    mg_batch_clear(m);
    return r;
}

static int put(struct mg_store *s, const struct table *t, struct error *err)
{
    struct mg_batch newest, later;
    struct seen *sent[MG_BATCH_MAX];
    int r = 0;
    mg_batch_init(&newest, "update", "gpus");
    mg_batch_init(&later, "update", "gpus");
    for (size_t i = 0; r == 0 && i < t->n_slots; i++) {
        if (t->slots[i].newest) {
            sent[newest.n] = &t->slots[i];
            write_newest(&newest, &t->slots[i]);
            r = mg_batch_full(&newest) ? send_batch(s, &newest, sent, &later, err) : 0;
        }
    }
    r = r < 0 ? r : send_batch(s, &newest, sent, &later, err);
    r = r < 0 ? r : mg_batch_flush(&s->conn, &later, err);
    mg_batch_done(&newest);
    mg_batch_done(&later);
    return r;
}

// Duplicates are looked at, too: whoever stored them may not have come this far.
int mg_put_gpus(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct table t = {.n_slots = 16};
    while (t.n_slots < 2 * w->n_records) {
        t.n_slots *= 2;
    }
    bool any = false;
    t.slots = x_zalloc(t.n_slots * sizeof(t.slots[0]));
    for (size_t i = 0; i < w->n_records; i++) {
        const struct store_record *sr = &w->records[i];
        if (sr->record->kind == RECORD_SAMPLE &&
            (sr->verdict == STORE_NEW || sr->verdict == STORE_DUPLICATE)) {
            see(&t, sr->record);
            any = true;
        }
    }
    int r = any ? put(s, &t, err) : 0;
    free(t.slots);
    return r;
}
