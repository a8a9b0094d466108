#include "fixture.h"

#include "base/time.h"
#include "model/fields.h"
#include "test.h"

enum { ROWS_MAX = 64, TEXT_MAX = 1 << 20 };

static struct window_row window_row_of(const struct fixture_row *r)
{
    struct window_row w = {
        .window_start = FIXTURE_EPOCH + r->minute * FIXTURE_MINUTE,
        .gpu = {str_of(r->host), r->host ? r->gpu : -1, GPU_INSTANCE_NONE},
        .site = str_of(r->site),
        .kind = r->kind,
        .model = str_of(r->model),
        .tenant = str_of(r->tenant),
        .cost_nusd = r->cost,
        .cost_in_nusd = r->cost_in,
        .cost_out_nusd = r->kind == ROW_USAGE ? r->cost - r->cost_in : 0,
        .prompt_tokens = r->prompt,
        .completion_tokens = r->completion,
        .requests = r->requests,
        .busy_ns = r->kind == ROW_UNPLACED ? 0 : 10 * NS_PER_S,
        .final = !(r->flags & FIXTURE_OPEN),
        .revision = r->flags & FIXTURE_OPEN ? 0 : 1,
        .method = METHOD_WEIGHTED,
    };
    if (r->flags & FIXTURE_UNPRICED) {
        w.unpriced_ns = w.busy_ns;
        w.unpriced_requests = r->requests;
    }
    return w;
}

static void add_sample(struct fixture *f, const struct fixture_row *r, size_t number)
{
    struct record record;
    struct error err = {0};
    struct buf id;
    buf_init(&id, 64);
    buf_printf(&id, "sample-%zu", number);
    record_clear(&record, RECORD_SAMPLE);
    record.event_id = buf_view(&id);
    record.sample.ts = FIXTURE_EPOCH + r->minute * FIXTURE_MINUTE;
    record.sample.gpu = (struct gpu_key){str_of(r->host), r->gpu, GPU_INSTANCE_NONE};
    record.sample.name = STR("NVIDIA L4");
    record.digest = record_digest(&record);
    struct store_record stored = {.record = &record};
    struct store_write w = {.records = &stored, .n_records = 1};
    assert_ok(store_commit(f->store, &w, &err), &err);
    buf_done(&id);
}

static void add_window(struct fixture *f, const struct fixture_row *rows, size_t n)
{
    struct window_row list[ROWS_MAX];
    struct error err = {0};
    assert_true(n <= ROWS_MAX);
    for (size_t i = 0; i < n; i++) {
        list[i] = window_row_of(&rows[i]);
    }
    int64_t start = list[0].window_start;
    struct window_rows window = {start, start + FIXTURE_MINUTE, 0, list, n, false};
    struct store_write w = {.windows = &window, .n_windows = 1};
    assert_ok(store_commit(f->store, &w, &err), &err);
}

static void set_frontier(struct fixture *f, int minutes)
{
    struct error err = {0};
    struct shard_state shard = {.frontier = FIXTURE_EPOCH + minutes * FIXTURE_MINUTE,
                                .newest = FIXTURE_EPOCH + minutes * FIXTURE_MINUTE,
                                .oldest_pending = INT64_MAX};
    struct store_write w = {.shards = &shard, .n_shards = 1};
    assert_ok(store_commit(f->store, &w, &err), &err);
}

void fixture_init(struct fixture *f, const struct fixture_row *rows, size_t n, int final_minutes)
{
    struct error err = {0};
    *f = (struct fixture){0};
    buf_init(&f->text, TEXT_MAX);
    assert_ok(store_open("memory:", STORE_WRITE, &f->store, &err), &err);
    struct settings s = settings_default;
    assert_ok(store_add_settings(f->store, &s, FIXTURE_EPOCH, &err), &err);
    for (size_t i = 0, of; i < n; i += of) {
        of = 1;
        while (i + of < n && rows[i + of].minute == rows[i].minute) {
            of++;
        }
        add_window(f, &rows[i], of);
    }
    for (size_t i = 0; i < n; i++) {
        if (rows[i].host) {
            add_sample(f, &rows[i], i);
        }
    }
    if (final_minutes > 0) {
        set_frontier(f, final_minutes);
    }
}

void fixture_done(struct fixture *f)
{
    store_close(f->store);
    arena_done(&f->arena);
    buf_done(&f->text);
}

struct report_query fixture_query(const char *by)
{
    struct report_query q = {
        .from = INT64_MIN, .to = INT64_MAX, .zone = &zone_utc, .now = FIXTURE_EPOCH + NS_PER_DAY};
    struct error err = {0};
    assert_ok(report_dims_parse(str_of(by), q.by, &q.n_by, &err), &err);
    return q;
}

const struct report *fixture_load(struct fixture *f, const struct report_query *q)
{
    struct error err = {0};
    assert_ok(report_load(f->store, q, &f->arena, &f->report, &err), &err);
    return &f->report;
}

struct str fixture_text(struct fixture *f, const struct report_format *format,
                        const struct report_style *style)
{
    buf_clear(&f->text);
    format->write(&f->report, style, &f->text);
    assert_true(buf_ok(&f->text));
    return buf_view(&f->text);
}
