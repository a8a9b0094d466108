// /metrics. Counters are of this process and only grow; what can be corrected later (costs) is a
// gauge over the last final time, read from the store like any report.
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api_impl.h"
#include "api/events.h"
#include "api/prom.h"
#include "base/alloc.h"
#include "report/rates.h"

#define COST_SPAN_NS NS_PER_HOUR
#define COST_EVERY_NS NS_PER_S
enum { GROUPS_MAX = 100, COST_SHARE = 10 }; // costs are read in one part of the time in so many

// ---- how the run goes ----------------------------------------------------------------------

#define COUNTER(member, text)                                                                      \
    {                                                                                              \
        "gtap_" #member "_total", text, offsetof(struct run_progress, member)                      \
    }

static const struct {
    const char *name, *help;
    size_t at; // of a uint64_t in struct run_progress
} counters[] = {
    COUNTER(samples, "GPU samples stored as new."),
    COUNTER(usages, "Usage records stored as new."),
    COUNTER(tokens, "Prompt and completion tokens of the usage records stored as new."),
    COUNTER(duplicates, "Records that were stored before, said the same, and were not counted."),
    COUNTER(conflicts, "Records with the id of a stored one that said something else."),
    COUNTER(dead_letters, "Records refused, kept whole with the reason."),
    COUNTER(late, "Records that touched time that was final already."),
    COUNTER(unplaced, "Usage records that name no GPU, so that no cost can be given."),
};

static double seconds(int64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void put_progress(struct prom *p, const struct run_progress *progress)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        uint64_t value;
        memcpy(&value, (const char *)progress + counters[i].at, sizeof(value));
        prom_single_int(p, counters[i].name, "counter", counters[i].help, (int64_t)value);
    }
    if (progress->newest != INT64_MIN) {
        prom_single_real(p, "gtap_newest_event_timestamp_seconds", "gauge",
                         "Newest event time taken in.", seconds(progress->newest));
    }
    if (progress->frontier != INT64_MIN) {
        prom_single_real(p, "gtap_final_until_timestamp_seconds", "gauge",
                         "Event time up to which costs are final.", seconds(progress->frontier));
    }
    prom_single_real(p, "gtap_unsettled_seconds", "gauge",
                     "Event time that late records touched and that waits to be settled.",
                     seconds(progress->settling));
}

// ---- what the pipeline and its inputs measured ---------------------------------------------

static const char *const type_names[] = {
    [METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter", [METRIC_HISTOGRAM] = "histogram"};

static void put_labels(struct prom *p, const struct metric *m)
{
    for (size_t i = 0; i < METRIC_LABELS && m->label[i]; i++) {
        prom_label(p, m->label[i], str_of(m->value[i]));
    }
}

static void put_bucket(struct prom *p, const struct metric *m, double bound, uint64_t count)
{
    struct buf le;
    buf_init(&le, 64);
    if (isfinite(bound)) {
        buf_double(&le, bound);
    } else {
        buf_cstr(&le, "+Inf");
    }
    prom_begin_part(p, "_bucket");
    put_labels(p, m);
    prom_label(p, "le", buf_view(&le));
    prom_int(p, (int64_t)count);
    buf_done(&le);
}

static void put_histogram(struct prom *p, const struct metric *m)
{
    const struct histogram bounds = {.least = m->least};
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += m->buckets[i];
        put_bucket(p, m, histogram_bound(&bounds, i), count);
    }
    prom_begin_part(p, "_sum");
    put_labels(p, m);
    prom_real(p, m->number);
    prom_begin_part(p, "_count");
    put_labels(p, m);
    prom_int(p, (int64_t)count);
}

static bool same_family(const struct metric *a, const struct metric *b)
{
    return a->def == b->def || strcmp(a->def->name, b->def->name) == 0;
}

static bool comes_first(const struct metric_list *l, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (same_family(&l->v[j], &l->v[i])) {
            return false;
        }
    }
    return true;
}

// A family's samples may come from several places; on the page they stand together.
static void put_measured(struct prom *p, const struct metric_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!comes_first(l, i)) {
            continue;
        }
        const struct metric_def *def = l->v[i].def;
        prom_family(p, def->name, type_names[def->type], def->help);
        for (size_t j = i; j < l->n; j++) {
            const struct metric *m = &l->v[j];
            if (!same_family(m, &l->v[i])) {
                continue;
            }
            if (def->type == METRIC_HISTOGRAM) {
                put_histogram(p, m);
                continue;
            }
            prom_begin(p);
            put_labels(p, m);
            prom_real(p, m->number);
        }
    }
}

// ---- inputs --------------------------------------------------------------------------------

static void input_sample(struct prom *p, const struct api_source *s)
{
    prom_begin(p);
    prom_label(p, "input", str_of(s->name));
}

