#include "cmd/run_status.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/digits.h"
#include "report/query.h"

#define COST_SPAN_NS (5 * 60 * NS_PER_S)
#define COST_EVERY_NS (5 * NS_PER_S)
#define PRICES_EVERY_MAX_NS (60 * NS_PER_S)
enum { LINE_MAX_BYTES = STATUS_LINE_MAX, SMOOTHING = 8 };

void run_status_init(struct run_status *s, struct cli *cli, const char *output)
{
    *s = (struct run_status){.cli = cli, .output = output, .began = clock_mono(cli->clock)};
    s->at = s->began;
    run_prices_init(&s->prices, cli, output);
}

// The run's store, to read. It stays open: to open one takes longer than all that is asked of it.
static struct store *store_of(struct run_status *s)
{
    struct error err;
    if (!s->store && store_open(s->output, STORE_READ, &s->store, &err) < 0) {
        s->store = NULL;
    }
    return s->store;
}

static void leave_store(struct run_status *s)
{
    store_close(s->store);
    s->store = NULL;
}

void run_status_done(struct run_status *s)
{
    cli_progress(s->cli, NULL);
    leave_store(s);
    free(s->told);
    s->told = NULL;
    run_prices_done(&s->prices);
}

static double seconds_between(struct mono from, struct mono to)
{
    return (double)(to.ns - from.ns) / (double)NS_PER_S;
}

static double smooth(double old, double now)
{
    return old > 0 ? old + (now - old) / SMOOTHING : now;
}

static void update_rates(struct run_status *s, const struct run_progress *p)
{
    struct mono now = clock_mono(s->cli->clock);
    double passed = seconds_between(s->at, now);
    if (passed > 0) {
        double records = (double)(p->records - s->last.records) / passed;
        double tokens = (double)(p->tokens - s->last.tokens) / passed;
        s->records_per_s = smooth(s->records_per_s, records);
        s->tokens_per_s = smooth(s->tokens_per_s, tokens);
        s->at = now;
        s->last = *p;
    }
}

// From when in the range on there was anything to pay for: in the first minutes of a store, or
// after a pause, that is not its beginning. In the first window of all it is the first record.
static int64_t costs_begin(struct store *s, const struct report *r)
{
    struct window_query q = {LEVEL_WINDOW, r->from, r->to, .shard = -1};
    struct store_cursor *cursor = NULL;
    struct window_row row;
    struct error err;
    int64_t begin = r->from;
    if (store_windows(s, &q, &cursor, &err) == 0 && store_windows_next(cursor, &row, &err) > 0) {
        begin = MAX(row.window_start, r->first);
    }
    store_cursor_close(cursor);
    return begin;
}

static void take_costs(struct run_status *s, const struct report *r)
{
    double rate, hours = (double)(r->to - costs_begin(s->store, r)) / (double)NS_PER_HOUR;
    i128 time = r->bill.busy_ns;
    s->has_cost = sums_priced(&r->bill) && time > 0 && hours > 0 &&
                  digits_per_mtok(r->bill.cost_nusd, sums_tokens(&r->bill), &rate);
    if (s->has_cost) {
        s->usd_per_hour = (double)r->bill.cost_nusd / 1e9 / hours;
        s->usd_per_mtok = rate;
        s->busy = (double)r->kinds[ROW_USAGE].busy_ns / (double)time;
    }
}

// The costs of the last final minutes, from the store like any report. A store that cannot be read
// (there is none yet, or the output is a sink) leaves the line without them.
static void read_costs(struct run_status *s, const struct run_progress *p)
{
    struct mono now = clock_mono(s->cli->clock);
    if (p->frontier == INT64_MIN || (s->cost_at.ns > 0 && now.ns - s->cost_at.ns < COST_EVERY_NS)) {
        return;
    }
    s->cost_at = now;
    struct error err;
    struct arena arena = {0};
    struct report report;
    struct report_query q = {
        .from = p->frontier - COST_SPAN_NS, .to = p->frontier, .zone = &zone_utc};
    if (store_of(s) && report_load(s->store, &q, &arena, &report, &err) == 0 && !report.empty) {
        take_costs(s, &report);
    }
    arena_done(&arena);
}

static void put_finite(const struct run_status *s, const struct run_progress *p, struct buf *b)
{
    double done = (double)p->input_done, total = (double)p->input_total;
    double passed = seconds_between(s->began, clock_mono(s->cli->clock));
    buf_printf(b, "%.1f %% · ", total > 0 ? 100 * done / total : 100.0);
    digits_count(b, (int64_t)p->records, "record");
    buf_cstr(b, " · ");
    digits_grouped(b, (i128)s->records_per_s, 0);
    buf_cstr(b, "/s");
    if (done > 0 && done < total) {
        buf_cstr(b, " · ");
        digits_duration(b, (int64_t)(passed * (total - done) / done * (double)NS_PER_S));
        buf_cstr(b, " left");
    }
}

