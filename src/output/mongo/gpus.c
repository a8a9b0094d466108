// The newest sample of each GPU. Commits bring many samples of few GPUs: the newest of each is kept
// here, and written about once a second where it is newer than what is there. Up to which sample
// that was goes into the shard's document, so that whoever takes the shard after a process that was
// killed finds the rest among the stored ones.
#include "base/hash.h"
#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

enum { SLOTS = 16384, ROOM = 64 };
#define EVERY_NS NS_PER_S

struct mg_gpu {
    struct record newest; // a sample
    int64_t first;
    char *text; // what newest's texts are in
    size_t cap;
};

struct mg_gpus {
    struct mg_gpu *v; // behind n: room for texts, to be used again
    size_t n, cap;
    uint32_t slots[SLOTS]; // 1 + index in v, by GPU: open addressing; 0: free
    struct mono written;
};

_Static_assert(SLOTS > 2 * MG_BATCH_MAX, "a slot is always free");

struct mg_gpus *mg_gpus_new(void)
{
    struct mg_gpus *g = x_zalloc(sizeof(*g));
    g->written.ns = INT64_MIN / 2; // never
    return g;
}

void mg_gpus_free(struct mg_gpus *g)
{
    for (size_t i = 0; g && i < g->cap; i++) {
        free(g->v[i].text);
    }
    if (g) {
        free(g->v);
    }
    free(g);
}

static size_t hash_gpu(const struct gpu_key *gpu)
{
    uint64_t seed = (uint64_t)(uint32_t)gpu->index << 32 | (uint32_t)gpu->instance;
    return (size_t)hash_str(gpu->host, seed);
}

static bool newer(const struct record *a, const struct record *b)
{
    return a->sample.ts != b->sample.ts ? a->sample.ts > b->sample.ts
                                        : str_cmp(a->event_id, b->event_id) < 0;
}

// ---- writing -------------------------------------------------------------------------------

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

static void write_first(struct mg_buf *b, const struct mg_gpu *seen)
{
    size_t min = MG_DOC(b, "$min");
    MG_DATE(b, "first_seen", seen->first);
    MG_I64(b, "first_seen_ns", seen->first);
    mg_end(b, min);
}

