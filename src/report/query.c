#include "report/query.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "report/range.h"

enum { KEY_TEXT_MAX = 16 * 1024, CHUNK_ROWS = 64, MEMO_SIZE = 1024 };

// Which group a row was last added to that said the same, as far as the report asks.
struct memo {
    int64_t time, place, consumer;
    enum row_kind kind;
    bool hidden;
    struct report_row *group; // NULL: none yet
};

// Groups under construction: the packed key of a row is interned, its number is the group's. They
// are large, so they stay where they were made, chunk_rows side by side, until all are known.
struct builder {
    struct report *report;
    struct arena *arena;
    struct intern *keys, *gpu_keys;
    struct report_row **chunks; // of the arena
    size_t n_rows, n_chunks, cap_chunks, chunk_rows;
    struct report_gpu *gpus;
    size_t n_gpus, cap_gpus, last_gpu;   // rows of one GPU mostly follow each other
    struct buf key, text;                // scratch
    bool too_many;                       // groups
    int64_t settled;                     // of the rows that are being added, see report_row.settled
    bool by_time, by_place, by_consumer; // what of a row tells its group
    struct memo *memos;                  // MEMO_SIZE of them
};

static void note_dim(struct builder *b, enum report_dim d)
{
    b->by_time |= report_dim_timed(d);
    b->by_place |= d == DIM_GPU || d == DIM_HOST || d == DIM_SITE;
    b->by_consumer |= d == DIM_MODEL || d == DIM_TENANT;
}

static void builder_init(struct builder *b, struct report *report, struct arena *a)
{
    *b = (struct builder){.report = report, .arena = a, .settled = INT64_MIN};
    b->keys = intern_new();
    b->gpu_keys = intern_new();
    buf_init(&b->key, KEY_TEXT_MAX);
    buf_init(&b->text, KEY_TEXT_MAX);
    b->memos = x_array(MEMO_SIZE, sizeof(*b->memos));
    const struct report_query *q = &report->query;
    b->chunk_rows = q->max > 0 ? q->max + 1 : CHUNK_ROWS; // memory that is not used costs nothing
    for (size_t i = 0; i < q->n_by; i++) {
        note_dim(b, q->by[i]);
    }
    for (size_t i = 0; i < q->n_filters; i++) {
        note_dim(b, q->filters[i].dim);
    }
}