static void put_ending(const struct run_progress *p, struct buf *b)
{
    digits_count(b, (int64_t)p->records, "record");
    buf_cstr(b, " stored · finishing windows");
    if (p->settling > 0) {
        buf_cstr(b, ", ");
        digits_duration(b, p->settling);
        buf_cstr(b, " to settle");
    }
}

static void put_tokens(double per_minute, struct buf *b)
{
    const char *unit = per_minute >= 1e7 ? " M" : per_minute >= 1e4 ? " k" : "";
    double scale = per_minute >= 1e7 ? 1e6 : per_minute >= 1e4 ? 1e3 : 1;
    digits_grouped(b, (i128)(per_minute / scale), 0);
    buf_printf(b, "%s tok/min", unit);
}

static bool store_fails(const struct run_progress *p)
{
    return !p->store.ok && p->store.error[0];
}

static void put_live(const struct run_status *s, const struct run_progress *p, struct buf *b)
{
    if (s->has_cost) {
        buf_printf(b, "$%.2f/h · $", s->usd_per_hour);
        digits_rate(b, s->usd_per_mtok);
        buf_cstr(b, "/Mtok loaded · ");
    }
    put_tokens(s->tokens_per_s * 60, b);
    if (s->has_cost) {
        buf_printf(b, " · %.0f %% busy", 100 * s->busy);
    }
    if (p->newest != INT64_MIN) {
        int64_t behind = cli_now(s->cli) - p->newest;
        buf_cstr(b, " · ");
        digits_duration(b, MAX(behind, (int64_t)0));
        buf_cstr(b, " behind");
    }
    buf_cstr(b, " · ");
    digits_count(b, (int64_t)p->dead_letters, "dead letter");
    size_t failing = 0;
    for (size_t i = 0; i < p->n_sources; i++) {
        failing += !p->sources[i].health.ok;
    }
    if (failing > 0) {
        buf_cstr(b, " · ");
        digits_count(b, (int64_t)failing, "input");
        buf_cstr(b, " failing");
    }
    if (store_fails(p)) {
        buf_cstr(b, " · the store is away");
    }
}

void run_status_line(const struct run_status *s, const struct run_progress *p, struct buf *b)
{
    if (p->ending) {
        put_ending(p, b);
    } else if (p->input_total >= 0) {
        put_finite(s, p, b);
    } else {
        put_live(s, p, b);
    }
}

// GPUs come at the beginning, mostly.
static void check_prices(struct run_status *s, const struct run_progress *p)
{
    struct mono now = clock_mono(s->cli->clock);
    if (!p->ending && s->prices_at.ns != 0 && now.ns - s->prices_at.ns < s->prices_wait) {
        return;
    }
    s->prices_at = now;
    s->prices_wait = MIN(MAX(2 * s->prices_wait, COST_EVERY_NS), PRICES_EVERY_MAX_NS);
    if (store_of(s) && !run_prices_check(&s->prices, s->store)) {
        leave_store(s);
    }
}

// "nvml" of "nvml:", but the whole of what says more.
static struct str plain_name(const char *name)
{
    struct str s = str_of(name);
    bool bare = s.n > 0 && memchr(s.p, ':', s.n) == s.p + s.n - 1;
    return bare ? (struct str){s.p, s.n - 1} : s;
}

static void tell_of(struct run_status *s, const struct run_source *source, const char *what,
                    const char *more)
{
    char text[LINE_MAX_BYTES];
    snprintf(text, sizeof(text), STR_FMT ": %s%s", STR_ARG(plain_name(source->name)), what, more);
    cli_note(s->cli, text);
}

// What a live input is, once it has been read; later only that it fails, or is back. One that tries
// again by itself is no reason to stop, but one to say so.
static void tell_change(struct run_status *s, const struct run_source *source,
                        struct input_told *told)
{
    bool first = source->live && !told->greeted && source->health.last_ok != INT64_MIN;
    if (first) {
        tell_of(s, source, source->about, "");
    } else if (told->failing && source->health.ok) {
        tell_of(s, source, "is back", "");
    }
    if (!told->failing && !source->health.ok) {
        tell_of(s, source, source->health.error, "; trying again");
    }
    told->greeted |= first;
    told->failing = !source->health.ok;
}

static void tell_changes(struct run_status *s, const struct run_progress *p)
{
    if (s->n_told != p->n_sources) {
        free(s->told);
        s->told = x_array(p->n_sources, sizeof(s->told[0]));
        s->n_told = p->n_sources;
    }
    for (size_t i = 0; i < p->n_sources; i++) {
        tell_change(s, &p->sources[i], &s->told[i]);
    }
}

static void tell_store(struct run_status *s, const struct run_progress *p)
{
    char text[LINE_MAX_BYTES];
    if (store_fails(p) && !s->store_failing) {
        snprintf(text, sizeof(text), "%s; trying again", p->store.error);
        cli_note(s->cli, text);
    } else if (s->store_failing && p->store.ok) {
        cli_note(s->cli, "the store is back");
    }
    s->store_failing = store_fails(p);
}