static void write_newest(struct mg_batch *m, const struct mg_gpu *seen)
{
    const struct gpu_sample *g = &seen->newest.sample;
    struct mg_buf *b = &m->b;
    size_t one = mg_batch_add(m);
    write_older(b, &seen->newest);
    size_t u = MG_DOC(b, "u"), set = MG_DOC(b, "$set");
    MG_STR(b, "host", g->gpu.host);
    MG_I32(b, "gpu_index", g->gpu.index);
    if (g->gpu.instance != GPU_INSTANCE_NONE) {
        MG_I32(b, "gpu_instance", g->gpu.instance);
    }
    MG_DATE(b, "last_seen", g->ts);
    MG_I64(b, "ts_ns", g->ts);
    MG_STR(b, "event_id", seen->newest.event_id);
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
static void write_earlier(struct mg_batch *m, const struct mg_gpu *seen)
{
    struct mg_buf *b = &m->b;
    size_t one = mg_batch_add(m), q = MG_DOC(b, "q");
    write_key(b, &seen->newest.sample.gpu);
    mg_end(b, q);
    size_t u = MG_DOC(b, "u");
    write_first(b, seen);
    mg_end(b, u);
    mg_end(b, one);
}

// Sends m, whose statements are of sent[]; those that another sample had overtaken go to `later`.
static int send_batch(struct mg_store *s, struct mg_batch *m, struct mg_gpu *const *sent,
                      struct mg_batch *later, struct error *err)
{
    bson_t reply;
    bson_iter_t it;
    struct mg_write_error e;
    if (m->n == 0) {
        return 0;
    }
    int r = mg_batch_run(&s->conn, m, &reply, err);
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

static int send_all(struct mg_store *s, struct mg_gpus *g, struct error *err)
{
    struct mg_batch newest, later;
    struct mg_gpu *sent[MG_BATCH_MAX];
    int r = 0;
    mg_batch_init(&newest, "update", "gpus");
    mg_batch_init(&later, "update", "gpus");
    for (size_t i = 0; r == 0 && i < g->n; i++) {
        sent[newest.n] = &g->v[i];
        write_newest(&newest, &g->v[i]);
        r = mg_batch_full(&newest) ? send_batch(s, &newest, sent, &later, err) : 0;
    }
    r = r < 0 ? r : send_batch(s, &newest, sent, &later, err);
    r = r < 0 ? r : mg_batch_flush(&s->conn, &later, err);
    mg_batch_done(&newest);
    mg_batch_done(&later);
    return r;
}

int mg_flush_gpus(struct mg_store *s, struct error *err)
{
    struct mg_gpus *g = s->writer->gpus;
    int r = send_all(s, g, err);
    if (r < 0) {
        return r;
    }
    g->n = 0;
    memset(g->slots, 0, sizeof(g->slots));
    g->written = clock_mono(&clock_system);
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        struct mg_shard *own = s->writer->shards[i];
        if (own && own->holding == MG_HELD) {
            own->gpus_seq = MAX(own->gpus_seq, own->gpus_kept);
        }
    }
    return 0;
}

int mg_flush_gpus_due(struct mg_store *s, struct error *err)
{
    const struct mg_gpus *g = s->writer->gpus;
    bool due = clock_mono(&clock_system).ns - g->written.ns >= EVERY_NS;
    return g->n > 0 && due ? mg_flush_gpus(s, err) : 0;
}

// ---- keeping -------------------------------------------------------------------------------

static uint32_t *slot_of(struct mg_gpus *g, const struct gpu_key *gpu)
{
    size_t at = hash_gpu(gpu) & (SLOTS - 1);
    while (g->slots[at] && gpu_key_cmp(&g->v[g->slots[at] - 1].newest.sample.gpu, gpu) != 0) {
        at = (at + 1) & (SLOTS - 1);
    }
    return &g->slots[at];
}

static void copy_newest(struct mg_gpu *k, const struct record *r)
{
    struct gpu_sample *g = &k->newest.sample;
    struct str *const texts[] = {&k->newest.event_id, &g->gpu.host, &g->name, &g->uuid,
                                 &g->mig_profile,     &g->source,   &g->site};
    size_t n = 0;
    k->newest = *r;
    k->newest.extra = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        n += texts[i]->n;
    }
    if (k->cap < n) {
        free(k->text);
        k->cap = n + ROOM;
        k->text = x_alloc(k->cap);
    }
    char *at = k->text;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i]->n > 0) {
            memcpy(at, texts[i]->p, texts[i]->n);
            texts[i]->p = at;
            at += texts[i]->n;
        }
    }
}

static struct mg_gpu *add_gpu(struct mg_gpus *g)
{
    if (g->n == g->cap) {
        size_t cap = g->cap * 2 + 16;
        g->v = x_realloc_array(g->v, cap, sizeof(g->v[0]));
        memset(&g->v[g->cap], 0, (cap - g->cap) * sizeof(g->v[0]));
        g->cap = cap;
    }
    return &g->v[g->n++];
}

static int keep(struct mg_store *s, const struct record *r, int64_t first, struct error *err)
{
    struct mg_gpus *g = s->writer->gpus;
    int result = g->n == MG_BATCH_MAX ? mg_flush_gpus(s, err) : 0;
    if (result < 0) {
        return result;
    }
    uint32_t *slot = slot_of(g, &r->sample.gpu);
    if (*slot == 0) {
        struct mg_gpu *new = add_gpu(g);
        copy_newest(new, r);
        new->first = first;
        *slot = (uint32_t)g->n;
        return 0;
    }
    struct mg_gpu *known = &g->v[*slot - 1];
    known->first = MIN(known->first, first);
    if (newer(r, &known->newest)) {
        copy_newest(known, r);
    }
    return 0;
}

// ---- what a commit brings ------------------------------------------------------------------

struct seen {
    const struct record *newest;
    int64_t first;
};

