#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/memory/memory.h"
#include "output/refusal.h"
#include "output/retain.h"

// A provisional cost is the mission's formula and nothing more: a price or none.
static struct usage_cost estimate_of(const struct usage_cost *given)
{
    struct usage_cost kept = {.priced = given->priced, .method = given->method};
    if (given->priced) {
        kept.cost_in_nusd = given->cost_in_nusd;
        kept.cost_out_nusd = given->cost_out_nusd;
        kept.cost_nusd = given->cost_in_nusd + given->cost_out_nusd;
    }
    return kept;
}

static int64_t *seq_slot(struct mem_table *t, struct str event_id)
{
    uint32_t id = intern_id(t->ids, event_id);
    while (id >= t->seq_cap) {
        size_t cap = t->seq_cap ? 2 * t->seq_cap : 1024;
        t->seq_of_id = x_realloc_array(t->seq_of_id, cap, sizeof(t->seq_of_id[0]));
        memset(t->seq_of_id + t->seq_cap, 0, (cap - t->seq_cap) * sizeof(t->seq_of_id[0]));
        t->seq_cap = cap;
    }
    return &t->seq_of_id[id];
}

static bool newer(const struct record *r, const struct mem_record *than)
{
    return r->sample.ts != than->record.sample.ts ? r->sample.ts > than->record.sample.ts
                                                  : str_cmp(r->event_id, than->record.event_id) < 0;
}

static void see_gpu(struct mem_db *db, const struct mem_record *m)
{
    const struct gpu_key *key = &m->record.sample.gpu;
    size_t i = 0;
    while (i < db->gpus.n && gpu_key_cmp(&db->gpus.v[i].newest->record.sample.gpu, key) < 0) {
        i++;
    }
    if (i == db->gpus.n || gpu_key_cmp(&db->gpus.v[i].newest->record.sample.gpu, key) != 0) {
        ARRAY_RESERVE(db->gpus.v, db->gpus.n, db->gpus.cap);
        memmove(&db->gpus.v[i + 1], &db->gpus.v[i], (db->gpus.n - i) * sizeof(db->gpus.v[0]));
        db->gpus.n++;
        db->gpus.v[i] = (struct mem_gpu){m, m->record.sample.ts};
        return;
    }
    struct mem_gpu *gpu = &db->gpus.v[i];
    gpu->first_seen = MIN(gpu->first_seen, m->record.sample.ts);
    if (newer(&m->record, gpu->newest)) {
        gpu->newest = m;
    }
}

static void add_row(struct mem_db *db, struct mem_table *t, const struct store_record *sr)
{
    struct mem_record *m = arena_alloc(&db->arena, sizeof(*m));
    *m = (struct mem_record){.record = store_copy_record(&db->arena, sr->record)};
    t->rows[m->record.seq - 1] = m;
    t->stored++;
    mem_shard(db, m->record.shard)->has_records = true;
    if (m->record.kind == RECORD_SAMPLE) {
        see_gpu(db, m);
        return;
    }
    const struct usage_record *u = &m->record.usage;
    db->longest_usage_ns = MAX(db->longest_usage_ns, u->ts - usage_start(u));
    if (sr->provisional) {
        m->estimate = estimate_of(sr->provisional);
        m->has_estimate = true;
    }
}

static void add_letter(struct mem_db *db, const struct dead_letter *d)
{
    ARRAY_RESERVE(db->dead_letters.v, db->dead_letters.n, db->dead_letters.cap);
    db->dead_letters.v[db->dead_letters.n++] = mem_copy_letter(&db->arena, d);
}

static void refuse(struct mem_db *db, struct store_record *sr, enum store_verdict verdict)
{
    struct buf room;
    sr->verdict = verdict;
    struct dead_letter letter = refusal_letter(sr, clock_wall(&clock_system), &room);
    add_letter(db, &letter);
    buf_done(&room);
}

static bool too_late(const struct mem_db *db, const struct record *r)
{
    const struct settings_history h = {db->settings.v, db->settings.n};
    return record_too_late(r, retain_open_from(&h, db->raw_from));
}

