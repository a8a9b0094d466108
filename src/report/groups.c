#include "report/groups.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"

enum { KEY_TEXT_MAX = 16 * 1024, CHUNK_ROWS = 64, MEMO_SIZE = 1024 };

// Which group a row was last added to that said the same, as far as the report asks.
struct group_memo {
    int64_t time, place, consumer;
    enum row_kind kind;
    bool hidden;
    struct report_row *group; // NULL: none yet
};

static void note_dim(struct groups *g, enum report_dim d)
{
    g->by_time |= report_dim_timed(d);
    g->by_place |= d == DIM_GPU || d == DIM_HOST || d == DIM_SITE;
    g->by_consumer |= d == DIM_MODEL || d == DIM_TENANT;
}

void groups_init(struct groups *g, struct report *report, struct arena *a)
{
    *g = (struct groups){.report = report, .arena = a, .settled = INT64_MIN};
    g->keys = intern_new();
    g->gpu_keys = intern_new();
    buf_init(&g->key, KEY_TEXT_MAX);
    buf_init(&g->text, KEY_TEXT_MAX);
    g->memos = x_array(MEMO_SIZE, sizeof(*g->memos));
    const struct report_query *q = &report->query;
    g->chunk_rows = q->max > 0 ? q->max + 1 : CHUNK_ROWS; // memory that is not used costs nothing
    for (size_t i = 0; i < q->n_by; i++) {
        note_dim(g, q->by[i]);
    }
    for (size_t i = 0; i < q->n_filters; i++) {
        note_dim(g, q->filters[i].dim);
    }
}

void groups_done(struct groups *g)
{
    intern_free(g->keys);
    intern_free(g->gpu_keys);
    free(g->chunks);
    free(g->gpus);
    free(g->memos);
    buf_done(&g->key);
    buf_done(&g->text);
}

void report_gpu_name(struct buf *b, const struct gpu_key *gpu)
{
    buf_str(b, gpu->host);
    buf_printf(b, "/%d", (int)gpu->index);
    if (gpu->instance != GPU_INSTANCE_NONE) {
        buf_printf(b, ":%d", (int)gpu->instance);
    }
}

void report_others_name(struct buf *b, size_t n)
{
    buf_printf(b, "(%zu %s)", n, n == 1 ? "other" : "others");
}

static struct str gpu_label(struct buf *text, const struct window_row *row)
{
    buf_clear(text);
    if (!str_present(row->gpu.host)) {
        return STR_NONE;
    }
    report_gpu_name(text, &row->gpu);
    return buf_view(text);
}

static int64_t step_of(const struct report_query *q, int64_t window_start)
{
    return q->step <= 0 ? window_start : zone_step(q->zone, window_start, q->step);
}

static struct report_value value_of(struct groups *g, enum report_dim dim,
                                    const struct window_row *row)
{
    const struct zone *zone = g->report->query.zone;
    switch (dim) {
    case DIM_MODEL:
        return (struct report_value){.text = row->model};
    case DIM_TENANT:
        return (struct report_value){.text = row->tenant};
    case DIM_GPU:
        return (struct report_value){.text = gpu_label(&g->text, row)};
    case DIM_HOST:
        return (struct report_value){.text = row->gpu.host};
    case DIM_SITE:
        return (struct report_value){.text = row->site};
    case DIM_HOUR:
        return (struct report_value){.time = zone_hour(zone, row->window_start)};
    case DIM_DAY:
        return (struct report_value){.time = zone_day(zone, row->window_start)};
    case DIM_TIME:
        return (struct report_value){.time = step_of(&g->report->query, row->window_start)};
    case DIM_KIND:
    case DIM_COUNT:
        break;
    }
    return (struct report_value){.text = str_of(row_kind_name(row->kind))};
}

// ---- filters -------------------------------------------------------------------------------

static bool matches(struct groups *g, const struct report_filter *f, const struct window_row *row)
{
    bool idle = row->kind == ROW_IDLE || row->kind == ROW_UNATTRIBUTED;
    if (idle && (f->dim == DIM_MODEL || f->dim == DIM_TENANT)) { // it is nobody's, not of no name
        return false;
    }
    struct str value = value_of(g, f->dim, row).text;
    return str_eq(str_present(value) ? value : STR(""), f->value);
}