// Open addressing by GPU; newest NULL: free.
struct table {
    struct seen *slots;
    size_t n_slots;
};

static void see(struct table *t, const struct record *r)
{
    size_t at = hash_gpu(&r->sample.gpu) & (t->n_slots - 1);
    while (t->slots[at].newest &&
           gpu_key_cmp(&t->slots[at].newest->sample.gpu, &r->sample.gpu) != 0) {
        at = (at + 1) & (t->n_slots - 1);
    }
    struct seen *seen = &t->slots[at];
    if (seen->newest == NULL) {
        *seen = (struct seen){r, r->sample.ts};
        return;
    }
    seen->first = MIN(seen->first, r->sample.ts);
    if (newer(r, seen->newest)) {
        seen->newest = r;
    }
}

// Whether samples of the write are not among those that the next owner would look for: stored under
// a number that was given before, or by one who is not the owner.
static bool see_all(struct mg_store *s, const struct store_write *w, struct table *t)
{
    bool foreign = false;
    for (size_t i = 0; i < w->n_records; i++) {
        const struct store_record *sr = &w->records[i];
        // Duplicates are looked at, too: whoever stored them may not have come this far.
        if (sr->record->kind == RECORD_SAMPLE &&
            (sr->verdict == STORE_NEW || sr->verdict == STORE_DUPLICATE)) {
            see(t, sr->record);
            foreign |= sr->verdict == STORE_DUPLICATE || !mg_owns(s, sr->record->shard);
        }
    }
    return foreign;
}

// Once all of them are kept: an attempt may fail before that.
static void note_kept(struct mg_store *s, const struct store_write *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        const struct store_record *sr = &w->records[i];
        struct mg_shard *own = mg_shard(s->writer, sr->record->shard);
        if (sr->record->kind == RECORD_SAMPLE && sr->verdict == STORE_NEW) {
            own->gpus_kept = MAX(own->gpus_kept, sr->record->seq);
        }
    }
}

int mg_put_gpus(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct table t = {.n_slots = 16};
    while (t.n_slots < 2 * w->n_records) {
        t.n_slots *= 2;
    }
    t.slots = x_zalloc(t.n_slots * sizeof(t.slots[0]));
    bool foreign = see_all(s, w, &t);
    int r = 0;
    for (size_t i = 0; r == 0 && i < t.n_slots; i++) {
        r = t.slots[i].newest ? keep(s, t.slots[i].newest, t.slots[i].first, err) : 0;
    }
    free(t.slots);
    if (r < 0) {
        return r;
    }
    note_kept(s, w);
    return foreign ? mg_flush_gpus(s, err) : mg_flush_gpus_due(s, err);
}

// ---- what a former owner did not come to ---------------------------------------------------

static void write_rest_query(struct mg_query *q, uint32_t shard, int64_t after)
{
    size_t f = mg_begin(&q->filter), seq = MG_DOC(&q->filter, "seq");
    MG_I64(&q->filter, "$gt", after);
    MG_I64(&q->filter, "$lte", mg_first_seq(shard, MG_EPOCH_MAX) + MG_COUNTER_MAX);
    mg_end(&q->filter, seq);
    mg_end(&q->filter, f);
}

// One that somebody changed is not read, which is not for this to report.
static int keep_stored(struct mg_store *s, const bson_t *doc, struct arena *a, struct error *err)
{
    struct stored_record stored;
    struct error ignored;
    bool computed;
    arena_reset(a);
    return mg_parse_record(&s->conn, doc, RECORD_SAMPLE, a, &stored, &computed, &ignored) < 0
               ? 0
               : keep(s, &stored.record, stored.record.sample.ts, err);
}

int mg_find_gpus(struct mg_store *s, uint32_t shard, int64_t after, struct error *err)
{
    struct mg_query q = {0};
    struct arena a = {0};
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    write_rest_query(&q, shard, after);
    int r = mg_find(&s->conn, mg_record_collection[RECORD_SAMPLE], &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        r = keep_stored(s, doc, &a, err);
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    arena_done(&a);
    return r < 0 ? r : mg_flush_gpus(s, err);
}
