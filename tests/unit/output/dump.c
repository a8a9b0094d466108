// What is stored, as text.
#include "fixture.h"

#include "model/encode.h"

// The text so far, owned by the fixture.
static char *finish(struct fixture *f, struct buf *b)
{
    assert_true(buf_ok(b));
    char *text = arena_alloc(&f->arena, b->n + 1);
    memcpy(text, b->n ? b->p : "", b->n + 1);
    buf_done(b);
    return text;
}

static void start(struct buf *b)
{
    buf_init(b, 64 << 20);
}

char *ids_of(struct fixture *f, struct store *s, struct record_query q)
{
    struct buf b;
    struct store_cursor *c = NULL;
    struct stored_record r;
    start(&b);
    assert_ok(store_records(s, &q, &c, &f->err), &f->err);
    int more;
    while ((more = store_records_next(c, &r, &f->err)) > 0) {
        buf_printf(&b, "%s" STR_FMT, b.n ? " " : "", STR_ARG(r.record.event_id));
    }
    assert_ok(more, &f->err);
    assert_i64(store_records_next(c, &r, &f->err), 0); // the end stays the end
    store_cursor_close(c);
    return finish(f, &b);
}

static void dump_str(struct buf *b, struct str s)
{
    buf_printf(b, str_present(s) ? " '" STR_FMT "'" : " -" STR_FMT, STR_ARG(s));
}

void dump_row(struct buf *b, const struct window_row *row)
{
    buf_printf(b, "%lld", (long long)((row->window_start - T0) / NS_PER_S));
    dump_str(b, row->gpu.host);
    buf_printf(b, " %d/%d %s", row->gpu.index, row->gpu.instance, row_kind_name(row->kind));
    dump_str(b, row->site);
    dump_str(b, row->model);
    dump_str(b, row->tenant);
    const int64_t numbers[] = {
        row->cost_nusd,     row->cost_in_nusd,      row->cost_out_nusd,
        row->prompt_tokens, row->completion_tokens, row->cached_prompt_tokens,
        row->requests,      row->unpriced_requests, row->busy_ns,
        row->unpriced_ns,
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        buf_printf(b, " %lld", (long long)numbers[i]);
    }
    if (row->has_energy) {
        buf_printf(b, " %a J", row->energy_j);
    }
    buf_printf(b, " %s r%d %s\n", row->final ? "final" : "open", row->revision,
               method_name(row->method));
}

static void dump_cost(struct buf *b, const struct usage_cost *c)
{
    if (c->seq == 0) {
        return;
    }
    buf_printf(b, " cost %lld %lld = %lld unpriced %lld", (long long)c->cost_in_nusd,
               (long long)c->cost_out_nusd, (long long)c->cost_nusd, (long long)c->unpriced_ns);
    if (c->has_energy) {
        buf_printf(b, " %a J", c->energy_j);
    }
    buf_printf(b, "%s%s%s r%d %s %lld " STR_FMT, c->priced ? " priced" : "",
               c->final ? " final" : "", c->late ? " late" : "", c->revision,
               method_name(c->method), (long long)c->ts, STR_ARG(c->event_id));
}

static void dump_records(struct fixture *f, struct buf *b, struct store *s, struct record_query q)
{
    struct store_cursor *c = NULL;
    struct stored_record r;
    int more;
    assert_ok(store_records(s, &q, &c, &f->err), &f->err);
    while ((more = store_records_next(c, &r, &f->err)) > 0) {
        int64_t seq = shown_seq(f, q.kind, r.record.seq);
        buf_printf(b, "%lld shard %u #%lld %016llx ", (long long)seq, r.record.shard,
                   (long long)r.record.position, (unsigned long long)r.record.digest);
        record_encode(b, &r.record);
        dump_cost(b, &r.cost);
        buf_char(b, '\n');
        assert_i64((int64_t)record_digest(&r.record), (int64_t)r.record.digest);
    }
    assert_ok(more, &f->err);
    store_cursor_close(c);
}

char *dump_windows(struct fixture *f, struct store *s, enum window_level level, int64_t shard)
{
    const struct window_query q = {level, INT64_MIN, INT64_MAX, shard};
    struct buf b;
    struct store_cursor *c = NULL;
    struct window_row row;
    int more;
    start(&b);
    assert_ok(store_windows(s, &q, &c, &f->err), &f->err);
    while ((more = store_windows_next(c, &row, &f->err)) > 0) {
        dump_row(&b, &row);
    }
    assert_ok(more, &f->err);
    assert_i64(store_windows_next(c, &row, &f->err), 0);
    store_cursor_close(c);
    return finish(f, &b);
}

static void dump_letters(struct fixture *f, struct buf *b, struct store *s)
{
    struct store_cursor *c = NULL;
    struct dead_letter d;
    int more;
    assert_ok(store_dead_letters(s, INT64_MIN, INT64_MAX, &c, &f->err), &f->err);
    while ((more = store_dead_letters_next(c, &d, &f->err)) > 0) {
        buf_printf(b, "letter #%lld", (long long)d.position);
        dump_str(b, d.origin);
        dump_str(b, d.reason);
        dump_str(b, d.payload);
        buf_char(b, '\n');
    }
    assert_ok(more, &f->err);
    store_cursor_close(c);
}