static void store_record(struct mem_db *db, struct store_record *sr)
{
    struct record *r = sr->record;
    struct mem_table *t = &db->tables[r->kind];
    bool late = too_late(db, r);
    if (!late) {
        ARRAY_RESERVE(t->rows, t->n, t->cap);
        t->rows[t->n++] = NULL;
    }
    int64_t *seq = seq_slot(t, r->event_id);
    r->seq = *seq;
    if (*seq > 0 && t->rows[*seq - 1]->record.digest == r->digest) {
        sr->verdict = STORE_DUPLICATE;
    } else if (*seq > 0 || late) {
        refuse(db, sr, *seq > 0 ? STORE_CONFLICT : STORE_EXPIRED);
    } else {
        *seq = r->seq = (int64_t)t->n;
        add_row(db, t, sr);
        sr->verdict = STORE_NEW;
    }
}

static void put_position(struct mem_db *db, const struct input_position *p)
{
    size_t i = 0;
    while (i < db->positions.n && !str_eq(db->positions.v[i].input, p->input)) {
        i++;
    }
    if (i == db->positions.n) {
        ARRAY_RESERVE(db->positions.v, db->positions.n, db->positions.cap);
        db->positions.v[db->positions.n++].input = arena_copy(&db->arena, p->input);
    }
    struct str name = db->positions.v[i].input;
    db->positions.v[i] = *p;
    db->positions.v[i].input = name;
}

static void put_cost(struct mem_db *db, const struct usage_cost *c)
{
    struct mem_table *t = &db->tables[RECORD_USAGE];
    struct mem_record *m = c->seq <= (int64_t)t->n ? t->rows[c->seq - 1] : NULL;
    if (m == NULL) {
        return;
    }
    bool late = m->cost.late || c->late;
    m->cost = *c;
    m->cost.late = late;
    m->cost.cost_nusd = c->cost_in_nusd + c->cost_out_nusd;
    m->has_cost = true;
}

static void drop_unsettled(struct mem_db *db, uint32_t shard)
{
    size_t kept = 0;
    for (size_t i = 0; i < db->unsettled.n; i++) {
        if (db->unsettled.v[i].shard != shard) {
            db->unsettled.v[kept++] = db->unsettled.v[i];
        }
    }
    db->unsettled.n = kept;
}

static void put_shards(struct mem_db *db, const struct store_write *w)
{
    int64_t *old AUTO_FREE = x_array(w->n_shards, sizeof(*old));
    for (size_t i = 0; i < w->n_shards; i++) {
        struct mem_shard *shard = mem_shard(db, w->shards[i].shard);
        old[i] = shard->state.frontier;
        shard->state = w->shards[i];
        drop_unsettled(db, w->shards[i].shard);
    }
    for (size_t i = 0; i < w->n_unsettled; i++) {
        ARRAY_RESERVE(db->unsettled.v, db->unsettled.n, db->unsettled.cap);
        db->unsettled.v[db->unsettled.n++] = w->unsettled[i];
    }
    mem_roll_up(db, w, old);
}

static int check(struct store *s, const struct store_write *w, struct error *err)
{
    const struct mem_store *m = (const struct mem_store *)s;
    for (size_t i = 0; i < w->n_records; i++) {
        if (w->records[i].record->shard >= m->db->n_shards) {
            return error_set(err, -EINVAL, "%s: a record is of shard %u, but there are only %u",
                             s->name, w->records[i].record->shard, m->db->n_shards);
        }
    }
    return 0;
}

static void apply(struct mem_db *db, struct store_write *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        store_record(db, &w->records[i]);
    }
    for (size_t i = 0; i < w->n_dead_letters; i++) {
        add_letter(db, &w->dead_letters[i]);
    }
    for (size_t i = 0; i < w->n_positions; i++) {
        put_position(db, &w->positions[i]);
    }
    for (size_t i = 0; i < w->n_corrections; i++) {
        mem_put_correction(db, &w->corrections[i]);
    }
    for (size_t i = 0; i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        mem_put_span(db, LEVEL_WINDOW, rows->window_start, rows->shard, rows->rows, rows->n);
    }
    for (size_t i = 0; i < w->n_costs; i++) {
        put_cost(db, &w->costs[i]);
    }
    put_shards(db, w);
    db->version++;
}

int mem_commit(struct store *s, struct store_write *w, struct error *err)
{
    struct mem_db *db = mem_lock(s);
    int r = check(s, w, err);
    if (r == 0) {
        apply(db, w);
    }
    mem_unlock(db);
    return r;
}