static void put_inputs(struct prom *p, const struct api *a)
{
    prom_family(p, "gtap_input_up", "gauge", "1: the last attempt to read this input went well.");
    for (size_t i = 0; i < a->n_sources; i++) {
        input_sample(p, &a->sources[i]);
        prom_int(p, a->sources[i].health.ok);
    }
    prom_family(p, "gtap_input_failures_total", "counter", "Failed attempts to read this input.");
    for (size_t i = 0; i < a->n_sources; i++) {
        input_sample(p, &a->sources[i]);
        prom_int(p, (int64_t)a->sources[i].health.failures);
    }
    prom_family(p, "gtap_input_records_total", "counter", "Records that came from this input.");
    for (size_t i = 0; i < a->n_sources; i++) {
        input_sample(p, &a->sources[i]);
        prom_int(p, (int64_t)a->sources[i].records);
    }
    prom_family(p, "gtap_input_last_success_timestamp_seconds", "gauge",
                "When this input was last read well.");
    for (size_t i = 0; i < a->n_sources; i++) {
        if (a->sources[i].health.last_ok != INT64_MIN) {
            input_sample(p, &a->sources[i]);
            prom_real(p, seconds(a->sources[i].health.last_ok));
        }
    }
}

// ---- costs ---------------------------------------------------------------------------------

static const char *const kind_names[] = {"usage", "idle", "unattributed"};

static void put_kinds(struct prom *p, const struct report *r)
{
    double hours = (double)(r->to - r->from) / (double)NS_PER_HOUR;
    prom_family(p, "gtap_cost_usd_per_hour", "gauge",
                "What GPU time cost an hour in the last final hour, priced time alone.");
    for (size_t i = 0; i < ARRAY_LEN(kind_names) && hours > 0; i++) {
        prom_begin(p);
        prom_label(p, "kind", str_of(kind_names[i]));
        prom_real(p, (double)r->kinds[i].cost_nusd / 1e9 / hours);
    }
    prom_single_real(p, "gtap_unpriced_gpu_seconds", "gauge",
                     "GPU time without a price in the last final hour.",
                     (double)r->bill.unpriced_ns / (double)NS_PER_S);
}

static void put_rate(struct prom *p, const struct report_row *row, const char *basis, double rate)
{
    prom_begin(p);
    prom_label(p, "model", row->others ? STR("(others)") : row->values[0].text);
    prom_label(p, "tenant", row->others ? STR("(others)") : row->values[1].text);
    prom_label(p, "basis", str_of(basis));
    prom_real(p, rate);
}

static void put_groups(struct prom *p, const struct report *r)
{
    prom_family(p, "gtap_usd_per_million_tokens", "gauge",
                "USD for a million tokens in the last final hour: busy counts what requests cost, "
                "loaded idle and unattributed time as well. No sample: no tokens, or no price.");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        struct rate busy = rates_busy(&row->sums).all, loaded = rates_loaded(row).all;
        if (row->kind == ROW_USAGE && busy.known && loaded.known) {
            put_rate(p, row, "busy", busy.usd_per_mtok);
            put_rate(p, row, "loaded", loaded.usd_per_mtok);
        }
    }
    prom_family(p, "gtap_recent_tokens", "gauge", "Tokens in the last final hour.");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (row->kind == ROW_USAGE) {
            prom_begin(p);
            prom_label(p, "model", row->others ? STR("(others)") : row->values[0].text);
            prom_label(p, "tenant", row->others ? STR("(others)") : row->values[1].text);
            prom_int(p, (int64_t)sums_tokens(&row->sums));
        }
    }
}

// Nothing where nothing is final in it. False: it could not be read.
static bool read_costs(struct prom *p, struct store *store, int64_t frontier)
{
    struct error err;
    struct arena arena = {0};
    struct report report;
    struct store_info info;
    struct report_query q = {.by = {DIM_MODEL, DIM_TENANT},
                             .n_by = 2,
                             .from = frontier - COST_SPAN_NS,
                             .to = frontier,
                             .zone = &zone_utc,
                             .limit = GROUPS_MAX};
    if (store_info(store, &info, &err) < 0) {
        return false;
    }
    if (info.first < frontier) { // costs an hour are of the time there was, in the first hour
        q.from = MAX(q.from, info.first);
    }
    int r = report_load(store, &q, &arena, &report, &err);
    if (r == 0 && !report.empty) {
        put_kinds(p, &report);
        put_groups(p, &report);
    }
    arena_done(&arena);
    return r == 0;
}

// Nothing where there is no store to read yet.
static void renew_costs(struct api *a, int64_t frontier, struct mono now)
{
    struct error err;
    struct store *store = NULL;
    struct prom costs = {.b = &a->costs};
    if (api_take_store(a, &store, &err) < 0) {
        return;
    }
    buf_clear(&a->costs);
    bool good = read_costs(&costs, store, frontier);
    api_give_store(a, store, good);
    a->costs_at = clock_mono(a->config.clock);
    a->costs_took = MAX(a->costs_at.ns - now.ns, INT64_C(1));
}