static void dump_shards(struct fixture *f, struct buf *b, struct store *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct shard_state state;
        assert_ok(store_shard(s, i, &state, &f->err), &f->err);
        buf_printf(b, "shard %u: %lld %lld %lld %lld %lld\n", state.shard,
                   (long long)state.frontier, (long long)state.newest,
                   (long long)state.oldest_pending,
                   (long long)shown_seq(f, RECORD_SAMPLE, state.samples_seen),
                   (long long)shown_seq(f, RECORD_USAGE, state.usage_seen));
    }
    struct unsettled_range *u = NULL;
    size_t n_ranges = 0;
    assert_ok(store_unsettled(s, &f->arena, &u, &n_ranges, &f->err), &f->err);
    for (size_t i = 0; i < n_ranges; i++) {
        buf_printf(b, "unsettled %u: %lld..%lld\n", u[i].shard, (long long)u[i].from,
                   (long long)u[i].to);
    }
}

static void dump_config(struct fixture *f, struct buf *b, struct store *s)
{
    struct settings_history h = {0};
    struct price_book book = {0};
    assert_ok(store_settings(s, &f->arena, &h, &f->err), &f->err);
    for (size_t i = 0; i < h.n; i++) {
        const struct settings *e = &h.epochs[i];
        buf_printf(b, "settings %lld: %lld %lld %lld %lld %lld %d:%d %s\n",
                   (long long)e->effective_from, (long long)e->window_ns, (long long)e->max_gap_ns,
                   (long long)e->gpu_timeout_ns, (long long)e->horizon_ns,
                   (long long)e->default_price_nusd, e->weight_in, e->weight_out,
                   method_name(e->method));
    }
    assert_ok(store_prices(s, &f->arena, &book, &f->err), &f->err);
    for (size_t i = 0; i < book.n; i++) {
        const struct price_entry *e = &book.entries[i];
        buf_printf(b, "price %lld: %lld %lld %lld", (long long)e->id, (long long)e->effective_from,
                   (long long)e->price_nusd_hour, (long long)e->added_at);
        dump_str(b, e->name);
        dump_str(b, e->site);
        dump_str(b, e->source);
        buf_char(b, '\n');
    }
}

static void dump_gpus(struct fixture *f, struct buf *b, struct store *s)
{
    struct gpu_info *gpus = NULL;
    size_t n = 0;
    assert_ok(store_gpus(s, &f->arena, &gpus, &n, &f->err), &f->err);
    for (size_t i = 0; i < n; i++) {
        const struct record as_record = {.kind = RECORD_SAMPLE, .sample = gpus[i].newest};
        buf_printf(b, "gpu since %lld: ", (long long)gpus[i].first_seen);
        record_encode(b, &as_record);
        buf_char(b, '\n');
    }
}

char *dump_store(struct fixture *f, struct store *s)
{
    struct buf b;
    start(&b);
    struct store_info i = info_of(f, s);
    buf_printf(&b,
               "%u shards, %lld samples, %lld usages, %lld letters, raw %lld, longest %lld,"
               " %lld..%lld, final %lld\n",
               i.n_shards, (long long)i.samples, (long long)i.usages, (long long)i.dead_letters,
               (long long)i.raw_from, f->loose ? 0LL : (long long)i.longest_usage_ns,
               (long long)i.first, (long long)i.last, (long long)i.final_until);
    for (enum record_kind kind = RECORD_SAMPLE; kind <= RECORD_USAGE; kind++) {
        dump_records(f, &b, s, query(kind, RECORDS_BY_TIME, RECORDS_ALL));
        for (uint32_t shard = 0; shard < i.n_shards; shard++) {
            struct record_query q = query(kind, RECORDS_BY_SEQ, RECORDS_ALL);
            q.shard = shard;
            dump_records(f, &b, s, q);
        }
    }
    for (enum window_level level = LEVEL_WINDOW; level <= LEVEL_DAY; level++) {
        buf_printf(&b, "level %d\n%s", (int)level, dump_windows(f, s, level, -1));
    }
    dump_letters(f, &b, s);
    dump_shards(f, &b, s, i.n_shards);
    dump_config(f, &b, s);
    dump_gpus(f, &b, s);
    return finish(f, &b);
}

char *rows_of(struct fixture *f, enum window_level level, int64_t from, int64_t to, int64_t shard)
{
    const struct window_query q = {level, from, to, shard};
    struct store_cursor *c = NULL;
    struct window_row row;
    struct buf b;
    int more;
    start(&b);
    assert_ok(store_windows(f->s, &q, &c, &f->err), &f->err);
    while ((more = store_windows_next(c, &row, &f->err)) > 0) {
        buf_printf(&b, "%s%lld " STR_FMT "%d $%lld", b.n ? ", " : "",
                   (long long)((row.window_start - T0) / NS_PER_S), STR_ARG(row.gpu.host),
                   row.gpu.index, (long long)row.cost_nusd);
    }
    assert_ok(more, &f->err);
    store_cursor_close(c);
    return finish(f, &b);
}

char *all_rows(struct fixture *f, enum window_level level)
{
    return rows_of(f, level, INT64_MIN, INT64_MAX, -1);
}