void run_status_progress(struct run_status *s, const struct run_progress *p, struct buf *ret_line)
{
    tell_changes(s, p);
    tell_store(s, p);
    if (p->samples > 0 && !store_fails(p)) {
        check_prices(s, p);
    }
    update_rates(s, p);
    if (p->input_total < 0 && s->cli->err_terminal.is_terminal && !store_fails(p)) {
        read_costs(s, p);
    }
    if (p->ending || p->draining) { // who closes it last would leave its log behind
        leave_store(s);
    }
    run_status_line(s, p, ret_line);
    cli_progress(s->cli, buf_view(ret_line).p);
}

void run_status_notice(struct run_status *s, const char *text)
{
    cli_note(s->cli, text);
}

static void put_kept_apart(const struct run_progress *p, struct buf *b)
{
    const struct {
        uint64_t n;
        const char *one, *many;
    } counts[] = {
        {p->duplicates, "duplicate ignored", "duplicates ignored"},
        {p->conflicts, "conflict kept as a dead letter", "conflicts kept as dead letters"},
        {p->expired, "of expired time kept as a dead letter",
         "of expired time kept as dead letters"},
        {p->refused, "refused by the store kept as a dead letter",
         "refused by the store kept as dead letters"},
        {p->late, "came late", "came late"},
        {p->turned_away, "turned away for want of room", "turned away for want of room"},
        {p->dropped, "dropped for want of room", "dropped for want of room"},
        {p->unplaced, "request on no known GPU", "requests on no known GPU"},
    };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (counts[i].n > 0) {
            buf_cstr(b, "; ");
            digits_grouped(b, (i128)counts[i].n, 0);
            buf_printf(b, " %s", counts[i].n == 1 ? counts[i].one : counts[i].many);
        }
    }
}

void run_status_summary(struct run_status *s, const struct run_progress *p)
{
    struct buf b;
    buf_init(&b, LINE_MAX_BYTES);
    buf_cstr(&b, "stored ");
    digits_count(&b, (int64_t)p->records, "record");
    buf_cstr(&b, " (");
    digits_count(&b, (int64_t)p->usages, "request");
    buf_cstr(&b, ", ");
    digits_count(&b, (int64_t)p->samples, "sample");
    buf_cstr(&b, ") in ");
    digits_duration(&b, clock_mono(s->cli->clock).ns - s->began.ns);
    if (p->frontier != INT64_MIN) {
        buf_cstr(&b, "; final up to ");
        zone_format(&b, &zone_utc, p->frontier, cli_now(s->cli));
        buf_cstr(&b, " UTC");
    }
    buf_cstr(&b, "; ");
    digits_count(&b, (int64_t)p->dead_letters, "dead letter");
    put_kept_apart(p, &b);
    cli_note(s->cli, buf_view(&b).p);
    buf_done(&b);
}

static const char *remedy(int code)
{
    switch (code) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return "Free some space and run the same command again: it goes on where it stopped.";
    case -EROFS:
    case -EACCES:
    case -EPERM:
        return "Make it writable and run the same command again: it goes on where it stopped.";
    case -ESTALE:
        return "Give the changed input another name, or a store of its own.";
    default:
        return "Run the same command again when that is mended: it goes on where it stopped.";
    }
}

// Before anything was read there is nothing to reassure about: the store or an input was refused,
// in a sentence that says what to do.
static bool before_start(const struct run_progress *p, const struct error *err)
{
    static const int refusals[] = {-EINVAL,      -ENOENT,          -EBUSY,  -EISDIR,
                                   -EMEDIUMTYPE, -EPROTONOSUPPORT, -EBADMSG};
    bool refused = false;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        refused |= err->code == refusals[i];
    }
    return refused && p->records == 0 && p->input_done == 0;
}

static void put_kept(const struct run_progress *p, struct error *err)
{
    if (p->records == 0) {
        error_set(err, err->code,
                  "%s. Nothing of this run is stored yet; what the store held is as it was.",
                  err->msg);
        return;
    }
    struct buf count;
    buf_init(&count, LINE_MAX_BYTES);
    digits_count(&count, (int64_t)p->records, "record");
    error_set(err, err->code,
              "%s. " STR_FMT " of this run %s stored and safe; nothing after %s was acknowledged.",
              err->msg, STR_ARG(buf_view(&count)), p->records == 1 ? "is" : "are",
              p->records == 1 ? "it" : "them");
    buf_done(&count);
}

int run_status_failure(struct run_status *s, const struct run_progress *p, const struct error *err)
{
    if (before_start(p, err)) {
        return cli_fail(s->cli, err);
    }
    struct error whole = *err;
    put_kept(p, &whole);
    cli_fail(s->cli, &whole);
    cli_advise(s->cli, "%s", remedy(err->code));
    return EXIT_COULD_NOT;
}