static bool passes(struct groups *g, const struct window_row *row)
{
    const struct report_query *q = &g->report->query;
    uint32_t asked = 0, held = 0; // a bit a dimension
    for (size_t i = 0; i < q->n_filters; i++) {
        uint32_t bit = UINT32_C(1) << q->filters[i].dim;
        asked |= bit;
        if (!(held & bit) && matches(g, &q->filters[i], row)) {
            held |= bit;
        }
    }
    return asked == held;
}

// ---- groups --------------------------------------------------------------------------------

static void pack(struct buf *key, const void *p, size_t n)
{
    buf_add(key, &n, sizeof(n));
    buf_add(key, p, n);
}

// A dimension is a time or a text. No text is as long as what stands for an absent one.
static void pack_value(struct buf *key, enum report_dim dim, const struct report_value *v)
{
    size_t absent = SIZE_MAX;
    if (report_dim_timed(dim)) {
        buf_add(key, &v->time, sizeof(v->time));
    } else if (str_present(v->text)) {
        pack(key, v->text.p, v->text.n);
    } else {
        buf_add(key, &absent, sizeof(absent));
    }
}

static void pack_settled(struct groups *g, const struct window_row *row, bool hidden)
{
    buf_clear(&g->key);
    buf_char(&g->key, (char)row->kind);
    buf_char(&g->key, hidden);
    buf_add(&g->key, &g->settled, sizeof(g->settled));
}

static struct report_row *row_at(const struct groups *g, size_t i)
{
    return &g->chunks[i / g->chunk_rows][i % g->chunk_rows];
}

static struct report_row *add_group(struct groups *g, const struct window_row *row, bool hidden,
                                    const struct report_value *values)
{
    const struct report_query *q = &g->report->query;
    if (g->n_rows == g->n_chunks * g->chunk_rows) {
        ARRAY_RESERVE(g->chunks, g->n_chunks, g->cap_chunks);
        g->chunks[g->n_chunks++] = arena_alloc(g->arena, g->chunk_rows * sizeof(**g->chunks));
    }
    struct report_row *group = row_at(g, g->n_rows++);
    *group = (struct report_row){.kind = row->kind, .hidden = hidden, .settled = g->settled};
    g->too_many = q->max > 0 && g->n_rows > q->max;
    for (size_t i = 0; i < q->n_by; i++) {
        group->values[i].text = arena_copy(g->arena, values[i].text);
        group->values[i].time = values[i].time;
    }
    return group;
}

static struct report_row *find_group(struct groups *g, const struct window_row *row, bool hidden)
{
    const struct report_query *q = &g->report->query;
    struct report_value values[DIM_COUNT];
    pack_settled(g, row, hidden);
    for (size_t i = 0; i < q->n_by; i++) {
        values[i] = value_of(g, q->by[i], row);
        pack_value(&g->key, q->by[i], &values[i]);
    }
    uint32_t id = intern_id(g->keys, buf_view(&g->key));
    return id < g->n_rows ? row_at(g, id) : add_group(g, row, hidden, values);
}

static struct report_gpu *find_gpu(struct groups *g, const struct gpu_key *key)
{
    if (g->n_gpus > 0 && gpu_key_cmp(&g->gpus[g->last_gpu].key, key) == 0) {
        return &g->gpus[g->last_gpu];
    }
    buf_clear(&g->key);
    pack(&g->key, key->host.p, key->host.n);
    pack(&g->key, &key->index, sizeof(key->index));
    pack(&g->key, &key->instance, sizeof(key->instance));
    uint32_t id = intern_id(g->gpu_keys, buf_view(&g->key));
    if (id == g->n_gpus) {
        ARRAY_RESERVE(g->gpus, g->n_gpus, g->cap_gpus);
        struct gpu_key copy = {arena_copy(g->arena, key->host), key->index, key->instance};
        g->gpus[g->n_gpus++] = (struct report_gpu){.key = copy};
    }
    g->last_gpu = id;
    return &g->gpus[id];
}

static void look_up(struct groups *g, const struct window_row *row, struct group_memo *m)
{
    m->hidden = g->report->query.n_filters > 0 && !passes(g, row);
    m->group = find_group(g, row, m->hidden);
}