static void builder_done(struct builder *b)
{
    intern_free(b->keys);
    intern_free(b->gpu_keys);
    free(b->chunks);
    free(b->gpus);
    free(b->memos);
    buf_done(&b->key);
    buf_done(&b->text);
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

static struct report_value value_of(struct builder *b, enum report_dim dim,
                                    const struct window_row *row)
{
    const struct zone *zone = b->report->query.zone;
    switch (dim) {
    case DIM_MODEL:
        return (struct report_value){.text = row->model};
    case DIM_TENANT:
        return (struct report_value){.text = row->tenant};
    case DIM_GPU:
        return (struct report_value){.text = gpu_label(&b->text, row)};
    case DIM_HOST:
        return (struct report_value){.text = row->gpu.host};
    case DIM_SITE:
        return (struct report_value){.text = row->site};
    case DIM_HOUR:
        return (struct report_value){.time = zone_hour(zone, row->window_start)};
    case DIM_DAY:
        return (struct report_value){.time = zone_day(zone, row->window_start)};
    case DIM_TIME:
        return (struct report_value){.time = step_of(&b->report->query, row->window_start)};
    case DIM_KIND:
    case DIM_COUNT:
        break;
    }
    return (struct report_value){.text = str_of(row_kind_name(row->kind))};
}

// ---- filters -------------------------------------------------------------------------------

static bool matches(struct builder *b, const struct report_filter *f, const struct window_row *row)
{
    bool idle = row->kind == ROW_IDLE || row->kind == ROW_UNATTRIBUTED;
    if (idle && (f->dim == DIM_MODEL || f->dim == DIM_TENANT)) { // it is nobody's, not of no name
        return false;
    }
    struct str value = value_of(b, f->dim, row).text;
    return str_eq(str_present(value) ? value : STR(""), f->value);
}

static bool passes(struct builder *b, const struct window_row *row)
{
    const struct report_query *q = &b->report->query;
    uint32_t asked = 0, held = 0; // a bit a dimension
    for (size_t i = 0; i < q->n_filters; i++) {
        uint32_t bit = UINT32_C(1) << q->filters[i].dim;
        asked |= bit;
        if (!(held & bit) && matches(b, &q->filters[i], row)) {
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

static void pack_settled(struct builder *b, const struct window_row *row, bool hidden)
{
    buf_clear(&b->key);
    buf_char(&b->key, (char)row->kind);
    buf_char(&b->key, hidden);
    buf_add(&b->key, &b->settled, sizeof(b->settled));
}

static struct report_row *row_at(const struct builder *b, size_t i)
{
    return &b->chunks[i / b->chunk_rows][i % b->chunk_rows];
}

static struct report_row *add_group(struct builder *b, const struct window_row *row, bool hidden,
                                    const struct report_value *values)
{
    const struct report_query *q = &b->report->query;
    if (b->n_rows == b->n_chunks * b->chunk_rows) {
        ARRAY_RESERVE(b->chunks, b->n_chunks, b->cap_chunks);
        b->chunks[b->n_chunks++] = arena_alloc(b->arena, b->chunk_rows * sizeof(**b->chunks));
    }
    struct report_row *group = row_at(b, b->n_rows++);
    *group = (struct report_row){.kind = row->kind, .hidden = hidden, .settled = b->settled};
    b->too_many = q->max > 0 && b->n_rows > q->max;
    for (size_t i = 0; i < q->n_by; i++) {
        group->values[i].text = arena_copy(b->arena, values[i].text);
        group->values[i].time = values[i].time;
    }
    return group;
}

static struct report_row *find_group(struct builder *b, const struct window_row *row, bool hidden)
{
    const struct report_query *q = &b->report->query;
    struct report_value values[DIM_COUNT];
    pack_settled(b, row, hidden);
    for (size_t i = 0; i < q->n_by; i++) {
        values[i] = value_of(b, q->by[i], row);
        pack_value(&b->key, q->by[i], &values[i]);
    }
    uint32_t id = intern_id(b->keys, buf_view(&b->key));
    return id < b->n_rows ? row_at(b, id) : add_group(b, row, hidden, values);
}

static struct report_gpu *find_gpu(struct builder *b, const struct gpu_key *key)
{
    if (b->n_gpus > 0 && gpu_key_cmp(&b->gpus[b->last_gpu].key, key) == 0) {
        return &b->gpus[b->last_gpu];
    }
    buf_clear(&b->key);
    pack(&b->key, key->host.p, key->host.n);
    pack(&b->key, &key->index, sizeof(key->index));
    pack(&b->key, &key->instance, sizeof(key->instance));
    uint32_t id = intern_id(b->gpu_keys, buf_view(&b->key));
    if (id == b->n_gpus) {
        ARRAY_RESERVE(b->gpus, b->n_gpus, b->cap_gpus);
        struct gpu_key copy = {arena_copy(b->arena, key->host), key->index, key->instance};
        b->gpus[b->n_gpus++] = (struct report_gpu){.key = copy};
    }
    b->last_gpu = id;
    return &b->gpus[id];
}

static void look_up(struct builder *b, const struct window_row *row, struct memo *m)
{
    m->hidden = b->report->query.n_filters > 0 && !passes(b, row);
    m->group = find_group(b, row, m->hidden);
}

// Most rows say what one before them said, which their numbers tell: texts need not be compared.
static struct memo group_of(struct builder *b, const struct window_row *row)
{
    struct memo m = {.time = b->by_time ? row->window_start : 0,
                     .place = b->by_place ? row->place : 0,
                     .consumer = b->by_consumer ? row->consumer : 0,
                     .kind = row->kind};
    if (row->place == 0 || row->consumer == 0 || b->settled != INT64_MIN) {
        look_up(b, row, &m);
        return m;
    }
    uint64_t at = (uint64_t)m.place * 31 + (uint64_t)m.consumer * 4 + (uint64_t)m.kind;
    struct memo *known = &b->memos[at % MEMO_SIZE];
    if (known->group == NULL || known->time != m.time || known->place != m.place ||
        known->consumer != m.consumer || known->kind != m.kind) {
        look_up(b, row, &m);
        *known = m;
    }
    return *known;
}

static void add_row(struct builder *b, const struct window_row *row)
{
    struct report *r = b->report;
    struct memo group = group_of(b, row);
    sums_add_row(&group.group->sums, row);
    if (group.hidden) {
        return;
    }
    r->has_open |= !row->final;
    r->corrections += row->revision > 1;
    if (str_present(row->gpu.host)) {
        struct report_gpu *gpu = find_gpu(b, &row->gpu);
        gpu->unattributed_ns += row->kind == ROW_UNATTRIBUTED ? row->busy_ns : 0;
        gpu->unpriced_ns += row->unpriced_ns;
    }
}

static int add_part(struct builder *b, struct store *s, const struct range_part *part,
                    struct error *err)
{
    struct window_query q = {part->level, part->from, part->to, .shard = -1};
    struct store_cursor *cursor;
    int r = store_windows(s, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    struct window_row row;
    while (!b->too_many && (r = store_windows_next(cursor, &row, err)) > 0) {
        if (row.final || b->report->query.provisional) {
            add_row(b, &row);
        }
    }
    if (b->too_many) {
        r = error_set(err, -E2BIG,
                      "more than %zu groups: ask for a shorter time, a longer step or fewer "
                      "dimensions, or choose with filters",
                      b->report->query.max);
    }
    store_cursor_close(cursor);
    return r;
}

// The start of the first row of a level, INT64_MAX when there is none.
static int first_row(struct store *s, enum window_level level, int64_t *ret, struct error *err)
{
    struct window_query q = {level, 0, TIME_MAX, .shard = -1};
    struct store_cursor *cursor;
    int r = store_windows(s, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    struct window_row row;
    r = store_windows_next(cursor, &row, err);
    *ret = r > 0 ? row.window_start : INT64_MAX;
    store_cursor_close(cursor);
    return r < 0 ? r : 0;
}

// Where the rows begin. Windows may have been expired: then the first hour that is kept.
static int first_shown(struct store *s, int64_t *ret, struct error *err)
{
    int64_t window, hour;
    int r = first_row(s, LEVEL_WINDOW, &window, err);
    r = r < 0 ? r : first_row(s, LEVEL_HOUR, &hour, err);
    if (r == 0) {
        bool kept = window != INT64_MAX && time_floor(window, NS_PER_HOUR) <= hour;
        *ret = kept ? window : hour;
    }
    return r;
}

// How long the times of a dimension are; 0: it is no time.
static int64_t length_of(const struct report_query *q, enum report_dim d)
{
    switch (d) {
    case DIM_HOUR:
        return NS_PER_HOUR;
    case DIM_DAY:
        return NS_PER_DAY;
    case DIM_TIME:
        return q->step > 0 ? q->step : STEP_WINDOW;
    default:
        return 0;
    }
}

static enum window_level coarsest_level(const struct report *r, int64_t from, int64_t to)
{
    const struct report_query *q = &r->query;
    enum window_level level = LEVEL_DAY;
    for (size_t i = 0; i < q->n_by; i++) {
        int64_t length = length_of(q, q->by[i]);
        if (length == 0) {
            continue;
        }
        if (length % NS_PER_HOUR != 0 || !zone_aligned(q->zone, from, to, NS_PER_HOUR)) {
            return LEVEL_WINDOW;
        }
        if (length != NS_PER_DAY || !zone_aligned(q->zone, from, to, NS_PER_DAY)) {
            level = LEVEL_HOUR;
        }
    }
    return level;
}

static int64_t window_at(const struct settings_history *h, int64_t t)
{
    return h->n > 0 ? settings_at(h, t)->window_ns : settings_default.window_ns;
}

// Sets from and to: what to read, and what to show where that differs (an open range shows where
// the data begins and where it ends).
static int find_range(struct store *s, const struct store_info *info,
                      const struct settings_history *h, struct report *r, struct range_part *ret,
                      struct error *err)
{
    const struct report_query *q = &r->query;
    int64_t begin = 0, first = 0;
    if (q->from != INT64_MIN) {
        begin = time_floor(q->from, window_at(h, q->from));
    }
    int error = first_shown(s, &first, err);
    if (error < 0) {
        return error;
    }
    r->from = q->from != INT64_MIN ? begin : first != INT64_MAX ? first : info->first;
    int64_t last = q->to != INT64_MAX ? q->to : info->last + 1;
    r->to = MAX(time_ceil(last, window_at(h, last)), r->from);
    int64_t end = q->to != INT64_MAX ? r->to : TIME_MAX;
    if (!q->provisional) {
        end = MIN(end, r->final_until);
    }
    *ret = (struct range_part){.from = begin, .to = MAX(begin, end)};
    return 0;
}

static void find_splits(const struct settings_history *h, struct report *r)
{
    size_t first = 0, end = h->n;
    while (first + 1 < h->n && h->epochs[first + 1].effective_from <= r->from) {
        first++;
    }
    while (end > first + 1 && h->epochs[end - 1].effective_from >= r->to) {
        end--;
    }
    r->splits = h->n ? &h->epochs[first] : NULL;
    r->n_splits = end - first;
}

static int by_gpu(const void *a, const void *b)
{
    const struct report_gpu *x = a, *y = b;
    return gpu_key_cmp(&x->key, &y->key);
}

static int name_gpus(struct store *s, struct report *r, struct arena *a, struct error *err)
{
    struct gpu_info *infos;
    size_t n;
    int error = store_gpus(s, a, &infos, &n, err);
    size_t i = 0, k = 0; // both in canonical order
    while (error == 0 && i < r->n_gpus && k < n) {
        int order = gpu_key_cmp(&r->gpus[i].key, &infos[k].newest.gpu);
        if (order == 0) {
            r->gpus[i].name = infos[k].newest.name;
        }
        i += order <= 0;
        k += order >= 0;
    }
    return error;
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

// Every row is in one group.
static void add_up(struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *group = &r->rows[i];
        if (group->kind != ROW_UNPLACED) {
            sums_add(&r->whole, &group->sums);
        }
        if (!group->hidden) {
            sums_add(&r->kinds[group->kind], &group->sums);
        }
    }
    r->bill = r->kinds[ROW_USAGE];
    sums_add(&r->bill, &r->kinds[ROW_IDLE]);
    sums_add(&r->bill, &r->kinds[ROW_UNATTRIBUTED]);
}

static struct report_row *join_chunks(struct builder *b)
{
    struct report_row *rows = arena_alloc(b->arena, b->n_rows * sizeof(*rows));
    for (size_t i = 0; i < b->n_rows; i += b->chunk_rows) {
        size_t n = MIN(b->n_rows - i, b->chunk_rows);
        memcpy(&rows[i], row_at(b, i), n * sizeof(*rows));
    }
    return rows;
}

static void finish(struct builder *b)
{
    struct report *r = b->report;
    if (b->n_gpus > 0) {
        qsort(b->gpus, b->n_gpus, sizeof(*b->gpus), by_gpu);
    }
    r->gpus = keep(b->arena, b->gpus, b->n_gpus * sizeof(*b->gpus));
    r->n_gpus = b->n_gpus;
    r->n_hosts = count_hosts(r);
    r->rows = b->n_chunks == 1 ? b->chunks[0] : join_chunks(b);
    r->n_rows = b->n_rows;
    add_up(r);
}

static int read_rows(struct builder *b, struct store *s, const struct range_part *range,
                     struct error *err)
{
    struct range_part parts[RANGE_PARTS_MAX];
    enum window_level coarsest = coarsest_level(b->report, b->report->from, b->report->to);
    size_t n = range_split(range->from, range->to, b->report->final_until, coarsest, parts);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = add_part(b, s, &parts[i], err);
    }
    return r;
}

static struct window_row taken_back(const struct window_row *row)
{
    struct window_row r = *row;
    int64_t *const sums[] = {&r.cost_nusd,        &r.cost_in_nusd,         &r.cost_out_nusd,
                             &r.prompt_tokens,    &r.cached_prompt_tokens, &r.completion_tokens,
                             &r.busy_ns,          &r.unpriced_ns,          &r.requests,
                             &r.unpriced_requests};
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        *sums[i] = -*sums[i];
    }
    return r;
}

static void add_correction(struct builder *b, const struct correction *c,
                           const struct range_part *range)
{
    const struct report_query *q = &b->report->query;
    if (c->row.window_start >= range->from && c->row.window_start < range->to) {
        struct window_row before = taken_back(&c->row);
        add_row(b, &before);
    }
    if (c->settled_at >= q->from && c->settled_at < q->to) {
        b->settled = billing_month(c->settled_at);
        add_row(b, &c->row);
        b->settled = INT64_MIN;
    }
}

static int read_corrections(struct builder *b, struct store *s, const struct range_part *range,
                            struct error *err)
{
    struct store_cursor *cursor;
    struct correction c;
    int r = store_corrections(s, INT64_MIN, INT64_MAX, &cursor, err);
    if (r < 0) {
        return r;
    }
    while ((r = store_corrections_next(cursor, &c, err)) > 0) {
        add_correction(b, &c, range);
    }
    store_cursor_close(cursor);
    return r;
}

static int load(struct store *s, const struct report_query *q, const struct store_info *info,
                struct arena *a, struct report *ret, struct error *err)
{
    struct settings_history history;
    struct range_part range;
    int r = store_settings(s, a, &history, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct report){
        .query = *q,
        .final_until = info->final_until,
        .first = info->first,
        .last = info->last,
        .empty = info->first == INT64_MAX,
    };
    if (ret->empty) {
        return 0;
    }
    r = find_range(s, info, &history, ret, &range, err);
    if (r < 0) {
        return r;
    }
    find_splits(&history, ret);
    struct builder b;
    builder_init(&b, ret, a);
    r = read_rows(&b, s, &range, err);
    r = r == 0 && q->corrections ? read_corrections(&b, s, &range, err) : r;
    finish(&b);
    builder_done(&b);
    return r < 0 ? r : name_gpus(s, ret, a, err);
}

static void drop_hidden(struct report *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (!r->rows[i].hidden) {
            if (kept < i) {
                r->rows[kept] = r->rows[i];
            }
            kept++;
        }
    }
    r->n_rows = kept;
}

static int load_more(struct store *s, const struct store_info *info, report_more_fn *more,
                     struct arena *a, struct report *ret, struct error *err)
{
    struct report_query queries[REPORT_MORE_MAX];
    size_t n = more(ret, queries);
    struct report *list = arena_alloc(a, REPORT_MORE_MAX * sizeof(*list));
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = load(s, &queries[i], info, a, &list[i], err);
    }
    ret->more = list;
    ret->n_more = n;
    return r;
}

static void arrange(struct report *r, struct arena *a)
{
    if (!r->empty && !r->query.corrections) {
        report_spread_loaded(r);
        drop_hidden(r);
        report_order(r);
        report_fold(r, a);
    }
    for (size_t i = 0; i < r->n_more; i++) {
        arrange(&r->more[i], a);
    }
}

int report_load_more(struct store *s, const struct report_query *q, report_more_fn *more,
                     struct arena *a, struct report *ret, struct error *err)
{
    struct store_info info;
    int r = store_hold(s, err);
    if (r < 0) {
        return r;
    }
    r = store_info(s, &info, err);
    r = r < 0 ? r : load(s, q, &info, a, ret, err);
    if (r == 0 && more) {
        r = load_more(s, &info, more, a, ret, err);
    }
    store_release(s);
    if (r == 0) {
        arrange(ret, a);
    }
    return r;
}

int report_load(struct store *s, const struct report_query *q, struct arena *a, struct report *ret,
                struct error *err)
{
    return report_load_more(s, q, NULL, a, ret, err);
}