// However often the page is asked for, the store is read a small part of the time, and not while it
// is away: the page must come then, too. All of it are gauges, which both formats write alike.
static void put_costs(struct prom *p, struct api *a, int64_t frontier, bool store_ok)
{
    if (frontier == INT64_MIN) {
        return;
    }
    pthread_mutex_lock(&a->costs_lock);
    struct mono now = clock_mono(a->config.clock);
    int64_t wait = MAX(COST_EVERY_NS, a->costs_took * COST_SHARE);
    if (store_ok && (a->costs_took == 0 || now.ns - a->costs_at.ns >= wait)) {
        renew_costs(a, frontier, now);
    }
    buf_str(p->b, buf_view(&a->costs));
    pthread_mutex_unlock(&a->costs_lock);
}

// ---- the process ---------------------------------------------------------------------------

static int64_t resident_bytes(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) {
        return 0;
    }
    if (fscanf(f, "%*d %lld", &pages) != 1) {
        pages = 0;
    }
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_fds(void)
{
    int64_t n = -3; // ".", "..", and the folder itself
    DIR *d = opendir("/proc/self/fd");
    if (!d) {
        return 0;
    }
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

// Counted anew once a second: with a thousand connections that takes longer than all the rest.
static int64_t open_fds(struct api *a)
{
    struct mono now = clock_mono(a->config.clock);
    pthread_mutex_lock(&a->lock);
    if (a->fds == 0 || now.ns - a->fds_at.ns >= NS_PER_S) {
        a->fds = count_fds();
        a->fds_at = now;
    }
    int64_t n = a->fds;
    pthread_mutex_unlock(&a->lock);
    return n;
}

static int64_t max_fds(void)
{
    struct rlimit l;
    return getrlimit(RLIMIT_NOFILE, &l) < 0 ? 0 : (int64_t)MIN(l.rlim_cur, (rlim_t)INT64_MAX);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void put_process(struct prom *p, struct api *a)
{
    prom_family(p, "gtap_build_info", "gauge", "1, with the version of this program.");
    prom_begin(p);
    prom_label(p, "version", str_of(a->config.version));
    prom_int(p, 1);
    prom_single_real(p, "process_cpu_seconds_total", "counter",
                     "User and system CPU time spent, in seconds.", cpu_seconds());
    prom_single_int(p, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                    resident_bytes());
    prom_single_int(p, "process_open_fds", "gauge", "Number of open file descriptors.",
                    open_fds(a));
    prom_single_int(p, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                    max_fds());
    prom_single_real(p, "process_start_time_seconds", "gauge",
                     "When this program started, in seconds since the epoch.", seconds(a->began));
}

static void put_http(struct prom *p, const struct api *a)
{
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct http_stats stats = http_server_stats(a->server);
    prom_family(p, "gtap_http_answers_total", "counter", "Answers, by class of status.");
    for (size_t i = 2; i < ARRAY_LEN(classes); i++) {
        prom_begin(p);
        prom_label(p, "class", str_of(classes[i]));
        prom_int(p, (int64_t)stats.by_class[i]);
    }
    prom_single_int(p, "gtap_http_connections", "gauge", "Open connections.", (int64_t)stats.open);
    prom_single_int(p, "gtap_http_turned_away_total", "counter",
                    "Connections cut off for being slow, or to make room for others.",
                    (int64_t)stats.refused);
}

static void put_listeners(struct prom *p, const struct api *a)
{
    if (!a->events) {
        return;
    }
    struct events_stats stats = events_stats(a->events);
    prom_single_int(p, "gtap_events_listeners", "gauge",
                    "Clients that listen to /api/v1/events now.", (int64_t)stats.listeners);
    prom_single_int(p, "gtap_events_joined_total", "counter",
                    "Clients that began to listen to /api/v1/events.", (int64_t)stats.joined);
    prom_single_int(p, "gtap_events_sent_total", "counter",
                    "Events sent on /api/v1/events, counted once for each client that listened.",
                    (int64_t)stats.sent);
    prom_single_int(p, "gtap_events_cut_total", "counter",
                    "Clients of /api/v1/events that were cut off for reading too slowly.",
                    (int64_t)stats.cut);
}

void api_metrics(void *ctx, struct http_exchange *x)
{
    struct api *a = ctx;
    struct buf b;
    buf_init(&b, API_PAGE_MAX);
    struct prom p = {.b = &b};
    struct str accept = http_header(x, "Accept");
    p.openmetrics = str_present(accept) && str_glob(STR("*application/openmetrics-text*"), accept);
    put_process(&p, a);
    pthread_mutex_lock(&a->lock);
    struct run_progress progress = a->progress;
    put_progress(&p, &progress);
    put_inputs(&p, a);
    put_measured(&p, &a->metrics);
    pthread_mutex_unlock(&a->lock);
    put_http(&p, a);
    put_listeners(&p, a);
    put_costs(&p, a, progress.frontier, progress.store.ok);
    prom_end(&p);
    http_answer(x, buf_ok(&b) ? 200 : 500, p.openmetrics ? PROM_OPENMETRICS_TYPE : PROM_TEXT_TYPE,
                NULL, buf_view(&b));
    buf_done(&b);
}
