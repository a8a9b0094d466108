#include "api/now.h"

#include "api/route.h"
#include "report/rates.h"

#define SPAN_NS (60 * NS_PER_S)
enum { GROUPS_MAX = 200 };

static const struct settings *settings_of(const struct settings_history *h, int64_t t)
{
    return h->n > 0 ? settings_at(h, t) : &settings_default;
}

static int load(struct store *s, struct arena *a, struct now *n, int64_t window, struct error *err)
{
    struct report_query q = {.by = {DIM_GPU, DIM_MODEL},
                             .n_by = 2,
                             .from = time_floor(MAX(n->to - SPAN_NS, INT64_C(0)), window),
                             .to = time_floor(n->to, window) + window,
                             .zone = &zone_utc,
                             .provisional = true,
                             .sort = SORT_NAME,
                             .now = n->at};
    n->from = MAX(q.from, n->info.first);
    int r = report_load(s, &q, a, &n->by_gpu, err);
    q.by[q.n_by++] = DIM_TENANT;
    q.sort = SORT_COST;
    q.limit = GROUPS_MAX;
    return r < 0 ? r : report_load(s, &q, a, &n->windows, err);
}

// The longest time that one GPU was billed; its rows stand together.
static int64_t longest_billed(const struct report *r)
{
    i128 longest = 0, of_one = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        bool same = i > 0 && str_eq(row->values[0].text, r->rows[i - 1].values[0].text);
        of_one = (same ? of_one : 0) + row->sums.busy_ns;
        longest = MAX(longest, of_one);
    }
    return (int64_t)longest;
}

int now_read(struct store *s, struct arena *a, int64_t at, struct now *ret, struct error *err)
{
    struct settings_history history;
    *ret = (struct now){.at = at};
    int r = store_info(s, &ret->info, err);
    r = r < 0 ? r : store_settings(s, a, &history, err);
    if (r < 0 || ret->info.last == INT64_MIN) {
        return r;
    }
    ret->to = ret->info.last;
    const struct settings *settings = settings_of(&history, ret->to);
    r = load(s, a, ret, settings->window_ns, err);
    if (r == 0) {
        int64_t billed = longest_billed(&ret->by_gpu), whole = ret->to - ret->from;
        ret->to = ret->from + MAX(billed, whole - settings->max_gap_ns);
    }
    ret->known = r == 0 && ret->from < ret->to && ret->by_gpu.n_rows > 0;
    return r;
}

// ---- rates ---------------------------------------------------------------------------------

bool now_usd_per_hour(const struct now *n, const struct sums *s, double *ret)
{
    if (!n->known || !cost_known(ROW_USAGE, s)) {
        return false;
    }
    *ret = (double)s->cost_nusd / 1e9 * (double)NS_PER_HOUR / (double)(n->to - n->from);
    return true;
}

double now_per_minute(const struct now *n, i128 count)
{
    return (double)count * (double)(60 * NS_PER_S) / (double)(n->to - n->from);
}

static void put_hourly(struct json *j, const char *name, const struct now *n, const struct sums *s)
{
    double usd = 0;
    bool known = now_usd_per_hour(n, s, &usd);
    json_double_known(j, name, known, usd);
}

static void put_often(struct json *j, const char *name, const struct now *n, i128 count)
{
    json_double_known(j, name, n->known, n->known ? now_per_minute(n, count) : 0);
}

void now_put_rates(struct json *j, const struct now *n)
{
    const struct report *r = &n->by_gpu;
    const struct sums *usage = &r->kinds[ROW_USAGE];
    struct rate rate = rates_busy(&r->bill).all;
    bool billed = n->known && r->bill.busy_ns > 0;
    json_instant(j, "since", n->known ? n->from : INT64_MIN);
    json_instant(j, "until", n->known ? n->to : INT64_MIN);
    put_hourly(j, "usd_per_hour", n, &r->bill);
    json_double_known(j, "usd_per_mtok", n->known && rate.known, rate.usd_per_mtok);
    json_double_known(j, "busy_share", billed,
                      billed ? (double)usage->busy_ns / (double)r->bill.busy_ns : 0);
    put_hourly(j, "idle_usd_per_hour", n, &r->kinds[ROW_IDLE]);
    put_hourly(j, "unattributed_usd_per_hour", n, &r->kinds[ROW_UNATTRIBUTED]);
    put_often(j, "tokens_per_minute", n, sums_tokens(usage));
    put_often(j, "requests_per_minute", n, usage->requests);
    bool any = n->info.last != INT64_MIN;
    json_double_known(j, "behind_seconds", any,
                      any ? (double)(n->at - n->info.last) / (double)NS_PER_S : 0);
    json_instant(j, "final_until", n->info.final_until);
}

// ---- windows -------------------------------------------------------------------------------

static void put_row(struct json *j, const struct report_row *row)
{
    const struct sums *s = &row->sums;
    json_open(j, NULL, '{');
    json_str(j, "gpu", row->values[0].text);
    json_str(j, "kind", str_of(row_kind_name(row->kind)));
    json_str(j, "model", row->values[1].text);
    json_str(j, "tenant", row->values[2].text);
    json_int(j, "requests", s->requests);
    json_int(j, "prompt_tokens", s->prompt_tokens);
    json_int(j, "completion_tokens", s->completion_tokens);
    json_int(j, "cached_prompt_tokens", s->cached_prompt_tokens);
    json_money(j, "cost", cost_known(row->kind, s), s->cost_nusd);
    json_int(j, "busy_ns", s->busy_ns);
    json_int(j, "unpriced_ns", s->unpriced_ns);
    json_int(j, "others", (i128)row->others);
    json_close(j, '}');
}

void now_put_windows(struct json *j, const struct now *n)
{
    json_open(j, NULL, '{');
    json_instant(j, "since", n->known ? n->from : INT64_MIN);
    json_instant(j, "until", n->known ? n->to : INT64_MIN);
    json_open(j, "items", '[');
    for (size_t i = 0; n->known && i < n->windows.n_rows; i++) {
        put_row(j, &n->windows.rows[i]);
    }
    json_close(j, ']');
    json_close(j, '}');
}