// Most rows say what one before them said, which their numbers tell: texts need not be compared.
static struct group_memo group_of(struct groups *g, const struct window_row *row)
{
    struct group_memo m = {.time = g->by_time ? row->window_start : 0,
                           .place = g->by_place ? row->place : 0,
                           .consumer = g->by_consumer ? row->consumer : 0,
                           .kind = row->kind};
    if (row->place == 0 || row->consumer == 0 || g->settled != INT64_MIN) {
        look_up(g, row, &m);
        return m;
    }
    uint64_t at = (uint64_t)m.place * 31 + (uint64_t)m.consumer * 4 + (uint64_t)m.kind;
    struct group_memo *known = &g->memos[at % MEMO_SIZE];
    if (known->group == NULL || known->time != m.time || known->place != m.place ||
        known->consumer != m.consumer || known->kind != m.kind) {
        look_up(g, row, &m);
        *known = m;
    }
    return *known;
}

// Sums of real numbers depend on the order: that of the rows, however they are grouped.
static void add_energy(struct sums *s, const struct window_row *row)
{
    s->energy_j += row->has_energy ? row->energy_j : 0;
    s->has_energy |= row->has_energy;
}

void groups_add(struct groups *g, const struct window_row *row)
{
    struct report *r = g->report;
    struct group_memo group = group_of(g, row);
    sums_add_row(&group.group->sums, row);
    if (row->kind != ROW_UNPLACED) {
        add_energy(&r->whole, row);
    }
    if (group.hidden) {
        return;
    }
    r->has_open |= !row->final;
    r->corrections += row->revision > 1;
    add_energy(&r->kinds[row->kind], row);
    if (str_present(row->gpu.host)) {
        struct report_gpu *gpu = find_gpu(g, &row->gpu);
        gpu->unattributed_ns += row->kind == ROW_UNATTRIBUTED ? row->busy_ns : 0;
        gpu->unpriced_ns += row->unpriced_ns;
    }
}

// ---- all of them ----------------------------------------------------------------------------

static int by_gpu(const void *a, const void *b)
{
    const struct report_gpu *x = a, *y = b;
    return gpu_key_cmp(&x->key, &y->key);
}

static size_t count_hosts(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_gpus; i++) {
        n += i == 0 || !str_eq(r->gpus[i].key.host, r->gpus[i - 1].key.host);
    }
    return n;
}

static void *keep(struct arena *a, const void *p, size_t size)
{
    void *copy = arena_alloc(a, size + 1);
    if (size > 0) {
        memcpy(copy, p, size);
    }
    return copy;
}

// Every row is in one group. Energy is added already.
static void add_up(struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *group = &r->rows[i];
        struct sums sums = group->sums;
        sums.energy_j = 0;
        sums.has_energy = false;
        if (group->kind != ROW_UNPLACED) {
            sums_add(&r->whole, &sums);
        }
        if (!group->hidden) {
            sums_add(&r->kinds[group->kind], &sums);
        }
    }
    r->bill = r->kinds[ROW_USAGE];
    sums_add(&r->bill, &r->kinds[ROW_IDLE]);
    sums_add(&r->bill, &r->kinds[ROW_UNATTRIBUTED]);
}

static struct report_row *join_chunks(struct groups *g)
{
    struct report_row *rows = arena_alloc(g->arena, g->n_rows * sizeof(*rows));
    for (size_t i = 0; i < g->n_rows; i += g->chunk_rows) {
        size_t n = MIN(g->n_rows - i, g->chunk_rows);
        memcpy(&rows[i], row_at(g, i), n * sizeof(*rows));
    }
    return rows;
}

void groups_finish(struct groups *g)
{
    struct report *r = g->report;
    if (g->n_gpus > 0) {
        qsort(g->gpus, g->n_gpus, sizeof(*g->gpus), by_gpu);
    }
    r->gpus = keep(g->arena, g->gpus, g->n_gpus * sizeof(*g->gpus));
    r->n_gpus = g->n_gpus;
    r->n_hosts = count_hosts(r);
    r->rows = g->n_chunks == 1 ? g->chunks[0] : join_chunks(g);
    r->n_rows = g->n_rows;
    add_up(r);
}
